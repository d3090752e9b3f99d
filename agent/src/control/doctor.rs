//! What `weir doctor` and `/v1/doctor` say: what works, what doesn't, and what is not known.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use weir_core::blind::BlindSpot;

/// The state of the daemon and of what it depends on. Fields are added, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReport {
    /// Each thing that was looked at.
    pub checks: Vec<Check>,
    /// Each program or library in which TLS code was looked for and found, or not.
    #[serde(default)]
    pub capture: Vec<CaptureTarget>,
    /// What came of looking at files and for processes since the start, by its name: `attached`,
    /// `loader`, `no_tls`, `no_symbols`, `unsupported_version`, `unreadable`, `refused`, and `exited` for processes that were
    /// gone before they could be looked at.
    #[serde(default)]
    pub attach: BTreeMap<String, u64>,
    /// Model calls that were read since the start.
    #[serde(default)]
    pub calls: u64,
    /// Connections to model endpoints that nothing was read of since the start: at most 128 rows, and
    /// each is up to five minutes behind.
    #[serde(default)]
    pub blind_spots: Vec<BlindSpot>,
    /// How many connections that are in all, by [`Reason`]; those that are 0 too.
    ///
    /// [`Reason`]: weir_core::blind::Reason
    #[serde(default)]
    pub blind_connections: BTreeMap<String, u64>,
    /// What was lost since the start, by the name of the hop where it was lost. A hop that lost
    /// nothing is there with 0.
    #[serde(default)]
    pub losses: BTreeMap<String, u64>,
    /// Connections on which a process of this host is the server. What crosses them is not
    /// metered: who asks is billed, not who answers.
    #[serde(default)]
    pub served_connections: u64,
    /// Exchanges of a workload's token for a provider's that would have named the token otherwise
    /// than the first one did, or came too late to be believed.
    #[serde(default)]
    pub token_bindings_refused: u64,
    /// What was said of batches and not believed: another creation of a batch that has one or was in
    /// use before, a file of results that is another batch's, or a question by another account.
    #[serde(default)]
    pub batch_claims_refused: u64,
    /// Connections whose protocol is not understood yet, by its name.
    #[serde(default)]
    pub unsupported: BTreeMap<String, u64>,
    /// Calls to models that the catalogue has no price for, by model.
    #[serde(default)]
    pub unpriced: BTreeMap<String, u64>,
    /// What can't be said, and why: without a daemon, all that only it knows.
    #[serde(default)]
    pub unknown: Vec<String>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What, in a word or two: `kernel`, `ledger`.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// What was found, in a sentence.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, but something is missing or about to be.
    Warn,
    /// It doesn't work.
    Fail,
}

/// A file with TLS code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureTarget {
    /// Its path, as one of its processes sees it.
    pub path: String,
    /// `attached`, or why it is not.
    pub outcome: String,
    /// The functions in it that are probed, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<CaptureFunction>,
}

/// A function with probes on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureFunction {
    /// Its symbol.
    pub symbol: String,
    /// Where it is seen to be entered.
    pub entry: CaptureSite,
    /// A return probe is set each time it is entered.
    #[serde(default)]
    pub return_probe: bool,
    /// Where it is seen to return, if there is no return probe and its return matters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exits: Vec<CaptureSite>,
}

/// An instruction with a breakpoint on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureSite {
    /// The function and the bytes from its first instruction: `SSL_read+0x16`, or `SSL_read_ex-0x230` if
    /// that only calls a function that begins there.
    pub at: String,
    /// What a hit costs: `emulated` about 1 µs, `nop5` half of that; `entry` is the first
    /// instruction, whatever it is, and may be 10 µs.
    pub kind: String,
}

impl DoctorReport {
    /// What of it concerns one user: how things are, and the own blind spots. What other users run, ask
    /// for or lose is not in it.
    #[must_use]
    pub(super) fn of_user(mut self, uid: u32) -> Self {
        self.blind_spots.retain(|spot| spot.process.uid == uid);
        let mut unknown = self.unknown;
        unknown.push("what concerns other users: it is for root and auditors".to_owned());
        Self { checks: self.checks, blind_spots: self.blind_spots, unknown, ..Self::default() }
    }

    /// The worst of the checks; [`Status::Ok`] if there are none.
    #[must_use]
    pub fn status(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
    }
}

impl Check {
    /// A check that came out well.
    #[must_use]
    pub fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status: Status::Ok, detail: detail.into(), advice: None }
    }

    /// A check that came out so-so, and what to do.
    #[must_use]
    pub fn warn(name: &str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { name: name.to_owned(), status: Status::Warn, detail: detail.into(), advice }
    }

    /// A check that failed, and what to do.
    #[must_use]
    pub fn fail(name: &str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Fail, ..Self::warn(name, detail, advice) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}
