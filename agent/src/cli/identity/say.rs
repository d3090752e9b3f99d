//! Brings what an administrator says to the daemon.

use std::io::Write;

use crate::cli::connection::{Connection, converse, explain, health, read};
use crate::cli::name::{Names, printable};
use crate::cli::span::target;
use crate::exit::Exit;
use crate::ledger::{Change, Deed};

/// Asks for a change of `name` at `path`. Returns once it is on the disk, and says so.
pub(super) fn say(
    connection: &Connection,
    path: &str,
    name: &str,
    to: Option<&str>,
    reason: Option<String>,
) -> anyhow::Result<Exit> {
    let client = connection.client()?;
    let (names, body) = converse(async {
        let names = Names::of(&health(&client).await?);
        let target = target(
            path,
            &[
                ("identity", Some(names.long(name))),
                ("to", to.map(|to| names.long(to))),
                ("reason", reason),
            ],
        );
        Ok((names, client.post(&target).await.map_err(explain)?))
    })?;
    let change: Change = read(&body)?;
    writeln!(std::io::stdout(), "{}", sentence(&change, &names))?;
    Ok(Exit::Ok)
}

/// What was said, in words.
pub(super) fn sentence(change: &Change, names: &Names) -> String {
    let name = printable(names.short(&change.identity.0));
    match &change.deed {
        Deed::Offboard => format!("{name} is offboarded"),
        Deed::Restore => format!("{name} is restored"),
        Deed::Unblock => format!("{name} is unblocked"),
        Deed::Rename { to } if *to == change.identity => format!("{name} has its own name again"),
        Deed::Rename { to } => format!("{name} is now {}", printable(names.short(&to.0))),
    }
}
