mod bodies;

use proptest::prelude::*;

use super::{ARGUMENTS, RESULT, choose, graph, instruction};
use crate::capture::site::step::{Flow, Registers, StackMove};
use crate::capture::site::testing::{
    CALL, CALL_EX, CLOSE, COOKIES, OLD, asked, assert_seen_to_return, bytes, cut, kernel, shown,
    whole,
};
use crate::capture::site::{Asked, Code, Exits, SiteKind, Sites, needed};

#[track_caller]
fn check(code: &Code, asked: Asked, expected: &str) {
    let sites = choose(code, asked, COOKIES).or_else(|| Sites::plain(asked, COOKIES)).unwrap();
    assert_eq!(shown(&sites), expected);
}

const PLAIN: &str = "+0x0 entry 0, returned";

#[test]
fn openssl_of_debian() {
    check(&whole(bodies::DEBIAN_SSL_READ), CALL, "+0x4 emulated 32, +0x54 emulated 32");
    check(&whole(bodies::DEBIAN_SSL_READ_EX), CALL_EX, "+0x8 emulated 16, +0x2c emulated 0");
}

#[test]
fn gnutls_of_debian() {
    // It ends in another function's call, which returns in its place.
    check(&whole(bodies::GNUTLS_RECORD_RECV), CALL, PLAIN);
    check(&whole(bodies::GNUTLS_RECORD_SEND), CALL, "+0x8 emulated 0, returned");
    // The second argument is overwritten before the only cheap instruction.
    check(&whole(bodies::GNUTLS_RECORD_RECV_SEQ), CALL, PLAIN);
}

#[test]
fn nspr_of_debian() {
    // It goes on where a register says, and that might be its own beginning.
    check(&whole(bodies::PR_READ), CALL, PLAIN);
    check(&whole(bodies::PR_WRITEV), CALL, PLAIN);
}

#[test]
fn other_builds() {
    check(&whole(bodies::WHEEL_SSL_READ), CALL, "+0x8 emulated 32, +0x28 emulated 0");
    check(&whole(bodies::WHEEL_SSL_FREE), CLOSE, "+0x0 emulated 0");
    // It returns in three places.
    let returns = "+0xc emulated 96, +0x98 emulated 0, +0xe0 emulated 0, +0x100 emulated 0";
    check(&whole(bodies::NODE_SSL_READ), CALL, returns);
}

#[test]
fn a_signed_return_address_is_taken_before_it_is_signed() {
    check(&whole(bodies::SIGNED_SSL_READ), CALL, "+0x4 emulated 0, returned");
    check(&whole(bodies::SIGNED_SSL_READ_EX), CALL_EX, "+0xc emulated 16, +0x20 emulated 0");
    // The kernel refuses a breakpoint on `retaa`.
    check(&whole(bodies::RETAA_SSL_READ), CALL, PLAIN);
}

#[test]
fn what_is_not_all_there_is_not_believed() {
    check(&cut(bodies::DEBIAN_SSL_READ), CALL, PLAIN);
    check(&cut(bodies::SIGNED_SSL_READ), CALL, PLAIN);
    // The first instruction is entered once a call, whatever comes back to it.
    check(&cut(bodies::WHEEL_SSL_FREE), CLOSE, "+0x0 emulated 0");
}

#[test]
fn without_cookies_the_stack_must_not_have_moved() {
    for (body, asked, expected) in [
        (bodies::DEBIAN_SSL_READ, CALL, None),
        (bodies::SIGNED_SSL_READ, CALL, Some("+0x4 emulated 0, returned")),
    ] {
        let sites = choose(&whole(body), asked, OLD);
        assert_eq!(sites.as_ref().map(shown).as_deref(), expected);
    }
    // cbz w2, out; stp x29, x30, [sp, #-16]!; bl; ldp x29, x30, [sp], #16; out: ret
    let code = words(&[0x3400_0082, 0xa9bf_7bfd, 0x9400_0100, 0xa8c1_7bfd, 0xd65f_03c0]);
    assert_eq!(
        choose(&code, CALL, OLD).as_ref().map(shown).as_deref(),
        Some("+0x0 emulated 0, returned")
    );
    // mov x9, x30 first: the return address may be kept there.
    let code = words(&[0xaa1e_03e9, 0x3400_0042, 0xaa09_03fe, 0xd65f_03c0]);
    assert_eq!(
        choose(&code, CALL, OLD).as_ref().map(shown).as_deref(),
        Some("+0x4 emulated 0, +0xc emulated 0")
    );
}

