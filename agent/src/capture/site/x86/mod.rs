//! Sites in the code of x86-64, called as System V has it; [`go`] has those in Go's.

mod entry;
mod exit;
pub(super) mod go;
mod graph;
mod instruction;
#[cfg(test)]
mod tests;

use super::{Abilities, Asked, Code, Exits, Sites};
use graph::Graph;
use instruction::Registers;

/// Registers of the first arguments (System V ABI, AMD64 supplement, section 3.2.3).
const ARGUMENTS: [Registers; 6] =
    [Registers::RDI, Registers::RSI, Registers::RDX, Registers::RCX, Registers::R8, Registers::R9];

/// `None` where the first instruction is as good as any.
pub(super) fn choose(code: &Code, asked: Asked, kernel: Abilities) -> Option<Sites> {
    let needed = needed(asked)?;
    let graph = Graph::of(code);
    let entries = entry::sites(code, &graph, needed, kernel);
    let first = *entries.first()?;
    if !asked.returns {
        return Some(Sites { entry: first, exits: Exits::Unwatched });
    }
    // The return address is on top of the stack only as long as that has not moved.
    if let Some(&entry) = entries.iter().find(|site| site.displacement == 0) {
        return Some(Sites { entry, exits: Exits::Returned });
    }
    if !kernel.cookies {
        return None;
    }
    let exits = exit::sites(&graph, first.offset)?;
    Some(Sites { entry: first, exits: Exits::At(exits) })
}

/// `None` if an argument is not in a register.
fn needed(asked: Asked) -> Option<Registers> {
    let registers = asked.arguments.iter().map(|&number| ARGUMENTS.get(number).copied());
    registers.sum()
}
