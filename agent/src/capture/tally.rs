//! What came of all that was looked at, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::status::Outcome;

/// What came of looking at a file, or for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Probes were set on a file with TLS code.
    Attached,
    /// Probes were set on a dynamic loader.
    Loader,
    /// A file has no TLS code that is known.
    NoTls,
    /// A file has a TLS library inside whose functions could not be found.
    NoSymbols,
    /// A file has a TLS library inside that isn't probed: one that is too old, or that differs from all
    /// that are known.
    UnsupportedVersion,
    /// A file could not be searched.
    Unreadable,
    /// The kernel refused a probe.
    Refused,
    /// A process was gone before it could be looked at.
    Exited,
}

impl Tried {
    const ALL: [Self; 8] = [
        Self::Attached,
        Self::Loader,
        Self::NoTls,
        Self::NoSymbols,
        Self::UnsupportedVersion,
        Self::Unreadable,
        Self::Refused,
        Self::Exited,
    ];

    /// Its name in metrics and in `weir doctor`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Loader => "loader",
            Self::NoTls => "no_tls",
            Self::NoSymbols => "no_symbols",
            Self::UnsupportedVersion => "unsupported_version",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::Exited => "exited",
        }
    }

    /// That of a file; `None` is one that nobody wants to hear of.
    pub(super) const fn of(outcome: Option<&Outcome>) -> Self {
        match outcome {
            Some(Outcome::Attached { .. }) => Self::Attached,
            Some(Outcome::Loader) => Self::Loader,
            Some(Outcome::NoSymbols { .. }) => Self::NoSymbols,
            Some(Outcome::Unsupported { .. }) => Self::UnsupportedVersion,
            Some(Outcome::Unreadable { .. }) => Self::Unreadable,
            Some(Outcome::Refused { .. }) => Self::Refused,
            None => Self::NoTls,
        }
    }
}

/// The counters. Each file counts once as long as it is known, each process whenever it was looked
/// for in vain.
#[derive(Debug, Default)]
pub(super) struct Tally([AtomicU64; Tried::ALL.len()]);

impl Tally {
    pub(super) fn count(&self, tried: Tried) {
        if let Some(counter) = self.0.get(tried as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All of them, those that are 0 too.
    pub(super) fn counts(&self) -> Vec<(Tried, u64)> {
        let counters = Tried::ALL.into_iter().zip(&self.0);
        counters.map(|(tried, counter)| (tried, counter.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_counter_of_its_own() {
        let tally = Tally::default();
        for (index, tried) in Tried::ALL.into_iter().enumerate() {
            (0..=index).for_each(|_| tally.count(tried));
        }
        let counts: Vec<u64> = tally.counts().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
