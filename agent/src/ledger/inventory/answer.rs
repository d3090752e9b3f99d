//! The inventory as it leaves the ledger: rows of several users and of several names of one identity
//! put together.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weir_core::http::{CredentialKind, CredentialPlace};
use weir_core::identity::{Assigned, IdentityId};
use weir_core::units::Timestamp;

use super::plain::PlainHttp;
use super::rows::{CredentialRow, IdentityRow};
use super::values::Values;
use crate::ledger::change::{Change, Registry};
use crate::ledger::usage::Usage;

/// After so many days without a call an identity is dormant.
pub const DORMANT_AFTER_DAYS: i64 = 30;

/// Whether an identity makes calls, and whether it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Seen in the last [`DORMANT_AFTER_DAYS`] days.
    Active,
    /// Not seen for longer.
    Dormant,
    /// An administrator said that it should make no calls any more.
    Offboarded,
}

/// What an identity is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// A service account of Kubernetes.
    ServiceAccount,
    /// A container.
    Container,
    /// A systemd unit.
    Unit,
    /// A user of the host.
    User,
    /// Named by a rule of the configuration, or in another way.
    Other,
}

impl IdentityKind {
    /// Of an identity's name: the first word of its path that says what it is.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let path = name.strip_prefix("spiffe://").unwrap_or(name);
        let mut words = path.split('/').skip(1);
        let first = words.next();
        let word = if first == Some("host") { words.nth(1) } else { first };
        match word {
            Some("ns") => Self::ServiceAccount,
            Some("container") => Self::Container,
            Some("unit") => Self::Unit,
            Some("user") => Self::User,
            Some(_) | None => Self::Other,
        }
    }

    /// Its name in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "service account",
            Self::Container => "container",
            Self::Unit => "unit",
            Self::User => "user",
            Self::Other => "other",
        }
    }
}

/// That an identity should make no calls any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offboarding {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many calls it made after it was.
    pub calls: u64,
    /// When it made the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_call: Option<Timestamp>,
}

/// An identity that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownIdentity {
    /// Its name of today.
    pub identity: IdentityId,
    /// The names that stand for it too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub renamed_from: BTreeSet<String>,
    /// What it is.
    pub kind: IdentityKind,
    /// Whether it makes calls, and whether it should.
    pub state: Standing,
    /// No rule of the configuration names an owner.
    pub unowned: bool,
    /// Since when and why it should make no calls any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offboarded: Option<Offboarding>,
    /// When its first call began, or its first connection in plain HTTP.
    pub first_seen: Timestamp,
    /// When its last call began, or when it was last seen in plain HTTP.
    pub last_seen: Timestamp,
    /// The hosts that it was seen on.
    pub hosts: Vec<String>,
    /// The users that its processes ran as.
    pub uids: BTreeSet<u32>,
    /// What a rule of the configuration said of it at its last call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Box<Assigned>>,
    /// The models that it asked.
    pub models: Values,
    /// The providers that it asked.
    pub providers: Values,
    /// What its requests named as their host. Claims of the caller.
    pub endpoints: Values,
    /// The fingerprints of the credentials that it used.
    pub credentials: Values,
    /// What it asked in plain HTTP, which was not metered.
    #[serde(default, skip_serializing_if = "PlainHttp::is_empty")]
    pub plain_http: PlainHttp,
    /// The sums of all its calls, also of those whose lines are gone.
    #[serde(flatten)]
    pub usage: Usage,
}

/// All identities that were seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentitiesReport {
    /// Those that were seen last come first.
    pub identities: Vec<KnownIdentity>,
    /// How many are not remembered any more, because there were too many.
    pub forgotten: u64,
    /// How many rows can't be read.
    pub damaged: u64,
    /// Since when identities are remembered: the first sign of a run; absent if there was none.
    pub begins: Option<Timestamp>,
}

/// One identity and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityDetail {
    /// The identity.
    #[serde(flatten)]
    pub identity: KnownIdentity,
    /// What was said of it, the first word first. Who isn't an auditor doesn't see it.
    pub changes: Vec<Change>,
}

/// A credential that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCredential {
    /// Stands for it.
    pub fingerprint: String,
    /// What it is, by its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CredentialKind>,
    /// The providers that it was used with.
    pub providers: Values,
    /// Organisation, project and other ids beside or inside it, as in records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ids: BTreeMap<String, String>,
    /// When the first call with it began, or the first connection that carried it in plain HTTP.
    pub first_seen: Timestamp,
    /// When the last call with it began, or when it was last seen in plain HTTP.
    pub last_seen: Timestamp,
    /// Seconds since it was first seen. It may be older.
    pub age_seconds: u64,
    /// The identities that used it, by their names of today.
    pub identities: Values,
    /// The users whose processes used it.
    pub uids: BTreeSet<u32>,
    /// How many calls carried it where. All of them were encrypted.
    pub places: BTreeMap<CredentialPlace, u64>,
    /// What carried it in plain HTTP.
    #[serde(default, skip_serializing_if = "PlainHttp::is_empty")]
    pub plain_http: PlainHttp,
    /// The sums of all calls with it.
    #[serde(flatten)]
    pub usage: Usage,
}

