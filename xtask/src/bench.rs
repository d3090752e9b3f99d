//! `cargo xtask bench`: what the pure pipeline costs, measured by criterion.

use crate::workspace::{Workspace, step};

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    step("benchmarks", &mut workspace.cargo(["bench", "--package", "weir-core", "--benches"]))
}
