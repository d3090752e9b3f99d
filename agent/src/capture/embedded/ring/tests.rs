//! On real code: `cargo build` of a program that uses ring, and the bytes of its functions.

use proptest::prelude::*;

use super::super::Search;
use super::super::tests::aead::ciphers;
use super::super::tests::{ADDRESS, CODE, Form, LENGTH, OFFSET, Program, search_in};
use super::*;

/// `aes_gcm_seal` of ring 0.17.14, by rustc 1.95 at level 3.
const SEAL_3: &str = "534883ec10833e05741a4889fb488b44242048890424e8d5f2ffff4889d84883c4105bc3488d3ded\
     ddfeff488d1566270500be28000000ff1573470500";
/// `aes_gcm_open`, by the same.
const OPEN_3: &str = "53833e0574194889fbff742418ff742418e83aedffff4883c4104889d85bc3488d3d32defeff488d\
     1593270500be28000000ff15b8470500";
/// `chacha20_poly1305_seal`, by the same.
const CHACHA_SEAL_3: &str = "534883ec20833e0575374889fb488b4424304883c60848890424488d7c2408e80c080000807c2408\
     00752f0f104424090f11430131c088034889d84883c4205bc3488d3df0dbfeff488d15c1250500be\
     28000000ff1576450500488b7c2410e89cf8ffffb001ebce";
/// `chacha20_poly1305_open`, by a nightly 1.97.
const CHACHA_OPEN_NIGHTLY: &str = "534883ec30833eff75674889fb488b7c2448488b4424404839f8723c4883c6084c890c2448894424\
     0848897c2410488d7c24184989e1e865420000807c24180174480f104424190f11430131c0880348\
     89d84883c4305bc3e8e35300004889c7e8db3b0000c603014889d84883c4305bc3488d3deb20ffff\
     488d15716a0500be28000000ff15668b0500488b7c2420e8ac3b0000b001ebb5";
/// `aes_gcm_seal`, not optimized.
const SEAL_0: &str = "4883ec584c894c24084c8944241048894c24184889542420488974242848897c243048897c243848\
     8b442460488944244031c0b90100000048833e05480f44c148a9010000007419488d3d8ad6fdffbe\
     28000000488d15b5660500ff15a78c0500488b4424404c8b4c24084c8b442410488b4c2418488b74\
     2428488b7c2430488b5424204c8b124c8954244c8b520889542454488d54244c48890424e87fbaff\
     ff488b4424384883c458c3";
/// `aes_gcm_open`, not optimized.
const OPEN_0: &str = "4883ec684c894c24104c8944241848894c24204889542428488974243048897c243848897c244048\
     8b4424784889442448488b442470488944245031c0b90100000048833e05480f44c148a901000000\
     7419488d3d40d7fdffbe28000000488d1553670500ff155d8d0500488b4424484c8b5424504c8b4c\
     24104c8b442418488b4c2420488b742430488b7c2438488b5424284c8b1a4c895c245c8b52088954\
     2464488d54245c4c8914244889442408e8bbb7ffff488b4424404883c468c3";
/// `aes_gcm_open`, optimized for size.
const OPEN_SMALL: &str = "53833e0574174889fbff742418ff742418e8d4d4ffff58594889d85bc3488d3d7ec5feff488d15a5\
     fd04006a285eff15641e0500";
/// `aes_gcm_open`, with frame pointers.
const OPEN_FRAME: &str = "554889e55350833e05741c4889fbff7518ff7510e887edffff4883c4104889d84883c4085b5dc348\
     8d3d6ae2feff488d150b280500be28000000ff1530480500";
/// As the first, if a nonce were in two registers: `push rbx; mov rax, [rsp+16]; mov rcx, [rsp+24]; pop rbx; ret`.
const SEAL_OTHER: &str = "53488b442410488b4c24185bc3";

