//! What the daemon needs from the host before it can start: a kernel that can run the probes and
//! the privileges to load them. `weir run` insists on it, `weir doctor` reports it.

use std::path::Path;

use rustix::thread::CapabilitySet;

use crate::control::{Check, Status};
use crate::exit::Exit;

/// The ring buffer and CAP_BPF came with 5.8 (bpf(2), capabilities(7)).
const OLDEST_KERNEL: (u32, u32) = (5, 8);
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Looks at the host: one check for the kernel's version, one for its type information, one for
/// this process's privileges, each with the exit code of a daemon that can't start because of it.
#[must_use]
pub fn checks() -> Vec<(Exit, Check)> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    vec![
        (Exit::KernelUnsupported, kernel(&release)),
        (Exit::KernelUnsupported, btf(Path::new(BTF))),
        (Exit::NotPrivileged, privileges()),
    ]
}

/// Fails with the first check that fails.
///
/// # Errors
/// What is missing, what to do about it and the exit code.
pub fn ensure() -> anyhow::Result<()> {
    match checks().into_iter().find(|(_exit, check)| check.status == Status::Fail) {
        Some((exit, Check { detail, advice, .. })) => {
            let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
            Err(anyhow::anyhow!("{detail}{advice}").context(exit))
        }
        None => Ok(()),
    }
}

fn kernel(release: &str) -> Check {
    let (major, minor) = OLDEST_KERNEL;
    match version(release) {
        Some(version) if version >= OLDEST_KERNEL => {
            Check::ok("kernel", format!("Linux {release}"))
        }
        Some(_) => Check::fail(
            "kernel",
            format!("this is Linux {release}, and the probes need {major}.{minor} or newer"),
            "install a newer kernel",
        ),
        None => Check::warn(
            "kernel",
            format!("the kernel calls itself {release:?}, which is no version"),
            format!("make sure that it is {major}.{minor} or newer"),
        ),
    }
}

/// Major and minor number of a release such as `6.1.0-28-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn btf(path: &Path) -> Check {
    if path.exists() {
        Check::ok("kernel types", format!("{} is there", path.display()))
    } else {
        Check::fail(
            "kernel types",
            format!("the kernel has no type information: {} is missing", path.display()),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all current distributions' are",
        )
    }
}

fn privileges() -> Check {
    const NEEDED: [(CapabilitySet, &str); 5] = [
        (CapabilitySet::BPF, "CAP_BPF"),
        (CapabilitySet::PERFMON, "CAP_PERFMON"),
        (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
        (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE"),
        (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"),
    ];
    let Ok(held) = rustix::thread::capabilities(None) else {
        return Check::warn("privileges", "the own capabilities can't be read", "look at seccomp");
    };
    let missing: Vec<_> = NEEDED
        .into_iter()
        .filter(|(capability, _name)| !held.effective.contains(*capability))
        .map(|(_capability, name)| name)
        .collect();
    if missing.is_empty() {
        Check::ok("privileges", "all capabilities that the daemon needs")
    } else {
        Check::fail(
            "privileges",
            format!("this process lacks {}", missing.join(", ")),
            "run the daemon as root, or as the packaged service does",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_number() {
        assert_eq!(kernel("5.4.0-200-generic").status, Status::Fail);
        assert_eq!(kernel("5.8.0").status, Status::Ok);
        assert_eq!(kernel("5.15.0-1").status, Status::Ok);
        assert_eq!(kernel("6.1.0-28-amd64").status, Status::Ok);
        assert_eq!(kernel("custom").status, Status::Warn);
    }

    #[test]
    fn a_kernel_without_types_is_refused() {
        assert_eq!(btf(Path::new("/nonexistent")).status, Status::Fail);
    }
}
