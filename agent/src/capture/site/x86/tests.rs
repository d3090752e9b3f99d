mod bodies;

use iced_x86::{Decoder, DecoderOptions, InstructionInfoFactory};
use proptest::prelude::*;

use super::instruction::registers_of;
use super::{ARGUMENTS, RESULT, choose, graph, inner};
use crate::capture::site::testing::{
    CALL, CALL_EX, CLOSE, COOKIES, HELD, NEW, OLD, UNSAFE, asked, assert_seen_to_return, bytes,
    cut, kernel, shown, whole,
};
use crate::capture::site::{Abilities, Asked, Code, Exits, Site, SiteKind, Sites, needed};

#[track_caller]
fn check(code: &Code, asked: Asked, kernel: Abilities, expected: &str) {
    let sites = choose(code, asked, kernel).or_else(|| Sites::plain(asked, kernel));
    assert_eq!(sites.as_ref().map_or("none".to_owned(), shown), expected);
}

#[test]
fn openssl_of_debian() {
    let both = "+0x16 emulated 24, +0x38 emulated 24";
    check(&whole(bodies::DEBIAN_SSL_READ), CALL, COOKIES, both);
    check(&whole(bodies::DEBIAN_SSL_WRITE), CALL, COOKIES, both);
    // Nothing cheap is on the way out, so the entry must stay where the return probe is.
    check(&whole(bodies::DEBIAN_SSL_READ_EX), CALL_EX, NEW, "+0x0 entry 0, returned");
    check(&whole(bodies::DEBIAN_SSL_WRITE_EX), CALL_EX, NEW, "+0x0 entry 0, returned");
    check(&cut(bodies::DEBIAN_SSL_CLEAR), CLOSE, COOKIES, "+0x0 emulated 0");
}

#[test]
fn what_is_not_all_there_is_not_believed() {
    check(&cut(bodies::DEBIAN_SSL_READ), CALL, NEW, "+0x0 entry 0, returned");
    check(&cut(bodies::DEBIAN_SSL_FREE), CLOSE, NEW, "+0x0 entry 0");
    check(&cut(bodies::GNUTLS_DEINIT), CLOSE, NEW, "+0x0 entry 0");
}

#[test]
fn without_cookies_the_stack_must_not_have_moved() {
    check(&whole(bodies::DEBIAN_SSL_READ), CALL, OLD, "+0x0 entry 0, returned");
    check(&whole(bodies::FP_SSL_READ), CALL, OLD, "+0x4 emulated 0, returned");
}

#[test]
fn gnutls_of_debian() {
    // It ends in another function's call, which returns in its place.
    check(&whole(bodies::GNUTLS_RECORD_RECV), CALL, NEW, "+0x0 entry 0, returned");
    check(&whole(bodies::GNUTLS_RECORD_SEND), CALL, COOKIES, "+0x5 emulated 0, returned");
    // The first cheap instruction comes after the second argument was overwritten.
    check(&whole(bodies::GNUTLS_RECORD_RECV_SEQ), CALL, NEW, "+0x0 entry 0, returned");
    check(&cut(bodies::GNUTLS_RECORD_SEND2), CALL, OLD, "+0x0 emulated 0, returned");
    check(&cut(bodies::GNUTLS_RECORD_UNCORK), HELD, OLD, "+0x0 emulated 0, returned");
}

#[test]
fn where_return_probes_are_unsafe_there_are_none() {
    let both = "+0x16 emulated 24, +0x38 emulated 24";
    check(&whole(bodies::DEBIAN_SSL_READ), CALL, UNSAFE, both);
    check(&whole(bodies::O1_SSL_READ), CALL, UNSAFE, "+0x6 emulated 24, +0x21 stepped 0");
    check(&whole(bodies::DEBIAN_SSL_READ_EX), CALL_EX, UNSAFE, "+0x0 entry 0, +0x1c stepped 0");
    check(&whole(bodies::FP_SSL_READ), CALL, UNSAFE, "+0x4 emulated 0, +0x3f emulated 24");
    check(&cut(bodies::DEBIAN_SSL_CLEAR), CLOSE, UNSAFE, "+0x0 emulated 0");
    // One ends in another function's call, the other isn't all there.
    check(&whole(bodies::GNUTLS_RECORD_RECV), CALL, UNSAFE, "none");
    check(&cut(bodies::NODE_SSL_READ), CALL, UNSAFE, "none");
}

