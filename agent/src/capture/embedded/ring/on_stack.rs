//! Which of its arguments a function has on the stack.

use std::collections::{BTreeSet, VecDeque};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

/// Bytes of one argument.
const WORD: i64 = 8;

/// Where the registers that lead to arguments point, in bytes below where the stack pointer was at the
/// function's first instruction; `None` if that isn't known.
#[derive(Clone, Copy)]
struct Frame {
    /// The stack pointer.
    stack: Option<i64>,
    /// The frame pointer, if it is used as one.
    base: Option<i64>,
}

/// The numbers of those that it reads, the first being 0. What may be wrong is left out: all ways through
/// the code are followed but those that tables lead to, each instruction once.
pub(super) fn arguments(code: &[u8]) -> BTreeSet<u64> {
    let mut read = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut info = InstructionInfoFactory::new();
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    // What is behind a call comes last, for the call may never return.
    let mut waiting = VecDeque::from([(0, Frame { stack: Some(0), base: None })]);
    while let Some((offset, frame)) = waiting.pop_front() {
        let is_in = usize::try_from(offset).is_ok_and(|at| decoder.set_position(at).is_ok());
        if !is_in || !decoder.can_decode() || !seen.insert(offset) {
            continue;
        }
        decoder.set_ip(offset);
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            continue;
        }
        read.extend(read_by(&instruction, frame, &mut info));
        let after = frame.after(&instruction, &mut info);
        let (on, target) = (instruction.next_ip(), instruction.near_branch_target());
        match instruction.flow_control() {
            FlowControl::Next => waiting.push_front((on, after)),
            FlowControl::UnconditionalBranch => waiting.push_front((target, after)),
            FlowControl::ConditionalBranch => {
                waiting.push_front((on, after));
                waiting.push_front((target, after));
            }
            FlowControl::Call | FlowControl::IndirectCall => waiting.push_back((on, after)),
            FlowControl::Return
            | FlowControl::IndirectBranch
            | FlowControl::Interrupt
            | FlowControl::XbeginXabortXend
            | FlowControl::Exception => {}
        }
    }
    read
}

/// The numbers of the arguments that an instruction reads.
fn read_by(instruction: &Instruction, frame: Frame, info: &mut InstructionInfoFactory) -> Vec<u64> {
    let mut numbers = Vec::new();
    for memory in info.info(instruction).used_memory() {
        let below = match memory.base() {
            Register::RSP => frame.stack,
            Register::RBP => frame.base,
            _ => None,
        };
        let reads = [OpAccess::Read, OpAccess::CondRead, OpAccess::ReadWrite];
        let (Some(below), true) = (below, reads.contains(&memory.access())) else { continue };
        if memory.index() != Register::None {
            continue;
        }
        // The first argument is behind the return address.
        let first = (memory.displacement() as i64).wrapping_sub(below).wrapping_sub(WORD);
        let size = i64::try_from(memory.memory_size().size()).unwrap_or(WORD).max(1);
        let last = first.wrapping_add(size - 1);
        numbers.extend([first, last].into_iter().filter_map(|at| {
            let is_argument = at >= 0;
            is_argument.then(|| u64::try_from(at / WORD).ok()).flatten()
        }));
    }
    numbers
}

impl Frame {
    /// What it is behind an instruction. A call leaves everything as it was.
    fn after(self, instruction: &Instruction, info: &mut InstructionInfoFactory) -> Self {
        if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            return self;
        }
        let used = info.info(instruction).used_registers().iter();
        let written = used.filter(|used| {
            matches!(
                used.access(),
                OpAccess::Write
                    | OpAccess::ReadWrite
                    | OpAccess::CondWrite
                    | OpAccess::ReadCondWrite
            )
        });
        let mut after = self;
        for register in written.map(|used| used.register().full_register()) {
            match register {
                Register::RSP => after.stack = self.written(instruction, Register::RSP),
                Register::RBP => after.base = self.written(instruction, Register::RBP),
                _ => {}
            }
        }
        after
    }

    /// Where a register points that the instruction writes.
    fn written(self, instruction: &Instruction, register: Register) -> Option<i64> {
        let of = |register| match register {
            Register::RSP => self.stack,
            Register::RBP => self.base,
            _ => None,
        };
        let is_explicit = instruction.op0_register() == register;
        if !is_explicit || instruction.mnemonic() == Mnemonic::Push {
            let moved = i64::from(instruction.stack_pointer_increment());
            return (register == Register::RSP).then(|| self.stack?.checked_sub(moved)).flatten();
        }
        match (instruction.code(), instruction.op1_kind()) {
            (Code::Mov_r64_rm64 | Code::Mov_rm64_r64, OpKind::Register) => {
                of(instruction.op1_register())
            }
            (Code::Lea_r64_m, _) if instruction.memory_index() == Register::None => {
                let into = instruction.memory_displacement64() as i64;
                of(instruction.memory_base())?.checked_sub(into)
            }
            (Code::Sub_rm64_imm8 | Code::Sub_rm64_imm32, _) => {
                of(register)?.checked_add(instruction.immediate(1) as i64)
            }
            (Code::Add_rm64_imm8 | Code::Add_rm64_imm32, _) => {
                of(register)?.checked_sub(instruction.immediate(1) as i64)
            }
            _ => None,
        }
    }
}
