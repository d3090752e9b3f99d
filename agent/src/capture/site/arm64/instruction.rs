//! Reads the instructions of arm64.
//!
//! The decoder says what an instruction is and what its operands are, but not what it does with
//! them. Of most that follows from the group that it is in ("A64 instruction set encoding", table
//! "Main encoding table", in the Arm Architecture Reference Manual). Whatever is left is taken to
//! write all registers that it names, and memory.

use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction, Opcode, Operand};

use crate::capture::site::SiteKind;
use crate::capture::site::step::{Flow, Registers, StackMove, Step};

/// Bytes of an instruction.
const LENGTH: u32 = 4;

/// The number of the register with the return address.
const LINK: u16 = 30;

/// In some operands this number is the stack pointer, in the others no register at all.
const STACK: u16 = 31;

/// The instruction at `offset` of `code`; `None` if there is no valid one, or not all of it.
pub(super) fn at(code: &[u8], offset: u32) -> Option<Step> {
    let start = offset as usize;
    let bytes = *code.get(start..)?.first_chunk()?;
    let instruction = InstDecoder::default().decode(&mut U8Reader::new(&bytes)).ok()?;
    let group = Group::of(u32::from_le_bytes(bytes));
    let flow = flow(&instruction, group, offset, code.len());
    let effect = Effect::of(&instruction, group);
    Some(Step {
        offset,
        length: LENGTH,
        flow,
        cheap: is_simulated(&instruction, flow).then_some(SiteKind::Emulated),
        saves: false,
        is_idle: false,
        meets_link: meets_link(&instruction, group),
        written: effect.written,
        writes_memory: effect.writes_memory,
        stack: effect.stack,
    })
}

/// The groups of instructions, by bits 25 to 28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Of registers and immediate operands, vectors included.
    Processing,
    /// Of memory.
    LoadStore,
    /// Branches, exceptions and system instructions.
    Branch,
    /// Reserved or an extension's.
    Other,
}

impl Group {
    fn of(word: u32) -> Self {
        match word >> 25 & 0b1111 {
            0b1000 | 0b1001 | 0b0101 | 0b1101 | 0b0111 | 0b1111 => Self::Processing,
            0b0100 | 0b0110 | 0b1100 | 0b1110 => Self::LoadStore,
            0b1010 | 0b1011 => Self::Branch,
            _ => Self::Other,
        }
    }
}

fn flow(instruction: &Instruction, group: Group, offset: u32, end: usize) -> Flow {
    let target = || target(instruction, offset, end);
    match (group, instruction.opcode) {
        (_, Opcode::UDF) => Flow::Trap,
        (Group::Processing | Group::LoadStore, _) => Flow::On,
        (Group::Other, _) => Flow::Unknown,
        (Group::Branch, Opcode::B) => Flow::Jump(target()),
        (
            Group::Branch,
            Opcode::Bcc(_)
            | Opcode::BCcc(_)
            | Opcode::CBZ
            | Opcode::CBNZ
            | Opcode::TBZ
            | Opcode::TBNZ,
        ) => Flow::Branch(target()),
        (Group::Branch, Opcode::BL | Opcode::BLR) => Flow::Call,
        (Group::Branch, Opcode::BLRAA | Opcode::BLRAAZ | Opcode::BLRAB | Opcode::BLRABZ) => {
            Flow::Call
        }
        (Group::Branch, Opcode::SVC) => Flow::Call,
        (Group::Branch, Opcode::RET) => match instruction.operands[0] {
            Operand::Register(_, LINK) => Flow::Return,
            _ => Flow::Unknown,
        },
        (Group::Branch, Opcode::RETAA | Opcode::RETAB) => Flow::Return,
        (Group::Branch, Opcode::BRK) => Flow::Trap,
        (Group::Branch, opcode) if is_hint(opcode) || is_system(opcode) => Flow::On,
        (Group::Branch, _) => Flow::Unknown,
    }
}

/// Where a branch leads; `None` if that is outside the function.
fn target(instruction: &Instruction, offset: u32, end: usize) -> Option<u32> {
    let by = instruction.operands.iter().find_map(|operand| match operand {
        Operand::PCOffset(by) => Some(*by),
        _ => None,
    })?;
    let target = u32::try_from(i64::from(offset).checked_add(by)?).ok()?;
    ((target as usize) < end).then_some(target)
}

