//! From a model call and its maker to the record that is stored: tokens counted where the provider
//! said nothing, priced by the catalogue.
//!
//! Not for the path that captured bytes take: counting may load a tokenizer and read megabytes.

pub mod catalogue;
mod count;
mod record;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::identity::Attribution;
use crate::provider::{Api, CallState, ModelCall, Usage};
use crate::units::{ConnectionId, PicoUsd, Timestamp, Tokens};
pub use catalogue::Catalogue;
pub use record::{CallId, CostSource, UsageRecord, UsageSource};

/// Makes usage records of model calls.
#[derive(Debug)]
pub struct Meter {
    catalogue: Catalogue,
}

impl Meter {
    /// A meter that prices by `catalogue`.
    #[must_use]
    pub const fn new(catalogue: Catalogue) -> Self {
        Self { catalogue }
    }

    /// What it prices by.
    #[must_use]
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Measures one call. `boot_id` is the kernel's id of this boot
    /// (`/proc/sys/kernel/random/boot_id`): times since boot mean nothing without it.
    #[must_use]
    pub fn measure(
        &self,
        mut call: ModelCall,
        attribution: &Attribution,
        boot_id: &str,
    ) -> UsageRecord {
        let model = call.model_served.clone().or_else(|| call.model_requested.clone());
        let (usage, usage_source) = usage(&call, model.as_deref().unwrap_or_default());
        let (cost_usd, cost_source) = self.price(&call, model.as_deref(), &usage, usage_source);
        let asked = matches!(cost_source, CostSource::Table | CostSource::Unpriced);
        let key = call.credential.take();
        UsageRecord {
            id: call_id(boot_id, &call),
            time: call.started,
            identity: attribution.identity.clone(),
            process: attribution.process.clone(),
            container: attribution.container.clone(),
            unit: attribution.unit.clone(),
            role: call.role,
            provider: call.provider.to_owned(),
            api: call.api,
            host: call.host,
            model_requested: call.model_requested,
            model,
            status: call.status,
            streamed: call.streamed,
            state: call.state,
            tokens: usage.tokens,
            usage_source,
            cost_usd,
            cost_source,
            credential: key.as_ref().map(|key| key.fingerprint.clone()),
            credential_kind: key.as_ref().map(|key| key.kind),
            credential_in: key.as_ref().map(|key| key.place),
            credential_ids: key.map(|key| ids(key.ids)).unwrap_or_default(),
            latency_ms: milliseconds(call.started, call.ended),
            ttft_ms: call.first_output.map(|first| milliseconds(call.started, first)),
            lost_bytes: call.lost_bytes,
            response_id: call.response_id,
            error_type: call.error_type,
            service_tier: call.context.service_tier,
            batch: call.context.batch,
            speed: call.context.speed,
            region: call.context.region,
            traffic_type: call.context.traffic_type,
            counts: usage.counts,
            parts: usage.parts,
            inconsistent: usage.inconsistent,
            retrieved: call.retrieved,
            retry: call.hints.retry,
            trace_id: call.hints.trace_id,
            parent_id: call.hints.parent_id,
            user_agent: call.hints.user_agent,
            price_version: asked.then(|| self.catalogue.version().to_owned()),
        }
    }

    fn price(
        &self,
        call: &ModelCall,
        model: Option<&str>,
        usage: &Usage,
        usage_source: UsageSource,
    ) -> (Option<PicoUsd>, CostSource) {
        match usage_source {
            _ if call.api == Api::CountTokens => (Some(PicoUsd::ZERO), CostSource::Free),
            UsageSource::Reported | UsageSource::Counted | UsageSource::Estimated => {
                if let Some(cost) = usage.cost {
                    return (Some(cost), CostSource::Provider);
                }
                let cost = self.table_price(call, model, usage);
                (cost, cost.map_or(CostSource::Unpriced, |_| CostSource::Table))
            }
            UsageSource::None if failed_before_output(call) => {
                (Some(PicoUsd::ZERO), CostSource::Free)
            }
            UsageSource::None => (None, CostSource::Unknown),
        }
    }
}

impl Meter {
    /// What the catalogue says: each model's share at that model's price.
    fn table_price(&self, call: &ModelCall, model: Option<&str>, usage: &Usage) -> Option<PicoUsd> {
        let price =
            |model: &str, tokens| self.catalogue.cost(call.provider, model, &call.context, tokens);
        if usage.parts.is_empty() {
            return price(model?, &usage.tokens);
        }
        let shares = usage.parts.iter().map(|part| price(&part.model, &part.tokens));
        shares.sum::<Option<PicoUsd>>()
    }
}

/// The call's tokens: what the provider said, else what can be counted.
fn usage(call: &ModelCall, model: &str) -> (Usage, UsageSource) {
    match (&call.usage, &call.countable) {
        (Some(usage), None) => return (usage.clone(), UsageSource::Reported),
        (Some(said), Some(text)) => {
            // The output was still growing when this was said.
            let seen = count::count(model, call.api, text).tokens.output_visible;
            let mut usage = said.clone();
            let tokens = &mut usage.tokens;
            tokens.output_visible =
                tokens.output_visible.max(seen.saturating_sub(tokens.reasoning));
            return (usage, UsageSource::Estimated);
        }
        (None, _) => {}
    }
    let Some(text) = call.countable.as_ref().filter(|_| !failed_before_output(call)) else {
        return (Usage::default(), UsageSource::None);
    };
    let counted = count::count(model, call.api, text);
    if counted.tokens == Tokens::default() {
        return (Usage::default(), UsageSource::None);
    }
    let whole = match call.state {
        CallState::Complete => call.lost_bytes == 0,
        CallState::Aborted | CallState::Truncated | CallState::Error => false,
    };
    let source = if counted.exact && whole { UsageSource::Counted } else { UsageSource::Estimated };
    (counted.tokens.into(), source)
}

/// Whether the provider refused the call, or failed it before there was any output. Neither
/// provider bills that.
fn failed_before_output(call: &ModelCall) -> bool {
    let refused = call.status.is_some_and(|status| status >= 400);
    let failed = match call.state {
        CallState::Error => {
            let text = call.countable.as_ref().map(|text| text.output.expose());
            let has_text = text.is_some_and(|text| !text.is_empty());
            // Of an answer that isn't a stream, the first output is the error itself.
            let has_begun = has_text || (call.streamed && call.first_output.is_some());
            !has_begun
        }
        CallState::Complete | CallState::Aborted | CallState::Truncated => false,
    };
    call.usage.is_none() && (refused || failed)
}

/// The first half of SHA-256 over everything that tells one sighting from another.
fn call_id(boot_id: &str, call: &ModelCall) -> CallId {
    let connection = call.connection;
    let mut hash = Sha256::new();
    hash.update((boot_id.len() as u64).to_be_bytes());
    hash.update(boot_id);
    hash.update(connection.process.pid.to_be_bytes());
    let ConnectionId { process, handle, generation } = connection;
    for part in [process.start_ns, handle, generation, call.ordinal, call.index] {
        hash.update(part.to_be_bytes());
    }
    let digest = hash.finalize();
    CallId(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

fn ids(ids: BTreeMap<&'static str, String>) -> BTreeMap<String, String> {
    ids.into_iter().map(|(name, id)| (name.to_owned(), id)).collect()
}

/// From `start` to `end`, 0 if the clock was set back in between.
fn milliseconds(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.duration_since(start).as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
