//! Writes what the fuzzer begins with, made of transcripts: `seeds FROM TO`. Every target gets all of
//! it and keeps what leads it anywhere.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;

use weir_core::replay::{Event, Transcript};
use weir_fuzz::traffic::encode;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("seeds FROM TO"));
    };
    let to = Path::new(&to);
    fs::create_dir_all(to)?;
    for folder in fs::read_dir(from)? {
        for file in fs::read_dir(folder?.path())? {
            let text = fs::read_to_string(file?.path())?;
            let transcript = Transcript::parse(&text).map_err(io::Error::other)?;
            write(to, text.as_bytes())?;
            write(to, &encode(&transcript))?;
            for step in &transcript.steps {
                let Event::Segment { data, .. } = &step.event else { continue };
                write(to, data)?;
                if let Some(end) = data.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                    write(to, &data[..end + 4])?;
                    write(to, &data[end + 4..])?;
                }
            }
        }
    }
    Ok(())
}

/// Under a name made of what is in it.
fn write(folder: &Path, seed: &[u8]) -> io::Result<()> {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    fs::write(folder.join(format!("{:016x}", hasher.finish())), seed)
}