#[test]
fn openssl_in_node() {
    let first = "+0x0 emulated 0, returned";
    check(&cut(bodies::NODE_SSL_READ), CALL, OLD, first);
    check(&cut(bodies::NODE_SSL_WRITE), CALL, OLD, first);
    check(&cut(bodies::NODE_SSL_READ_EX), CALL_EX, OLD, first);
    check(&whole(bodies::NODE_SSL_FREE), CLOSE, OLD, "+0x3 emulated 0");
}

#[test]
fn other_compilers_and_flags() {
    check(&whole(bodies::UBUNTU_SSL_READ), CALL, COOKIES, "+0x1a emulated 24, +0x3c emulated 24");
    check(&whole(bodies::UBUNTU_SSL_READ_EX), CALL_EX, NEW, "+0x0 entry 0, returned");
    check(&whole(bodies::FP_SSL_READ), CALL, COOKIES, "+0x4 emulated 0, returned");
    check(&whole(bodies::FP_SSL_READ_EX), CALL_EX, COOKIES, "+0x4 emulated 0, returned");
    check(&whole(bodies::NOP5_SSL_READ), CALL, NEW, "+0x0 nop5 0, returned");
    check(&whole(bodies::NOP5_SSL_READ_EX), CALL_EX, COOKIES, "+0x0 entry 0, returned");
    // No stack protector, so nothing is between the result and the return.
    check(&whole(bodies::O1_SSL_READ), CALL, NEW, "+0x0 entry 0, returned");
    check(&whole(bodies::O1_SSL_READ_EX), CALL_EX, NEW, "+0x0 entry 0, returned");
    check(&whole(bodies::LLVM_SSL_READ), CALL, OLD, "+0x0 emulated 0, returned");
    check(&whole(bodies::LLVM_SSL_READ_EX), CALL_EX, OLD, "+0x0 emulated 0, returned");
}

#[track_caller]
fn check_inner(code: &str, expected: Option<i64>) {
    assert_eq!(inner(&cut(code), CALL_EX), expected, "{code}");
}

#[test]
fn what_only_calls_another_function_is_known_by_that() {
    check_inner(bodies::DEBIAN_SSL_READ_EX, Some(-0x230));
    check_inner(bodies::DEBIAN_SSL_WRITE_EX, Some(-0x470));
    // sub rsp, 8; call +0x100; X; add rsp, 8; ret
    let with = |behind: &str| format!("4883ec08 e800010000 {behind} 4883c408 c3");
    check_inner(&with(""), Some(0x109));
    // xor edx, edx; test eax, eax; cmovs eax, edx
    check_inner(&with("31d2 85c0 0f48c2"), Some(0x109));
    // The same with cmovg: then 1 is no longer 1; with cmovne of 1: then -1 is.
    check_inner(&with("31d2 85c0 0f4fc2"), None);
    check_inner(&with("ba01000000 85c0 0f45c2"), None);
    // neg eax; mov [rcx], rax; another call; a jump.
    for behind in ["f7d8", "488901", "e800010000", "7800"] {
        check_inner(&with(behind), None);
    }
    // cmovs with flags of nothing that is known: add rsp, 0 before.
    check_inner(&with("31d2 85c0 4883c400 0f48c2"), None);
}

#[test]
fn another_function_must_be_given_the_same() {
    let tail = "e800010000 4883c408 c3";
    check_inner(&format!("f30f1efa 4883ec08 {tail}"), Some(0x10d));
    // xor ecx, ecx; mov rdi, rsi; mov [rsp+8], rdi; test edx, edx; js +0
    for before in ["31c9", "4889f7", "48897c2408", "85d2 7800"] {
        check_inner(&format!("4883ec08 {before} {tail}"), None);
    }
    // By a pointer, in place of the return, and not all there.
    check_inner("4883ec08 ff15f0000000 4883c408 c3", None);
    check_inner("e900010000", None);
    check_inner("4883ec08 e800010000 4883c408", None);
}

