//! What is said of alerts, one line of the log each: by the machine, and by administrators.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::group::GroupId;
use super::silence::Silence;
use crate::detect::{Finding, FindingId, Severity, State};
use crate::units::Timestamp;

/// Most bytes of findings in one notification, as JSON: with what is around them it stays below the
/// 20 kB that Standard Webhooks ask for.
const FINDINGS_BYTES: usize = 15 << 10;
/// Bytes of a text of a finding that has to be cut to fit.
const SHORT: usize = 200;

/// Something that was said or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Names it: 32 hexadecimal digits.
    pub id: String,
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: What,
}

/// What was said or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// This webhook is in the configuration, and wasn't before. What was over by then is none of its business.
    Joined {
        /// Its name.
        webhook: String,
    },
    /// Somebody is to be told this. It is told until he has it, or nobody believes in that any more.
    Queued(Box<Notification>),
    /// It was taken.
    Delivered(Tried),
    /// It wasn't. It is tried again.
    Failed {
        /// Which, and where.
        #[serde(flatten)]
        tried: Tried,
        /// Why not.
        problem: Problem,
        /// Not before this, because the receiver said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    /// It wasn't, and isn't tried any more. It can be told again by hand.
    Dead {
        /// Which, and where.
        #[serde(flatten)]
        tried: Tried,
        /// Why not.
        problem: Problem,
    },
    /// The receiver wants nothing any more (410). All of its notifications wait until a test gets through.
    Gone(Tried),
    /// It gave way to what is worse.
    Dropped(Tried),
    /// An administrator takes care of a finding: it isn't repeated.
    Ack {
        /// Which finding.
        finding: FindingId,
        /// The user, as the kernel says.
        uid: u32,
        /// What he said of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// An administrator doesn't want to be told of something for a while. The event's id is the silence's.
    Silence(Silence),
    /// An administrator ends a silence before its time.
    Unsilence {
        /// Which silence.
        silence: String,
        /// The user, as the kernel says.
        uid: u32,
    },
    /// An administrator has dead notifications told again.
    Replay {
        /// Which one; all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notification: Option<NotificationId>,
        /// The user, as the kernel says.
        uid: u32,
    },
}

/// An attempt to tell somebody something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Whom.
    pub webhook: String,
    /// What.
    pub notification: NotificationId,
}

/// Names a notification, the same at each attempt: `msg_` and 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotificationId(pub String);

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a webhook is told. Each attempt sends the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Names it.
    pub id: NotificationId,
    /// Who is told.
    pub webhook: String,
    /// When it was decided.
    pub time: Timestamp,
    /// Why it is told.
    pub reason: Reason,
    /// What its findings belong to.
    pub group: GroupId,
    /// What they have in common.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The findings, what is new first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// How many that are new had no room; they are in the next.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
    /// How many of the group go on, as far as the webhook is told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub firing: u64,
}

/// Why a webhook is told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Something began, became worse or is over.
    News,
    /// It goes on.
    Repeat,
    /// An administrator wants to know whether it arrives.
    Test,
    /// weir is there.
    Heartbeat,
}

/// Why something was not taken. Says nothing of what was sent or where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The receiver answered with this HTTP status.
    #[error("it answers {0}")]
    Status(u16),
    /// Its name has no address.
    #[error("its name can't be resolved")]
    Resolve,
    /// Its address is one that nothing is sent to.
    #[error("its address is link-local, of a metadata service, or loopback under another name")]
    Forbidden,
    /// No connection.
    #[error("it can't be connected to")]
    Connect,
    /// No connection that is verified.
    #[error("it can't be verified by TLS")]
    Tls,
    /// It takes too long.
    #[error("it doesn't answer in time")]
    Timeout,
    /// No answer that can be understood.
    #[error("its answer can't be read")]
    Answer,
    /// The file with the secret, the URL or the certificates can't be used.
    #[error("a file that it needs can't be used")]
    File,
    /// The configuration doesn't name it any more.
    #[error("it isn't in the configuration any more")]
    Removed,
}

