//! Usage as Google reports it, made disjoint: `usageMetadata` of generateContent, its relatives and
//! sessions, and `usage` of interactions, which says the same in other words.
//!
//! Google's total is input + output + what tools put into the prompt + thoughts, and the input
//! includes what was read from a cache (google-genai 3.4.0, `GenerateContentResponseUsageMetadata`).

use super::Usage;
use super::json::Token;
use crate::units::Tokens;

/// The numbers as they came. A stream repeats them as they grow: the last one counts, number by
/// number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GoogleUsage {
    input: Option<u64>,
    output: u64,
    thoughts: u64,
    /// Input that the provider's own tools put into the prompt, beside `input`.
    tool: u64,
    /// How much of `input` was read from a cache.
    cached: u64,
    total: Option<u64>,
    input_kinds: Kinds,
    cached_kinds: Kinds,
    output_kinds: Kinds,
}

/// How many tokens of a number are of which kind: an array of a modality and a count each. The rest
/// is text and documents, which have one price.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    audio: u64,
    image: u64,
    video: u64,
    /// What is known of the element that is being read.
    modality: Option<Modality>,
    count: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Modality {
    Audio,
    Image,
    Video,
    Other,
}

impl GoogleUsage {
    /// Takes a value that stands at `key` inside `usageMetadata`. Gemini's sessions call the output a
    /// response.
    pub(super) fn read(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("promptTokenCount", Token::Count(count)) => self.input = Some(count),
            ("candidatesTokenCount" | "responseTokenCount", Token::Count(count)) => {
                self.output = count;
            }
            ("thoughtsTokenCount", Token::Count(count)) => self.thoughts = count,
            ("toolUsePromptTokenCount", Token::Count(count)) => self.tool = count,
            ("cachedContentTokenCount", Token::Count(count)) => self.cached = count,
            ("totalTokenCount", Token::Count(count)) => self.total = Some(count),
            _ => {
                if let Some(key) = key.strip_prefix("promptTokensDetails") {
                    self.input_kinds.read(key, token);
                } else if let Some(key) = key.strip_prefix("cacheTokensDetails") {
                    self.cached_kinds.read(key, token);
                } else if let Some(key) = key
                    .strip_prefix("candidatesTokensDetails")
                    .or_else(|| key.strip_prefix("responseTokensDetails"))
                {
                    self.output_kinds.read(key, token);
                }
            }
        }
    }

    /// Takes a value that stands at `key` inside the `usage` of an interaction.
    pub(super) fn read_interaction(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            ("total_input_tokens", Token::Count(count)) => self.input = Some(count),
            ("total_output_tokens", Token::Count(count)) => self.output = count,
            ("total_thought_tokens", Token::Count(count)) => self.thoughts = count,
            ("total_tool_use_tokens", Token::Count(count)) => self.tool = count,
            ("total_cached_tokens", Token::Count(count)) => self.cached = count,
            ("total_tokens", Token::Count(count)) => self.total = Some(count),
            _ => {
                if let Some(key) = key.strip_prefix("input_tokens_by_modality") {
                    self.input_kinds.read(key, token);
                } else if let Some(key) = key.strip_prefix("cached_tokens_by_modality") {
                    self.cached_kinds.read(key, token);
                } else if let Some(key) = key.strip_prefix("output_tokens_by_modality") {
                    self.output_kinds.read(key, token);
                }
            }
        }
    }

    /// The numbers in disjoint buckets, if there were any.
    ///
    /// The total tells whether thoughts are part of the output; where it tells neither, they are
    /// beside it, which is Google's rule. A number is split by kind as far as it goes: no kind is
    /// more than what is left of it.
    pub(super) fn normal(&self) -> Option<Usage> {
        let input = self.input.or(self.total.map(|_| 0))?;
        let without = [input, self.tool, self.output].iter().map(|&count| u128::from(count)).sum();
        let (within, told) = match self.total.map(u128::from) {
            None => (false, true),
            Some(total) if total == without + u128::from(self.thoughts) => (false, true),
            Some(total) => {
                let within = total == without && self.thoughts <= self.output;
                (within, within)
            }
        };
        let seen = if within { self.output - self.thoughts } else { self.output };
        let fresh = input.checked_sub(self.cached);

        let (all, cached) = (&self.input_kinds, &self.cached_kinds);
        let mut new = Split::of(fresh.unwrap_or(input));
        let mut read = Split::of(self.cached);
        let mut made = Split::of(seen);
        let tokens = Tokens {
            input_audio: new.take(all.audio.saturating_sub(cached.audio)),
            input_image: new.take(all.image.saturating_sub(cached.image)),
            input_video: new.take(all.video.saturating_sub(cached.video)),
            input_uncached: new.rest,
            input_tool: self.tool,
            cache_read_audio: read.take(cached.audio),
            cache_read_image: read.take(cached.image),
            cache_read: read.rest,
            output_audio: made.take(self.output_kinds.audio),
            output_image: made.take(self.output_kinds.image),
            output_visible: made.rest,
            reasoning: self.thoughts,
            ..Tokens::default()
        };
        let fits = new.fits && read.fits && made.fits;
        let inconsistent = !told || fresh.is_none() || !fits;
        Some(Usage { tokens, inconsistent, ..Usage::default() })
    }
}

