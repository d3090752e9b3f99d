//! Which of a model's prices a call is charged at, by what the provider says of how it was served.

use std::collections::BTreeMap;

use super::format::Factor;
use crate::provider::PriceContext;

/// The prices that hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terms<'a> {
    /// Those of `standard`.
    Standard,
    /// Those of the tier of this name, if the row has it.
    Tier(&'a str),
    /// None that a row has words for: two conditions at once, or one of an unknown effect.
    Unknown,
}

/// The terms of a call.
///
/// `default` and `standard` are how OpenAI and Anthropic name what `standard` prices are for. A tier
/// without prices of its own is one whose price we don't know (OpenAI's `scale`, Anthropic's
/// `priority` and Vertex's `PROVISIONED_THROUGHPUT` are capacity bought in advance).
pub(super) fn of(context: &PriceContext) -> Terms<'_> {
    // What has spilled over is billed as what was never meant for capacity bought in advance.
    let PriceContext { service_tier, batch, speed, region: _, traffic_type, spilled_over: _ } =
        context;
    let traffic = match traffic_type.as_deref() {
        None | Some("ON_DEMAND") => None,
        Some("ON_DEMAND_PRIORITY") => Some("priority"),
        Some("ON_DEMAND_FLEX") => Some("flex"),
        Some(_) => return Terms::Unknown,
    };
    let ordinary = |word: &&str| !matches!(*word, "default" | "standard");
    let conditions = [
        service_tier.as_deref().filter(ordinary),
        batch.then_some("batch"),
        speed.as_deref().filter(ordinary),
        traffic,
    ];
    conditions.into_iter().flatten().fold(Terms::Standard, |terms, condition| match terms {
        Terms::Standard => Terms::Tier(condition),
        Terms::Tier(known) if known == condition => terms,
        Terms::Tier(_) | Terms::Unknown => Terms::Unknown,
    })
}

/// What prices of tokens are multiplied by in `region`; `None` if that isn't known.
///
/// A region has the prices of none only if a row says so: elsewhere most providers add a tenth, but
/// not to all models. Anthropic's `inference_geo` says `global`, or that it doesn't apply to the
/// model.
pub(super) fn factor(regions: &BTreeMap<String, Factor>, region: Option<&str>) -> Option<Factor> {
    let region = match region {
        None | Some("global" | "not_available") => return Some(Factor::ONE),
        Some(region) => region.to_ascii_lowercase(),
    };
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => region.starts_with(start),
        None => region == pattern,
    };
    let longest = regions.iter().filter(|(pattern, _)| fits(pattern));
    longest.max_by_key(|(pattern, _)| pattern.len()).map(|(_, factor)| *factor)
}