impl Problem {
    /// Whether the receiver itself seems to be down or too busy, whatever it is told.
    pub(super) const fn is_outage(self) -> bool {
        match self {
            Self::Status(status) => status >= 500 || status == 429,
            Self::Resolve | Self::Connect | Self::Tls | Self::Timeout | Self::Answer => true,
            Self::Forbidden | Self::File | Self::Removed => false,
        }
    }
}

impl Reason {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::News => "news",
            Self::Repeat => "repeat",
            Self::Test => "test",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl Notification {
    /// A test or a heartbeat.
    #[must_use]
    pub fn without_findings(webhook: &str, reason: Reason, time: Timestamp, salt: &str) -> Self {
        let moment = time.as_nanosecond().to_string();
        let id = digest([webhook, reason.as_str(), moment.as_str(), salt]);
        Self {
            id: NotificationId(format!("msg_{id}")),
            webhook: webhook.to_owned(),
            time,
            reason,
            group: GroupId(reason.as_str().to_owned()),
            labels: BTreeMap::new(),
            findings: Vec::new(),
            more: 0,
            firing: 0,
        }
    }

    /// Whether anything of its group goes on.
    #[must_use]
    pub fn state(&self) -> State {
        match self.reason {
            Reason::News | Reason::Repeat if self.firing == 0 => State::Resolved,
            Reason::News | Reason::Repeat | Reason::Test | Reason::Heartbeat => State::Firing,
        }
    }

    /// The worst of its findings; [`Severity::Informational`] if it has none.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let worst = self.findings.iter().map(|finding| finding.severity).max();
        worst.unwrap_or(Severity::Informational)
    }
}

impl AlertEvent {
    /// Says what the machine has done. The same at the same time has the same id.
    pub(super) fn new(time: Timestamp, event: What) -> Self {
        let moment = time.as_nanosecond().to_string();
        let id = match &event {
            What::Joined { webhook } => digest(["joined", webhook, &moment]),
            What::Queued(notification) => digest(["queued", &notification.id.0]),
            What::Delivered(tried) => tried.digest("delivered", &moment),
            What::Failed { tried, .. } => tried.digest("failed", &moment),
            What::Dead { tried, .. } => tried.digest("dead", &moment),
            What::Gone(tried) => tried.digest("gone", &moment),
            What::Dropped(tried) => tried.digest("dropped", &moment),
            What::Ack { finding, .. } => digest(["ack", &finding.0, &moment]),
            What::Silence(_) => digest(["silence", &moment]),
            What::Unsilence { silence, .. } => digest(["unsilence", silence, &moment]),
            What::Replay { .. } => digest(["replay", &moment]),
        };
        Self { id, time, event }
    }
}

impl Tried {
    fn digest(&self, what: &str, moment: &str) -> String {
        digest([what, &self.webhook, &self.notification.0, moment])
    }
}

/// 32 hexadecimal digits for these parts in this order.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// As many of `findings`, from the front, as one notification has room for; at least one.
pub(super) fn fitting<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Finding> {
    let mut room = FINDINGS_BYTES;
    let mut kept = Vec::new();
    for finding in findings {
        let finding =
            if size(finding) > FINDINGS_BYTES { cut(finding.clone()) } else { finding.clone() };
        let size = size(&finding);
        if size > room && !kept.is_empty() {
            break;
        }
        room = room.saturating_sub(size);
        kept.push(finding);
    }
    kept
}

/// Bytes of JSON. What can't be written takes all room there is.
fn size(finding: &Finding) -> usize {
    serde_json::to_vec(finding).map_or(usize::MAX, |json| json.len())
}

/// What is left of a finding that is too long by itself.
fn cut(mut finding: Finding) -> Finding {
    let optional = [&mut finding.owner, &mut finding.team].into_iter().flatten();
    let identity = finding.identity.as_mut().map(|identity| &mut identity.0);
    for text in optional.chain(identity).chain([&mut finding.summary, &mut finding.next_step]) {
        text.truncate(text.floor_char_boundary(SHORT));
    }
    finding.evidence.details.clear();
    finding.evidence.calls.clear();
    finding
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
