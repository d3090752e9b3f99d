//! Starts what blocks, as the configuration says.

use std::sync::mpsc::SyncSender;

use anyhow::Context as _;
use weir_core::blind::HostPattern;
use weir_core::detect::{Enforcement, Offboarded, Rule};
use weir_core::units::Timestamp;

use crate::capture::Capture;
use crate::config::Config;
use crate::control::Blocks;
use crate::enforce::Enforcer;
use crate::ledger::{Entry, Reader};

/// What blocks. Where the configuration wants that and the kernel won't have it, nobody is blocked, and
/// `weir doctor` says so.
pub(super) fn start(
    capture: &Capture,
    config: &Config,
    reader: &Reader,
    entries: &SyncSender<Entry>,
) -> anyhow::Result<Enforcer> {
    let Some(gate) = capture.gate() else { return Ok(Enforcer::off()) };
    let addresses = config.blind_spots.hosts.iter().filter_map(|host| match host {
        HostPattern::Address(address) => Some(*address),
        HostPattern::Name(_) | HostPattern::Suffix(_) => None,
    });
    let started = Enforcer::start(gate, addresses, reader.clone(), entries.clone());
    started.context("the thread weir-block can't be started")
}

/// The rules that say whom to block, besides budgets.
pub(super) fn rules(config: &Config) -> Vec<Box<dyn Rule>> {
    match config.enforce.offboarded {
        Enforcement::Off => Vec::new(),
        Enforcement::DryRun => vec![Box::new(Offboarded::new(true))],
        Enforcement::Block => vec![Box::new(Offboarded::new(false))],
    }
}

/// Who is blocked now.
pub(super) fn blocks(enforcer: &Enforcer) -> Blocks {
    let standing = enforcer.standing(Timestamp::now());
    Blocks { enforced: standing.is_some(), blocks: standing.map_or_else(Vec::new, |it| it.blocks) }
}
