//! Which of a model's prices a call is charged at, by what the provider says of how it was served.

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
/// `priority` and Vertex's `PROVISIONED_THROUGHPUT` are capacity bought in advance). A region has
/// the standard prices only if it is no region at all: elsewhere most providers add a tenth, but not
/// to all models, and rows don't say yet to which.
pub(super) fn of(context: &PriceContext) -> Terms<'_> {
    // What has spilled over is billed as what was never meant for capacity bought in advance.
    let PriceContext { service_tier, batch, speed, region, traffic_type, spilled_over: _ } =
        context;
    let traffic = match traffic_type.as_deref() {
        None | Some("ON_DEMAND") => None,
        Some("ON_DEMAND_PRIORITY") => Some("priority"),
        Some("ON_DEMAND_FLEX") => Some("flex"),
        Some(_) => return Terms::Unknown,
    };
    // Anthropic's `inference_geo` says `global`, or that it doesn't apply to the model.
    if !matches!(region.as_deref(), None | Some("global" | "not_available")) {
        return Terms::Unknown;
    }
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
