//! Where a function is seen to be entered.

use super::graph::Graph;
use super::step::{Flow, Registers, StackMove, Step};
use super::{Site, SiteKind};

/// The most that a frame may take, in bytes: what is more was not understood.
pub(super) const FRAME_MAX: i64 = 1 << 20;

/// Where a function can be seen to be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) site: Site,
    /// The return address is still where a return probe looks for it.
    pub(super) takes_return: bool,
}

/// The cheap instructions that every call runs exactly once and with all of `needed` as it was at
/// the first instruction, in order.
pub(super) fn sites(graph: &Graph, needed: Registers) -> Vec<Entry> {
    let mut sites = Vec::new();
    let mut displacement = 0;
    let mut offset = 0;
    let mut is_untouched = true;
    let mut has_link = true;
    while let Some(step) = graph.step(offset) {
        if let Some(kind) = step.cheap
            && (kind != SiteKind::Nop5 || is_untouched)
            && is_passed_once(graph, step)
            && let Some(displacement) = valid(displacement)
        {
            let site = Site { offset, kind, displacement };
            sites.push(Entry { site, takes_return: displacement == 0 && has_link });
        }
        let StackMove::Down(bytes) = step.stack else { break };
        if step.flow != Flow::On || step.written.meets(needed) {
            break;
        }
        displacement = bytes.saturating_add(displacement);
        is_untouched &= step.is_idle;
        has_link &= !step.meets_link;
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
    // What saves the caller's registers needs no proof.
    !graph.comes_back(step.offset) && (graph.is_closed || step.saves)
}
