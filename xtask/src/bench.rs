//! `cargo xtask bench`: what the pure pipeline costs, measured by criterion, and what the probes cost a
//! program that calls a TLS library, and one that has connections. These need root, and say so without it.

use crate::workspace::{Workspace, step};

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    step("benchmarks", &mut workspace.cargo(["bench", "--package", "weir-core", "--benches"]))?;
    let probes = ["bench", "--package", "weir", "--bench", "round_trips"];
    step("the price of the probes", &mut workspace.cargo(probes))?;
    let watch = ["bench", "--package", "weir", "--bench", "flows"];
    step("the price of watching connections", &mut workspace.cargo(watch))
}
