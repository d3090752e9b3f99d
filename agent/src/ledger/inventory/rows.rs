//! What is kept of an identity and of a credential, apart for each user: what one user may see of
//! them is what that user did with them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_core::blind::{self, BlindSpot, PlainRequest};
use weir_core::http::{CredentialKind, CredentialPlace};
use weir_core::identity::{Assigned, IdentityId};
use weir_core::meter::UsageRecord;
use weir_core::units::Timestamp;

use super::plain::PlainHttp;
use super::values::{ENTRY, Values, cut};
use crate::ledger::dimension::VALUE_MAX;
use crate::ledger::usage::{Usage, compact};

/// Most ids of a credential that are kept, and labels of an assignment.
const IDS_MAX: usize = 16;
/// Bytes kept of each of their names and values.
const ID_MAX: usize = 128;

/// Whose row it is, and what it is about.
pub(in crate::ledger) type RowKey = (u32, String);

/// What one user's calls say of an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ledger) struct IdentityRow {
    pub(in crate::ledger) uid: u32,
    /// As records have it, never renamed.
    pub(in crate::ledger) name: String,
    pub(in crate::ledger) first_seen: Timestamp,
    pub(in crate::ledger) last_seen: Timestamp,
    #[serde(with = "compact")]
    pub(in crate::ledger) usage: Usage,
    pub(in crate::ledger) models: Values,
    pub(in crate::ledger) providers: Values,
    pub(in crate::ledger) endpoints: Values,
    pub(in crate::ledger) credentials: Values,
    /// Of the last call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::ledger) assigned: Option<Box<Assigned>>,
    /// What was seen of it after it was offboarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::ledger) after: Option<After>,
    #[serde(default, skip_serializing_if = "PlainHttp::is_empty")]
    pub(in crate::ledger) plain_http: PlainHttp,
}

/// Calls of an identity that should make none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ledger) struct After {
    /// Which change offboarded it, by the number of its line.
    pub(in crate::ledger) seq: u64,
    pub(in crate::ledger) calls: u64,
    pub(in crate::ledger) last: Timestamp,
}

/// What one user's calls say of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ledger) struct CredentialRow {
    pub(in crate::ledger) uid: u32,
    pub(in crate::ledger) fingerprint: String,
    pub(in crate::ledger) kind: Option<CredentialKind>,
    pub(in crate::ledger) first_seen: Timestamp,
    pub(in crate::ledger) last_seen: Timestamp,
    #[serde(with = "compact")]
    pub(in crate::ledger) usage: Usage,
    pub(in crate::ledger) providers: Values,
    pub(in crate::ledger) identities: Values,
    /// Of the last call that had any.
    pub(in crate::ledger) ids: BTreeMap<String, String>,
    /// How many calls carried it where.
    pub(in crate::ledger) places: BTreeMap<CredentialPlace, u64>,
    #[serde(default, skip_serializing_if = "PlainHttp::is_empty")]
    pub(in crate::ledger) plain_http: PlainHttp,
}

impl IdentityRow {
    /// What it is found by.
    pub(in crate::ledger) fn key(&self) -> RowKey {
        (self.uid, self.name.clone())
    }

    /// Of an identity that was never seen before.
    pub(super) fn new((uid, name): &RowKey, time: Timestamp) -> Self {
        Self {
            uid: *uid,
            name: name.clone(),
            first_seen: time,
            last_seen: time,
            usage: Usage::default(),
            models: Values::default(),
            providers: Values::default(),
            endpoints: Values::default(),
            credentials: Values::default(),
            assigned: None,
            after: None,
            plain_http: PlainHttp::default(),
        }
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        let sets = [&self.models, &self.providers, &self.endpoints, &self.credentials];
        let assigned = self.assigned.as_ref().map_or(0, |assigned| {
            let Assigned { rule, owner, team, product_line, cost_center, environment, labels } =
                assigned.as_ref();
            let optional = [owner, team, product_line, cost_center, environment];
            let texts = optional.into_iter().flatten().map(String::len);
            rule.len() + texts.sum::<usize>() + weight(labels) + size_of::<Assigned>()
        });
        let sets = sets.into_iter().map(Values::weight).sum::<usize>();
        let more = self.plain_http.weight() + size_of::<Self>();
        2 * (self.name.len() + ENTRY) + sets + assigned + more
    }

