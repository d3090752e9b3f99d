//! Which exit code a daemon that can't go on has, by what failed.

use std::io::ErrorKind;

use crate::capture::CaptureError;
use crate::config::FingerprintKeyError;
use crate::control::SocketError;
use crate::exit::Exit;
use crate::ledger::LedgerError;

/// Attaches the exit code to a failure.
pub(super) trait Coded<T> {
    /// The same, with its exit code.
    fn coded(self) -> anyhow::Result<T>;
}

impl<T> Coded<T> for Result<T, LedgerError> {
    fn coded(self) -> anyhow::Result<T> {
        self.map_err(|error| {
            let exit = match &error {
                LedgerError::AlreadyRunning { .. } => Exit::AlreadyRunning,
                LedgerError::File { .. } | LedgerError::Encode(_) | LedgerError::Index { .. } => {
                    Exit::LedgerFailed
                }
            };
            anyhow::Error::from(error).context(exit)
        })
    }
}

impl<T> Coded<T> for Result<T, FingerprintKeyError> {
    fn coded(self) -> anyhow::Result<T> {
        self.map_err(|error| {
            let exit = match &error {
                FingerprintKeyError::Io { source, .. } => match source.kind() {
                    ErrorKind::PermissionDenied => Exit::NotPrivileged,
                    // The key lies beside the ledger, and wants the same remedy.
                    _ => Exit::LedgerFailed,
                },
                FingerprintKeyError::Malformed { .. } | FingerprintKeyError::Exposed { .. } => {
                    Exit::ConfigInvalid
                }
            };
            anyhow::Error::from(error).context(exit)
        })
    }
}

impl<T> Coded<T> for Result<T, SocketError> {
    fn coded(self) -> anyhow::Result<T> {
        self.map_err(|error| {
            let exit = match &error {
                SocketError::InUse { .. } => Exit::AlreadyRunning,
                SocketError::NotASocket { .. } | SocketError::Io { .. } => Exit::Failure,
            };
            anyhow::Error::from(error).context(exit)
        })
    }
}

impl<T> Coded<T> for Result<T, CaptureError> {
    fn coded(self) -> anyhow::Result<T> {
        self.map_err(|error| {
            let exit = match &error {
                CaptureError::NoPrivilege { .. } => Exit::NotPrivileged,
                CaptureError::KernelTooOld { .. }
                | CaptureError::NoBtf { .. }
                | CaptureError::BadBtf { .. }
                | CaptureError::UnknownKernelField { .. } => Exit::KernelUnsupported,
                CaptureError::MemoryLimit(_)
                | CaptureError::Load(_)
                | CaptureError::Prepare(_)
                | CaptureError::Program { .. }
                | CaptureError::Incomplete { .. }
                | CaptureError::Map(_)
                | CaptureError::Log(_)
                | CaptureError::Io(_) => Exit::Failure,
            };
            anyhow::Error::from(error).context(exit)
        })
    }
}