/// Whether the kernel does itself what the instruction would have done
/// (`arch/arm64/kernel/probes/decode-insn.c`, `arm_probe_decode_insn`). Two of its kinds are left
/// out: loads of literals, which it simulated wrongly before it refused them (Linux 6.12), and
/// `nop`, which it executes out of line before Linux 6.13. Calls and returns are right on a shadow
/// stack as well: before Linux 6.18 a kernel has either those or uprobes (`ARM64_GCS` in
/// `arch/arm64/Kconfig`).
fn is_simulated(instruction: &Instruction, flow: Flow) -> bool {
    match instruction.opcode {
        Opcode::ADR | Opcode::ADRP | Opcode::BL | Opcode::BLR | Opcode::RET => true,
        // `BC.cond` is newer than the kernel's list, and `RETAA` is refused.
        Opcode::BCcc(_) => false,
        _ => matches!(flow, Flow::Jump(_) | Flow::Branch(_)),
    }
}

/// What authenticates or signs the return address, and other hints.
fn is_hint(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::HINT
            | Opcode::PACIASP
            | Opcode::PACIAZ
            | Opcode::PACIBSP
            | Opcode::PACIBZ
            | Opcode::PACIA1716
            | Opcode::PACIB1716
            | Opcode::AUTIASP
            | Opcode::AUTIAZ
            | Opcode::AUTIBSP
            | Opcode::AUTIBZ
            | Opcode::AUTIA1716
            | Opcode::AUTIB1716
            | Opcode::XPACLRI
    )
}

/// Barriers, and what reads or writes system registers.
fn is_system(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::MRS
            | Opcode::MSR
            | Opcode::ISB
            | Opcode::DSB(_)
            | Opcode::DMB(_)
            | Opcode::SB
            | Opcode::SSBB
            | Opcode::PSSBB
            | Opcode::CLREX
    )
}

/// What an instruction does, apart from where it leads.
struct Effect {
    written: Registers,
    writes_memory: bool,
    stack: StackMove,
}

impl Effect {
    fn of(instruction: &Instruction, group: Group) -> Self {
        let operands = &instruction.operands;
        let (targets, writes_memory) = match group {
            Group::Processing => (targets_of_processing(instruction.opcode), false),
            Group::LoadStore => match memory(instruction.opcode) {
                Memory::Load => (1, false),
                Memory::LoadPair => (2, false),
                Memory::Store => (0, true),
                Memory::Prefetch => (0, false),
                Memory::Unknown => (operands.len(), true),
            },
            Group::Branch => match instruction.opcode {
                Opcode::MRS => (1, false),
                Opcode::SVC | Opcode::BL | Opcode::BLR => (0, true),
                _ => (0, false),
            },
            Group::Other => (operands.len(), true),
        };
        let targets = operands.iter().take(targets);
        let named: Registers = targets.clone().map(general).sum();
        let based: Registers = operands.iter().filter_map(written_back).map(one).sum();
        let moves_stack = targets.clone().any(is_stack)
            || operands.iter().filter_map(written_back).any(|base| base == STACK);
        let stack = match moves_stack {
            true => stack_move(instruction),
            false => StackMove::Down(0),
        };
        Self { written: [named, based].into_iter().sum(), writes_memory, stack }
    }
}

/// How many of the first operands are written. The target comes first, and comparisons whose result
/// is but flags have none, or register 31, which is none.
fn targets_of_processing(opcode: Opcode) -> usize {
    match opcode {
        Opcode::CCMP | Opcode::CCMN | Opcode::FCMP | Opcode::FCMPE => 0,
        _ => 1,
    }
}

/// What an instruction does with memory.
enum Memory {
    Load,
    LoadPair,
    Store,
    Prefetch,
    /// It may do all of that, and write every register that it names.
    Unknown,
}