#[test]
fn a_call_is_cheap_only_where_the_shadow_stack_is_minded() {
    // sub rsp, 8; call; add rsp, 8; ret
    let code = whole("4883ec08 e800010000 4883c408 c3");
    check(&code, CLOSE, NEW, "+0x4 emulated 8");
    check(&code, CLOSE, COOKIES, "+0x0 entry 0");
}

#[test]
fn a_patchable_no_op_is_not_used_where_it_would_overwrite_something() {
    // mov [rsp-8], rdi; nop5; ret: the kernel's call would write where the argument is kept.
    check(&whole("48897c24f8 0f1f440000 c3"), CLOSE, NEW, "+0x0 entry 0");
    check(&whole("f30f1efa 0f1f440000 c3"), CLOSE, NEW, "+0x4 nop5 0");
}

#[test]
fn an_instruction_in_a_loop_is_no_entry() {
    // mov eax, 1; test edx, edx; je +2; jmp back to the test; ret
    check(&whole("b801000000 85d2 7402 ebfa c3"), CLOSE, NEW, "+0x0 entry 0");
    // The way back leads through a table, or through a part that lies elsewhere.
    check(&whole("85d2 7402 ffe0 c3"), CLOSE, NEW, "+0x0 entry 0");
    check(&whole("85d2 7401 c3 0f8500010000 c3"), CLOSE, NEW, "+0x0 entry 0");
    // The first instruction is entered once a call whatever comes back to it.
    check(&whole("53 85d2 7402 5b c3 5b ebf6"), CLOSE, NEW, "+0x0 emulated 0");
}

#[test]
fn an_exit_has_the_result_and_all_that_was_written() {
    // sub rsp, 8; test edx, edx; js out; call; test eax, eax; X; js on; on: add rsp, 8; ret, where
    // `out` is at the test of the result.
    let head = "4883ec08 85d2 7805 e800010000 85c0";
    let tail = "7800 4883c408 c3";
    let plain = "+0x0 entry 0, returned";
    check(&whole(&format!("{head} {tail}")), CALL, NEW, "+0x6 emulated 8, +0xf emulated 8");
    // mov [rcx], rax after it.
    check(&whole(&format!("{head} 7800 488901 4883c408 c3")), CALL, NEW, plain);
    // neg eax after it.
    check(&whole(&format!("{head} 7800 f7d8 4883c408 c3")), CALL, NEW, plain);
    // A return that doesn't find the stack as it was means that something was not understood.
    check(&whole(&format!("{head} 7800 4883c410 c3")), CALL, NEW, plain);
    // and rsp, -16: from there on nobody knows where the stack is.
    check(&whole("4883e4f0 85d2 7805 e800010000 85c0 7800 c9 c3"), CALL, NEW, plain);
}

/// A piece of code: real instructions and jumps to anywhere near, or noise.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed = [
        "55",
        "4154",
        "50",
        "58",
        "5d",
        "415c",
        "90",
        "c3",
        "c9",
        "f30f1efa",
        "0f1f440000",
        "4883ec18",
        "4883c418",
        "488d642408",
        "4883e4f0",
        "4889e5",
        "4889ec",
        "31c0",
        "85d2",
        "85c0",
        "488901",
        "48897c24f8",
        "4889fb",
        "4889f7",
        "89d1",
        "4899",
        "f7f1",
        "f3a4",
        "e800010000",
        "ffd0",
        "ffe0",
        "0f0b",
        "66",
        "41",
    ];
    prop_oneof![
        8 => prop::sample::select(fixed.to_vec()).prop_map(bytes),
        4 => (0x70u8..=0x7f, any::<i8>()).prop_map(|(opcode, by)| vec![opcode, (by % 24) as u8]),
        1 => any::<i8>().prop_map(|by| vec![0xeb, (by % 24) as u8]),
        1 => prop::collection::vec(any::<u8>(), 1..6),
    ]
}

