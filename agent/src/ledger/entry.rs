//! What a line of the log can say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_core::alert::{AlertEvent, MATCHERS_MAX, Notification, Tried, What};
use weir_core::blind::BlindSpot;
use weir_core::detect::finding::CALLS_MAX;
use weir_core::detect::{Cause, Finding, Subject};
use weir_core::identity::{Agent, Assigned, Container, Pod, Workload};
use weir_core::meter::{BatchRecord, Behalf, EdgeRecord, Payer, UsageRecord};
use weir_core::units::Timestamp;

use super::block::BlockRecord;
use super::change::{Change, Deed};

/// Bytes kept of each text of a record. Twice what the longest header or path that matters has,
/// and short enough that no record comes near the longest line a reader accepts.
const TEXT_MAX: usize = 4096;

/// Most ids of a credential that are kept; there are fewer names for them. Their names and they
/// themselves are kept to this many bytes each.
const IDS_MAX: usize = 32;
const ID_MAX: usize = 256;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Entry {
    /// A model call.
    Call(Box<UsageRecord>),
    /// A step to another agent.
    Edge(Box<EdgeRecord>),
    /// A batch was created, or a file of its results was named.
    Batch(Box<BatchRecord>),
    /// Connections to a model endpoint that nothing was read of.
    Blind(Box<BlindSpot>),
    /// An administrator said something of an identity.
    Change(Box<Change>),
    /// Something is wrong, or isn't any more.
    Finding(Box<Finding>),
    /// Somebody is to be told of something, was told, or doesn't want to be.
    Alert(Box<AlertEvent>),
    /// Somebody is kept from model endpoints, or isn't any more.
    Block(Box<BlockRecord>),
    /// Something was lost.
    Loss(Loss),
    /// The daemon began to watch the host.
    Start(Mark),
    /// The daemon stopped watching, in good order. The time to the next start is a gap in coverage.
    Stop(Mark),
}

/// An interval in which something that may have been part of a call was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Nothing was lost before this.
    pub from: Timestamp,
    /// Nothing was lost after this, until another interval says so.
    pub to: Timestamp,
    /// At least so many bytes.
    pub bytes: u64,
    /// At least so many kernel records.
    pub records: u64,
    /// Where it was lost: the name of the loss counter.
    pub cause: String,
}

/// The start or the end of a run of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub time: Timestamp,
}

/// What kind of entry a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Call,
    Edge,
    Batch,
    Blind,
    Change,
    Finding,
    Alert,
    Block,
    Loss,
    Start,
    Stop,
}

impl Entry {
    /// Reads an entry of `kind` from its line. What else is in the line is ignored.
    pub(super) fn read(kind: Kind, line: &[u8]) -> serde_json::Result<Self> {
        Ok(match kind {
            Kind::Call => Self::Call(serde_json::from_slice(line)?),
            Kind::Edge => Self::Edge(serde_json::from_slice(line)?),
            Kind::Batch => Self::Batch(serde_json::from_slice(line)?),
            Kind::Blind => Self::Blind(serde_json::from_slice(line)?),
            Kind::Change => Self::Change(serde_json::from_slice(line)?),
            Kind::Finding => Self::Finding(serde_json::from_slice(line)?),
            Kind::Alert => Self::Alert(serde_json::from_slice(line)?),
            Kind::Block => Self::Block(serde_json::from_slice(line)?),
            Kind::Loss => Self::Loss(serde_json::from_slice(line)?),
            Kind::Start => Self::Start(serde_json::from_slice(line)?),
            Kind::Stop => Self::Stop(serde_json::from_slice(line)?),
        })
    }

    /// The same with each text cut to a length that keeps the line within bounds.
    pub(super) fn bounded(&self) -> Self {
        let mut entry = self.clone();
        match &mut entry {
            Self::Call(record) => bound_record(record),
            Self::Edge(record) => bound_edge(record),
            Self::Batch(record) => bound_batch(record),
            Self::Blind(spot) => bound_blind(spot),
            Self::Change(change) => bound_change(change),
            Self::Finding(finding) => bound_finding(finding),
            Self::Alert(event) => bound_alert(event),
            Self::Block(record) => bound_block(record),
            Self::Loss(loss) => cut(&mut loss.cause),
            Self::Start(_) | Self::Stop(_) => {}
        }
        entry
    }

