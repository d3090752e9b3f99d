//! `cargo xtask tidy`: rules of the code base that no other tool checks.
//!
//! - A room imports only what data has passed through before it.
//! - Only the ledger names sled.
//! - No file is longer than [`LONGEST`] lines.
//! - Nothing that was left for later is left.
//! - The lock file of the Node SDK names no place to download from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::workspace::{Workspace, output};

/// More lines than this are too many ideas for one file.
const LONGEST: usize = 600;

/// The rooms of a crate in the order in which data flows: none imports a later one.
struct Rooms {
    folder: &'static str,
    order: &'static [&'static str],
}

const ROOMS: [Rooms; 2] = [
    Rooms {
        folder: "agent/core/src",
        order: &[
            "units", "secret", "stream", "http", "provider", "plain", "identity", "meter", "blind",
            "detect", "alert", "pipeline", "replay",
        ],
    },
    Rooms {
        folder: "agent/src",
        order: &["capture", "host", "prices", "ledger", "enforce", "alert", "control", "cli"],
    },
];

/// Imports that the order of the rooms would allow, with the reason against them.
const FORBIDDEN: [(&str, &str, &str); 1] =
    [("agent/src/cli", "capture", "the command line asks the daemon, never the probes")];

/// What marks work that was not finished. Spelt in halves, so that this file has none.
const LEFTOVERS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    for file in files(workspace)? {
        let path = file.to_string_lossy();
        // What is not text, or was deleted and not yet committed, is none of our business.
        let Ok(text) = fs::read_to_string(workspace.root.join(&file)) else { continue };
        if path.ends_with(".rs") {
            faults.extend(faults_of_rust(&path, &text));
        }
        if path.ends_with("package-lock.json") && text.contains("\"resolved\"") {
            faults.push(format!("{path}: names places to download from"));
        }
        faults.extend(leftovers(&path, &text));
    }
    anyhow::ensure!(faults.is_empty(), "not tidy:\n  {}", faults.join("\n  "));
    eprintln!("==> tidy: ok");
    Ok(())
}

/// What git knows of, or would take in.
fn files(workspace: &Workspace) -> anyhow::Result<Vec<PathBuf>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let list = output(workspace.command("git").args(list)).context("tidy looks at git's files")?;
    Ok(list.lines().map(PathBuf::from).collect())
}

fn faults_of_rust(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let length = text.lines().count();
    if length > LONGEST {
        faults.push(format!("{path}: {length} lines, more than {LONGEST}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(fault) = import_fault(path, line) {
            faults.push(format!("{path}:{number}: {fault}"));
        }
    }
    faults
}

fn import_fault(path: &str, line: &str) -> Option<String> {
    for (folder, room, reason) in FORBIDDEN {
        if path.starts_with(folder) && imports(line, room) {
            return Some(format!("imports {room}: {reason}"));
        }
    }
    let in_shell = path.starts_with("agent/src/") && !path.starts_with("agent/src/ledger");
    if in_shell && line.contains("sled::") {
        return Some("names sled, which only the ledger may".to_owned());
    }
    let Rooms { folder, order } = ROOMS.iter().find(|rooms| path.starts_with(rooms.folder))?;
    let inside = Path::new(path).strip_prefix(folder).ok()?;
    let room = inside.iter().next()?.to_str()?;
    let room = room.strip_suffix(".rs").unwrap_or(room);
    let place = order.iter().position(|&known| known == room)?;
    order[place + 1..]
        .iter()
        .find(|later| imports(line, later))
        .map(|later| format!("{room} imports {later}, which comes after it"))
}

/// Whether a line of code names a room of its own crate.
fn imports(line: &str, room: &str) -> bool {
    let code = line.split("//").next().unwrap_or("");
    code.match_indices("crate::").any(|(place, prefix)| {
        let rest = &code[place + prefix.len()..];
        let names = rest.strip_prefix('{').unwrap_or(rest);
        let grouped = rest.len() != names.len();
        let mut names = names.split(if grouped { ',' } else { '\n' });
        names.any(|name| {
            let name = name.trim_start();
            name.strip_prefix(room).is_some_and(|after| {
                !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            })
        })
    })
}

fn leftovers(path: &str, text: &str) -> Vec<String> {
    let found = |line: &str, word: &&&str| {
        line.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == **word)
    };
    (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| {
            let word = LEFTOVERS.iter().find(|word| found(line, word))?;
            Some(format!("{path}:{number}: {word}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_rooms_are_out_of_reach() {
        for (path, line, allowed) in [
            ("agent/core/src/http/sse.rs", "use crate::stream::Hole;", true),
            ("agent/core/src/http/sse.rs", "use crate::provider::Api;", false),
            ("agent/core/src/http/sse.rs", "use crate::{stream, meter};", false),
            ("agent/core/src/http/sse.rs", "// as crate::provider does", true),
            ("agent/core/src/http/sse.rs", "use crate::meters::Gauge;", true),
            ("agent/core/src/pipeline.rs", "use crate::meter::Meter;", true),
            ("agent/src/cli/usage.rs", "use crate::control::Client;", true),
            ("agent/src/cli/doctor.rs", "use crate::capture::Target;", false),
            ("agent/src/ledger/index.rs", "use sled::Tree;", true),
            ("agent/src/control/api.rs", "let db: sled::Db;", false),
        ] {
            assert_eq!(import_fault(path, line).is_none(), allowed, "{path}: {line}");
        }
    }

    #[test]
    fn leftovers_are_whole_words() {
        let marked = format!("// {}: later", LEFTOVERS[0]);
        assert_eq!(leftovers("a.rs", &marked).len(), 1);
        assert_eq!(leftovers("a.rs", "let hacker = 1; // todo list"), Vec::<String>::new());
    }

    #[test]
    fn long_files_are_found() {
        let text = "\n".repeat(LONGEST + 1);
        assert_eq!(faults_of_rust("agent/src/a.rs", &text).len(), 1);
    }
}