fn bytes(digits: &str) -> Vec<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
    digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn arguments_on_the_stack_are_counted() {
    for (code, expected, why) in [
        (SEAL_3, &[0][..], "by the stack pointer"),
        (OPEN_3, &[0, 1], "pushed on"),
        (CHACHA_SEAL_3, &[0], "another cipher"),
        (CHACHA_OPEN_NIGHTLY, &[0, 1], "another compiler"),
        (SEAL_0, &[0], "not optimized"),
        (OPEN_0, &[0, 1], "not optimized, and two"),
        (OPEN_SMALL, &[0, 1], "small"),
        (OPEN_FRAME, &[0, 1], "by the frame pointer"),
        (SEAL_OTHER, &[0, 1], "two where there is one"),
        ("0f10442408c3", &[0, 1], "movups xmm0, [rsp+8]"),
        ("4883e4e0488b442408c3", &[], "and rsp, -32: it isn't known any more"),
        ("ff2425000000005b", &[], "jmp to where a table says"),
        ("", &[], "nothing"),
    ] {
        let found = on_stack::arguments(&bytes(code));
        assert_eq!(found, expected.iter().copied().collect(), "{why}");
    }
}

#[test]
fn symbols_tell_what_functions_do() {
    let (seals, opens) = (Some(Role::Seals), Some(Role::Opens));
    for (symbol, expected) in [
        ("_ZN4ring4aead9algorithm12aes_gcm_seal17h7864bfc0d59e8507E", seals),
        ("_ZN4ring4aead9algorithm12aes_gcm_open17h348cf082b9b945a7E.llvm.77", opens),
        ("_ZN4ring4aead7aes_gcm12aes_gcm_seal17h1050761303a38634E", seals),
        ("_ZN4ring4aead17chacha20_poly130522chacha20_poly1305_open17h16fc1a3efa64499cE", opens),
        ("_RNvNtNtCsiL3kBSSZcKr_4ring4aead9algorithm12aes_gcm_open", opens),
        ("_RNvNtNtCsiL3kBSSZcKr_4ring4aead9algorithm22chacha20_poly1305_seal", seals),
        ("_ZN4ring4aead9algorithm16aes_gcm_init_12817h348cf082b9b945a7E", None),
        ("_ZN4ring4aead7aes_gcm4open17h9572ca416407fe51E", None),
        ("ring_core_0_17_14__chacha20_poly1305_open", None),
        ("_ZN5other4ring4aead9algorithm12aes_gcm_seal17h7864bfc0d59e8507E", None),
        ("", None),
    ] {
        assert_eq!(role(symbol.as_bytes()), expected, "{symbol}");
    }
}

/// `program` with these names of source files, and with symbols for functions that are this code.
fn file(mut program: Program, names: &[&[u8]], functions: &[(&str, &str)]) -> Vec<u8> {
    for (index, name) in names.iter().enumerate() {
        program.bytes[0x400 + index * 0x40..][..name.len()].copy_from_slice(name);
    }
    let (mut symbols, mut strings) = (vec![0; 24], vec![0]);
    for (index, (name, code)) in functions.iter().enumerate() {
        let (at, code) = (CODE + 0x4000 * (index + 1), bytes(code));
        program.bytes.resize(program.bytes.len().max(at + code.len()), 0xcc);
        program.bytes[at..][..code.len()].copy_from_slice(&code);
        // A local function in the first section.
        symbols.extend((strings.len() as u32).to_le_bytes());
        symbols.extend([2, 0, 1, 0]);
        symbols.extend((ADDRESS + at as u64).to_le_bytes());
        symbols.extend((code.len() as u64).to_le_bytes());
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    let mut file = program.file();
    let sections = [(0u32, 0, 0), (2, OFFSET + LENGTH, symbols.len()), (3, 0, strings.len())];
    file.extend(symbols);
    let strings_at = file.len();
    file.extend(strings);
    let headers_at = file.len() as u64;
    for (kind, at, length) in sections {
        let at = if kind == 3 { strings_at } else { at };
        let mut header = vec![0; 64];
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(length as u64).to_le_bytes());
        header[40] = 2;
        header[56] = 24;
        file.extend(header);
    }
    file[40..48].copy_from_slice(&headers_at.to_le_bytes());
    file[58] = 64;
    file[60] = 3;
    file[62] = 2;
    file
}

