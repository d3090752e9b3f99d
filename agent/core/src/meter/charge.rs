//! What a call costs: each model's share at that model's price, when it is metered and again when its
//! record is priced anew.

use jiff::SignedDuration;

use super::UsageRecord;
use super::catalogue::{Catalogue, Origin, Quote, Sale};
use crate::provider::{Part, PriceContext};
use crate::units::{Counts, PicoUsd, Timestamp, Tokens};

/// What was used, and under which conditions.
pub(super) struct Charge<'a> {
    pub(super) provider: &'a str,
    pub(super) host: Option<&'a str>,
    /// The model that served.
    pub(super) model: Option<&'a str>,
    pub(super) context: &'a PriceContext,
    /// When it ended.
    pub(super) at: Timestamp,
    pub(super) counts: &'a Counts,
    pub(super) parts: &'a [Part],
}

impl Charge<'_> {
    /// The cost of `tokens`; `None` if that isn't known. Pieces are charged at the price of the model
    /// which served.
    pub(super) fn quote(&self, catalogue: &Catalogue, tokens: &Tokens) -> Option<Quote> {
        if self.parts.is_empty() {
            return catalogue.quote(&self.sale(self.model?), tokens, self.counts);
        }
        let mut whole = match self.model.filter(|_| !self.counts.is_empty()) {
            Some(model) => catalogue.quote(&self.sale(model), &Tokens::default(), self.counts)?,
            None => Quote { cost: PicoUsd::ZERO, complete: true, origin: Origin::Table },
        };
        let none = Counts::default();
        for (index, part) in self.parts.iter().enumerate() {
            let quote = catalogue.quote(&self.sale(&part.model), &part.tokens, &none)?;
            whole.cost = whole.cost.saturating_add(quote.cost);
            whole.complete &= quote.complete;
            whole.origin = match (whole.origin, quote.origin) {
                _ if index == 0 => quote.origin,
                (Origin::Included, Origin::Included) => Origin::Included,
                (Origin::Table, Origin::Table) => Origin::Table,
                _ => Origin::Own,
            };
        }
        Some(whole)
    }

    fn sale<'a>(&'a self, model: &'a str) -> Sale<'a> {
        let Charge { provider, host, context, at, .. } = *self;
        Sale { provider, host, model, context, at }
    }
}

/// What a record that was priced by some catalogue costs by this one; `None` if that isn't known.
#[must_use]
pub fn price_again(record: &UsageRecord, catalogue: &Catalogue) -> Option<Quote> {
    let context = PriceContext {
        service_tier: record.service_tier.clone(),
        batch: record.batch,
        speed: record.speed.clone(),
        region: record.region.clone(),
        traffic_type: record.traffic_type.clone(),
        spilled_over: record.spilled_over,
    };
    let latency = i64::try_from(record.latency_ms).unwrap_or(i64::MAX);
    let ended = record.time.checked_add(SignedDuration::from_millis(latency));
    let charge = Charge {
        provider: &record.provider,
        host: record.host.as_deref(),
        model: record.model.as_deref(),
        context: &context,
        at: ended.unwrap_or(record.time),
        counts: &record.counts,
        parts: &record.parts,
    };
    charge.quote(catalogue, &record.tokens)
}
