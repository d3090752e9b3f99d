//! `cargo xtask dist`: what is given to users. A Debian package with the daemon, its unit, manual and
//! completions, in `target/dist`; and the proof that it installs on a Debian that has never seen it.

mod licences;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::workspace::{Workspace, as_root, output, step};
use crate::{build, container, unit};

const CARGO_DEB: &str = "3.8.0";

/// The scripts that are shipped: the shell, as `weir completions` has it, and the file.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "weir.bash"), ("zsh", "_weir"), ("fish", "weir.fish")];

/// What is asked of the installed package, and what the answer has to have in it.
const ASKED: [(&[&str], &str); 6] = [
    (&["weir", "--version"], concat!("weir ", env!("CARGO_PKG_VERSION"))),
    (&["weir", "config", "check", "/etc/weir/weir.toml"], ""),
    (&["getent", "group", "weir", "weir-auditors"], "weir-auditors:"),
    (&["stat", "--format=%a %G", "/var/lib/weir"], "700 weir"),
    (&["ls", "/usr/lib/systemd/system"], "weir.service"),
    (&["ls", "/usr/share/man/man1"], "weir-usage.1.gz"),
];

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    build::run(workspace)?;
    unit::run(workspace)?;
    // Always there, wherever cargo builds: `agent/Cargo.toml` names it.
    let dist = workspace.root.join("target/dist");
    container::remove(&dist)?;
    for folder in ["man", "completions"] {
        fs::create_dir_all(dist.join(folder))?;
    }
    let weir = workspace.weir();
    step("manual", Command::new(&weir).arg("manual").arg(dist.join("man")))?;
    for (shell, file) in COMPLETIONS {
        let script = output(Command::new(&weir).args(["completions", shell]))?;
        fs::write(dist.join("completions").join(file), script)?;
    }
    fs::write(dist.join("copyright"), licences::copyright(workspace)?)?;
    let mut deb = Command::new(cargo_deb(workspace)?);
    deb.current_dir(&workspace.root).args([
        "--quiet",
        "--package",
        "weir",
        "--no-build",
        "--no-strip",
    ]);
    step("Debian package", deb.arg("--output").arg(&dist))?;
    let package = package(&dist)?;
    installs(&dist, &package)?;
    println!("{}", package.display());
    Ok(())
}

/// cargo-deb among the tools, installed if need be.
fn cargo_deb(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let program = workspace.tools.join("bin/cargo-deb");
    let version = output(Command::new(&program).arg("--version")).unwrap_or_default();
    if version.trim().ends_with(CARGO_DEB) {
        return Ok(program);
    }
    let scratch = workspace.tools.join("cargo-deb-build");
    let mut install = workspace.cargo(["install", "cargo-deb", "--locked", "--force"]);
    install.args(["--version", CARGO_DEB]).arg("--root").arg(&workspace.tools);
    install.env("CARGO_TARGET_DIR", &scratch);
    step(&format!("cargo-deb {CARGO_DEB} (about two minutes)"), &mut install)?;
    fs::remove_dir_all(scratch).context("can't remove what cargo-deb was built in")?;
    Ok(program)
}

/// The one package in `dist`.
fn package(dist: &Path) -> anyhow::Result<PathBuf> {
    let files = fs::read_dir(dist)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut packages = files.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = packages.next().context("cargo-deb left no package")?;
    anyhow::ensure!(packages.next().is_none(), "there is more than one package");
    Ok(package)
}

/// Installs a package in a Debian that was made for the purpose, asks what is there, and removes it again.
fn installs(dist: &Path, package: &Path) -> anyhow::Result<()> {
    let root = dist.join("root");
    container::root(&root, "libc6")?;
    let file = package.file_name().context("a package without a name")?;
    let mut copy = as_root("cp")?;
    step("package into the root", copy.arg(package).arg(root.join("tmp")))?;
    let inside = Path::new("/tmp").join(file);
    step("installation", within(&root)?.args(["dpkg", "--install"]).arg(inside))?;
    for (question, answer) in ASKED {
        let said = output(within(&root)?.args(question))?;
        anyhow::ensure!(said.contains(answer), "{question:?} says {said:?}, not {answer:?}");
    }
    step("removal", within(&root)?.args(["dpkg", "--purge", "weir"]))?;
    let left = root.join("usr/bin/weir");
    anyhow::ensure!(!left.exists(), "{} is left", left.display());
    container::remove(&root)
}

/// A command that runs in `root`.
fn within(root: &Path) -> anyhow::Result<Command> {
    let mut chroot = as_root("chroot")?;
    chroot.arg(root).args(["env", "--ignore-environment", "DEBIAN_FRONTEND=noninteractive"]);
    chroot.arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    Ok(chroot)
}