#[test]
fn an_instruction_in_a_loop_is_no_entry() {
    // mov w9, #1; cbz w2, out; b back; out: ret
    let code = words(&[0x5280_0029, 0x3400_0042, 0x17ff_ffff, 0xd65f_03c0]);
    check(&code, CLOSE, "+0x0 entry 0");
    // The same with `br x9` for the way back.
    let code = words(&[0x5280_0029, 0x3400_0042, 0xd61f_0120, 0xd65f_03c0]);
    check(&code, CLOSE, "+0x0 entry 0");
}

/// What is known of each instruction: where it leads, whether a breakpoint on it is cheap, which
/// registers it writes, and whether it writes memory, moves the stack pointer and meets the link
/// register.
#[test]
fn instructions_do_what_the_manual_says() {
    for (word, text, expected) in [
        (0xd100_83ff, "sub sp, sp, #0x20", "down 32"),
        (0xd140_13ff, "sub sp, sp, #0x4, lsl #12", "down 16384"),
        (0x9100_83ff, "add sp, sp, #0x20", "down -32"),
        (0x9100_03bf, "mov sp, x29", "down ?"),
        (0xcb2c_63ff, "sub sp, sp, x12", "down ?"),
        (0x927c_ec3f, "and sp, x1, #-16", "down ?"),
        (0x9100_43fd, "add x29, sp, #0x10", "x29"),
        (0xa9bf_7bfd, "stp x29, x30, [sp, #-16]!", "memory link down 16"),
        (0xa901_7bfd, "stp x29, x30, [sp, #16]", "memory link"),
        (0xa9bd_53f3, "stp x19, x20, [sp, #-48]!", "memory down 48"),
        (0xf81d_0ff3, "str x19, [sp, #-48]!", "memory down 48"),
        (0xa8c1_7bfd, "ldp x29, x30, [sp], #16", "x29 x30 link down -16"),
        (0xa941_7bfd, "ldp x29, x30, [sp, #16]", "x29 x30 link"),
        (0xf843_07f3, "ldr x19, [sp], #48", "x19 down -48"),
        (0xf947_3863, "ldr x3, [x3, #3696]", "x3"),
        (0xf840_8c41, "ldr x1, [x2, #8]!", "x1 x2"),
        (0xb940_03e1, "ldr w1, [sp]", "x1"),
        (0x3dc0_0021, "ldr q1, [x1]", ""),
        (0xf800_8441, "str x1, [x2], #8", "x2 memory"),
        (0xf81f_f3bf, "stur xzr, [x29, #-1]", "memory"),
        (0x4c9f_7020, "st1 {v0.16b}, [x1], #16", "x1 memory"),
        (0xaa02_03e3, "mov x3, x2", "x3"),
        (0xaa1e_03e9, "mov x9, x30", "x9 link"),
        (0xd280_0004, "mov x4, #0", "x4"),
        (0x9340_7c42, "sxtw x2, w2", "x2"),
        (0x7100_001f, "cmp w0, #0", ""),
        (0xea01_001f, "tst x0, x1", ""),
        (0x7a46_1844, "ccmp w2, #0x6, #0x4, ne", ""),
        (0x1a80_c020, "csel w0, w1, w0, gt", "x0"),
        (0x9e66_0000, "fmov x0, d0", "x0"),
        (0x9e67_0000, "fmov d0, x0", ""),
        (0xd53b_d040, "mrs x0, tpidr_el0", "x0"),
        (0xc85f_7c20, "ldxr x0, [x1]", "x0 memory"),
        (0xc802_7c20, "stxr w2, x0, [x1]", "x0 x2 memory"),
        (0xf820_0041, "ldadd x0, x1, [x2]", "x0 x1 memory"),
        (0x4860_7c82, "casp x0, x1, x2, x3, [x4]", "x0 x1 x2 x3 memory"),
        (0xd000_03c3, "adrp x3, +0x7a000", "cheap x3"),
        (0x1000_0040, "adr x0, +8", "cheap x0"),
        (0x5800_0040, "ldr x0, +8", "x0"),
        (0x37f8_0042, "tbnz w2, #31, +8", "branch 8 cheap"),
        (0x3400_0040, "cbz w0, +8", "branch 8 cheap"),
        (0xb500_0040, "cbnz x0, +8", "branch 8 cheap"),
        (0x5400_0041, "b.ne +8", "branch 8 cheap"),
        (0x5400_0051, "bc.ne +8", "branch 8"),
        (0x5480_0041, "b.ne -0xffff8", "branch ? cheap"),
        (0x1400_0003, "b +12", "jump 12 cheap"),
        (0x1400_0004, "b +16", "jump ? cheap"),
        (0x17ff_ffff, "b -4", "jump ? cheap"),
        (0x9400_0001, "bl +4", "call cheap memory"),
        (0xd63f_0080, "blr x4", "call cheap memory"),
        (0xd61f_0200, "br x16", "unknown"),
        (0xd65f_03c0, "ret", "return cheap link"),
        (0xd65f_0200, "ret x16", "unknown cheap"),
        (0xd65f_0bff, "retaa", "return"),
        (0xd503_201f, "nop", ""),
        (0xd503_245f, "bti c", ""),
        (0xd503_233f, "paciasp", "link"),
        (0xd503_23bf, "autiasp", "link"),
        (0xd503_39bf, "dmb ishld", ""),
        (0xd400_0001, "svc #0", "call memory"),
        (0xd420_7d00, "brk #0x3e8", "trap"),
        (0x0000_0000, "udf #0", "trap memory"),
        (0xd440_0000, "hlt #0", "unknown"),
        (0xd69f_03e0, "eret", "unknown"),
    ] {
        let mut code = u32::to_le_bytes(word).to_vec();
        code.resize(16, 0);
        let step = instruction::at(&code, 0).unwrap_or_else(|| panic!("{text}"));
        let mut said = Vec::new();
        match step.flow {
            Flow::On => {}
            Flow::Jump(Some(target)) => said.push(format!("jump {target}")),
            Flow::Jump(None) => said.push("jump ?".to_owned()),
            Flow::Branch(Some(target)) => said.push(format!("branch {target}")),
            Flow::Branch(None) => said.push("branch ?".to_owned()),
            Flow::Call => said.push("call".to_owned()),
            Flow::Return => said.push("return".to_owned()),
            Flow::Trap => said.push("trap".to_owned()),
            Flow::Unknown => said.push("unknown".to_owned()),
        }
        said.extend(step.cheap.map(|_| "cheap".to_owned()));
        said.extend(
            (0..31)
                .filter(|&n| step.written.meets(Registers::numbered(n)))
                .map(|n| format!("x{n}")),
        );
        said.extend(step.writes_memory.then(|| "memory".to_owned()));
        said.extend(step.meets_link.then(|| "link".to_owned()));
        match step.stack {
            StackMove::Down(0) => {}
            StackMove::Down(bytes) => said.push(format!("down {bytes}")),
            StackMove::Unknown => said.push("down ?".to_owned()),
        }
        assert_eq!(said.join(" "), expected, "{text}");
    }
}

