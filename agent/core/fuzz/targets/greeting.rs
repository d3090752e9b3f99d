//! How a TLS connection begins: no more bytes change what was read, and a name is one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_core::greeting::Greeting;

fuzz_target!(|data: &[u8]| {
    let whole = Greeting::read(data);
    if let Greeting::Named(name) = &whole {
        assert!(!name.is_empty() && name.len() <= 253);
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    }
    for cut in 0..data.len() {
        match Greeting::read(&data[..cut]) {
            Greeting::Unfinished => {}
            told => assert_eq!(told, whole, "after {cut} bytes"),
        }
    }
});
