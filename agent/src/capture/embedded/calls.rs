//! What machine code of x86-64 does with addresses and numbers, as far as it matters here.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

/// Bytes of a jump.
pub(super) const JUMP_MAX: u64 = 5;
/// The longest instruction, in bytes.
pub(super) const INSTRUCTION_MAX: u64 = 15;
/// Bytes of an instruction that refers to a name.
pub(super) const REFERENCE_MAX: usize = 7;
/// Bytes of a direct call.
pub(super) const CALL_MAX: usize = 5;
/// How far around a reference the rest of the call's arguments are, in bytes.
pub(super) const BEFORE: u64 = 40;
pub(super) const AFTER: u64 = 64;

/// Reasons are below (`ERR_GET_REASON`).
const REASONS: u64 = 1 << 12;
/// The same of OpenSSL's (`ERR_LIB_SSL` in `openssl/err.h`).
const OPENSSL_LIBRARY: u64 = 20;
/// Lines of a source file are below.
const LINES: u64 = 1 << 16;

/// An instruction that loads the address of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    /// The address of the instruction.
    pub(super) at: u64,
    pub(super) name: u64,
}

/// What a function does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tests {
    /// It calls the function in question.
    pub(super) calls: bool,
    /// It then changes a field of something that isn't on its own stack.
    pub(super) writes: bool,
}

impl Reference {
    /// The least of all.
    pub(super) const FIRST: Self = Self { at: 0, name: 0 };
}

/// Finds where `code` loads the address of one of `names`: by `lea` relative to the instruction, or by `mov` of
/// 32 bits where programs have fixed addresses.
pub(super) fn references(
    code: &[u8],
    address: u64,
    names: &BTreeSet<u64>,
    mut found: impl FnMut(Reference),
) {
    let mut add = |at: usize, name| found(Reference { at: address + at as u64, name });
    for lea in memchr::memchr_iter(0x8d, code) {
        let Some(at) = lea.checked_sub(1) else { continue };
        let Some([0x48 | 0x4c, _, mode, d1, d2, d3, d4]) = code[at..].first_chunk() else {
            continue;
        };
        let next = address.wrapping_add((at + REFERENCE_MAX) as u64);
        let distance = i64::from(i32::from_le_bytes([*d1, *d2, *d3, *d4]));
        let name = next.wrapping_add_signed(distance);
        if mode & 0xc7 == 0x05 && names.contains(&name) {
            add(at, name);
        }
    }
    for &name in names {
        let Ok(short) = u32::try_from(name) else { continue };
        for at in memchr::memmem::find_iter(code, &short.to_le_bytes()) {
            match code[..at] {
                [.., 0x41, 0xb8..=0xbf] => add(at - 2, name),
                [.., 0xb8..=0xbf] => add(at - 1, name),
                _ => {}
            }
        }
    }
}

/// Finds what `code` calls, and what looks like it.
pub(super) fn targets(code: &[u8], address: u64, mut found: impl FnMut(u64)) {
    for at in memchr::memchr_iter(0xe8, code) {
        if let Some(distance) = code[at + 1..].first_chunk() {
            let next = address.wrapping_add((at + CALL_MAX) as u64);
            found(next.wrapping_add_signed(i64::from(i32::from_le_bytes(*distance))));
        }
    }
}

/// Whether what is behind these bytes needn't be reached from them: they end in a return, a jump, padding,
/// or a call, which may be of something that never returns.
pub(super) fn ends_code(before: &[u8; JUMP_MAX as usize]) -> bool {
    matches!(before, [.., 0xc3 | 0xcc | 0x90] | [.., 0xeb, _] | [0xe8 | 0xe9, ..])
}

/// The reason of the error of `library` that is raised where `reference` is. `code` is what is around it,
/// from `from` on.
///
/// The arguments are `(library, unused, reason, file, line)`, or `(library, reason, file, line)` where
/// the compiler has dropped what isn't used. They are loaded in any order, some before the reference;
/// where instructions begin there is not known, so every way to read on to it is tried.
pub(super) fn reason(code: &[u8], from: u64, reference: Reference, library: u64) -> Option<u32> {
    let place = usize::try_from(reference.at.checked_sub(from)?).ok()?;
    let ways = (0..=place).filter_map(|start| {
        let known = constants(code.get(start..)?, from + start as u64, reference.at)?;
        let is_error = known.get(&Register::RDI) == Some(&library);
        let reason = match reference.name {
            name if known.get(&Register::RCX) == Some(&name) => known.get(&Register::RDX),
            name if known.get(&Register::RDX) == Some(&name) => known.get(&Register::RSI),
            _ => None,
        };
        let reason =
            u32::try_from(*reason.filter(|reason| is_error && **reason < REASONS)?).ok()?;
        Some((known.len(), reason))
    });
    ways.max_by_key(|(known, _)| *known).map(|(_, reason)| reason)
}

/// Whether the function that the code is in is named where `reference` is, as OpenSSL does before it raises
/// an error: `(file, line, function)`.
pub(super) fn names_function(code: &[u8], from: u64, reference: Reference) -> bool {
    raised(code, from, reference).any(|known| {
        known.contains_key(&Register::RDI)
            && known.get(&Register::RSI).is_some_and(is_line)
            && known.get(&Register::RDX) == Some(&reference.name)
    })
}

