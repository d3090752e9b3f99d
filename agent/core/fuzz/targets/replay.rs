//! Transcripts: what can be read can be written, and is the same when it is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::replay::Transcript;

fuzz_target!(|text: &str| {
    // Nobody learns anything from a transcript that asks for much memory.
    if let Ok(transcript) = Transcript::parse(text) {
        let written = transcript.to_string();
        let again = match Transcript::parse(&written) {
            Ok(again) => again,
            Err(error) => panic!("{error} in\n{written}"),
        };
        assert_eq!(transcript.processes, again.processes, "{written}");
        assert_eq!(transcript.connections, again.connections, "{written}");
        assert_eq!(transcript.steps, again.steps, "{written}");
        assert_eq!(transcript.inputs().count(), again.inputs().count());
    }
});
