//! The image of the clients that run in a container: another release of Debian than the one that most
//! developers have, so with other TLS libraries.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::workspace::{Workspace, as_root, step, succeeds};

/// The release, and what is installed of it besides the least that runs.
const RELEASE: &str = "trixie";
const PACKAGES: &str = "ca-certificates,curl,python3,python3-pycurl";

/// As `tests/src/harness/container.rs` has it. The number is one more for each change of what is inside.
const IMAGE: &str = "localhost/weir-clients:trixie-1";

/// What nobody looks at in a container.
const LEFT_OUT: [&str; 5] = [
    "./usr/share/doc/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
];

pub(crate) fn image(workspace: &Workspace) -> anyhow::Result<()> {
    let Ok(mut exists) = as_root("podman") else {
        eprintln!("the image of a container was left out: it needs root or sudo");
        return Ok(());
    };
    if succeeds(exists.args(["image", "exists", IMAGE])) {
        return Ok(());
    }
    let folder = workspace.tools.join("container");
    remove(&folder)?;
    root(&folder.join("root"), PACKAGES)?;
    let archive = folder.join("root.tar");
    let mut pack = as_root("tar")?;
    pack.args(LEFT_OUT.map(|left_out| format!("--exclude={left_out}")));
    pack.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(folder.join("root"));
    step("archive of it", pack.arg("."))?;
    step("image of it", as_root("podman")?.arg("import").arg(&archive).arg(IMAGE))?;
    remove(&folder)
}

/// The least of the release that runs, and `packages`, in a new folder of root's.
pub(crate) fn root(folder: &Path, packages: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut debootstrap = as_root("debootstrap")?;
    debootstrap.args(["--variant=minbase", &format!("--include={packages}"), RELEASE]);
    // It says a line for each package.
    let made = debootstrap.arg(folder).stdout(Stdio::null());
    step(&format!("Debian {RELEASE} (about a minute)"), made)
}

/// Removes a folder of root's.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    let mut remove: Command = as_root("rm")?;
    let status = remove.args(["--recursive", "--force", "--one-file-system"]).arg(folder).status();
    let status = status.with_context(|| format!("can't remove {}", folder.display()))?;
    anyhow::ensure!(status.success(), "can't remove {} ({status})", folder.display());
    Ok(())
}
