//! Whom a client runs as. Each of these works on a host with systemd and on one without: users that
//! every Debian has, and a control group of a unit's name, made for the purpose.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

/// An identity to run a client under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// As the tests themselves.
    Myself,
    /// A user, outside of any unit.
    User(&'static str),
    /// A unit, as a user.
    Unit(&'static str, &'static str),
    /// A user in a control group that somebody else than systemd made, or that is no unit.
    In {
        /// Its path.
        group: &'static str,
        /// The user.
        user: &'static str,
        /// How the id of the identity ends.
        identity: &'static str,
    },
}

/// The identities of the demo and of the larger tests.
pub const CAST: [Who; 4] = [
    Who::User("www-data"),
    Who::User("backup"),
    Who::Unit("weir-demo-agent.service", "nobody"),
    Who::User("root"),
];

impl Who {
    /// How the id of the identity ends that `weir` should name.
    #[must_use]
    pub fn identity(self) -> Option<String> {
        match self {
            Self::Myself => None,
            Self::User(user) => Some(format!("/user/{user}")),
            Self::Unit(unit, _) => Some(format!("/unit/{unit}")),
            Self::In { identity, .. } => Some(identity.to_owned()),
        }
    }

    /// The systemd unit that `weir` should name.
    #[must_use]
    pub const fn unit(self) -> Option<&'static str> {
        match self {
            Self::Myself | Self::User(_) | Self::In { .. } => None,
            Self::Unit(unit, _) => Some(unit),
        }
    }

    /// A short name for labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Myself => "me",
            Self::User(name) | Self::Unit(name, _) | Self::In { user: name, .. } => name,
        }
    }

    /// The user's id.
    ///
    /// # Errors
    /// If `/etc/passwd` has no such user.
    pub fn uid(self) -> anyhow::Result<u32> {
        match self {
            Self::Myself => Ok(fs::metadata("/proc/self")?.uid()),
            Self::User(user) | Self::Unit(_, user) | Self::In { user, .. } => {
                Ok(account(user)?.uid)
            }
        }
    }

    /// A command that becomes `program` under this identity, in one process: its pid is that of the
    /// program.
    ///
    /// # Errors
    /// If there is no version 2 hierarchy of control groups, or no such user.
    pub fn command(self, program: &Path) -> anyhow::Result<Command> {
        let (user, group) = match self {
            Self::Myself => return Ok(Command::new(program)),
            Self::User(user) => (user, cgroups()?),
            Self::Unit(unit, user) => (user, group(&format!("/system.slice/{unit}"))?),
            Self::In { group: path, user, .. } => (user, group(path)?),
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]);
        command.arg(group).arg("setpriv");
        if user != "root" {
            // The capability to read stands in for a checkout that other users can read: homes and
            // what is in them often can't be.
            let Account { uid, gid } = account(user)?;
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
            command.arg("--clear-groups");
            command.args(["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]);
        }
        command.arg("--").arg(program);
        Ok(command)
    }
}

/// Removes the control groups that [`Who::command`] made, once the processes in them have ended.
///
/// # Errors
/// If one can't be removed.
pub fn clean_up() -> anyhow::Result<()> {
    let units = CAST.into_iter().filter_map(Who::unit);
    units.map(|unit| format!("/system.slice/{unit}")).try_for_each(|group| remove_group(&group))
}

/// Removes the control group `path` and those above it that are empty then, once the processes in it
/// have ended.
///
/// # Errors
/// If it can't be removed.
pub fn remove_group(path: &str) -> anyhow::Result<()> {
    let root = cgroups()?;
    let group = root.join(path.trim_start_matches('/'));
    super::wait_until(
        "a control group to empty",
        Duration::from_secs(5),
        || match fs::remove_dir(&group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(false),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(true),
        },
    )?;
    let above = group.ancestors().skip(1).take_while(|above| *above != root);
    // The first that others use, and so all above it, stays.
    let _in_use = above.into_iter().try_for_each(fs::remove_dir);
    Ok(())
}

/// The control group `path`, made if need be.
fn group(path: &str) -> anyhow::Result<PathBuf> {
    let group = cgroups()?.join(path.trim_start_matches('/'));
    fs::create_dir_all(&group)
        .with_context(|| format!("can't make the control group {}", group.display()))?;
    Ok(group)
}

/// A line of `/etc/passwd`.
struct Account {
    uid: u32,
    gid: u32,
}

fn account(user: &str) -> anyhow::Result<Account> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&user))
        .and_then(|fields| {
            let number = |place: usize| fields.get(place)?.parse().ok();
            Some(Account { uid: number(2)?, gid: number(3)? })
        })
        .with_context(|| format!("this host has no user {user}"))
}

/// Lets every user read and write in `directory`.
pub(super) fn open_to_all(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o1777))
}

/// Where the version 2 hierarchy is mounted.
fn cgroups() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    mounts
        .lines()
        .find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            kind.starts_with("cgroup2 ").then(|| place.split(' ').nth(4).map(OsStr::new))?
        })
        .map(PathBuf::from)
        .context("this host has no version 2 hierarchy of control groups mounted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_runs_as_whom_it_should() {
        if Who::Myself.uid().unwrap() != 0 {
            println!("skipped: becoming somebody else needs root");
            return;
        }
        for who in CAST {
            let mut command = who.command(Path::new("/bin/cat")).unwrap();
            let output = command.args(["/proc/self/status", "/proc/self/cgroup"]).output().unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{who:?}: {complaint}");
            let said = String::from_utf8(output.stdout).unwrap();
            let uid = who.uid().unwrap();
            assert!(said.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")), "{said}");
            let group = who.unit().map_or("/".to_owned(), |unit| format!("/system.slice/{unit}"));
            assert!(said.lines().any(|line| line == format!("0::{group}")), "{who:?}: {said}");
        }
        clean_up().unwrap();
    }
}
