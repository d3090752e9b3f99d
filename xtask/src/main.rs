//! The commands that a developer of `weir` types. `cargo xtask help` lists them.

mod bench;
mod build;
mod container;
mod demo;
mod dist;
mod fuzz;
mod prices;
mod setup;
mod simulate;
mod test;
mod tidy;
mod unit;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Set-up, build, demo and tests of weir. On a fresh machine with rustup, `cargo xtask demo` and
/// `cargo xtask test` are all that is needed: they install what is missing first.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what building and testing need, and nothing that is already there: the toolchain's
    /// components, bpf-linker, the Python and Node SDKs in folders under target/tools, an image for
    /// Podman, and Debian packages where a program is missing.
    Setup,
    /// Build the daemon: target/release/weir, with the kernel object inside it.
    Build,
    /// Start the daemon, let real clients make real TLS calls under several identities, print the
    /// usage table and check it against what the model server answered. Needs root, and asks sudo
    /// for it.
    Demo,
    /// Everything CI checks: formatting, tidiness, clippy, documentation, unit, property, snapshot
    /// and end-to-end tests.
    ///
    /// The end-to-end tests that need root run as root; otherwise they are skipped, with the reason
    /// printed. With WEIR_E2E=require they are run through sudo, and can't be skipped.
    Test,
    /// What is given to users: a Debian package in target/dist, with manual and completions, and the proof
    /// that it installs on a new Debian. Needs root for that, and asks sudo for it.
    Dist,
    /// The rules of the code base that no other tool checks: which room may import which, the
    /// length of files, leftovers.
    Tidy,
    /// The benchmarks of the pure pipeline and of the probes. Compare what one run prints, not runs or machines.
    Bench,
    Fuzz(fuzz::Arguments),
    Prices(prices::Args),
    Simulate(simulate::Arguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup => setup::run(&workspace),
        Task::Build => build::run(&workspace),
        Task::Demo => demo::run(&workspace),
        Task::Test => test::run(&workspace),
        Task::Dist => dist::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
        Task::Bench => bench::run(&workspace),
        Task::Fuzz(arguments) => fuzz::run(&workspace, arguments),
        Task::Prices(arguments) => prices::run(arguments),
        Task::Simulate(arguments) => simulate::run(&workspace, arguments),
    }
}