/// All credentials that were seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCredentials {
    /// Those that were seen last come first.
    pub credentials: Vec<KnownCredential>,
    /// How many identities and credentials are not remembered any more.
    pub forgotten: u64,
    /// How many rows can't be read.
    pub damaged: u64,
    /// Since when credentials are remembered.
    pub begins: Option<Timestamp>,
}

impl KnownIdentity {
    /// The identity of the name `current` as one of its rows shows it, without what the others add.
    pub(super) fn new(
        current: &str,
        row: IdentityRow,
        registry: &Registry,
        now: Timestamp,
    ) -> Self {
        let offboarded = registry.offboarded(current).map(|(seq, change)| {
            let after = row.after.filter(|after| after.seq == seq);
            Offboarding {
                since: change.time,
                reason: change.reason.clone(),
                calls: after.map_or(0, |after| after.calls),
                last_call: after.map(|after| after.last),
            }
        });
        let mut identity = Self {
            identity: IdentityId(current.to_owned()),
            renamed_from: BTreeSet::new(),
            kind: IdentityKind::of(current),
            state: Standing::Active,
            unowned: false,
            offboarded,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            hosts: Vec::new(),
            uids: [row.uid].into(),
            assigned: row.assigned,
            models: row.models,
            providers: row.providers,
            endpoints: row.endpoints,
            credentials: row.credentials,
            plain_http: row.plain_http,
            usage: row.usage,
        };
        if row.name != current {
            identity.renamed_from.insert(row.name);
        }
        identity.judge(now);
        identity
    }

    /// Adds what another row of the same identity shows.
    pub(super) fn add(&mut self, other: Self, now: Timestamp) {
        if other.last_seen > self.last_seen || self.assigned.is_none() {
            self.assigned = other.assigned.or(self.assigned.take());
        }
        if let (Some(mine), Some(theirs)) = (&mut self.offboarded, other.offboarded) {
            mine.calls = mine.calls.saturating_add(theirs.calls);
            mine.last_call = mine.last_call.max(theirs.last_call);
        }
        self.renamed_from.extend(other.renamed_from);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.uids.extend(other.uids);
        self.models.add(&other.models);
        self.providers.add(&other.providers);
        self.endpoints.add(&other.endpoints);
        self.credentials.add(&other.credentials);
        self.plain_http.add(&other.plain_http);
        self.usage.add(&other.usage);
        self.judge(now);
    }

    fn judge(&mut self, now: Timestamp) {
        let idle = now.duration_since(self.last_seen);
        let is_dormant = idle.as_secs() > DORMANT_AFTER_DAYS * 86_400;
        self.state = match (&self.offboarded, is_dormant) {
            (Some(_), true | false) => Standing::Offboarded,
            (None, true) => Standing::Dormant,
            (None, false) => Standing::Active,
        };
        self.unowned = self.assigned.as_ref().is_none_or(|assigned| assigned.owner.is_none());
    }
}

impl KnownCredential {
    /// The credential as one of its rows shows it.
    pub(super) fn new(row: CredentialRow, registry: &Registry, now: Timestamp) -> Self {
        let names = row.identities.values.iter().map(|name| registry.current(name).to_owned());
        let identities = Values { values: names.collect(), others: row.identities.others };
        let mut credential = Self {
            fingerprint: row.fingerprint,
            kind: row.kind,
            providers: row.providers,
            ids: row.ids,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            age_seconds: 0,
            identities,
            uids: [row.uid].into(),
            places: row.places,
            plain_http: row.plain_http,
            usage: row.usage,
        };
        credential.date(now);
        credential
    }

    /// Adds what another user did with it.
    pub(super) fn add(&mut self, other: Self, now: Timestamp) {
        if other.last_seen > self.last_seen || self.ids.is_empty() {
            if !other.ids.is_empty() {
                self.ids = other.ids;
            }
            self.kind = other.kind.or(self.kind);
        }
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.uids.extend(other.uids);
        self.providers.add(&other.providers);
        self.identities.add(&other.identities);
        for (place, calls) in other.places {
            let sum = self.places.entry(place).or_default();
            *sum = sum.saturating_add(calls);
        }
        self.plain_http.add(&other.plain_http);
        self.usage.add(&other.usage);
        self.date(now);
    }

    fn date(&mut self, now: Timestamp) {
        self.age_seconds = now.duration_since(self.first_seen).as_secs().try_into().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_identity_is_shows_in_its_name() {
        for (name, kind) in [
            ("spiffe://weir.local/host/a/unit/bot.service", IdentityKind::Unit),
            ("spiffe://weir.local/host/a/container/web", IdentityKind::Container),
            ("spiffe://weir.local/host/a/user/ann", IdentityKind::User),
            ("spiffe://weir.local/host/a/user/ann/unit/x.service", IdentityKind::User),
            ("spiffe://weir.local/ns/prod/sa/bot", IdentityKind::ServiceAccount),
            ("spiffe://weir.local/agent/support", IdentityKind::Other),
            ("support", IdentityKind::Other),
            ("", IdentityKind::Other),
        ] {
            assert_eq!(IdentityKind::of(name), kind, "{name}");
        }
    }
}