    /// Takes a call. `offboarded` is the change by which the identity should make none.
    pub(super) fn take(&mut self, record: &UsageRecord, offboarded: Option<u64>) {
        self.first_seen = self.first_seen.min(record.time);
        self.last_seen = self.last_seen.max(record.time);
        let usage = Usage::of(record).unwrap_or_default();
        self.usage.add(&usage);
        self.models.note(record.model.as_deref());
        self.providers.note(Some(&record.provider));
        self.endpoints.note(record.host.as_deref());
        let credential = record.credential.as_ref().map(ToString::to_string);
        self.credentials.note(credential.as_deref());
        self.assigned = record.workload.assigned.as_ref().map(|assigned| Box::new(kept(assigned)));
        self.after = offboarded.map(|seq| {
            let before = self.after.filter(|after| after.seq == seq);
            let calls = before.map_or(0, |after| after.calls).saturating_add(usage.calls);
            After { seq, calls, last: before.map_or(record.time, |a| a.last.max(record.time)) }
        });
    }
}

impl IdentityRow {
    /// Takes requests in plain HTTP. Nobody knows how many calls they are, so they are none here.
    pub(super) fn take_plain(&mut self, spot: &BlindSpot, said: &PlainRequest) {
        self.first_seen = self.first_seen.min(spot.time);
        self.last_seen = self.last_seen.max(spot.until);
        self.providers.note(said.provider.as_deref());
        self.endpoints.note(Some(spot.host.as_str()).filter(|host| *host != blind::OTHERS));
        let credential = said.credential.as_ref().map(ToString::to_string);
        self.credentials.note(credential.as_deref());
        self.assigned = said.assigned.as_ref().map(|assigned| Box::new(kept(assigned)));
        self.plain_http.note(spot, said);
    }
}

impl CredentialRow {
    /// What it is found by.
    pub(in crate::ledger) fn key(&self) -> RowKey {
        (self.uid, self.fingerprint.clone())
    }

    /// Of a credential that was never seen before.
    pub(super) fn new((uid, fingerprint): &RowKey, time: Timestamp) -> Self {
        Self {
            uid: *uid,
            fingerprint: cut(fingerprint, VALUE_MAX).to_owned(),
            kind: None,
            first_seen: time,
            last_seen: time,
            usage: Usage::default(),
            providers: Values::default(),
            identities: Values::default(),
            ids: BTreeMap::new(),
            places: BTreeMap::new(),
            plain_http: PlainHttp::default(),
        }
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        2 * (self.fingerprint.len() + ENTRY)
            + self.providers.weight()
            + self.identities.weight()
            + weight(&self.ids)
            + self.plain_http.weight()
            + size_of::<Self>()
    }

    /// Takes a call that was made with it.
    pub(super) fn take(&mut self, record: &UsageRecord) {
        self.first_seen = self.first_seen.min(record.time);
        self.last_seen = self.last_seen.max(record.time);
        self.usage.add(&Usage::of(record).unwrap_or_default());
        self.kind = record.credential_kind.or(self.kind);
        self.providers.note(Some(&record.provider));
        self.identities.note(Some(&record.identity.0));
        if !record.credential_ids.is_empty() {
            self.ids = bounded(&record.credential_ids);
        }
        if let Some(place) = record.credential_in {
            let calls = self.places.entry(place).or_default();
            *calls = calls.saturating_add(1);
        }
    }

    /// Takes requests in plain HTTP that carried it.
    pub(super) fn take_plain(&mut self, spot: &BlindSpot, said: &PlainRequest) {
        self.first_seen = self.first_seen.min(spot.time);
        self.last_seen = self.last_seen.max(spot.until);
        self.kind = said.credential_kind.or(self.kind);
        self.providers.note(said.provider.as_deref());
        self.identities.note(Some(&spot.identity.0));
        if !said.credential_ids.is_empty() {
            self.ids = bounded(&said.credential_ids);
        }
        self.plain_http.note(spot, said);
    }
}

/// The name of the identity as far as a row keeps it.
pub(super) fn name_of(identity: &IdentityId) -> &str {
    cut(&identity.0, VALUE_MAX)
}

fn kept(assigned: &Assigned) -> Assigned {
    let short = |text: &Option<String>| text.as_deref().map(|text| cut(text, ID_MAX).to_owned());
    Assigned {
        rule: cut(&assigned.rule, ID_MAX).to_owned(),
        owner: short(&assigned.owner),
        team: short(&assigned.team),
        product_line: short(&assigned.product_line),
        cost_center: short(&assigned.cost_center),
        environment: short(&assigned.environment),
        labels: bounded(&assigned.labels),
    }
}

fn weight(ids: &BTreeMap<String, String>) -> usize {
    ids.iter().map(|(name, id)| name.len() + id.len() + ENTRY).sum()
}

fn bounded(ids: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let first = ids.iter().take(IDS_MAX);
    first.map(|(name, id)| (cut(name, ID_MAX).to_owned(), cut(id, ID_MAX).to_owned())).collect()
}
