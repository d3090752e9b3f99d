//! How a connection in plain HTTP begins: what is read of it holds no more than it says, wherever it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::plain::Request;
use weir_core::secret::FingerprintKey;

fuzz_target!(|data: &[u8]| {
    let key = FingerprintKey::new([7; 32]);
    // The kernel hands over no more.
    let data = &data[..data.len().min(2048)];
    for end in (0..data.len()).step_by(97).chain([data.len()]) {
        let Some(request) = Request::read(&data[..end], &key) else { continue };
        let host = request.host.unwrap_or_default();
        assert_eq!(host, host.to_ascii_lowercase());
        assert!(host.len() <= end, "{host:?} of {end} bytes");
        assert!(!request.is_to_provider || request.provider.is_some());
    }
});
