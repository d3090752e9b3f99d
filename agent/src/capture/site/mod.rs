//! Where on a function its probes go.
//!
//! A breakpoint costs a microsecond if the kernel emulates the instruction that it displaces, and
//! ten if it has to run that instruction elsewhere and trap again. Most functions begin with one
//! of the second kind, but their arguments are in their registers for a while longer. So the
//! entry is seen at the first instruction that is cheap, and the return in one of two ways:
//!
//! - By a return probe, if the return address is where it was until then: on top of the stack on
//!   x86-64, in a register on arm64, the stack not moved. It is a breakpoint at the entry as well,
//!   which exchanges that address: at the same instruction it is cheap too. Anywhere else there
//!   would be two breakpoints to enter a function, and moving the one would make the whole dearer.
//! - At cheap instructions that every way out passes when the result is there already.
//!
//! Where neither can be shown to be right, all is left at the first instruction; or, where a return probe
//! could harm the process, at each instruction that returns.

// Each is tested on every machine.
#[cfg(any(target_arch = "aarch64", test))]
mod arm64;
mod entry;
mod exit;
mod graph;
mod step;
#[cfg(test)]
mod testing;
#[cfg(any(target_arch = "x86_64", test))]
mod x86;

#[cfg(target_arch = "x86_64")]
use x86::go;
/// Go's code is not understood on any other machine.
#[cfg(not(target_arch = "x86_64"))]
mod go {
    use super::{Code, Site};

    pub(super) fn entry(_code: &Code) -> Option<Site> {
        None
    }

    pub(super) fn returns(_code: &Code) -> Option<Vec<Site>> {
        None
    }
}

use std::fmt;

use graph::Graph;
use step::Registers;

/// Where the probes of one function are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    /// Where the function is seen to be entered.
    pub entry: Site,
    /// Where it is seen to return.
    pub exits: Exits,
}

/// An instruction with a breakpoint on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Bytes from the function's first instruction.
    pub offset: u32,
    /// What becomes of the instruction.
    pub kind: SiteKind,
    /// By how many bytes the stack pointer is lower than at the function's first instruction.
    pub displacement: u32,
}

/// How the kernel gets past a breakpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// It does itself what the instruction would have done.
    Emulated,
    /// It replaces a no-op of five bytes by a call, and there are no more traps (Linux 6.18).
    Nop5,
    /// The function's first instruction, whatever it is: most are executed out of line.
    Entry,
    /// It executes the instruction out of line.
    Stepped,
}

/// How a function is seen to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exits {
    /// Nobody wants to know.
    Unwatched,
    /// By a return probe, set when the function is entered.
    Returned,
    /// At these instructions, one of which is on every way out.
    At(Vec<Site>),
}

impl Site {
    const FIRST: Self = Self { offset: 0, kind: SiteKind::Entry, displacement: 0 };
}

impl fmt::Display for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Emulated => "emulated",
            Self::Nop5 => "nop5",
            Self::Entry => "entry",
            Self::Stepped => "stepped",
        })
    }
}

/// The instructions of a function.
#[derive(Clone, Debug)]
pub(super) struct Code {
    /// From its first instruction on.
    pub(super) bytes: Vec<u8>,
    /// That is all of it, and nobody else's.
    pub(super) is_whole: bool,
}

/// What is to be learnt of a function's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The arguments, by number.
    pub(super) arguments: &'static [usize],
    /// When it returns, and with what result.
    pub(super) returns: bool,
}

/// What the kernel is able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    /// A program can be told at which of its sites it runs (Linux 5.15).
    pub(super) cookies: bool,
    /// No-ops of five bytes are cheap, and a call that is emulated is entered on the shadow stack
    /// too, so that its return is not taken for an attack (Linux 6.18).
    pub(super) calls: bool,
    /// A return probe harms nobody. Where it returns by a system call that seccomp knows nothing of, it
    /// ends a process whose filter doesn't let that pass.
    pub(super) returns: bool,
}

