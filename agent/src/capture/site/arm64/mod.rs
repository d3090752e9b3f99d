//! Sites in the code of arm64, called as the Procedure Call Standard for the Arm 64-bit Architecture
//! has it.

mod instruction;
#[cfg(test)]
mod tests;

use super::graph::Graph;
use super::step::Registers;
use super::{Abilities, Asked, Code, Sites, cheapest};

/// Registers of the first arguments (section 6.8.2, "Parameter passing rules").
const ARGUMENTS: [Registers; 8] = [
    Registers::numbered(0),
    Registers::numbered(1),
    Registers::numbered(2),
    Registers::numbered(3),
    Registers::numbered(4),
    Registers::numbered(5),
    Registers::numbered(6),
    Registers::numbered(7),
];

/// The register of the result.
const RESULT: Registers = Registers::numbered(0);

/// `None` where the first instruction is as good as any.
pub(super) fn choose(code: &Code, asked: Asked, kernel: Abilities) -> Option<Sites> {
    cheapest(&graph(code), asked, &ARGUMENTS, RESULT, kernel)
}

fn graph(code: &Code) -> Graph {
    Graph::of(code, |offset| instruction::at(&code.bytes, offset))
}
