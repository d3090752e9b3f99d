//! What can be seen without a daemon.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::Config;
use crate::control::{Check, DoctorReport};
use crate::preflight;

/// Looks at the host, the configuration and the files of a daemon that doesn't answer.
pub(super) fn report(config: anyhow::Result<Config>) -> DoctorReport {
    let mut checks: Vec<Check> =
        preflight::checks().into_iter().map(|(_exit, check)| check).collect();
    match config {
        Ok(config) => {
            checks.push(Check::ok("configuration", "no errors"));
            checks.push(state_dir(&config.state_dir));
            checks.push(Check::fail(
                "daemon",
                format!("nothing answers on {}", config.socket.display()),
                "start it with `systemctl start weir`, or `weir run` as root",
            ));
        }
        Err(error) => checks.push(Check::fail(
            "configuration",
            format!("{:#}", error),
            "mend it and try `weir config check`",
        )),
    }
    let unknown = [
        "which TLS libraries are attached",
        "what was lost since the start",
        "which connections to model endpoints were not read",
        "which protocols and models are not understood",
        "the state of the ledger (`weir ledger verify` checks the usage log)",
    ];
    DoctorReport { checks, unknown: unknown.map(str::to_owned).to_vec(), ..DoctorReport::default() }
}

fn state_dir(path: &Path) -> Check {
    const NAME: &str = "state directory";
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            Check::fail(NAME, format!("{shown} is not a directory"), "set another `state_dir`")
        }
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => Check::warn(
            NAME,
            format!("others can look into {shown}"),
            format!("chmod 0700 {shown}"),
        ),
        Ok(_private) => Check::ok(NAME, format!("{shown} is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::ok(NAME, format!("{shown} will be made when the daemon first runs"))
        }
        Err(error) => {
            Check::warn(NAME, format!("{shown} can't be looked at: {error}"), "ask as root")
        }
    }
}
