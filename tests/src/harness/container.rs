//! Clients in a container of Podman's: another distribution, whose own libraries do the TLS, or programs that
//! have no need of any.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::{Place, Who, wait_until};

/// What `cargo xtask setup` made (`xtask/src/container.rs`).
const IMAGE: &str = "localhost/weir-clients:trixie-1";

/// The interpreter of that release.
pub(super) const PYTHON: &str = "/usr/bin/python3.13";

/// What a client is told by its environment.
const PASSED_ON: [&str; 6] = [
    "TMPDIR",
    "SSL_CERT_FILE",
    "OPENAI_BASE_URL",
    "ANTHROPIC_BASE_URL",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
];

/// A container of one client. It is removed if this is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image it was made from.
    pub image: &'static str,
    pid_file: PathBuf,
}

impl Container {
    /// One for `who`, in which `program` runs with the scripts of the clients and the files of `scene` where
    /// they are outside; and itself, if it isn't the image's. The environment is that of the command.
    pub(super) fn of(
        name: &str,
        who: Who,
        place: &Place,
        scene: &Path,
        program: &Path,
    ) -> anyhow::Result<(Self, Command)> {
        let pid_file = scene.join(format!("{name}.pid"));
        let mut command = podman();
        command.args(["run", "--interactive", "--rm", "--replace", "--name", name]);
        command.arg("--pidfile").arg(&pid_file).args(["--network", "host"]);
        // Without these it asks for limits that a machine may not grant.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]);
        command.args(["--user", &who.uid()?.to_string()]);
        for (folder, how) in [(place.clients.as_path(), "ro"), (scene, "rw")] {
            let folder = folder.display();
            command.arg("--volume").arg(format!("{folder}:{folder}:{how}"));
        }
        if program.starts_with(&place.tools) {
            let program = program.display();
            command.arg("--volume").arg(format!("{program}:{program}:ro"));
        }
        command.args(PASSED_ON.map(|variable| format!("--env={variable}")));
        command.arg(IMAGE).arg(program);
        Ok((Self { name: name.to_owned(), image: IMAGE, pid_file }, command))
    }

    /// The process that runs in it, by its id outside.
    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        let mut pid = None;
        wait_until("Podman to start a container", Duration::from_secs(20), || {
            pid = fs::read_to_string(&self.pid_file).ok().and_then(|text| text.trim().parse().ok());
            Ok(pid.is_some())
        })?;
        pid.context("no pid")
    }

    /// Ends what runs in it, and removes it if that hasn't been done.
    pub(super) fn remove(&self) {
        let mut remove = podman();
        remove.args(["rm", "--force", "--ignore", "--time", "0", &self.name]);
        // Fails only where Podman does, and then the next container of that name replaces it.
        drop(remove.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

/// Podman as it works on any machine, with systemd and without.
fn podman() -> Command {
    let mut command = Command::new("podman");
    command.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"]);
    command
}
