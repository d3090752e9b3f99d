//! What the exit status of `weir` means. Scripts and service managers rely on these numbers: they
//! are added to, never changed.

use std::fmt;
use std::process::ExitCode;

/// Why the process ended. Attach one to an error with [`anyhow::Context::context`]; `main` finds
/// it and exits with its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for was done.
    Ok = 0,
    /// It could not be done, for a reason that has no code of its own.
    Failure = 1,
    /// The command line was not understood.
    Usage = 2,
    /// A command that asks the daemon found none.
    NotRunning = 3,
    /// The daemon, or a file or socket it guards, needs privileges that this process lacks.
    NotPrivileged = 4,
    /// The kernel is too old, or was built without what the probes need.
    KernelUnsupported = 5,
    /// The configuration could not be read or has errors.
    ConfigInvalid = 6,
    /// Another daemon holds the state directory or the socket.
    AlreadyRunning = 7,
    /// The ledger can't be written or read: the disk is full, or failing.
    LedgerFailed = 8,
    /// The usage log is not what was written: a line was changed, removed or added.
    VerificationFailed = 9,
    /// `weir doctor` found a check that fails.
    Unhealthy = 10,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::NotRunning,
        Self::NotPrivileged,
        Self::KernelUnsupported,
        Self::ConfigInvalid,
        Self::AlreadyRunning,
        Self::LedgerFailed,
        Self::VerificationFailed,
        Self::Unhealthy,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The code that was attached to `error`, or [`Exit::Failure`].
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        error.downcast_ref::<Self>().copied().unwrap_or(Self::Failure)
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failure => "failed",
            Self::Usage => "the command line is wrong",
            Self::NotRunning => "the daemon isn't running",
            Self::NotPrivileged => "privileges are missing",
            Self::KernelUnsupported => "the kernel is not supported",
            Self::ConfigInvalid => "the configuration is invalid",
            Self::AlreadyRunning => "another daemon is running",
            Self::LedgerFailed => "the ledger can't be read or written",
            Self::VerificationFailed => "the usage log was altered or is damaged",
            Self::Unhealthy => "a check failed",
        }
    }

    /// The list of codes that ends `weir --help`.
    #[must_use]
    pub fn help() -> String {
        let lines = Self::ALL.map(|exit| format!("  {:>2}  {exit}", exit.code()));
        format!("Exit status:\n{}", lines.join("\n"))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn codes_count_up_from_zero() {
        for (position, exit) in Exit::ALL.iter().enumerate() {
            assert_eq!(usize::from(exit.code()), position);
        }
    }

    #[test]
    fn a_code_is_found_below_further_context() {
        let error = Err::<(), _>(anyhow!("no space left on device"))
            .context(Exit::LedgerFailed)
            .context("while stopping")
            .unwrap_err();
        assert_eq!(Exit::of(&error), Exit::LedgerFailed);
        assert_eq!(Exit::of(&anyhow!("whatever")), Exit::Failure);
    }
}
