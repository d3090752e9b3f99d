//! Sites in functions as Go's compilers made them, and in some made up.

mod bodies;

use bodies::{READ_116, READ_117, READ_121, READ_127, WRITE_117, WRITE_127};
use proptest::prelude::*;

use super::{entry, returns};
use crate::capture::site::{Code, Site, SiteKind};

fn whole(hex: &str) -> Code {
    let digits = hex.chars().filter_map(|c| c.to_digit(16)).map(|it| u8::try_from(it).unwrap());
    let digits: Vec<u8> = digits.collect();
    let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    Code { bytes, is_whole: true }
}

#[test]
fn writes_are_seen_behind_the_look_at_the_stack() {
    for (body, offset, kind) in [
        (WRITE_117, 15, SiteKind::Stepped),
        (WRITE_127, 18, SiteKind::Emulated),
        (READ_127, 10, SiteKind::Emulated),
    ] {
        assert_eq!(entry(&whole(body)), Some(Site { offset, kind, displacement: 0 }));
    }
    assert_eq!(entry(&whole(READ_116)), None);
}

#[test]
fn reads_are_seen_at_every_return_of_go() {
    // All but the last one, which is for what has recovered from a panic: `Read` doesn't.
    for (body, expected) in [
        (READ_117, &[0x104, 0x131, 0x1b2, 0x2fd, 0x330, 0x3ad][..]),
        (READ_121, &[0xf3, 0x11c, 0x1a0, 0x2eb, 0x31a, 0x389]),
        (READ_127, &[0xe1, 0x108, 0x1aa, 0x2cb, 0x2fa, 0x340]),
    ] {
        let code = whole(body);
        let found = returns(&code).unwrap();
        let offsets: Vec<_> = found.iter().map(|site| site.offset).collect();
        assert_eq!(offsets, expected);
        assert!(offsets.iter().all(|offset| code.bytes[*offset as usize] == 0xc3));
    }
    assert_eq!(returns(&whole(READ_116)), None);
    assert_eq!(returns(&Code { is_whole: false, ..whole(READ_127) }), None);
}

