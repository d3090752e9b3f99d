//! The command line: one file per subcommand, whose own documentation is its manual. All but `run`
//! ask a running daemon, or do without one; none looks at a probe.

mod alerts;
mod blocks;
mod budget;
mod calls;
mod completions;
mod config;
mod connection;
mod credentials;
mod doctor;
mod identities;
mod identity;
mod ledger;
mod manual;
mod metrics;
mod name;
mod output;
mod prices;
mod replay;
mod run;
mod span;
mod usage;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::exit::Exit;

/// Starts the daemon and returns when it has stopped in good order.
pub type StartDaemon = fn(Config) -> anyhow::Result<()>;

/// See who on this host spends what on which AI model.
///
/// `weir run` is the daemon: it watches model calls through TLS libraries, with no proxy, no code
/// change and no key. The other commands ask it.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_long_help = Exit::help(), max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Arguments),
    Usage(usage::Arguments),
    Budget(budget::Arguments),
    Calls(calls::Arguments),
    Identities(identities::Arguments),
    Identity(identity::Arguments),
    Credentials(credentials::Arguments),
    Alerts(alerts::Arguments),
    Blocks(blocks::Arguments),
    Doctor(doctor::Arguments),
    Metrics(metrics::Arguments),
    Config(config::Arguments),
    Ledger(ledger::Arguments),
    Prices(prices::Arguments),
    Replay(replay::Arguments),
    Completions(completions::Arguments),
    Manual(manual::Arguments),
}

/// Does what the process's arguments ask for and says how to exit. `daemon` is what `weir run`
/// hands over to, once the configuration is read, the log is on and the host is fit.
#[must_use]
pub fn main(daemon: StartDaemon) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return answered(&answer),
    };
    match dispatch(cli.command, daemon) {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough, as `head` does.
        Err(error) if is_closed_output(&error) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("weir: {error:#}");
            Exit::of(&error).into()
        }
    }
}

fn dispatch(command: Command, daemon: StartDaemon) -> anyhow::Result<Exit> {
    match command {
        Command::Run(arguments) => arguments.run(daemon),
        Command::Usage(arguments) => arguments.run(),
        Command::Budget(arguments) => arguments.run(),
        Command::Calls(arguments) => arguments.run(),
        Command::Identities(arguments) => arguments.run(),
        Command::Identity(arguments) => arguments.run(),
        Command::Credentials(arguments) => arguments.run(),
        Command::Alerts(arguments) => arguments.run(),
        Command::Blocks(arguments) => arguments.run(),
        Command::Doctor(arguments) => arguments.run(),
        Command::Metrics(arguments) => arguments.run(),
        Command::Config(arguments) => arguments.run(),
        Command::Ledger(arguments) => arguments.run(),
        Command::Prices(arguments) => arguments.run(),
        Command::Replay(arguments) => arguments.run(),
        Command::Completions(arguments) => arguments.run(),
        Command::Manual(arguments) => arguments.run(),
    }
}

/// Help and versions go to standard output and are no failure; the rest is.
fn answered(answer: &clap::Error) -> ExitCode {
    // If even this can't be written, the exit code still says it.
    drop(answer.print());
    if answer.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}

fn is_closed_output(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
