//! Why capturing could not be started.

use std::io;

use aya::EbpfError;
use aya::maps::MapError;

/// Why the probes could not be started, or told something. Each kind has another remedy.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The process may not load probes.
    #[error(
        "no privilege to load probes: run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
    )]
    NoPrivilege {
        /// The capabilities that are missing.
        missing: Vec<&'static str>,
    },
    /// The kernel lacks what the probes are made of.
    #[error("the kernel is too old: this is Linux {release}, 5.8 or later is needed")]
    KernelTooOld {
        /// As `uname -r` has it.
        release: String,
    },
    /// The kernel was built without a description of its own types.
    #[error(
        "the kernel has no BTF ({path} is missing): it was built without CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf {
        /// Where it should be.
        path: &'static str,
    },
    /// The kernel's description of its own types can't be read.
    #[error("the kernel's BTF can't be read: {reason}")]
    BadBtf {
        /// What the reader of BTF says.
        reason: String,
    },
    /// The kernel's description of its own types lacks a field that the probes read.
    #[error("the kernel's {structure} has no field {field}")]
    UnknownKernelField {
        /// The structure.
        structure: &'static str,
        /// Its field.
        field: &'static str,
    },
    /// Maps may not take as much memory as they need (kernels before 5.11).
    #[error(
        "the limit on locked memory is too low for the probes' maps: raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity)"
    )]
    MemoryLimit(#[source] Box<EbpfError>),
    /// The object could not be loaded.
    #[error("the probes could not be loaded")]
    Load(#[source] Box<EbpfError>),
    /// The kernel refused a program.
    #[error("the kernel refused the program {name}")]
    Program {
        /// The program.
        name: &'static str,
        /// What it said, the verifier's log included.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The embedded object can't be read a second time.
    #[error("the probes could not be prepared")]
    Prepare(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The embedded object lacks something: it is not the one this binary was written for.
    #[error("the probes' object has no {name}")]
    Incomplete {
        /// The map or program.
        name: &'static str,
    },
    /// A map could not be used.
    #[error("a map of the probes could not be used")]
    Map(#[source] MapError),
    /// The probes' log could not be set up.
    #[error("the probes' log could not be set up")]
    Log(#[source] aya_log::Error),
    /// A thread or a descriptor could not be had.
    #[error("capturing could not be set up")]
    Io(#[source] io::Error),
}

/// An error with what is behind it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