fn code() -> impl Strategy<Value = Code> {
    (prop::collection::vec(piece(), 0..24), any::<bool>())
        .prop_map(|(pieces, is_whole)| Code { bytes: pieces.concat(), is_whole })
}

/// A function as compilers make them: its stack goes down, the first branch, some blocks in which
/// something happens and that lead on to any later one, and last the way out.
fn function() -> impl Strategy<Value = Code> {
    let work = ["31c0", "f7d8", "488901", "4889fb", "4899", "e800010000", "85c0", "90", ""];
    let block = (
        prop::collection::vec(prop::sample::select(work.to_vec()), 0..3),
        0x70u8..=0x7f,
        any::<bool>(),
        0usize..3,
    );
    prop::collection::vec(block, 1..6).prop_map(|blocks| {
        let mut code = bytes("4883ec08");
        let mut jumps = Vec::new();
        let mut starts = Vec::new();
        for (index, (work, opcode, is_jump, ahead)) in blocks.iter().enumerate() {
            starts.push(code.len());
            // The first block only branches, so that the arguments are there.
            let work = if index == 0 { Vec::new() } else { bytes(&work.concat()) };
            code.extend(work);
            code.extend([if *is_jump && index > 0 { 0xeb } else { *opcode }, 0]);
            jumps.push((code.len(), index + 1 + ahead));
        }
        starts.push(code.len());
        code.extend(bytes("4883c408 c3"));
        for (end, block) in jumps {
            let target = starts[block.min(starts.len() - 1)];
            code[end - 1] = u8::try_from(target - end).unwrap();
        }
        Code { bytes: code, is_whole: true }
    })
}

/// Reads on from the first instruction to `site`. Fails if that is not where one begins, if one
/// before it writes a register that is needed or leads anywhere but to the next.
fn assert_reached(code: &Code, site: Site, asked: Asked) {
    let needed = needed(asked, &ARGUMENTS).unwrap();
    let mut facts = InstructionInfoFactory::new();
    let decoder = Decoder::with_ip(64, &code.bytes, 0, DecoderOptions::NONE);
    for instruction in decoder {
        if instruction.ip() >= u64::from(site.offset) {
            assert_eq!(instruction.ip(), u64::from(site.offset));
            return;
        }
        assert_eq!(instruction.flow_control(), iced_x86::FlowControl::Next);
        for used in facts.info(&instruction).used_registers() {
            let writes = format!("{:?}", used.access()).contains("Write");
            assert!(!writes || !registers_of(used.register()).meets(needed));
        }
    }
    assert_eq!(site.offset, 0, "the site is behind the code's end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..256),
        is_whole in any::<bool>(),
        asked in asked(),
        kernel in kernel(),
    ) {
        let code = Code { bytes, is_whole };
        if let Some(sites) = choose(&code, asked, kernel) {
            assert_reached(&code, sites.entry, asked);
        }
        let _any = inner(&code, asked);
    }

    #[test]
    fn an_entry_has_its_arguments(code in code(), asked in asked(), kernel in kernel()) {
        if let Some(Sites { entry, exits }) = choose(&code, asked, kernel) {
            assert_reached(&code, entry, asked);
            prop_assert!(entry.kind != SiteKind::Entry || asked.returns && !kernel.returns);
            prop_assert!(exits != Exits::Returned || kernel.returns);
            prop_assert!(exits != Exits::Returned || entry.displacement == 0);
            prop_assert_eq!(exits == Exits::Unwatched, !asked.returns);
        }
    }

    #[test]
    fn no_way_out_is_unseen(
        code in prop_oneof![code(), function()],
        walks in prop::collection::vec(prop::collection::vec(any::<bool>(), 64), 8),
        kernel in kernel(),
    ) {
        let code = Code { is_whole: true, ..code };
        if let Some(Sites { entry, exits: Exits::At(exits) }) = choose(&code, CALL, kernel) {
            for turns in walks {
                assert_seen_to_return(&graph(&code, kernel), RESULT, entry, &exits, &turns);
            }
        }
    }
}