impl Kinds {
    /// Takes a value that stands at `key` inside the array.
    fn read(&mut self, key: &str, token: Token<'_>) {
        match (key, token) {
            // Each report has all of them.
            ("", Token::Begin) => *self = Self::default(),
            ("[]", Token::Begin) => (self.modality, self.count) = (None, None),
            ("[].modality", Token::Text(name)) => self.modality = Some(Modality::of(name)),
            ("[].tokenCount" | "[].tokens", Token::Count(count)) => self.count = Some(count),
            _ => return,
        }
        if let (Some(modality), Some(count)) = (self.modality, self.count) {
            (self.modality, self.count) = (None, None);
            let slot = match modality {
                Modality::Audio => &mut self.audio,
                Modality::Image => &mut self.image,
                Modality::Video => &mut self.video,
                Modality::Other => return,
            };
            *slot = slot.saturating_add(count);
        }
    }
}

impl Modality {
    const fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("audio") {
            Self::Audio
        } else if name.eq_ignore_ascii_case("image") {
            Self::Image
        } else if name.eq_ignore_ascii_case("video") {
            Self::Video
        } else {
            Self::Other
        }
    }
}

/// A number that is being split.
struct Split {
    rest: u64,
    /// The parts were not more than the number.
    fits: bool,
}

impl Split {
    const fn of(number: u64) -> Self {
        Self { rest: number, fits: true }
    }

