//! `cargo xtask demo`: builds everything and runs the demonstration, which is a program of the
//! tests.

use std::process::Command;

use crate::build;
use crate::workspace::{Workspace, is_root, step};

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    build::run(workspace)?;
    let bin = ["build", "--package", "weir-tests", "--bin", "weir-demo"];
    step("model server and clients", &mut workspace.cargo(bin))?;
    let program = workspace.target.join("debug/weir-demo");
    let mut demo = if is_root() {
        Command::new(program)
    } else {
        eprintln!("    loading the probes needs root: sudo may ask for your password");
        let mut sudo = Command::new("sudo");
        sudo.arg("env").arg(format!("PATH={}", std::env::var("PATH").unwrap_or_default()));
        sudo.arg(format!("WEIR_BIN={}", workspace.weir().display())).arg(program);
        sudo
    };
    step("demo", demo.env("WEIR_BIN", workspace.weir()))
}
