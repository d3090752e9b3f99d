//! Sites in functions of Go's.
//!
//! Each begins by a look at whether the stack has room for it. Where it hasn't, the runtime copies the
//! stack to a larger place and the function begins anew, so its first instruction runs twice. The first
//! one behind that look runs once, and all arguments are still in their registers (`abi-internal.md` in
//! the source of Go's compiler).
//!
//! Callers also leave room above the return address for what they pass in registers, so that a function
//! can put it there when it needs the registers. A function that does so at its beginning, and writes
//! there nothing else, has its arguments there until it has returned.

use std::collections::BTreeMap;

use iced_x86::{
    Code as Opcode, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpKind,
    Register, UsedMemory,
};

use super::graph;
use super::instruction::{is_write, registers_of};
use crate::capture::site::graph::{Graph, Next};
use crate::capture::site::step::{Flow, StackMove, Step};
use crate::capture::site::{Abilities, Code, Site, SiteKind};

/// A function with more ways out isn't what it seems. `Read` has seven.
const RETURNS_MAX: usize = 24;

/// Where the current goroutine says how far down its stack reaches (`stackguard0` of `runtime.g`).
const STACK_GUARD: u64 = 16;

/// What is cheap is not asked here.
const NO_MATTER: Abilities = Abilities { cookies: false, calls: false, returns: false };

/// Where arguments are kept, in bytes above the stack pointer at the first instruction; and the register
/// that each is passed in.
const KEPT: [(i64, Register); 2] = [(8, Register::RAX), (16, Register::RBX)];
const KEPT_END: i64 = 24;

/// Where a call is seen to begin.
pub(in crate::capture::site) fn entry(code: &Code) -> Option<Site> {
    let start = Look::of(code)?.start;
    let graph = graph(code, NO_MATTER);
    let step = graph.step(start)?;
    let kind = if step.saves { SiteKind::Emulated } else { SiteKind::Stepped };
    let is_passed_once = step.flow == Flow::On && !graph.comes_back(start);
    is_passed_once.then_some(Site { offset: start, kind, displacement: 0 })
}

/// Where a call is seen to return: every instruction that does.
pub(in crate::capture::site) fn returns(code: &Code) -> Option<Vec<Site>> {
    let look = Look::of(code)?;
    let graph = graph(code, NO_MATTER);
    if !graph.is_closed {
        return None;
    }
    let mut frame = Frame::new(code);
    let last_kept = frame.keep(&graph, look.start)?;
    if graph.comes_back(last_kept) {
        return None;
    }
    // By how much the stack pointer is lower than at the first instruction.
    let mut lower = BTreeMap::from([(look.start, 0)]);
    let mut waiting = vec![look.start];
    let mut found = Vec::new();
    while let Some(offset) = waiting.pop() {
        let displacement = *lower.get(&offset)?;
        let step = graph.step(offset)?;
        if step.flow == Flow::Return {
            let is_plain = displacement == 0 && step.length == 1;
            let kind = SiteKind::Stepped;
            found.push(is_plain.then_some(Site { offset, kind, displacement: 0 })?);
            continue;
        }
        let StackMove::Down(bytes) = step.stack else { return None };
        if frame.is_changed_by(step, displacement) {
            return None;
        }
        let after = bytes.checked_add(displacement)?;
        for next in graph.after(step) {
            match next {
                // What is there is behind a call of what never returns: nobody gets there this way.
                Next::At(next) if next == look.no_room => {}
                Next::At(next) => match lower.insert(next, after) {
                    None => waiting.push(next),
                    Some(before) if before == after => {}
                    Some(_other) => return None,
                },
                Next::Returned | Next::Replaced | Next::Lost => return None,
            }
        }
    }
    found.sort_by_key(|site| site.offset);
    (1..=RETURNS_MAX).contains(&found.len()).then_some(found)
}

/// The look at the stack with which a function begins.
struct Look {
    /// The first instruction behind it.
    start: u32,
    /// Where it goes on if there is no room.
    no_room: u32,
}

