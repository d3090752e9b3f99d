//! Which instructions of a function follow which.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Code;
use super::step::{Flow, Step};

/// All instructions that can be reached from the first one by what the code itself says.
pub(super) struct Graph {
    steps: BTreeMap<u32, Step>,
    /// There is no other way to get from one to another. False if the code is cut short, can't be
    /// read, reads differently from different starts, jumps to where a table says, or branches to
    /// parts of it that lie elsewhere. A jump, not a branch, to elsewhere is another function's
    /// call in place of the return.
    pub(super) is_closed: bool,
    /// Length of the code in bytes.
    end: u32,
}

/// Where one can be after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At this instruction of the function.
    At(u32),
    /// In the caller, with the result.
    Returned,
    /// In a function that returns in place of this one.
    Replaced,
    /// It can't be told.
    Lost,
}

impl Graph {
    /// `read` gives the instruction at an offset; `None` if there is no valid one, or not all of it.
    pub(super) fn of(code: &Code, mut read: impl FnMut(u32) -> Option<Step>) -> Self {
        // Code is read a few thousand bytes at a time.
        let end = u32::try_from(code.bytes.len()).unwrap_or(u32::MAX);
        let mut graph = Self { steps: BTreeMap::new(), is_closed: code.is_whole, end };
        let mut waiting = vec![0];
        while let Some(offset) = waiting.pop() {
            if graph.steps.contains_key(&offset) {
                continue;
            }
            let Some(step) = read(offset) else {
                graph.is_closed = false;
                continue;
            };
            graph.steps.insert(offset, step);
            for next in graph.after(&step) {
                match next {
                    Next::At(offset) => waiting.push(offset),
                    Next::Lost => graph.is_closed = false,
                    Next::Returned | Next::Replaced => {}
                }
            }
        }
        graph.is_closed &= !graph.overlaps();
        graph
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.values()
    }

    pub(super) fn step(&self, offset: u32) -> Option<&Step> {
        self.steps.get(&offset)
    }

    /// Where one can be after `step`; nowhere if it never comes to an end.
    pub(super) fn after(&self, step: &Step) -> impl Iterator<Item = Next> + use<> {
        let next = step.offset.saturating_add(step.length);
        let on = if next < self.end { Next::At(next) } else { Next::Lost };
        let (one, other) = match step.flow {
            Flow::On => (Some(on), None),
            // The last instruction of a function is a call only of what never returns.
            Flow::Call => ((next < self.end).then_some(on), None),
            Flow::Jump(target) => (Some(target.map_or(Next::Replaced, Next::At)), None),
            Flow::Branch(target) => (Some(target.map_or(Next::Lost, Next::At)), Some(on)),
            Flow::Return => (Some(Next::Returned), None),
            Flow::Trap => (None, None),
            Flow::Unknown => (Some(Next::Lost), None),
        };
        one.into_iter().chain(other)
    }

    /// Whether something jumps to an instruction behind the first and up to `last`.
    pub(super) fn comes_back(&self, last: u32) -> bool {
        self.jumps_to(1..=last)
    }

    /// Whether something jumps to one of these offsets.
    pub(super) fn jumps_to(&self, offsets: RangeInclusive<u32>) -> bool {
        self.steps().any(|step| match step.flow {
            Flow::Jump(Some(target)) | Flow::Branch(Some(target)) => offsets.contains(&target),
            Flow::Jump(None)
            | Flow::Branch(None)
            | Flow::On
            | Flow::Call
            | Flow::Return
            | Flow::Trap
            | Flow::Unknown => false,
        })
    }

    fn overlaps(&self) -> bool {
        let ends = self.steps().map(|step| step.offset.saturating_add(step.length));
        ends.zip(self.steps().skip(1)).any(|(end, next)| next.offset < end)
    }
}
