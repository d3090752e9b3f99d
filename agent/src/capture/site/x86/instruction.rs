//! Reads the instructions of x86-64.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, Register,
};

use crate::capture::site::step::{Flow, Registers, StackMove, Step};
use crate::capture::site::{Abilities, SiteKind};

/// The number of the stack pointer.
const RSP: u32 = 4;

/// That of which `register` is a part; none if it isn't a general one.
pub(super) fn registers_of(register: Register) -> Registers {
    if !register.is_gpr() {
        return Registers::default();
    }
    let number = u32::try_from(register.full_register().number());
    number.map_or(Registers::default(), Registers::numbered)
}

/// What kind of instruction the kernel takes it for (`arch/x86/kernel/uprobes.c`,
/// `branch_setup_xol_ops` and `push_setup_xol_ops`). Told by its bytes, as the kernel does, and
/// only without prefixes, about which kernels disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Push,
    /// A jump, conditional or not.
    Jump,
    /// A call of a fixed target.
    Call,
    /// Of one byte.
    Nop,
    /// Of the five bytes that compilers leave to be patched.
    Nop5,
    /// It marks the target of an indirect call, and does nothing.
    Landing,
    Other,
}

impl Shape {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0x50..=0x57] | [0x41, 0x50..=0x57] => Self::Push,
            [0x70..=0x7f | 0xeb, _] => Self::Jump,
            [0x0f, 0x80..=0x8f, _, _, _, _] | [0xe9, _, _, _, _] => Self::Jump,
            [0xe8, _, _, _, _] => Self::Call,
            [0x90] => Self::Nop,
            [0x0f, 0x1f, 0x44, 0x00, 0x00] => Self::Nop5,
            [0xf3, 0x0f, 0x1e, 0xfa] => Self::Landing,
            _ => Self::Other,
        }
    }

    /// What becomes of a breakpoint here, if it is cheap.
    fn cheap(self, kernel: Abilities) -> Option<SiteKind> {
        match self {
            Self::Push | Self::Jump | Self::Nop => Some(SiteKind::Emulated),
            Self::Call => kernel.calls.then_some(SiteKind::Emulated),
            Self::Nop5 => kernel.calls.then_some(SiteKind::Nop5),
            Self::Landing | Self::Other => None,
        }
    }
}

/// Where the code is taken to be: far enough from both ends for no jump to wrap around.
const BASE: u64 = 1 << 40;

/// Reads instructions.
pub(super) struct Reader<'a> {
    code: &'a [u8],
    decoder: Decoder<'a>,
    facts: InstructionInfoFactory,
    kernel: Abilities,
}

impl<'a> Reader<'a> {
    pub(super) fn new(code: &'a [u8], kernel: Abilities) -> Self {
        let decoder = Decoder::with_ip(64, code, BASE, DecoderOptions::NONE);
        Self { code, decoder, facts: InstructionInfoFactory::new(), kernel }
    }

    /// The instruction at `offset`; `None` if there is no valid one, or not all of it.
    pub(super) fn at(&mut self, offset: u32) -> Option<Step> {
        let start = offset as usize;
        self.decoder.set_position(start).ok()?;
        self.decoder.set_ip(BASE + u64::from(offset));
        let instruction = self.decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        let bytes = self.code.get(start..start.checked_add(instruction.len())?)?;
        let flow = self.flow(&instruction);
        let facts = self.facts.info(&instruction);
        let written = facts.used_registers().iter();
        let written = written.filter(|used| is_write(used.access()));
        let written: Registers = written.map(|used| registers_of(used.register())).sum();
        let shape = Shape::of(bytes);
        Some(Step {
            offset,
            length: u32::try_from(bytes.len()).ok()?,
            flow,
            cheap: shape.cheap(self.kernel),
            saves: shape == Shape::Push,
            is_idle: matches!(shape, Shape::Nop | Shape::Nop5 | Shape::Landing),
            meets_link: false,
            written,
            writes_memory: facts.used_memory().iter().any(|used| is_write(used.access())),
            stack: stack_move(&instruction, flow, written),
        })
    }

    fn flow(&self, instruction: &Instruction) -> Flow {
        match instruction.flow_control() {
            FlowControl::Next => Flow::On,
            FlowControl::UnconditionalBranch if instruction.is_jmp_short_or_near() => {
                Flow::Jump(self.target(instruction))
            }
            FlowControl::ConditionalBranch => Flow::Branch(self.target(instruction)),
            FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt => Flow::Call,
            FlowControl::Return => Flow::Return,
            FlowControl::Exception => Flow::Trap,
            FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::XbeginXabortXend => Flow::Unknown,
        }
    }

    fn target(&self, instruction: &Instruction) -> Option<u32> {
        let offset = instruction.near_branch_target().checked_sub(BASE)?;
        let offset = u32::try_from(offset).ok()?;
        ((offset as usize) < self.code.len()).then_some(offset)
    }
}

pub(super) fn is_write(access: OpAccess) -> bool {
    match access {
        OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess => false,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
            true
        }
    }
}

fn stack_move(instruction: &Instruction, flow: Flow, written: Registers) -> StackMove {
    // What a call puts on the stack is taken off by its return.
    if flow == Flow::Call || !written.meets(Registers::numbered(RSP)) {
        return StackMove::Down(0);
    }
    let is_explicit = instruction.op0_register() == Register::RSP;
    match (instruction.mnemonic(), instruction.code()) {
        (Mnemonic::Push, _) => StackMove::Down(-i64::from(instruction.stack_pointer_increment())),
        (Mnemonic::Pop, _) if !is_explicit => {
            StackMove::Down(-i64::from(instruction.stack_pointer_increment()))
        }
        (_, Code::Sub_rm64_imm8 | Code::Sub_rm64_imm32) if is_explicit => {
            StackMove::Down(immediate(instruction))
        }
        (_, Code::Add_rm64_imm8 | Code::Add_rm64_imm32) if is_explicit => {
            StackMove::Down(-immediate(instruction))
        }
        (_, Code::Lea_r64_m)
            if instruction.memory_base() == Register::RSP
                && instruction.memory_index() == Register::None =>
        {
            StackMove::Down((instruction.memory_displacement64() as i64).wrapping_neg())
        }
        _ => StackMove::Unknown,
    }
}

/// The second operand, sign-extended from 32 bits at most.
fn immediate(instruction: &Instruction) -> i64 {
    instruction.immediate(1) as i64
}