const SEAL: &str = "_ZN4ring4aead9algorithm12aes_gcm_seal17h7864bfc0d59e8507E";
const OPEN: &str = "_ZN4ring4aead9algorithm12aes_gcm_open17h348cf082b9b945a7E";
const RUSTLS: &[u8] = b"/r/rustls-0.23.46/src/conn.rs";
const RING: &[u8] = b"/r/ring-0.17.14/src/aead.rs";

#[track_caller]
fn check(names: &[&[u8]], functions: &[(&str, &str)], expected: Option<bool>) -> Search {
    let found = search_in(&file(Program::new(Form::Relative), names, functions));
    let copies = match found {
        Search::FoundRing(functions) => Some(functions.copies),
        _other => None,
    };
    assert_eq!(copies, expected, "{found:?}");
    found
}

#[test]
fn functions_are_found_by_their_symbols() {
    let both = [(SEAL, SEAL_3), (OPEN, OPEN_3)];
    let Search::FoundRing(found) = check(&[RUSTLS, RING], &both, Some(false)) else { return };
    let offsets = [found.seals[0], found.opens[0]].map(|place| place.unwrap().offset);
    assert_eq!(offsets, [1, 2].map(|number| (OFFSET + CODE + number * 0x4000) as u64));
    assert_eq!(found.seals[0].unwrap().length, bytes(SEAL_3).len() as u64);
    assert!(found.seals[1..].iter().chain(&found.opens[1..]).all(Option::is_none));
    // An older one copies what it seals.
    check(&[b"/r/rustls-0.21.12/src/conn.rs", RING], &both, Some(true));
}

#[test]
fn a_program_may_have_two_libraries_for_ciphers() {
    let both = [(SEAL, SEAL_3), (OPEN, OPEN_3)];
    let (program, aws) = ciphers(Form::Relative);
    let found = search_in(&file(program, &[RUSTLS, RING], &both));
    assert!(matches!(found, Search::FoundAead(found, Some(_)) if found == aws), "{found:?}");
    let (program, _) = ciphers(Form::Relative);
    let found = search_in(&file(program, &[RUSTLS, RING], &[]));
    assert!(matches!(found, Search::FoundAead(_, None)), "{found:?}");
}

#[test]
fn what_is_not_as_it_should_be_is_not_probed() {
    let both = [(SEAL, SEAL_3), (OPEN, OPEN_3)];
    let unclear = Search::Unclear { library: LIBRARY };
    assert_eq!(check(&[RUSTLS, RING], &[], None), unclear, "no symbols");
    assert_eq!(check(&[RUSTLS, RING], &both[..1], None), unclear, "one direction");
    let many = [both; COPIES_MAX + 1].concat();
    assert_eq!(check(&[RUSTLS, RING], &many, None), unclear, "too many");
    assert_eq!(check(&[RUSTLS], &both, None), Search::Absent, "no ring");
    for (names, functions) in [
        ([RUSTLS, &b"/r/ring-0.17.7/src/aead.rs"[..]], both),
        ([RUSTLS, b"/r/ring-0.16.20/src/aead.rs"], both),
        ([RUSTLS, RING], [(SEAL, SEAL_OTHER), (OPEN, OPEN_3)]),
        ([RUSTLS, RING], [(SEAL, SEAL_3), (OPEN, SEAL_3)]),
    ] {
        let found = check(&names, &functions, None);
        assert!(matches!(found, Search::Unfit { .. }), "{found:?}");
    }
}

proptest! {
    #[test]
    fn no_code_and_no_name_panics(code in prop::collection::vec(any::<u8>(), 0..512)) {
        let _any = on_stack::arguments(&code);
        let _any = role(&code);
    }

    #[test]
    fn no_damage_to_code_panics(at in 0usize..191, byte: u8) {
        let mut code = bytes(OPEN_0);
        code[at] = byte;
        let _any = on_stack::arguments(&code);
    }
}
