//! In what providers differ who speak the same form. Everything is data: a provider that isn't
//! here reports usage as OpenAI itself does.

use super::Api;

/// How a provider reports usage in OpenAI's forms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quirks {
    /// Where reasoning is counted, where the total doesn't tell.
    pub(super) reasoning: Reasoning,
    /// What it says of the cost.
    pub(super) cost: Option<&'static Cost>,
}

/// Where reasoning is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// As part of the output.
    Inside,
    /// Beside the output, and in the total.
    Beside,
    /// Beside the output, and not in the total, which therefore says nothing of it.
    Apart,
}

/// Where in `usage` the cost of a call stands.
#[derive(Debug)]
pub(super) struct Cost {
    pub(super) key: &'static str,
    /// Pico-dollars are the number there times ten to this power.
    pub(super) shift: i64,
    /// The flag that says that the caller's own key was used elsewhere, and where that costs.
    pub(super) own_key: Option<(&'static str, &'static str)>,
}

impl Default for Quirks {
    /// OpenAI's own way.
    fn default() -> Self {
        Self { reasoning: Reasoning::Inside, cost: None }
    }
}

/// Sources: wire.md §1.2 has each provider's.
const QUIRKS: &[(&str, Quirks)] = &[
    (
        "x_ai",
        Quirks {
            reasoning: Reasoning::Beside,
            // Ticks of 10⁻¹⁰ dollars.
            cost: Some(&Cost { key: "cost_in_usd_ticks", shift: 2, own_key: None }),
        },
    ),
    (
        "perplexity",
        Quirks {
            reasoning: Reasoning::Apart,
            cost: Some(&Cost { key: "cost.total_cost", shift: 12, own_key: None }),
        },
    ),
    (
        "openrouter",
        Quirks {
            reasoning: Reasoning::Inside,
            // Credits are dollars. With the caller's own key at the provider behind it, they are
            // OpenRouter's fee only (openrouter.ai/docs/use-cases/usage-accounting).
            cost: Some(&Cost {
                key: "cost",
                shift: 12,
                own_key: Some(("is_byok", "cost_details.upstream_inference_cost")),
            }),
        },
    ),
];

/// How `provider` reports the usage of calls of the form `api`.
pub(super) fn quirks(provider: &str, api: Api) -> Quirks {
    let row = QUIRKS.iter().find(|(name, _)| *name == provider);
    let quirks = row.map_or_else(Quirks::default, |(_, quirks)| *quirks);
    match api {
        // xAI counts reasoning beside the output in chat completions only.
        Api::Responses => Quirks { reasoning: Reasoning::Inside, ..quirks },
        _ => quirks,
    }
}
