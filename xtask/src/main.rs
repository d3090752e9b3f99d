//! Set-up, build, demo, test: the commands a developer of `weir` types.

mod prices;

use clap::Parser;

#[derive(Parser)]
#[command(name = "xtask", about)]
enum Task {
    Prices(prices::Args),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Prices(args) => prices::run(&args),
    }
}
