//! Functions that only call another one, with the arguments that they were given, and return what it
//! does. `SSL_read_ex` is one wherever its library was compiled as Debian does: it has no cheap
//! instruction, but the function behind it has.

use std::collections::BTreeMap;

use iced_x86::{
    Code as Opcode, ConditionCode, Decoder, DecoderOptions, Instruction, InstructionInfoFactory,
    Mnemonic, OpKind, Register,
};

use super::instruction::{is_write, registers_of};
use crate::capture::site::Code;
use crate::capture::site::step::Registers;

/// Where the code is taken to be: far enough from both ends for no call to wrap around.
const BASE: u64 = 1 << 40;

/// Instructions before the call, and behind it. Those that are known have one and nine.
const INSTRUCTIONS_MAX: usize = 32;

/// How many bytes behind the first instruction the other function begins. `None` unless every call gets
/// there with the registers `needed` as they were, and returns 1 if and only if that one does.
pub(in crate::capture::site) fn inner(code: &Code, needed: Registers) -> Option<i64> {
    let mut decoder = Decoder::with_ip(64, &code.bytes, BASE, DecoderOptions::NONE);
    let mut facts = InstructionInfoFactory::new();
    let before = decoder.iter().take(INSTRUCTIONS_MAX);
    let call = stop_at_call(before, &mut facts, needed)?;
    let behind = usize::try_from(call.next_ip() - BASE).ok()?;
    let returns_the_same = [1, 0, -1].into_iter().all(|result: i32| {
        let mut decoder = Decoder::new(64, code.bytes.get(behind..).unwrap_or_default(), 0);
        returned(decoder.iter().take(INSTRUCTIONS_MAX), result)
            .is_some_and(|returned| (returned == 1) == (result == 1))
    });
    let target = call.near_branch_target().checked_signed_diff(BASE)?;
    returns_the_same.then_some(target)
}

/// The call, if nothing before it writes memory or what is `needed`, or goes elsewhere.
fn stop_at_call(
    before: impl Iterator<Item = Instruction>,
    facts: &mut InstructionInfoFactory,
    needed: Registers,
) -> Option<Instruction> {
    for instruction in before {
        if instruction.code() == Opcode::Call_rel32_64 {
            return Some(instruction);
        }
        let is_stack = matches!(
            instruction.code(),
            Opcode::Endbr64 | Opcode::Sub_rm64_imm8 | Opcode::Push_r64 | Opcode::Push_rm64
        );
        let used = facts.info(&instruction).used_registers().iter();
        let written: Registers = used
            .filter(|used| is_write(used.access()))
            .map(|used| registers_of(used.register()))
            .sum();
        if !is_stack || written.meets(needed) {
            return None;
        }
    }
    None
}

/// What is returned if the call has returned `result`. `None` if it isn't known.
fn returned(behind: impl Iterator<Item = Instruction>, result: i32) -> Option<i32> {
    let mut known = BTreeMap::from([(Register::EAX, result)]);
    // Of what the flags tell whether it is negative or zero.
    let mut tested = None;
    for instruction in behind {
        let (to, from) = (instruction.op0_register(), instruction.op1_register());
        let is_between = instruction.op_count() == 2
            && [0, 1].into_iter().all(|it| instruction.op_kind(it) == OpKind::Register)
            && [to, from].into_iter().all(Register::is_gpr32);
        match instruction.mnemonic() {
            Mnemonic::Ret => return known.get(&Register::EAX).copied(),
            Mnemonic::Xor if is_between && to == from => {
                known.insert(to, 0);
                tested = Some(0);
            }
            Mnemonic::Test if is_between && to == from => tested = known.get(&to).copied(),
            Mnemonic::Mov if is_between => {
                let value = known.get(&from).copied()?;
                known.insert(to, value);
            }
            _ if is_between && instruction.condition_code() != ConditionCode::None => {
                if holds(instruction.condition_code(), tested?)? {
                    let value = known.get(&from).copied()?;
                    known.insert(to, value);
                }
            }
            Mnemonic::Add if to == Register::RSP && from == Register::None => tested = None,
            Mnemonic::Pop if to.is_gpr64() && to != Register::RAX && to != Register::RSP => {
                known.remove(&to.full_register32());
            }
            _ => return None,
        }
    }
    None
}

/// Whether a condition holds after a test of `value`.
fn holds(condition: ConditionCode, value: i32) -> Option<bool> {
    Some(match condition {
        ConditionCode::s | ConditionCode::l => value < 0,
        ConditionCode::ns | ConditionCode::ge => value >= 0,
        ConditionCode::le => value <= 0,
        ConditionCode::g => value > 0,
        ConditionCode::e => value == 0,
        ConditionCode::ne => value != 0,
        _other => return None,
    })
}