fn memory(opcode: Opcode) -> Memory {
    match opcode {
        Opcode::LDR
        | Opcode::LDRB
        | Opcode::LDRH
        | Opcode::LDRSB
        | Opcode::LDRSH
        | Opcode::LDRSW
        | Opcode::LDUR
        | Opcode::LDURB
        | Opcode::LDURH
        | Opcode::LDURSB
        | Opcode::LDURSH
        | Opcode::LDURSW
        | Opcode::LDAR
        | Opcode::LDARB
        | Opcode::LDARH => Memory::Load,
        Opcode::LDP | Opcode::LDPSW | Opcode::LDNP => Memory::LoadPair,
        Opcode::STR
        | Opcode::STRB
        | Opcode::STRH
        | Opcode::STUR
        | Opcode::STURB
        | Opcode::STURH
        | Opcode::STLR
        | Opcode::STLRB
        | Opcode::STLRH
        | Opcode::STP
        | Opcode::STNP => Memory::Store,
        Opcode::PRFM | Opcode::PRFUM => Memory::Prefetch,
        _ => Memory::Unknown,
    }
}

/// The set of one general register; none for number 31.
fn one(number: u16) -> Registers {
    match number {
        0..STACK => Registers::numbered(u32::from(number)),
        _ => Registers::default(),
    }
}

/// The general registers that an operand is.
fn general(operand: &Operand) -> Registers {
    match operand {
        Operand::Register(_, number) | Operand::RegisterOrSP(_, number) => one(*number),
        Operand::RegisterPair(_, number) => [one(*number), one(*number | 1)].into_iter().sum(),
        _ => Registers::default(),
    }
}

fn is_stack(operand: &Operand) -> bool {
    matches!(operand, Operand::RegisterOrSP(_, STACK))
}

/// The register that an address is kept in after the access.
fn written_back(operand: &Operand) -> Option<u16> {
    match operand {
        Operand::RegPreIndex(base, _, true)
        | Operand::RegPostIndex(base, _)
        | Operand::RegPostIndexReg(base, _) => Some(*base),
        _ => None,
    }
}

/// Of an instruction that writes the stack pointer.
fn stack_move(instruction: &Instruction) -> StackMove {
    let raised = match (instruction.opcode, &instruction.operands) {
        (Opcode::ADD, [to, from, by, Operand::Nothing]) if is_stack(to) && is_stack(from) => {
            immediate(by)
        }
        (Opcode::SUB, [to, from, by, Operand::Nothing]) if is_stack(to) && is_stack(from) => {
            immediate(by).map(|by| -by)
        }
        (opcode, operands) => match memory(opcode) {
            Memory::Load | Memory::LoadPair | Memory::Store => {
                operands.iter().find_map(|operand| match operand {
                    Operand::RegPreIndex(STACK, by, true) | Operand::RegPostIndex(STACK, by) => {
                        Some(i64::from(*by))
                    }
                    _ => None,
                })
            }
            Memory::Prefetch | Memory::Unknown => None,
        },
    };
    raised.map_or(StackMove::Unknown, |by| StackMove::Down(-by))
}

/// Of 12 bits, which may be shifted by 12.
fn immediate(operand: &Operand) -> Option<i64> {
    match operand {
        Operand::Immediate(by) => Some(i64::from(*by)),
        Operand::ImmShift(by, shift @ (0 | 12)) => Some(i64::from(*by) << shift),
        _ => None,
    }
}

/// Whether an instruction reads or writes the register of the return address, as far as what comes
/// after it is concerned: a call or a return is the last of a prologue.
fn meets_link(instruction: &Instruction, group: Group) -> bool {
    let is_named = instruction.operands.iter().any(|operand| match operand {
        Operand::Register(_, number)
        | Operand::RegisterOrSP(_, number)
        | Operand::RegShift(_, _, _, number)
        | Operand::RegPreIndex(number, _, _)
        | Operand::RegPostIndex(number, _) => *number == LINK,
        Operand::RegRegOffset(base, index, _, _, _) | Operand::RegPostIndexReg(base, index) => {
            [*base, *index].contains(&LINK)
        }
        // Of two registers, the first of which has an even number.
        Operand::RegisterPair(_, number) => *number == LINK,
        _ => false,
    });
    let is_hidden = group == Group::Branch
        && match instruction.opcode {
            // `nop` and `bti`, and the others of those two rows. The hints that sign have names.
            Opcode::HINT => !matches!(instruction.operands[0], Operand::ControlReg(0 | 4)),
            opcode => is_hint(opcode),
        };
    is_named || is_hidden
}