/// Whether an error of TLS is raised where `reference` is, by OpenSSL: `(file, line, function)`, or
/// `(library, function, reason, file, line)` before 3.0.
pub(super) fn is_error(code: &[u8], from: u64, reference: Reference) -> bool {
    raised(code, from, reference).any(|known| {
        let holds = |register, value| known.get(&register) == Some(value);
        holds(Register::RDI, &reference.name)
            && known.get(&Register::RSI).is_some_and(is_line)
            && known.contains_key(&Register::RDX)
            || holds(Register::RDI, &OPENSSL_LIBRARY) && holds(Register::RCX, &reference.name)
    })
}

fn is_line(number: &u64) -> bool {
    (1..LINES).contains(number)
}

/// What registers hold at the call after `reference`, by each way to read the code on to it.
fn raised(
    code: &[u8],
    from: u64,
    reference: Reference,
) -> impl Iterator<Item = BTreeMap<Register, u64>> {
    let place = reference.at.checked_sub(from).and_then(|place| usize::try_from(place).ok());
    place
        .into_iter()
        .flat_map(|place| 0..=place)
        .filter_map(move |start| constants(code.get(start..)?, from + start as u64, reference.at))
}

/// Whether the function that begins at `start` is given something in `argument`: it is read before it is
/// written. `code` may go on after its end.
pub(super) fn takes(code: &[u8], start: u64, argument: Register) -> bool {
    let mut info = InstructionInfoFactory::new();
    for instruction in decode(code, start) {
        if instruction.is_invalid() || instruction.code() == Code::Int3 {
            return false;
        }
        let used = info.info(&instruction).used_registers().iter();
        let mut accesses = used.filter(|used| used.register().full_register() == argument);
        if let Some(first) = accesses.next() {
            let reads = [OpAccess::Read, OpAccess::CondRead, OpAccess::ReadWrite];
            // What is combined with itself is only set to 0.
            return reads.contains(&first.access()) && constant(&instruction).is_none();
        }
    }
    false
}

/// What registers hold when the code has run from `address` on, through `via`, to the next call or jump.
/// `None` if that isn't what it does.
fn constants(code: &[u8], address: u64, via: u64) -> Option<BTreeMap<Register, u64>> {
    let mut known = BTreeMap::new();
    let mut pushed = None;
    let mut info = InstructionInfoFactory::new();
    for instruction in decode(code, address) {
        if instruction.is_invalid() || instruction.ip() < via && instruction.next_ip() > via {
            return None;
        }
        match instruction.flow_control() {
            FlowControl::Next => {}
            FlowControl::Call | FlowControl::UnconditionalBranch if instruction.ip() > via => {
                return Some(known);
            }
            _ => return None,
        }
        for used in info.info(&instruction).used_registers() {
            if matches!(used.access(), OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite)
            {
                known.remove(&used.register().full_register());
            }
        }
        let popped = pushed.take().filter(|_| instruction.mnemonic() == Mnemonic::Pop);
        pushed = pushed_constant(&instruction);
        if let Some(value) = popped.or_else(|| constant(&instruction)) {
            known.insert(instruction.op0_register().full_register(), value);
        }
    }
    None
}

/// What the instruction puts into its first operand, a register, if that depends on nothing.
fn constant(instruction: &Instruction) -> Option<u64> {
    match (instruction.mnemonic(), instruction.op1_kind()) {
        _ if instruction.op0_kind() != OpKind::Register => None,
        (Mnemonic::Mov, OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64) => {
            Some(instruction.immediate(1))
        }
        (Mnemonic::Xor, OpKind::Register)
            if instruction.op0_register() == instruction.op1_register() =>
        {
            Some(0)
        }
        (Mnemonic::Lea, OpKind::Memory) if instruction.is_ip_rel_memory_operand() => {
            Some(instruction.ip_rel_memory_address())
        }
        _ => None,
    }
}

/// What the instruction puts onto the stack, if that depends on nothing. Where code is to be small, a
/// register is given a small number so.
fn pushed_constant(instruction: &Instruction) -> Option<u64> {
    let is_constant = matches!(instruction.code(), Code::Pushq_imm8 | Code::Pushq_imm32);
    is_constant.then(|| instruction.immediate(0))
}

/// Whether the code from `start` on has an instruction at `address`, with no end of a function before
/// it.
pub(super) fn leads_to(code: &[u8], start: u64, address: u64) -> bool {
    for instruction in decode(code, start) {
        if instruction.ip() >= address {
            return instruction.ip() == address && !instruction.is_invalid();
        }
        if instruction.is_invalid() || instruction.code() == Code::Int3 {
            return false;
        }
    }
    false
}

/// What the function that begins at `start` does. `code` may go on after its end.
pub(super) fn tests(code: &[u8], start: u64, callee: u64) -> Tests {
    let mut done = Tests::default();
    let mut has_frame = false;
    let mut info = InstructionInfoFactory::new();
    for instruction in decode(code, start) {
        if instruction.is_invalid() || instruction.code() == Code::Int3 {
            break;
        }
        done.calls |= instruction.is_call_near() && instruction.near_branch_target() == callee;
        has_frame |= instruction.code() == Code::Mov_r64_rm64
            && instruction.op0_register() == Register::RBP
            && instruction.op1_register() == Register::RSP;
        done.writes |= done.calls
            && info.info(&instruction).used_memory().iter().any(|memory| {
                let is_stack =
                    memory.base() == Register::RSP || has_frame && memory.base() == Register::RBP;
                let is_field = !is_stack
                    && memory.base() != Register::None
                    && memory.index() == Register::None
                    && memory.displacement() > 0;
                is_field && matches!(memory.access(), OpAccess::Write | OpAccess::ReadWrite)
            });
    }
    done
}

fn decode(code: &[u8], address: u64) -> impl Iterator<Item = Instruction> {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()))
}