#[test]
fn what_is_cut_or_unknown_is_no_instruction() {
    assert_eq!(instruction::at(&[0xc0, 0x03, 0x5f], 0), None);
    assert_eq!(instruction::at(&bytes("c0035fd6"), 4), None);
    // addvl sp, sp, #-1, of SVE.
    assert_eq!(instruction::at(&bytes("ff537f04"), 0), None);
}

fn words(words: &[u32]) -> Code {
    Code { bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect(), is_whole: true }
}

/// Real instructions and jumps to anywhere near, or noise.
fn code() -> impl Strategy<Value = Code> {
    let fixed = [
        0xd100_83ff_u32,
        0x9100_83ff,
        0xa9bf_7bfd,
        0xa8c1_7bfd,
        0x9100_03fd,
        0xd503_233f,
        0xd503_245f,
        0xd000_03c3,
        0xf947_3863,
        0xaa02_03e3,
        0xaa00_03f3,
        0xaa01_03e0,
        0x7100_001f,
        0x1a80_c020,
        0x9400_0100,
        0xd63f_0080,
        0xd61f_0200,
        0xd65f_03c0,
        0xd65f_0bff,
        0xd420_7d00,
        0xf900_0001,
        0xd503_201f,
        0x9100_03bf,
    ];
    let near = -6i32..12;
    let word = prop_oneof![
        8 => prop::sample::select(fixed.to_vec()),
        2 => (near.clone(), 0u32..15).prop_map(|(by, condition)| {
            0x5400_0000 | (by as u32 & 0x7_ffff) << 5 | condition
        }),
        2 => (near.clone(), 0u32..4).prop_map(|(by, register)| {
            0x3400_0000 | (by as u32 & 0x7_ffff) << 5 | register
        }),
        1 => near.prop_map(|by| 0x1400_0000 | by as u32 & 0x3ff_ffff),
        1 => any::<u32>(),
    ];
    (prop::collection::vec(word, 0..24), any::<bool>())
        .prop_map(|(list, is_whole)| Code { is_whole, ..words(&list) })
}

