//! Clients that weir can't read: in C over mbedTLS, linked into it and stripped, and in Java.

use std::fs;
use std::process::Command;

use super::Stamp;
use crate::workspace::{Workspace, step};

pub(super) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    mbedtls(workspace)?;
    java(workspace)
}

fn mbedtls(workspace: &Workspace) -> anyhow::Result<()> {
    let source = workspace.root.join("tests/clients/mbedtls_calls.c");
    let folder = workspace.tools.join("mbedtls");
    let stamp = Stamp::of(&folder, &[&source])?;
    if stamp.is_current() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let mut build = Command::new("cc");
    // The linker warns of `getaddrinfo`, which is given no name here.
    build.args(["-O2", "-static", "-s", "-Wl,--no-warnings", "-o"]).arg(folder.join("client"));
    build.arg(source).args(["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]);
    step("C client", &mut build)?;
    stamp.write()
}

fn java(workspace: &Workspace) -> anyhow::Result<()> {
    let source = workspace.root.join("tests/clients/Calls.java");
    let folder = workspace.tools.join("java");
    let stamp = Stamp::of(&folder, &[&source])?;
    if stamp.is_current() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    step("Java client", Command::new("javac").arg("-d").arg(&folder).arg(source))?;
    stamp.write()
}