impl Sites {
    /// At the function's first instruction: right for every function, if the kernel has return probes
    /// that can be used.
    pub(super) fn plain(asked: Asked, kernel: Abilities) -> Option<Self> {
        let exits = if asked.returns { Exits::Returned } else { Exits::Unwatched };
        let is_safe = kernel.returns || !asked.returns;
        is_safe.then_some(Self { entry: Site::FIRST, exits })
    }

    /// The cheapest that are known to be right; `None` if none is.
    pub(super) fn choose(code: &Code, asked: Asked, kernel: Abilities) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        let chosen = x86::choose(code, asked, kernel);
        #[cfg(target_arch = "aarch64")]
        let chosen = arm64::choose(code, asked, kernel);
        chosen.or_else(|| Self::plain(asked, kernel))
    }

    /// Whether no instruction has to be stepped through to see a call.
    pub(super) fn are_cheap(&self) -> bool {
        let is_cheap = |site: &Site| match site.kind {
            SiteKind::Emulated | SiteKind::Nop5 => true,
            SiteKind::Entry | SiteKind::Stepped => false,
        };
        let exits = match &self.exits {
            Exits::Unwatched | Exits::Returned => true,
            Exits::At(exits) => exits.iter().all(is_cheap),
        };
        exits && is_cheap(&self.entry)
    }

    /// How many bytes behind a function's first instruction another one begins that it calls with its own
    /// arguments, and that returns 1 whenever it does. `None` if there is none.
    pub(super) fn inner(code: &Code, asked: Asked) -> Option<i64> {
        #[cfg(target_arch = "x86_64")]
        let inner = x86::inner(code, asked);
        #[cfg(not(target_arch = "x86_64"))]
        let inner = None;
        inner
    }

    /// Where a call of a function of Go's is seen to begin, once and with its arguments. `None` if that
    /// can't be shown.
    pub(super) fn go_entry(code: &Code) -> Option<Self> {
        Some(Self { entry: go::entry(code)?, exits: Exits::Unwatched })
    }

    /// Where a call of a function of Go's is seen to return, with its result and with its first two
    /// arguments above the return address. There is nothing to be seen where it begins, so the first
    /// of these instructions takes that place. `None` if it can't be shown.
    pub(super) fn go_returns(code: &Code) -> Option<Self> {
        let mut sites = go::returns(code)?;
        let entry = (!sites.is_empty()).then(|| sites.remove(0))?;
        Some(Self { entry, exits: Exits::At(sites) })
    }
}

/// The cheapest sites, where arguments are in the registers `arguments` and the result is left in
/// `result`. `None` where the first instruction is as good as any.
fn cheapest(
    graph: &Graph,
    asked: Asked,
    arguments: &[Registers],
    result: Registers,
    kernel: Abilities,
) -> Option<Sites> {
    let needed = needed(asked, arguments)?;
    let entries = entry::sites(graph, needed);
    let first = match entries.first() {
        Some(entry) => entry.site,
        None if kernel.returns || !asked.returns => return None,
        None => Site::FIRST,
    };
    if !asked.returns {
        return Some(Sites { entry: first, exits: Exits::Unwatched });
    }
    let takes_return = |entry: &&entry::Entry| entry.takes_return && kernel.returns;
    if let Some(entry) = entries.iter().find(takes_return) {
        return Some(Sites { entry: entry.site, exits: Exits::Returned });
    }
    // Without a return probe a call that begins anew would be entered twice and seen to return once.
    if graph.jumps_to(0..=0) {
        return None;
    }
    let exits = match exit::sites(graph, first.offset, result) {
        Some(exits) => exits,
        None if kernel.returns => return None,
        None => exit::returns(graph)?,
    };
    let is_told = kernel.cookies || exits.iter().chain([&first]).all(|site| site.displacement == 0);
    is_told.then_some(Sites { entry: first, exits: Exits::At(exits) })
}

/// `None` if an argument is not in a register.
fn needed(asked: Asked, arguments: &[Registers]) -> Option<Registers> {
    asked.arguments.iter().map(|&number| arguments.get(number).copied()).sum()
}