impl Look {
    /// `None` if there is none of those that are known: with the goroutine in `r14`, as it is since
    /// arguments are in registers.
    fn of(code: &Code) -> Option<Self> {
        let mut decoder = Decoder::with_ip(64, &code.bytes, 0, DecoderOptions::NONE);
        let mut compare = decoder.decode();
        let mut lowest = Register::RSP;
        if compare.code() == Opcode::Lea_r64_m && is_on_stack(&compare) {
            lowest = compare.op0_register();
            compare = decoder.decode();
        }
        let is_look = compare.code() == Opcode::Cmp_r64_rm64
            && compare.op0_register() == lowest
            && matches!(lowest, Register::RSP | Register::R12)
            && compare.op1_kind() == OpKind::Memory
            && compare.memory_base() == Register::R14
            && compare.memory_index() == Register::None
            && compare.memory_displacement64() == STACK_GUARD;
        let branch = decoder.decode();
        if !is_look || !matches!(branch.code(), Opcode::Jbe_rel8_64 | Opcode::Jbe_rel32_64) {
            return None;
        }
        let start = u32::try_from(branch.next_ip()).ok()?;
        let no_room = u32::try_from(branch.near_branch_target()).ok()?;
        (no_room > start).then_some(Self { start, no_room })
    }
}

/// What a function keeps above its return address.
struct Frame<'a> {
    code: &'a Code,
    facts: InstructionInfoFactory,
    /// The instructions that put it there.
    keeping: [Option<u32>; KEPT.len()],
}

impl<'a> Frame<'a> {
    fn new(code: &'a Code) -> Self {
        Self { code, facts: InstructionInfoFactory::new(), keeping: [None; KEPT.len()] }
    }

    /// Looks from `start` on, as far as every call gets, for where the arguments are put, and says which
    /// of these instructions is the last.
    fn keep(&mut self, graph: &Graph, start: u32) -> Option<u32> {
        let (mut offset, mut displacement) = (start, 0i64);
        loop {
            let step = graph.step(offset)?;
            let (Flow::On, StackMove::Down(bytes)) = (step.flow, step.stack) else { return None };
            let instruction = self.instruction(offset);
            for ((place, register), keeping) in KEPT.into_iter().zip(&mut self.keeping) {
                if instruction.code() == Opcode::Mov_rm64_r64
                    && is_on_stack(&instruction)
                    && instruction.op1_register() == register
                    && above(instruction.memory_displacement64(), displacement) == place
                {
                    *keeping = Some(offset);
                }
                if keeping.is_none() && step.written.meets(registers_of(register)) {
                    return None;
                }
            }
            if let [Some(one), Some(other)] = self.keeping {
                return Some(one.max(other));
            }
            displacement = displacement.checked_add(bytes)?;
            offset = offset.checked_add(step.length)?;
        }
    }

    /// Whether `step` may write where arguments are kept, or lets others do so.
    fn is_changed_by(&mut self, step: &Step, displacement: i64) -> bool {
        if self.keeping.contains(&Some(step.offset)) {
            return false;
        }
        let instruction = self.instruction(step.offset);
        let points_there = instruction.mnemonic() == Mnemonic::Lea
            && is_on_stack(&instruction)
            && is_kept(above(instruction.memory_displacement64(), displacement), 1);
        let used = self.facts.info(&instruction).used_memory().iter();
        points_there
            || used
                .filter(|memory| is_write(memory.access()))
                .any(|memory| reaches(memory, displacement))
    }

    fn instruction(&self, offset: u32) -> Instruction {
        let code = self.code.bytes.get(offset as usize..).unwrap_or_default();
        Decoder::with_ip(64, code, u64::from(offset), DecoderOptions::NONE).decode()
    }
}

/// Whether what is written may be where arguments are kept. The compiler has no other way to get at its
/// frame than by the stack pointer; the frame pointer is for those that walk the stack.
fn reaches(memory: &UsedMemory, displacement: i64) -> bool {
    match memory.base() {
        Register::RSP if memory.index() == Register::None => {
            let size = i64::try_from(memory.memory_size().size()).unwrap_or(i64::MAX);
            is_kept(above(memory.displacement(), displacement), size)
        }
        Register::RSP | Register::RBP => true,
        _ => false,
    }
}

fn is_on_stack(instruction: &Instruction) -> bool {
    instruction.memory_base() == Register::RSP && instruction.memory_index() == Register::None
}

/// How far above the stack pointer at the first instruction an operand is whose distance from the stack
/// pointer, now lower by `displacement`, is `distance`.
fn above(distance: u64, displacement: i64) -> i64 {
    distance.cast_signed().saturating_sub(displacement)
}

/// Whether any of `size` bytes from `from` on is where arguments are kept.
fn is_kept(from: i64, size: i64) -> bool {
    from < KEPT_END && from.saturating_add(size) > KEPT[0].0
}

#[cfg(test)]
mod tests;
