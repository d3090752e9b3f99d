//! Sites in the code of x86-64, called as System V has it; [`go`] has those in Go's.

pub(super) mod go;
mod instruction;
#[cfg(test)]
mod tests;
mod wrapper;

use super::graph::Graph;
use super::step::Registers;
use super::{Abilities, Asked, Code, Sites, cheapest, needed};
use instruction::Reader;

/// Registers of the first arguments: rdi, rsi, rdx, rcx, r8, r9 (System V ABI, AMD64 supplement,
/// section 3.2.3).
const ARGUMENTS: [Registers; 6] = [
    Registers::numbered(7),
    Registers::numbered(6),
    Registers::numbered(2),
    Registers::numbered(1),
    Registers::numbered(8),
    Registers::numbered(9),
];

/// The register of the result, rax.
const RESULT: Registers = Registers::numbered(0);

/// `None` where the first instruction is as good as any.
pub(super) fn choose(code: &Code, asked: Asked, kernel: Abilities) -> Option<Sites> {
    cheapest(&graph(code, kernel), asked, &ARGUMENTS, RESULT, kernel)
}

/// How many bytes behind the first instruction another function begins that does all there is to do.
/// `None` if there is none.
pub(super) fn inner(code: &Code, asked: Asked) -> Option<i64> {
    wrapper::inner(code, needed(asked, &ARGUMENTS)?)
}

fn graph(code: &Code, kernel: Abilities) -> Graph {
    let mut reader = Reader::new(&code.bytes, kernel);
    Graph::of(code, |offset| reader.at(offset))
}