/// `cmp rsp, [r14+0x10]; jbe no_room; push rbp; mov rbp, rsp; sub rsp, 0x10`, where `no_room` is behind
/// the rest, of which this is as long as that.
fn begin(rest: usize) -> String {
    format!("493b6610 0f86{} 55 4889e5 4883ec10", hex(&u32_of(8 + rest)))
}
/// `mov [rsp+0x20], rax; mov [rsp+0x28], rbx`: what was passed, to where the caller has left room.
const KEEP: &str = "4889442420 48895c2428";
/// `add rsp, 0x10; pop rbp; ret`.
const END: &str = "4883c410 5d c3";
/// `mov [rsp+8], rax; mov [rsp+16], rbx; call …; mov rax, [rsp+8]; mov rbx, [rsp+16]`.
const NO_ROOM: &str = "4889442408 48895c2410 e800000000 488b442408 488b5c2410";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn u32_of(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

/// A function that does this.
fn function(body: &str) -> Code {
    let before = format!("{}{body}{NO_ROOM}", begin(whole(body).bytes.len()));
    let back = whole(&before).bytes.len() + 5;
    let back = i32::try_from(back).unwrap().wrapping_neg();
    whole(&format!("{before}e9{}", hex(&back.to_le_bytes())))
}

#[test]
fn arguments_have_to_stay_where_they_are() {
    for (name, body, expected) in [
        ("kept", format!("{KEEP} e800000000 {END}"), Some(vec![0x26])),
        ("two ways out", format!("{KEEP} 7406 {END} {END}"), Some(vec![0x23, 0x29])),
        ("never returns", format!("{KEEP} {END} e800000000"), Some(vec![0x21])),
        ("not kept", format!("e800000000 {END}"), None),
        ("only one is kept", format!("4889442420 e800000000 {END}"), None),
        ("another is kept", format!("4889442420 48894c2428 e800000000 {END}"), None),
        ("changed before", format!("31c0 {KEEP} {END}"), None),
        ("kept when it is too late", format!("e800000000 {KEEP} {END}"), None),
        ("kept on one way", format!("7405 {KEEP} {END}"), None),
        // mov [rsp+0x28], rcx
        ("changed later", format!("{KEEP} 48894c2428 {END}"), None),
        // movups [rsp+0x19], xmm0
        ("changed in part", format!("{KEEP} 0f11442419 {END}"), None),
        // movups [rsp+0x10], xmm0; mov [rsp+0x30], rcx
        ("changed beside it", format!("{KEEP} 0f11442410 48894c2430 {END}"), Some(vec![0x2b])),
        // mov [rsp+rcx], rax
        ("changed by an index", format!("{KEEP} 4889040c {END}"), None),
        // mov [rbp+8], rcx
        ("changed by the frame pointer", format!("{KEEP} 48894d08 {END}"), None),
        // lea rdi, [rsp+0x20]
        ("lent", format!("{KEEP} 488d7c2420 {END}"), None),
        ("replaced by another", format!("{KEEP} 4883c410 5d e9000f0000"), None),
        ("ends by an address", format!("{KEEP} 4883c410 5d ffe0"), None),
        ("returns with the stack lower", format!("{KEEP} c3"), None),
        ("takes arguments off", format!("{KEEP} 4883c410 5d c20800"), None),
        ("begins anew", format!("{KEEP} eb e0 {END}"), None),
    ] {
        let found = returns(&function(&body));
        let offsets = found.map(|sites| sites.iter().map(|site| site.offset).collect::<Vec<_>>());
        assert_eq!(offsets, expected, "{name}");
    }
}

#[test]
fn a_function_of_another_kind_has_no_entry() {
    for (name, code) in [
        ("nothing", ""),
        ("no look", "55 4889e5 c3"),
        ("another register", "493b6710 7601 55 c3"),
        ("another field", "493b6618 7601 55 c3"),
        ("another condition", "493b6610 7701 55 c3"),
        ("backwards", "493b6610 76f8 55 c3"),
        ("lowered into another register", "488d4424f0 493b4610 7601 55 c3"),
        ("a loop through the site", "493b6610 7603 90 ebfd c3"),
        ("the site is a jump", "493b6610 7602 eb00 c3"),
    ] {
        assert_eq!(entry(&whole(code)), None, "{name}");
    }
    assert!(entry(&whole("493b6610 7601 55 c3")).is_some());
}

/// An instruction, and whether it leaves alone what is kept.
fn piece() -> impl Strategy<Value = (&'static str, bool)> {
    prop_oneof![
        4 => Just(("e800000000", true)),
        4 => Just(("4889442408", true)),
        4 => Just(("31c0", true)),
        4 => Just(("488b442420", true)),
        4 => Just(("4889442430", true)),
        1 => Just(("4889442420", false)),
        1 => Just(("c644242f00", false)),
        1 => Just(("0f11442418", false)),
        1 => Just(("488d442428", false)),
        1 => Just(("48894500", false)),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), is_go: bool, is_whole: bool) {
        if is_go {
            bytes.splice(0..0, whole("493b6610 7610 55").bytes);
        }
        let code = Code { bytes, is_whole };
        let _any = (entry(&code), returns(&code));
    }

    #[test]
    fn what_may_be_changed_is_never_read(
        pieces in prop::collection::vec(piece(), 0..8),
        branch in 0..8usize,
    ) {
        let (mut body, mut are_harmless) = (KEEP.to_owned(), true);
        for (number, (piece, is_harmless)) in pieces.into_iter().enumerate() {
            are_harmless &= is_harmless;
            if number == branch {
                // Either over this one or through it.
                body += &format!("74{:02x}", whole(piece).bytes.len());
            }
            body += piece;
        }
        body += END;
        prop_assert_eq!(returns(&function(&body)).is_some(), are_harmless);
    }
}