    /// What whoever said it calls it, and may wait for; `None` for what nobody waits for.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Change(change) => Some(&change.change),
            Self::Alert(event) => Some(&event.id),
            Self::Call(_)
            | Self::Edge(_)
            | Self::Batch(_)
            | Self::Blind(_)
            | Self::Finding(_)
            | Self::Block(_)
            | Self::Loss(_)
            | Self::Start(_)
            | Self::Stop(_) => None,
        }
    }

    /// The latest moment at which it shows that the daemon was watching.
    pub(super) fn alive_at(&self) -> Timestamp {
        match self {
            Self::Call(record) => {
                let latency = i64::try_from(record.latency_ms).unwrap_or(i64::MAX);
                let ended = record.time.as_millisecond().saturating_add(latency);
                Timestamp::from_millisecond(ended).map_or(record.time, |end| end.max(record.time))
            }
            Self::Edge(record) => record.time,
            Self::Batch(record) => record.time,
            Self::Blind(spot) => spot.until,
            Self::Change(change) => change.time,
            Self::Finding(finding) => finding.time,
            Self::Alert(event) => event.time,
            Self::Block(record) => record.time,
            Self::Loss(loss) => loss.to,
            Self::Start(mark) | Self::Stop(mark) => mark.time,
        }
    }
}

fn bound_record(record: &mut UsageRecord) {
    for text in [&mut record.id.0, &mut record.identity.0, &mut record.provider] {
        cut(text);
    }
    let optional = [
        &mut record.process.exe,
        &mut record.unit,
        &mut record.host,
        &mut record.model_requested,
        &mut record.model,
        &mut record.response_id,
        &mut record.error_type,
        &mut record.service_tier,
        &mut record.speed,
        &mut record.region,
        &mut record.traffic_type,
        &mut record.trace_id,
        &mut record.parent_id,
        &mut record.user_agent,
        &mut record.price_version,
    ];
    optional.into_iter().flatten().for_each(cut);
    let others = record.settles.as_mut().map(|settled| &mut settled.call.0).into_iter();
    let others = others.chain(record.duplicate_of.as_mut().map(|call| &mut call.0));
    others.chain(record.retrieved_by.as_mut().map(|reader| &mut reader.0)).for_each(cut);
    record.on_behalf_of.iter_mut().for_each(bound_behalf);
    record.credential_ids = bounded_ids(std::mem::take(&mut record.credential_ids));
    record.container.iter_mut().for_each(bound_container);
    bound_workload(&mut record.workload);
    if let Some(result) = &mut record.result_of {
        [&mut result.batch, &mut result.file].into_iter().flatten().for_each(cut);
    }
}

fn bound_edge(record: &mut EdgeRecord) {
    for text in [&mut record.id.0, &mut record.identity.0, &mut record.method] {
        cut(text);
    }
    let optional = [
        &mut record.process.exe,
        &mut record.host,
        &mut record.tool,
        &mut record.trace_id,
        &mut record.parent_id,
    ];
    optional.into_iter().flatten().for_each(cut);
    record.on_behalf_of.iter_mut().for_each(bound_behalf);
}

fn bound_batch(record: &mut BatchRecord) {
    let Payer { identity, process, container, unit, workload, credential_ids, .. } =
        &mut record.creator;
    for text in [&mut identity.0, &mut record.provider, &mut record.host, &mut record.batch] {
        cut(text);
    }
    let told_to = record.told_to.as_mut().map(|reader| &mut reader.0);
    let optional = [&mut process.exe, unit, &mut record.file];
    optional.into_iter().flatten().chain(told_to).for_each(cut);
    *credential_ids = bounded_ids(std::mem::take(credential_ids));
    container.iter_mut().for_each(bound_container);
    bound_workload(workload);
}

fn bound_blind(spot: &mut BlindSpot) {
    let optional = [&mut spot.process.exe, &mut spot.unit].into_iter().flatten();
    optional.chain([&mut spot.identity.0, &mut spot.host]).for_each(cut);
    spot.container.iter_mut().for_each(bound_container);
    if let Some(said) = &mut spot.plain_http {
        said.provider.iter_mut().for_each(cut_short);
        said.credential_ids = bounded_ids(std::mem::take(&mut said.credential_ids));
        said.assigned.iter_mut().for_each(bound_assigned);
    }
}

fn bound_behalf(behalf: &mut Behalf) {
    cut(&mut behalf.identity.0);
    behalf.through.truncate(IDS_MAX);
    behalf.through.iter_mut().chain(&mut behalf.agent).for_each(cut_short);
}

