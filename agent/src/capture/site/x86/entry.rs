//! Where a function is seen to be entered.

use super::graph::Graph;
use super::instruction::{Flow, Registers, Shape, StackMove, Step};
use crate::capture::site::{Abilities, Code, Site};

/// The most that a frame may take, in bytes: what is more was not understood.
pub(super) const FRAME_MAX: i64 = 1 << 20;

/// The cheap instructions that every call runs exactly once and with all of `needed` as it was at
/// the first instruction, in order.
pub(super) fn sites(code: &Code, graph: &Graph, needed: Registers, kernel: Abilities) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut displacement = 0;
    let mut offset = 0;
    let mut is_untouched = true;
    while (offset as usize) < code.bytes.len()
        && let Some(step) = graph.step(offset)
    {
        if let Some(kind) = step.shape.cheap(kernel)
            && (step.shape != Shape::Nop5 || is_untouched)
            && is_passed_once(graph, step)
            && let Some(displacement) = valid(displacement)
        {
            sites.push(Site { offset, kind, displacement });
        }
        let StackMove::Down(bytes) = step.stack else { break };
        if step.flow != Flow::On || step.written.meets(needed) {
            break;
        }
        displacement = bytes.saturating_add(displacement);
        is_untouched &= is_idle(step);
        offset = offset.saturating_add(step.length);
    }
    sites
}

/// A displacement that can be one.
pub(super) fn valid(displacement: i64) -> Option<u32> {
    let is_possible = (0..=FRAME_MAX).contains(&displacement);
    u32::try_from(displacement).ok().filter(|_| is_possible)
}

/// Whether one call can't run it twice. The prologue has no branches, so it is run once at least.
fn is_passed_once(graph: &Graph, step: &Step) -> bool {
    if step.offset == 0 {
        return true;
    }
    // No compiler lets a loop lead through the instructions that save its caller's registers, so
    // those need no proof.
    !graph.comes_back(step.offset) && (graph.is_closed || step.shape == Shape::Push)
}

/// Whether nothing is kept below the stack pointer yet. What the kernel makes of a no-op of five
/// bytes is a call, and writes there.
fn is_idle(step: &Step) -> bool {
    match step.shape {
        Shape::Nop | Shape::Nop5 | Shape::Landing => true,
        Shape::Push | Shape::Jump | Shape::Call | Shape::Other => false,
    }
}