/// A function as compilers make them: see its namesake for x86-64.
fn function() -> impl Strategy<Value = Code> {
    let work = [
        0x5280_0000_u32,
        0x4b00_03e0,
        0xf900_0001,
        0xaa00_03f3,
        0x9400_0100,
        0x7100_001f,
        0xd503_201f,
    ];
    let block = (
        prop::collection::vec(prop::sample::select(work.to_vec()), 0..3),
        0u32..14,
        any::<bool>(),
        0usize..3,
    );
    prop::collection::vec(block, 1..6).prop_map(|blocks| {
        let mut code = vec![0xa9be_7bfd];
        let mut jumps = Vec::new();
        let mut starts = Vec::new();
        for (index, (work, condition, is_jump, ahead)) in blocks.iter().enumerate() {
            starts.push(code.len());
            // The first block only branches, so that the arguments are there.
            if index > 0 {
                code.extend(work);
            }
            jumps.push((code.len(), index + 1 + ahead, *is_jump && index > 0));
            code.push(0x5400_0000 | condition);
        }
        starts.push(code.len());
        code.extend([0xa8c2_7bfd, 0xd65f_03c0]);
        for (at, block, is_jump) in jumps {
            let by = u32::try_from(starts[block.min(starts.len() - 1)] - at).unwrap();
            code[at] = if is_jump { 0x1400_0000 | by } else { code[at] | by << 5 };
        }
        words(&code)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..256),
        is_whole in any::<bool>(),
        asked in asked(),
    ) {
        let _any = choose(&Code { bytes, is_whole }, asked, COOKIES);
    }

    #[test]
    fn an_entry_has_its_arguments(
        code in prop_oneof![code(), function()],
        asked in asked(),
        kernel in kernel(),
    ) {
        let Some(Sites { entry, exits }) = choose(&code, asked, kernel) else { return Ok(()) };
        prop_assert!(entry.kind == SiteKind::Emulated || asked.returns && !kernel.returns);
        prop_assert!(exits != Exits::Returned || kernel.returns);
        prop_assert!(exits != Exits::Returned || entry.displacement == 0);
        prop_assert_eq!(exits == Exits::Unwatched, !asked.returns);
        let needed = needed(asked, &ARGUMENTS).unwrap();
        for offset in (0..entry.offset).step_by(4) {
            let step = instruction::at(&code.bytes, offset).unwrap();
            prop_assert_eq!(step.flow, Flow::On);
            prop_assert!(!step.written.meets(needed));
            prop_assert!(exits != Exits::Returned || !step.meets_link);
        }
    }

    #[test]
    fn no_way_out_is_unseen(
        code in prop_oneof![code(), function()],
        walks in prop::collection::vec(prop::collection::vec(any::<bool>(), 64), 8),
    ) {
        let code = Code { is_whole: true, ..code };
        if let Some(Sites { entry, exits: Exits::At(exits) }) = choose(&code, CALL, COOKIES) {
            for turns in walks {
                assert_seen_to_return(&graph(&code), RESULT, entry, &exits, &turns);
            }
        }
    }
}
