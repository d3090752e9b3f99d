//! From a model call and its maker to the record that is stored: tokens counted where the provider
//! said nothing, priced by the catalogue.
//!
//! Not for the path that captured bytes take: counting may load a tokenizer and read megabytes.

mod added;
mod batch;
mod behalf;
mod calibrate;
pub mod catalogue;
mod charge;
mod count;
mod dimension;
mod edge;
mod estimate;
mod habit;
mod mean;
mod once;
mod payer;
mod record;

use sha2::{Digest, Sha256};

use crate::identity::Attribution;
use crate::provider::{Api, ModelCall, Usage};
use crate::units::{ConnectionId, PicoUsd, Timestamp, Tokens};
pub use added::Added;
pub use batch::{BatchKey, BatchRecord, BatchResult, Batches, Creator};
pub use behalf::{Behalf, Linked, Traces};
pub use catalogue::Catalogue;
use catalogue::{Origin, Quote};
use charge::Charge;
pub use charge::price_again;
pub use dimension::{Dimension, ParseDimensionError};
pub use edge::{EdgeId, EdgeRecord};
use estimate::{Ends, Estimate, failed_before_output};
pub use habit::Habits;
pub use once::{Once, Relays};
pub use payer::Payer;
pub use record::{Bounds, CallId, CostSource, Settlement, UsageRecord, UsageSource};

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

    /// Measures one call, and learns from it for the next. `boot_id` is the kernel's id of this boot
    /// (`/proc/sys/kernel/random/boot_id`): times since boot mean nothing without it.
    #[must_use]
    pub fn measure(
        &self,
        mut call: ModelCall,
        attribution: &Attribution,
        boot_id: &str,
        habits: &mut Habits,
    ) -> UsageRecord {
        let model = call.model_served.clone().or_else(|| call.model_requested.clone());
        let Estimate { usage, source: usage_source, bounds } =
            Estimate::of(&call, model.as_deref().unwrap_or_default(), habits);
        let (cost_usd, cost_source) = self.price(&call, model.as_deref(), &usage, usage_source);
        let bounds =
            bounds.map(|ends| self.bounds(&call, model.as_deref(), &usage, &ends, cost_source));
        let asked = match cost_source {
            CostSource::Table
            | CostSource::Override
            | CostSource::Included
            | CostSource::Partial
            | CostSource::Unpriced => true,
            CostSource::Provider | CostSource::Repeat | CostSource::Free | CostSource::Unknown => {
                false
            }
        };
        let Payer {
            identity,
            process,
            container,
            unit,
            workload,
            credential,
            credential_kind,
            credential_in,
            credential_ids,
        } = Payer::new(attribution, call.credential.take());
        UsageRecord {
            id: call_id(boot_id, &call),
            time: call.started,
            identity,
            process,
            container,
            unit,
            workload,
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
            bounds,
            cost_usd,
            cost_source,
            credential,
            credential_kind,
            credential_in,
            credential_ids,
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
            spilled_over: call.context.spilled_over,
            counts: usage.counts,
            parts: usage.parts,
            inconsistent: usage.inconsistent,
            retrieved: call.retrieved,
            retrieved_by: None,
            retrieved_with: None,
            result_of: call.result_of.map(BatchResult::from),
            duplicate_of: None,
            settles: None,
            retry: call.hints.retry,
            request_fp: call.request_fp,
            step_fp: call.step_fp,
            trace_id: call.hints.trace_id,
            parent_id: call.hints.parent_id,
            user_agent: call.hints.user_agent,
            gateway: false,
            on_behalf_of: None,
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
                let quote = charge(call, model, usage).quote(&self.catalogue, &usage.tokens);
                match (usage.cost, quote) {
                    // A subscription is paid whatever its provider says that a call is worth.
                    (_, Some(Quote { origin: Origin::Included, .. })) => {
                        (Some(PicoUsd::ZERO), CostSource::Included)
                    }
                    (Some(cost), _) => (Some(cost), CostSource::Provider),
                    (None, Some(Quote { cost, complete: true, origin: Origin::Own })) => {
                        (Some(cost), CostSource::Override)
                    }
                    (None, Some(Quote { cost, complete: true, .. })) => {
                        (Some(cost), CostSource::Table)
                    }
                    (None, Some(Quote { cost, .. })) if cost > PicoUsd::ZERO => {
                        (Some(cost), CostSource::Partial)
                    }
                    (None, _) => (None, CostSource::Unpriced),
                }
            }
            UsageSource::None if failed_before_output(call) => {
                (Some(PicoUsd::ZERO), CostSource::Free)
            }
            UsageSource::None => (None, CostSource::Unknown),
        }
    }
}

impl Meter {
    fn bounds(
        &self,
        call: &ModelCall,
        model: Option<&str>,
        usage: &Usage,
        ends: &Ends,
        source: CostSource,
    ) -> Bounds {
        let charge = charge(call, model, usage);
        let price = |tokens: &Tokens| charge.quote(&self.catalogue, tokens).map(|quote| quote.cost);
        let (cost_min, cost_max) = match source {
            // Several models' shares grow in ways that nobody knows.
            CostSource::Table | CostSource::Override | CostSource::Partial
                if usage.parts.is_empty() =>
            {
                ends.costs(&usage.tokens, price)
            }
            _ => (None, None),
        };
        Bounds {
            input_min: ends.input.least,
            input_max: ends.input.most,
            output_min: ends.output.least,
            output_max: ends.output.most,
            cost_usd_min: cost_min,
            // What is charged by the piece comes on top.
            cost_usd_max: cost_max.filter(|_| source != CostSource::Partial),
            calibrated: ends.calibrated,
        }
    }
}

/// What is charged of a call, whose usage may be an estimate.
fn charge<'a>(call: &'a ModelCall, model: Option<&'a str>, usage: &'a Usage) -> Charge<'a> {
    Charge {
        provider: call.provider,
        host: call.host.as_deref(),
        model,
        context: &call.context,
        at: call.ended,
        counts: &usage.counts,
        parts: &usage.parts,
    }
}

fn call_id(boot_id: &str, call: &ModelCall) -> CallId {
    CallId(sighting_id(boot_id, call.connection, call.ordinal, call.index))
}

/// The first half of SHA-256 over everything that tells one sighting from another.
fn sighting_id(boot_id: &str, connection: ConnectionId, ordinal: u64, index: u64) -> String {
    let mut hash = Sha256::new();
    hash.update((boot_id.len() as u64).to_be_bytes());
    hash.update(boot_id);
    hash.update(connection.process.pid.to_be_bytes());
    let ConnectionId { process, handle, generation } = connection;
    for part in [process.start_ns, handle, generation, ordinal, index] {
        hash.update(part.to_be_bytes());
    }
    let digest = hash.finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// From `start` to `end`, 0 if the clock was set back in between.
fn milliseconds(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.duration_since(start).as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
