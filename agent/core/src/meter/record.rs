//! The usage record: one model call, as the ledger stores it and as the API shows it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::batch::BatchResult;
use super::behalf::Behalf;
use crate::http::{CredentialKind, CredentialPlace};
use crate::identity::{Container, IdentityId, Process, Workload};
use crate::provider::{Api, CallState, Part};
use crate::secret::Fingerprint;
use crate::units::{Counts, PicoUsd, Role, Timestamp, Tokens};

/// One call's id: 32 hexadecimal digits, the same whenever the same sighting is metered again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub String);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a record's token numbers came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsageSource {
    /// The provider said them.
    Reported,
    /// Counted from the whole text with the model's own tokenizer.
    Counted,
    /// Counted from part of the text, or with a tokenizer that is not the model's own.
    Estimated,
    /// There are none: an error before any output, or nothing to count.
    None,
}

/// Where a record's cost came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostSource {
    /// The provider itself said it in the answer.
    Provider,
    /// The price catalogue.
    Table,
    /// The host's own prices, or its discount on the catalogue's.
    Override,
    /// The host's own prices say that a subscription covers it. The cost is 0.
    Included,
    /// The price catalogue, as far as it goes: something else was used that it has no price for
    /// (`counts`), so the cost is a lower bound.
    Partial,
    /// What was used is billed with another record, `duplicate_of`. The cost is 0.
    Repeat,
    /// Nothing was consumed: an error before any output. The cost is 0.
    Free,
    /// The catalogue has no price for this model. The cost is absent, not 0.
    Unpriced,
    /// The model has a price, but the usage is not known. The cost is absent, not 0.
    Unknown,
}

/// What the numbers of an estimate lie between. An upper end that is absent is not known.
///
/// `output_min` is the least that what was seen comes to. `output_max` is that only where the whole answer was seen of a
/// model that doesn't reason; else it is what the request allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// At least so many tokens of input.
    pub input_min: u64,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_max: Option<u64>,
    /// At least so many tokens of output.
    pub output_min: u64,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_max: Option<u64>,
    /// It cost at least this; absent if there is no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd_min: Option<PicoUsd>,
    /// It cost at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd_max: Option<PicoUsd>,
    /// How many tokens text comes to was learnt from other calls of the model: nearly all of these
    /// lay between such ends.
    #[serde(default, skip_serializing_if = "is_false")]
    pub calibrated: bool,
}

/// How a record completes an earlier one, which had no final numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The earlier record.
    pub call: CallId,
    /// All that the call used. The record's own tokens and cost are what goes beyond the earlier
    /// record's.
    pub tokens: Tokens,
}