    /// Takes a part away, as far as it is there.
    fn take(&mut self, part: u64) -> u64 {
        let taken = part.min(self.rest);
        self.fits &= taken == part;
        self.rest -= taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(values: &[(&str, Token<'_>)]) -> Usage {
        let mut usage = GoogleUsage::default();
        for (key, token) in values {
            usage.read(key, *token);
        }
        usage.normal().unwrap()
    }

    #[test]
    fn the_total_tells_whether_thoughts_are_part_of_the_output() {
        for (total, output, thoughts, visible, inconsistent) in [
            (Some(70), 40, 20, 40, false),
            (Some(50), 40, 20, 20, false),
            (Some(60), 40, 20, 40, true),
            (Some(20), 10, 20, 10, true),
            (None, 40, 20, 40, false),
            (Some(50), 40, 0, 40, false),
        ] {
            let mut values = vec![
                ("promptTokenCount", Token::Count(7)),
                ("toolUsePromptTokenCount", Token::Count(3)),
                ("candidatesTokenCount", Token::Count(output)),
                ("thoughtsTokenCount", Token::Count(thoughts)),
            ];
            values.extend(total.map(|total| ("totalTokenCount", Token::Count(total))));
            let usage = read(&values);
            let tokens = Tokens {
                input_uncached: 7,
                input_tool: 3,
                output_visible: visible,
                reasoning: thoughts,
                ..Tokens::default()
            };
            assert_eq!((usage.tokens, usage.inconsistent), (tokens, inconsistent), "{total:?}");
        }
    }

    #[test]
    fn kinds_are_taken_out_of_what_they_are_part_of() {
        let prompt = |kind, count| {
            [
                ("promptTokensDetails[]", Token::Begin),
                ("promptTokensDetails[].modality", Token::Text(kind)),
                ("promptTokensDetails[].tokenCount", Token::Count(count)),
            ]
        };
        let usage = read(
            &[
                &[
                    ("promptTokenCount", Token::Count(100)),
                    ("cachedContentTokenCount", Token::Count(60)),
                    // Of an earlier event: the array below is all there is.
                    ("promptTokensDetails", Token::Begin),
                ],
                &prompt("VIDEO", 99)[..],
                &[("promptTokensDetails", Token::Begin)],
                &prompt("TEXT", 20),
                &prompt("AUDIO", 50),
                &prompt("IMAGE", 30),
                &[
                    ("cacheTokensDetails", Token::Begin),
                    ("cacheTokensDetails[]", Token::Begin),
                    ("cacheTokensDetails[].tokenCount", Token::Count(45)),
                    ("cacheTokensDetails[].modality", Token::Text("AUDIO")),
                ],
            ]
            .concat(),
        );
        let tokens = Tokens {
            input_uncached: 5,
            input_audio: 5,
            input_image: 30,
            cache_read: 15,
            cache_read_audio: 45,
            ..Tokens::default()
        };
        assert_eq!((usage.tokens, usage.inconsistent), (tokens, false));
    }

    #[test]
    fn contradictions_are_marked() {
        let more_cached = read(&[
            ("promptTokenCount", Token::Count(5)),
            ("cachedContentTokenCount", Token::Count(60)),
        ]);
        assert!(more_cached.inconsistent);
        assert_eq!((more_cached.tokens.input_uncached, more_cached.tokens.cache_read), (5, 60));
        let more_sound = read(&[
            ("promptTokenCount", Token::Count(5)),
            ("promptTokensDetails[].modality", Token::Text("AUDIO")),
            ("promptTokensDetails[].tokenCount", Token::Count(6)),
        ]);
        assert!(more_sound.inconsistent);
        assert_eq!((more_sound.tokens.input_uncached, more_sound.tokens.input_audio), (0, 5));
        assert!(read(&[("totalTokenCount", Token::Count(5))]).inconsistent);
    }

    #[test]
    fn numbers_of_traffic_alone_are_no_usage() {
        let mut usage = GoogleUsage::default();
        usage.read("trafficType", Token::Text("ON_DEMAND"));
        assert!(usage.normal().is_none());
    }

    const KEYS: [&str; 6] = [
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "cachedContentTokenCount",
        "totalTokenCount",
    ];
    const KINDS: [&str; 3] =
        ["promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails"];

    fn counts() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(prop_oneof![0..100u64, any::<u64>()], KEYS.len())
    }

    proptest! {
        /// Whatever the numbers, none overflows; and unless they are marked, the buckets add up to
        /// what the provider says.
        #[test]
        fn buckets_add_up(
            counts in counts(),
            with_total in any::<bool>(),
            kinds in prop::collection::vec(
                (0..3usize, prop::sample::select(vec!["TEXT", "AUDIO", "IMAGE", "VIDEO"]), 0..90u64),
                0..6,
            ),
        ) {
            let mut usage = GoogleUsage::default();
            for (key, count) in KEYS.iter().zip(&counts) {
                if with_total || *key != "totalTokenCount" {
                    usage.read(key, Token::Count(*count));
                }
            }
            for (array, modality, count) in kinds {
                usage.read(&format!("{}[].modality", KINDS[array]), Token::Text(modality));
                usage.read(&format!("{}[].tokenCount", KINDS[array]), Token::Count(count));
            }
            let normal = usage.normal().unwrap();
            let sum: u128 = normal.tokens.to_array().iter().map(|&count| u128::from(count)).sum();
            let [input, output, thoughts, tool, _, total] =
                [0, 1, 2, 3, 4, 5].map(|place| u128::from(counts[place]));
            if !normal.inconsistent {
                let expected = if with_total { total } else { input + output + thoughts + tool };
                prop_assert_eq!(sum, expected);
            }
            let details = &normal.tokens;
            prop_assert_eq!(u128::from(details.reasoning), thoughts);
            prop_assert!(u128::from(details.output_image) <= output);
        }
    }
}
