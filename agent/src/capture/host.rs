//! What the host must offer, and what we ask of it for ourselves.

use std::num::ParseIntError;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::CaptureError;
use super::site::Abilities;

/// Ring buffers and boot-time clocks came with 5.8.
const OLDEST: (u32, u32) = (5, 8);

/// Probes on no-ops of five bytes became cheap with 6.18, and calls that are emulated were put on the
/// shadow stack (`arch/x86/kernel/uprobes.c`, `branch_emulate_op`).
const OPTIMISED: (u32, u32) = (6, 18);

/// A return probe of x86-64 returns by a system call of its own from 6.11 on, which filters of seccomp
/// don't know. They let it pass from 6.14 on (`seccomp: passthrough uretprobe systemcall without
/// filtering`). Some kernels in between have that too, but a number doesn't say so.
const ENDED_BY_SECCOMP: std::ops::Range<(u32, u32)> =
    if cfg!(target_arch = "x86_64") { (6, 11)..(6, 14) } else { (0, 0)..(0, 0) };

/// `BPF_TRACE_UPROBE_MULTI` came with 6.6.
const MULTI: (u32, u32) = (6, 6);

/// Refuses kernels that are too old.
pub(super) fn check_kernel() -> Result<(), CaptureError> {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    match version(&release) {
        Ok(version) if version < OLDEST => {
            Err(CaptureError::KernelTooOld { release: release.into_owned() })
        }
        // A release that can't be understood is no reason to refuse: the kernel itself will.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether one link can have many probes, as it can from 6.6 on.
pub(super) fn has_multi_links() -> bool {
    let uname = rustix::system::uname();
    version(&uname.release().to_string_lossy()).is_ok_and(|it| it >= MULTI)
}

/// What the kernel can do for probes beyond what is needed.
pub(super) fn abilities() -> Abilities {
    let features = aya::features();
    let uname = rustix::system::uname();
    let version = version(&uname.release().to_string_lossy()).ok();
    Abilities {
        cookies: features.bpf_cookie() && features.bpf_perf_link(),
        calls: version.is_some_and(|it| it >= OPTIMISED),
        returns: !version.is_some_and(|it| ENDED_BY_SECCOMP.contains(&it)),
    }
}

/// Refuses to try without the capabilities that loading takes. `CAP_SYS_ADMIN` stands for all.
pub(super) fn check_capabilities() -> Result<(), CaptureError> {
    let effective = capabilities(None).map_err(|errno| CaptureError::Io(errno.into()))?.effective;
    if effective.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<_> =
        [("CAP_BPF", CapabilitySet::BPF), ("CAP_PERFMON", CapabilitySet::PERFMON)]
            .into_iter()
            .filter(|(_, capability)| !effective.contains(*capability))
            .map(|(name, _)| name)
            .collect();
    if missing.is_empty() { Ok(()) } else { Err(CaptureError::NoPrivilege { missing }) }
}

/// Locked memory for the maps on old kernels, and a descriptor for each of some ten links to
/// each library. Whether that was allowed shows when they are needed.
pub(super) fn raise_limits() {
    let _old_kernels_only = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    let files = getrlimit(Resource::Nofile);
    let _shows_later =
        setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
}

fn version(release: &str) -> Result<(u32, u32), ParseIntError> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().unwrap_or_default().parse();
    Ok((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_understood() {
        assert_eq!(version("6.18.44-fc-v445"), Ok((6, 18)));
        assert_eq!(version("5.8-rc1"), Ok((5, 8)));
        assert!(version("5.10.0").unwrap() > OLDEST);
        assert!(version("unknown").is_err());
    }
}