/// One model call. Its JSON is the public contract: fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Names this call.
    pub id: CallId,
    /// When the request's first byte was seen.
    pub time: Timestamp,
    /// Who made it.
    pub identity: IdentityId,
    /// The process that made it.
    pub process: Process,
    /// The container of that process, if it runs in one.
    pub container: Option<Container>,
    /// The systemd unit of that process, if it belongs to one.
    pub unit: Option<String>,
    /// What else is known of who made it: `pod`, `script`, `interactive`, `assigned`, `agent`.
    #[serde(flatten)]
    pub workload: Workload,
    /// Which end of the connection was seen.
    pub role: Role,
    /// OpenTelemetry's `gen_ai.provider.name`.
    pub provider: String,
    /// The wire form.
    pub api: Api,
    /// What the request's `Host` says. A claim of the caller.
    pub host: Option<String>,
    /// The model that was asked for.
    pub model_requested: Option<String>,
    /// The model that served, else the one that was asked for.
    pub model: Option<String>,
    /// HTTP status; absent if no answer came.
    pub status: Option<u16>,
    /// Whether the answer is a stream of events.
    pub streamed: bool,
    /// How it ended.
    pub state: CallState,
    /// Tokens in disjoint buckets.
    pub tokens: Tokens,
    /// Where `tokens` came from.
    pub usage_source: UsageSource,
    /// What the numbers lie between, where they are estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// What it cost; absent if that is not known, which is not the same as 0.
    pub cost_usd: Option<PicoUsd>,
    /// Where `cost_usd` came from.
    pub cost_source: CostSource,
    /// Stands for the credential that was used.
    pub credential: Option<Fingerprint>,
    /// What kind of credential it is, by its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_kind: Option<CredentialKind>,
    /// Where the request carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_in: Option<CredentialPlace>,
    /// Ids beside or inside the credential that are no secrets: `openai_organization`,
    /// `aws_access_key_id`, … Names that begin with `claim_` are claims of a token whose signature
    /// was not verified.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credential_ids: BTreeMap<String, String>,
    /// From the request's first byte to the answer's last, in milliseconds.
    pub latency_ms: u64,
    /// From the request's first byte to the first output, in milliseconds.
    pub ttft_ms: Option<u64>,
    /// Bytes of this call that the kernel saw and could not hand over.
    pub lost_bytes: u64,
    /// The provider's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The provider's word for what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// The service tier that the answer says it was served at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// It was part of a batch.
    #[serde(default, skip_serializing_if = "is_false")]
    pub batch: bool,
    /// The speed that the answer says it was served at (Anthropic's `usage.speed`,
    /// Bedrock's `performanceConfig.latency`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<String>,
    /// The region it was served in, as far as host or answer tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Vertex's `usageMetadata.trafficType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_type: Option<String>,
    /// It was asked of capacity bought in advance, which was used up, and is billed as if it had been
    /// asked of none (Azure's spillover).
    #[serde(default, skip_serializing_if = "is_false")]
    pub spilled_over: bool,
    /// What the provider bills by the piece: web searches, pages, …
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub counts: Counts,
    /// How much of `tokens` which model used, where several models worked on the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The provider's numbers contradict each other.
    #[serde(default, skip_serializing_if = "is_false")]
    pub inconsistent: bool,
    /// It was not made here but read back: the result of a batch, or of a call in the background.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retrieved: bool,
    /// Who read it back, where that is somebody else than `identity`, who had made the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieved_by: Option<IdentityId>,
    /// Stands for the credential that it was read back with, where that is not `credential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieved_with: Option<Fingerprint>,
    /// Where it was fetched from, if it is the result of a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_of: Option<BatchResult>,
    /// The same answer was seen before and is billed with that record: this one has no tokens and
    /// costs nothing, and counts as no call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<CallId>,
    /// This is the end of a call that has a record already: it counts as no further call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles: Option<Settlement>,
    /// How often the caller's client says that it had tried the call before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<u32>,
    /// Stands for the body of the request, as a fingerprint does for a credential: the same body has the
    /// same one. Absent if the body wasn't seen to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_fp: Option<Fingerprint>,
    /// Stands for the tools that the request shows the model to have called last, with their arguments: while
    /// an agent goes in a circle, it is the same in one request after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_fp: Option<Fingerprint>,
    /// The W3C trace that the caller says it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The caller's place in that trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The first product that the caller's `User-Agent` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The process that made it answers requests of others, so it may be for one of them: whom
    /// `on_behalf_of` names, if that is seen.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gateway: bool,
    /// For whom else it was made, as far as calls show it: the caller of a gateway, or who began its
    /// trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Behalf>,
    /// The version of the catalogue that priced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
}

impl UsageRecord {
    /// Whether it adds anything to what was used: a repeat doesn't, since what it says is billed with another
    /// record.
    #[must_use]
    pub const fn adds(&self) -> bool {
        self.duplicate_of.is_none()
    }

    /// Whether it is a call of its own: neither a repeat nor the end of a call that has a record.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.adds() && self.settles.is_none()
    }

    /// Whether the provider began to answer and said of no error.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        let answered = self.status.is_some_and(|status| (200..300).contains(&status));
        answered && self.state != CallState::Error
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
