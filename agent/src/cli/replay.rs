//! `weir replay`: what the daemon would make of a transcript.
//!
//! ```text
//! $ weir replay tests/transcripts/anthropic/message.weir
//! TIME                  STATUS  STATE          IN      OUT      COST  LATENCY  MODEL      IDENTITY
//! 2026-01-01T00:00:00Z     200  complete   12,307      550   $0.0543  9,000 ms claude-3-… user/uid-1000
//! ```
//!
//! Steps to other agents follow after the calls.
//!
//! `docs/transcripts.md` describes the format. Nothing is stored, and no daemon is asked.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use weir_core::meter::{Catalogue, Meter};
use weir_core::replay::{HOST, TRUST_DOMAIN, Transcript};

use super::calls::{Format, header, row, step};
use super::name::Names;
use crate::exit::Exit;

/// Run transcripts through the daemon's own pipeline and show the calls in them.
///
/// A transcript is a text file of what crossed some connections. Every call is priced by the
/// catalogue that weir was built with, whatever the daemon uses, and credentials are fingerprinted
/// under a fixed key, so the fingerprints can be compared with each other only. Nothing is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir replay tests/transcripts/openai/chat.weir
  weir replay --format json - < call.weir | jq .tokens")]
pub(super) struct Arguments {
    /// The transcripts; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the calls
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        // All are read before anything is printed: a wrong one is seen at once.
        let transcripts =
            self.files.iter().map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let meter = Meter::new(Catalogue::builtin()?);
        let names = Names::on(TRUST_DOMAIN, HOST);
        let mut out = io::stdout().lock();
        if self.format == Format::Table {
            writeln!(out, "{}", header())?;
        }
        for call in transcripts.iter().flat_map(|transcript| transcript.records(&meter)) {
            match self.format {
                Format::Table => writeln!(out, "{}", row(&call, &names))?,
                Format::Json => writeln!(out, "{}", serde_json::to_string(&call)?)?,
            }
        }
        for edge in transcripts.iter().flat_map(Transcript::edges) {
            match self.format {
                Format::Table => writeln!(out, "{}", step(&edge, &names))?,
                Format::Json => writeln!(out, "{}", serde_json::to_string(&edge)?)?,
            }
        }
        Ok(Exit::Ok)
    }
}

fn read(file: &Path) -> anyhow::Result<Transcript> {
    let name = file.display();
    let text = text(file).with_context(|| format!("can't read {name}"))?;
    Transcript::parse(&text)
        .map_err(|error| anyhow::anyhow!("{name}:{}: {}", error.line, error.problem))
}

fn text(file: &Path) -> io::Result<String> {
    if file.as_os_str() != "-" {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
