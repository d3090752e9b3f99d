//! A bounded set of what was seen with an identity or a credential.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Most values that are kept.
const VALUES_MAX: usize = 16;
/// Bytes kept of each. Two values that are the same so far count as one.
const VALUE_MAX: usize = 256;

/// About what an entry of a set or a map takes beside its text, in bytes.
pub(super) const ENTRY: usize = 48;

/// The first values that were seen, and how many calls had others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// In alphabetical order.
    pub values: BTreeSet<String>,
    /// Calls with values that there was no room for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: u64,
}

impl Values {
    /// A call had this value.
    pub(super) fn note(&mut self, value: Option<&str>) {
        let Some(value) = value else { return };
        let value = cut(value, VALUE_MAX);
        if self.values.contains(value) {
            return;
        }
        if self.values.len() < VALUES_MAX {
            self.values.insert(value.to_owned());
        } else {
            self.others = self.others.saturating_add(1);
        }
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        self.values.iter().map(|value| value.len() + ENTRY).sum()
    }

    /// Takes in what was seen elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.values.extend(other.values.iter().cloned());
        self.others = self.others.saturating_add(other.others);
    }
}

/// The first `most` bytes at most, cut between characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_values_are_kept_and_the_others_counted() {
        let mut values = Values::default();
        values.note(None);
        for number in (0..20).chain(0..20) {
            values.note(Some(&format!("v{number:02}")));
        }
        assert_eq!(values.values.len(), VALUES_MAX);
        assert_eq!(values.others, 8);
        values.note(Some("v03"));
        assert_eq!(values.others, 8);
    }

    #[test]
    fn a_value_of_any_length_is_cut_between_characters() {
        let mut values = Values::default();
        values.note(Some(&"\u{20ac}".repeat(1000)));
        assert_eq!(values.values.first().unwrap().len(), 255);
    }
}
