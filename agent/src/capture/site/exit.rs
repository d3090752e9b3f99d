//! Where a function is seen to return without a return probe.
//!
//! An instruction is *settled* if from it on nothing happens but the return: the result is in its
//! register, and what was to be written to memory is there. Every way from the entry has to pass a
//! settled instruction that is cheap. The first of them on each way is a site; should a way pass
//! a second one, the call has been forgotten by then, and nothing happens.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::valid;
use super::graph::{Graph, Next};
use super::step::{Flow, Registers, StackMove, Step};
use super::{Site, SiteKind};

/// A function with more ways out costs more descriptors than it is worth.
const EXITS_MAX: usize = 8;

/// A function with more of them is not what it seems.
const RETURNS_MAX: usize = 64;

/// Sites of which each may turn out to be needless. A bound on the time that a hostile file takes.
const WEIGHED_MAX: usize = 64;

/// The sites, for a function that is seen to be entered at `entry` and leaves its result in `result`.
/// `None` if a way out has none.
pub(super) fn sites(graph: &Graph, entry: u32, result: Registers) -> Option<Vec<Site>> {
    if !graph.is_closed {
        return None;
    }
    let displacements = displacements(graph)?;
    let mut candidates: BTreeMap<u32, Site> = settled(graph, result)
        .filter(|step| step.offset != entry && is_cheap(step))
        .filter_map(|step| {
            let displacement = valid((*displacements.get(&step.offset)?)?)?;
            let kind = SiteKind::Emulated;
            Some((step.offset, Site { offset: step.offset, kind, displacement }))
        })
        .collect();
    let first = first_on_each_way(graph, entry, &candidates)?;
    if first.len() > WEIGHED_MAX {
        return None;
    }
    // One that others make up for is left out: a jump to where the next site is, for instance.
    for site in first {
        candidates.remove(&site.offset);
        if first_on_each_way(graph, entry, &candidates).is_none() {
            candidates.insert(site.offset, site);
        }
    }
    let needed = first_on_each_way(graph, entry, &candidates)?;
    (1..=EXITS_MAX).contains(&needed.len()).then_some(needed)
}

/// All instructions that return, which are not cheap. `None` if the function may be left otherwise.
pub(super) fn returns(graph: &Graph) -> Option<Vec<Site>> {
    let leaves =
        |step: &Step| graph.after(step).any(|next| matches!(next, Next::Replaced | Next::Lost));
    if !graph.is_closed || graph.steps().any(leaves) {
        return None;
    }
    displacements(graph)?;
    let returning = graph.steps().filter(|step| step.flow == Flow::Return);
    let site = |step: &Step| Site { offset: step.offset, kind: SiteKind::Stepped, displacement: 0 };
    let found: Vec<Site> = returning.map(site).collect();
    (1..=RETURNS_MAX).contains(&found.len()).then_some(found)
}

/// A call that is settled is one that never returns, so nothing is to be seen there.
fn is_cheap(step: &Step) -> bool {
    step.cheap == Some(SiteKind::Emulated) && step.flow != Flow::Call
}

/// The candidates that can be reached without passing another. `None` if the function can be left
/// without any.
fn first_on_each_way(
    graph: &Graph,
    entry: u32,
    candidates: &BTreeMap<u32, Site>,
) -> Option<Vec<Site>> {
    let mut passed = BTreeSet::new();
    let mut found = Vec::new();
    let mut waiting: Vec<Next> = graph.after(graph.step(entry)?).collect();
    while let Some(next) = waiting.pop() {
        let Next::At(offset) = next else { return None };
        if !passed.insert(offset) {
            continue;
        }
        match candidates.get(&offset) {
            Some(site) => found.push(*site),
            None => waiting.extend(graph.after(graph.step(offset)?)),
        }
    }
    found.sort_by_key(|site| site.offset);
    Some(found)
}

/// The instructions from which on nothing happens but the return.
fn settled(graph: &Graph, result: Registers) -> impl Iterator<Item = &Step> {
    let mut before: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut waiting = Vec::new();
    for step in graph.steps() {
        let mut is_busy = !is_quiet(graph, step, result);
        for next in graph.after(step) {
            match next {
                Next::At(offset) => before.entry(offset).or_default().push(step.offset),
                Next::Returned => {}
                Next::Replaced | Next::Lost => is_busy = true,
            }
        }
        if is_busy {
            waiting.push(step.offset);
        }
    }
    // What leads to something busy is busy too.
    let mut busy = BTreeSet::new();
    while let Some(offset) = waiting.pop() {
        if busy.insert(offset) {
            waiting.extend(before.get(&offset).into_iter().flatten());
        }
    }
    graph.steps().filter(move |step| !busy.contains(&step.offset))
}

/// Whether it leaves the result and the memory alone. The call that ends a function is of what
/// never returns: when the stack was found to be overwritten, nobody waits for a result.
fn is_quiet(graph: &Graph, step: &Step, result: Registers) -> bool {
    match step.flow {
        Flow::Call => graph.after(step).next().is_none(),
        Flow::On | Flow::Jump(_) | Flow::Branch(_) | Flow::Return | Flow::Trap | Flow::Unknown => {
            !step.writes_memory && !step.written.meets(result)
        }
    }
}

/// By how much the stack pointer is lower at each instruction than at the first, where that is
/// known. `None` if it isn't back at a return, which means that something was not understood.
fn displacements(graph: &Graph) -> Option<BTreeMap<u32, Option<i64>>> {
    let mut known: BTreeMap<u32, Option<i64>> = BTreeMap::new();
    let mut waiting = vec![(0, Some(0))];
    while let Some((offset, displacement)) = waiting.pop() {
        let merged = match known.get(&offset) {
            Some(&before) if before == displacement => continue,
            Some(None) => continue,
            Some(Some(_)) => None,
            None => displacement,
        };
        known.insert(offset, merged);
        let step = graph.step(offset)?;
        if step.flow == Flow::Return && merged.is_some_and(|bytes| bytes != 0) {
            return None;
        }
        let after = match (merged, step.stack) {
            (Some(before), StackMove::Down(bytes)) => before.checked_add(bytes),
            (None, _) | (_, StackMove::Unknown) => None,
        };
        waiting.extend(graph.after(step).filter_map(|next| match next {
            Next::At(offset) => Some((offset, after)),
            Next::Returned | Next::Replaced | Next::Lost => None,
        }));
    }
    Some(known)
}
