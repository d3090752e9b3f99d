//! One instruction, as far as it matters where a probe may be, whatever the machine.

use std::iter::Sum;

use super::SiteKind;

/// A set of general registers, each in its full width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers(u32);

impl Registers {
    /// That of this number, which is below 32.
    pub(super) const fn numbered(number: u32) -> Self {
        Self(1 << number)
    }

    /// Whether a register is in both.
    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Sum for Registers {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        Self(all.fold(0, |sum, registers| sum | registers.0))
    }
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Bytes from the function's first instruction.
    pub(super) offset: u32,
    /// Bytes.
    pub(super) length: u32,
    pub(super) flow: Flow,
    /// What becomes of a breakpoint here, if it is cheap.
    pub(super) cheap: Option<SiteKind>,
    /// No compiler lets a loop lead through it: it saves a register of the function's caller.
    pub(super) saves: bool,
    /// It does nothing.
    pub(super) is_idle: bool,
    /// It reads or writes the register that the return address is in, where there is one.
    pub(super) meets_link: bool,
    pub(super) written: Registers,
    pub(super) writes_memory: bool,
    pub(super) stack: StackMove,
}

/// Where an instruction leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// To the next one.
    On,
    /// There; `None` if that is outside the function.
    Jump(Option<u32>),
    /// There or to the next one.
    Branch(Option<u32>),
    /// To the next one, when other code has run.
    Call,
    /// To the caller.
    Return,
    /// Nowhere: it raises an exception.
    Trap,
    /// That can't be told.
    Unknown,
}

/// What an instruction does to the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StackMove {
    /// It lowers it by so many bytes, or raises it if that is negative.
    Down(i64),
    /// That depends.
    Unknown,
}