fn bound_change(change: &mut Change) {
    cut_short(&mut change.change);
    cut(&mut change.identity.0);
    change.reason.iter_mut().for_each(cut);
    match &mut change.deed {
        Deed::Offboard | Deed::Restore | Deed::Unblock => {}
        Deed::Rename { to } => cut(&mut to.0),
    }
}

fn bound_finding(finding: &mut Finding) {
    cut_short(&mut finding.id.0);
    match &mut finding.subject {
        Subject::Identity(identity) => cut(&mut identity.0),
        Subject::Credential(_) => {}
        Subject::Budget(name) | Subject::Model(name) | Subject::Host(name) => cut(name),
    }
    let optional = [&mut finding.owner, &mut finding.team].into_iter().flatten();
    optional.chain([&mut finding.summary, &mut finding.next_step]).for_each(cut);
    finding.identity.iter_mut().for_each(|identity| cut(&mut identity.0));
    finding.evidence.calls.truncate(CALLS_MAX);
    finding.evidence.calls.iter_mut().for_each(|call| cut_short(&mut call.0));
    finding.evidence.details = bounded_ids(std::mem::take(&mut finding.evidence.details));
}

fn bound_alert(event: &mut AlertEvent) {
    let tried = |Tried { webhook, notification }: &mut Tried| {
        cut_short(webhook);
        cut_short(&mut notification.0);
    };
    cut_short(&mut event.id);
    match &mut event.event {
        What::Joined { webhook } => cut_short(webhook),
        What::Queued(notification) => {
            let Notification { id, webhook, group, labels, findings, .. } = notification.as_mut();
            [&mut id.0, webhook, &mut group.0].into_iter().for_each(cut_short);
            labels.values_mut().for_each(cut);
            findings.truncate(IDS_MAX);
            findings.iter_mut().for_each(bound_finding);
        }
        What::Delivered(which) | What::Gone(which) | What::Dropped(which) => tried(which),
        What::Failed { tried: which, .. } | What::Dead { tried: which, .. } => tried(which),
        What::Ack { finding, comment, .. } => {
            cut_short(&mut finding.0);
            comment.iter_mut().for_each(cut);
        }
        What::Silence(silence) => {
            silence.matchers.truncate(MATCHERS_MAX);
            silence.comment.iter_mut().for_each(cut);
        }
        What::Unsilence { silence, .. } => cut_short(silence),
        What::Replay { notification, .. } => {
            notification.iter_mut().for_each(|notification| cut_short(&mut notification.0));
        }
    }
}

fn bound_block(record: &mut BlockRecord) {
    cut(&mut record.block.identity.0);
    match &mut record.block.cause {
        Cause::Budget(name) => cut(name),
        Cause::Offboarded => {}
    }
}

fn bound_container(container: &mut Container) {
    cut(&mut container.id);
    let optional = [&mut container.name, &mut container.image, &mut container.runtime];
    optional.into_iter().flatten().for_each(cut);
}

fn bound_workload(workload: &mut Workload) {
    let Workload { pod, script, interactive: _, assigned, agent, disputed } = workload;
    script.iter_mut().for_each(cut);
    if let Some(Pod { uid, name, namespace, service_account }) = pod {
        cut_short(uid);
        [name, namespace, service_account].into_iter().flatten().for_each(cut_short);
    }
    assigned.iter_mut().for_each(bound_assigned);
    if let Some(Agent { name, pid: _, depth: _, through, recursive: _ }) = agent {
        through.truncate(IDS_MAX);
        through.iter_mut().chain([name]).for_each(cut_short);
    }
    disputed.truncate(IDS_MAX);
    disputed.iter_mut().for_each(cut_short);
}

fn bound_assigned(assigned: &mut Assigned) {
    let Assigned { rule, owner, team, product_line, cost_center, environment, labels } = assigned;
    cut_short(rule);
    let optional = [owner, team, product_line, cost_center, environment];
    optional.into_iter().flatten().for_each(cut_short);
    *labels = bounded_ids(std::mem::take(labels));
}

fn bounded_ids(ids: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let cut = |mut text: String| {
        cut_short(&mut text);
        text
    };
    ids.into_iter().take(IDS_MAX).map(|(name, id)| (cut(name), cut(id))).collect()
}

fn cut_short(text: &mut String) {
    text.truncate(text.floor_char_boundary(ID_MAX));
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_MAX));
}
