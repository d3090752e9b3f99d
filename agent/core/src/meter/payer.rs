//! Who is billed for a call, and how somebody else comes to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::UsageRecord;
use crate::http::{Credential, CredentialKind, CredentialPlace};
use crate::identity::{Attribution, Container, IdentityId, Process, Workload};
use crate::secret::Fingerprint;

/// Who is billed for a call, and the credential that it was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    /// Who made it.
    pub identity: IdentityId,
    /// The process that made it.
    pub process: Process,
    /// The container of that process, if it runs in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The systemd unit of that process, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What else is known of who made it.
    #[serde(flatten)]
    pub workload: Workload,
    /// Stands for the credential that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Fingerprint>,
    /// What kind of credential it is, by its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_kind: Option<CredentialKind>,
    /// Where the request carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_in: Option<CredentialPlace>,
    /// Ids beside or inside the credential that are no secrets, as in [`UsageRecord`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credential_ids: BTreeMap<String, String>,
}

impl Payer {
    /// Who `maker` is, with the credential of one of its requests.
    pub(super) fn new(maker: &Attribution, credential: Option<Credential>) -> Self {
        let fingerprint = credential.as_ref().map(|key| key.fingerprint.clone());
        let (identity, workload) = maker.of_call(fingerprint.as_ref());
        let (kind, place) = credential.as_ref().map(|key| (key.kind, key.place)).unzip();
        let ids = credential.map(|key| key.ids).unwrap_or_default();
        Self {
            identity: identity.clone(),
            process: maker.process.clone(),
            container: maker.container.clone(),
            unit: maker.unit.clone(),
            workload,
            credential: fingerprint,
            credential_kind: kind,
            credential_in: place,
            credential_ids: ids.into_iter().map(|(name, id)| (name.to_owned(), id)).collect(),
        }
    }
}

impl UsageRecord {
    /// Who is billed for it.
    pub(super) fn payer(&self) -> Payer {
        Payer {
            identity: self.identity.clone(),
            process: self.process.clone(),
            container: self.container.clone(),
            unit: self.unit.clone(),
            workload: self.workload.clone(),
            credential: self.credential.clone(),
            credential_kind: self.credential_kind,
            credential_in: self.credential_in,
            credential_ids: self.credential_ids.clone(),
        }
    }

    /// Bills somebody else for what was read back. Who has read it stays known.
    pub(super) fn charge(&mut self, payer: Payer) {
        let reader = self.retrieved_by.take().unwrap_or_else(|| self.identity.clone());
        let with = self.retrieved_with.take().or_else(|| self.credential.take());
        self.retrieved_by = (reader != payer.identity).then_some(reader);
        self.retrieved_with = with.filter(|with| payer.credential.as_ref() != Some(with));
        self.identity = payer.identity;
        self.process = payer.process;
        self.container = payer.container;
        self.unit = payer.unit;
        self.workload = payer.workload;
        self.credential = payer.credential;
        self.credential_kind = payer.credential_kind;
        self.credential_in = payer.credential_in;
        self.credential_ids = payer.credential_ids;
    }
}
