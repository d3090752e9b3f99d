//! What the tests of both machines share.

use proptest::prelude::*;

use super::graph::{Graph, Next};
use super::step::Registers;
use super::{Abilities, Asked, Code, Exits, Site, Sites};

pub(super) const NEW: Abilities = Abilities { cookies: true, calls: true, returns: true };
/// Linux 5.15 to 6.17.
pub(super) const COOKIES: Abilities = Abilities { cookies: true, calls: false, returns: true };
/// Linux 6.11 to 6.13.
pub(super) const UNSAFE: Abilities = Abilities { cookies: true, calls: false, returns: false };
pub(super) const OLD: Abilities = Abilities { cookies: false, calls: false, returns: true };

pub(super) const CALL: Asked = Asked { arguments: &[0, 1], returns: true };
pub(super) const CALL_EX: Asked = Asked { arguments: &[0, 1, 3], returns: true };
pub(super) const HELD: Asked = Asked { arguments: &[0], returns: true };
pub(super) const CLOSE: Asked = Asked { arguments: &[0], returns: false };

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|c| Some(u8::try_from(c.to_digit(16)?).unwrap())).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(super) fn whole(hex: &str) -> Code {
    Code { bytes: bytes(hex), is_whole: true }
}

pub(super) fn cut(hex: &str) -> Code {
    Code { is_whole: false, ..whole(hex) }
}

/// `+0x16 emulated 24, +0x38 emulated 24`: the entry, then the return, each with its displacement.
pub(super) fn shown(sites: &Sites) -> String {
    let shown = |site: &Site| {
        let Site { offset, kind, displacement } = site;
        format!("+{offset:#x} {kind} {displacement}")
    };
    let mut all = vec![shown(&sites.entry)];
    match &sites.exits {
        Exits::Unwatched => {}
        Exits::Returned => all.push("returned".to_owned()),
        Exits::At(exits) => all.extend(exits.iter().map(shown)),
    }
    all.join(", ")
}

pub(super) fn asked() -> impl Strategy<Value = Asked> {
    prop::sample::select(vec![CALL, CALL_EX, HELD, CLOSE])
}

pub(super) fn kernel() -> impl Strategy<Value = Abilities> {
    prop::sample::select(vec![NEW, COOKIES, UNSAFE, OLD])
}

/// Walks through the code as `turns` say, and fails if the function is left without having passed
/// an exit, or its result changed after the first one.
pub(super) fn assert_seen_to_return(
    graph: &Graph,
    result: Registers,
    entry: Site,
    exits: &[Site],
    turns: &[bool],
) {
    let mut turns = turns.iter();
    let (mut at, mut is_entered, mut has_passed) = (0, false, false);
    // A loop without a branch would go on for ever.
    for _ in 0..1000 {
        let step = graph.step(at).unwrap();
        assert!(!(is_entered && at == entry.offset), "entered twice");
        is_entered |= at == entry.offset;
        has_passed |= exits.iter().any(|exit| exit.offset == at);
        let ways: Vec<Next> = graph.after(step).collect();
        assert!(!has_passed || ways.is_empty() || !step.written.meets(result));
        assert!(!has_passed || ways.is_empty() || !step.writes_memory);
        let way = match ways[..] {
            [] => return,
            [one] => one,
            [one, other, ..] => match turns.next() {
                Some(true) => one,
                Some(false) => other,
                None => return,
            },
        };
        match way {
            Next::At(offset) => at = offset,
            Next::Returned => {
                assert!(is_entered && has_passed, "returned unseen");
                return;
            }
            Next::Replaced | Next::Lost => panic!("left unseen"),
        }
    }
}
