//! `cargo xtask build`: the daemon, with the kernel object inside it.

use crate::setup;
use crate::workspace::{Workspace, step};

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    setup::run(workspace)?;
    step("weir, release build", &mut workspace.cargo(["build", "--release", "--package", "weir"]))?;
    println!("{}", workspace.weir().display());
    Ok(())
}
