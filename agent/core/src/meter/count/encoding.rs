//! Which tokenizer a model has.

use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton, o200k_harmony_singleton};

/// A tokenizer that we can count with. Its tables (tens of megabytes) are loaded when they are
/// first used, and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) enum Encoding {
    O200k,
    O200kHarmony,
    Cl100k,
}

/// How the tokens of a model are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) struct Rule {
    pub(in crate::meter) encoding: Encoding,
    /// The tokenizer is the model's own, so that a count is exact.
    pub(in crate::meter) own: bool,
    /// What its tokens are to those of `encoding`, unless its calls have taught something else. The
    /// measurements of Claude's tokenizers that are public, and a margin around them; for models
    /// whose tokenizer nobody has measured it is wide.
    pub(in crate::meter) scale: Scale,
    /// It may use tokens for reasoning that nobody sees.
    pub(super) reasons: bool,
}

/// How many thousandths of a model's token one token of an [`Encoding`] stands for:
/// `least <= likely <= most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meter) struct Scale {
    pub(in crate::meter) least: u64,
    pub(in crate::meter) likely: u64,
    pub(in crate::meter) most: u64,
}

impl Scale {
    /// That of a model whose tokens are those that are counted.
    const ONE: Self = Self { least: 1_000, likely: 1_000, most: 1_000 };
}

impl Encoding {
    /// The tokens in `text`. Special tokens spelt out in it count as the text they are.
    pub(super) fn count(self, text: &str) -> u64 {
        let bpe: &CoreBPE = match self {
            Self::O200k => o200k_base_singleton(),
            Self::O200kHarmony => o200k_harmony_singleton(),
            Self::Cl100k => cl100k_base_singleton(),
        };
        bpe.encode_ordinary(text).len() as u64
    }
}

/// The first prefix that fits decides. From tiktoken's own table (`tiktoken/model.py`).
/// The flag says whether the models may reason.
const OWN: &[(&str, Encoding, bool)] = &[
    ("gpt-oss", Encoding::O200kHarmony, true),
    ("gpt-4o", Encoding::O200k, false),
    ("chatgpt-4o", Encoding::O200k, false),
    ("gpt-4.1", Encoding::O200k, false),
    ("gpt-4.5", Encoding::O200k, false),
    ("gpt-5", Encoding::O200k, true),
    ("o1", Encoding::O200k, true),
    ("o3", Encoding::O200k, true),
    ("o4", Encoding::O200k, true),
    ("gpt-4", Encoding::Cl100k, false),
    ("gpt-3.5", Encoding::Cl100k, false),
    ("text-embedding-3", Encoding::Cl100k, false),
    ("text-embedding-ada-002", Encoding::Cl100k, false),
];

impl Rule {
    /// The rule for the model of this name. Every name has one; what isn't known (GPT-6, whose
    /// tokenizer isn't published, among it) is counted as GPT-5 would be.
    pub(in crate::meter) fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let model = model.strip_prefix("ft:").unwrap_or(&model);
        let model = model.rsplit('/').next().unwrap_or(model);
        let own = OWN.iter().find(|(prefix, ..)| model.starts_with(prefix));
        if let Some(&(_, encoding, reasons)) = own {
            return Self { encoding, own: true, scale: Scale::ONE, reasons };
        }
        let scale = match model.split_once("claude") {
            Some((_, rest)) => claude(rest),
            None => Scale { least: 700, likely: 1_000, most: 1_500 },
        };
        Self { encoding: Encoding::O200k, own: false, scale, reasons: true }
    }
}

/// Claude's tokenizer is not public. It needs about 1.2 times as many tokens as `o200k_base` up to
/// version 4.6 and 1.5 times from 4.7 on; measurements by others scatter by a fifth, with code above
/// and Chinese below. A name without a version is taken for a new model.
fn claude(name: &str) -> Scale {
    let mut version = name
        .split(['-', '.', '@', ':'])
        .filter(|part| (1..=2).contains(&part.len()))
        .filter_map(|part| part.parse::<u32>().ok());
    match (version.next(), version.next()) {
        (Some(0..=3), _) | (Some(4), None | Some(0..=6)) => {
            Scale { least: 1_000, likely: 1_200, most: 1_500 }
        }
        (Some(_) | None, _) => Scale { least: 1_000, likely: 1_500, most: 2_000 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_tokenizer_that_is_theirs() {
        for (model, encoding, own, tenths) in [
            ("gpt-4o-mini", Encoding::O200k, true, 10),
            ("gpt-4.1-2025-04-14", Encoding::O200k, true, 10),
            ("openai/gpt-5.4-mini", Encoding::O200k, true, 10),
            ("o3-pro", Encoding::O200k, true, 10),
            ("gpt-oss-120b", Encoding::O200kHarmony, true, 10),
            ("gpt-4-0613", Encoding::Cl100k, true, 10),
            ("ft:gpt-3.5-turbo-0125:org::id", Encoding::Cl100k, true, 10),
            ("text-embedding-3-small", Encoding::Cl100k, true, 10),
            ("gpt-6-sol", Encoding::O200k, false, 10),
            ("llama3", Encoding::O200k, false, 10),
            ("", Encoding::O200k, false, 10),
            ("claude-3-7-sonnet-20250219", Encoding::O200k, false, 12),
            ("claude-sonnet-4-20250514", Encoding::O200k, false, 12),
            ("claude-opus-4-6", Encoding::O200k, false, 12),
            ("claude-opus-4.7", Encoding::O200k, false, 15),
            ("claude-haiku-4-5@20251001", Encoding::O200k, false, 12),
            ("claude-sonnet-5-5", Encoding::O200k, false, 15),
            ("us.anthropic.claude-mythos-preview", Encoding::O200k, false, 15),
        ] {
            let Rule { encoding: found, own: is_own, scale, .. } = Rule::of(model);
            assert_eq!((found, is_own, scale.likely), (encoding, own, 100 * tenths), "{model}");
            assert!(scale.least <= scale.likely && scale.likely <= scale.most, "{model}");
        }
    }
}
