//! Far more than usual within a few minutes: of tokens (`token_spike`) or of dollars (`cost_spike`).
//!
//! Two sums of five minutes in a row are unusual, each by all of these:
//! - the modified z-score of its logarithm is above [`Settings::z_thousandths`] (3.5, Iglewicz and Hoaglin, "How
//!   to Detect and Handle Outliers", 1993), where the deviation counts as a tenth at least;
//! - it is [`Settings::factor_thousandths`] of a peak that is usual: one that one in ten of the latest 28 days had,
//!   so a burst that comes each week is none;
//! - it is [`Settings::effect`] more than that.
//!
//! Known are 14 days and 48 sums of the identity, or else of its group. What is unusual isn't learnt, unless it was
//! said on three days.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::baseline::{Amounts, Limits, Needs, TENFOLD, Usual, factor, group, level};
use super::watch::{Call, Calls, Report, Say, Table, Whose, minutes};
use super::{Amount, Evidence, Severity, Subject};
use jiff::SignedDuration;

/// A tenth of a natural logarithm, in steps.
const DEVIATION_MIN: i32 = 6;
/// Seconds of a sum.
const BIN: i64 = 300;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The z-score, in thousandths.
    pub z_thousandths: u32,
    /// How many thousandths of a usual peak.
    pub factor_thousandths: u32,
    /// How much more than a usual peak: tokens, or hundredths of a cent.
    pub effect: u64,
    /// So many days must be known.
    pub days: u32,
    /// So many sums of five minutes must be known.
    pub sums: u32,
    /// So many minutes without an unusual sum, and it is over.
    pub quiet_minutes: u32,
}

impl Settings {
    /// Of tokens.
    #[must_use]
    pub const fn tokens() -> Self {
        Self {
            z_thousandths: 3500,
            factor_thousandths: 3000,
            effect: 200_000,
            days: 14,
            sums: 48,
            quiet_minutes: 30,
        }
    }

    /// Of dollars.
    #[must_use]
    pub const fn dollars() -> Self {
        Self { effect: 50_000, ..Self::tokens() }
    }

    pub(super) fn quiet(&self) -> SignedDuration {
        minutes(self.quiet_minutes)
    }

    const fn needs(&self) -> Needs {
        Needs { days: self.days, sums: self.sums }
    }

    fn limits(&self) -> Limits {
        Limits {
            z: self.z_thousandths,
            deviation: DEVIATION_MIN,
            above: factor(self.factor_thousandths),
            effect: self.effect,
        }
    }
}

/// What is usual of identities and groups, and the five minutes that are going on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Spikes {
    identities: Table<Row>,
    groups: Table<Usual, 1000>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    usual: Usual,
    /// These five minutes since 1970, what they come to, and whether those before were unusual.
    bin: i64,
    sum: u64,
    before: bool,
    calls: Calls,
}

/// How an amount is said.
pub(super) struct Words {
    pub(super) amount: fn(u64) -> Amount,
    pub(super) say: fn(u64) -> String,
}

impl Spikes {
    /// Adds what a call used.
    pub(super) fn take(
        &mut self,
        settings: &Settings,
        call: &Call<'_>,
        used: u64,
        words: &Words,
        say: &mut Say<'_>,
    ) {
        let (needs, limits) = (settings.needs(), settings.limits());
        let record = call.record;
        let group = group(record);
        let bin = call.now.as_second().div_euclid(BIN);
        let row = self.identities.row(call.identity());
        if bin != row.bin {
            let usual =
                if row.usual.is_known(needs) { &row.usual } else { self.groups.row(&group) };
            let exceeded = usual.exceeded(row.sum, limits).is_some();
            if row.sum > 0 && !exceeded {
                let day = (row.bin * BIN).div_euclid(86_400);
                row.usual.learn(level(row.sum), day, needs);
                self.groups.row(&group).learn(level(row.sum), day, needs);
            }
            if exceeded && row.before {
                row.usual.said(level(row.sum));
            }
            row.before = exceeded && bin == row.bin + 1;
            (row.bin, row.sum) = (bin, 0);
            if !row.before {
                row.calls.clear();
            }
        }
        row.sum = row.sum.saturating_add(used);
        row.calls.push(&record.id);
        let is_own = row.usual.is_known(needs);
        let usual = if is_own { &row.usual } else { self.groups.row(&group) };
        if !usual.is_known(needs) || !row.before {
            return;
        }
        let Some(Amounts { median, peak, z }) = usual.exceeded(row.sum, limits) else { return };
        let is_tenfold = level(row.sum) > level(peak) + TENFOLD;
        let severity = if is_tenfold { Severity::High } else { Severity::Medium };
        let sum = row.sum;
        let subject = Subject::Identity(record.identity.clone());
        say.holds(subject, "", severity, || Whose::call(record), || Report {
            summary: format!(
                "{} used {} within five minutes, where {} is a usual peak and {} is usual",
                record.identity,
                (words.say)(sum),
                (words.say)(peak),
                (words.say)(median)
            ),
            evidence: Evidence {
                observed: Some((words.amount)(sum)),
                usual: Some((words.amount)(median)),
                limit: Some((words.amount)(peak)),
                from: Some(record.time),
                until: Some(call.now),
                calls: row.calls.to_vec(),
                details: BTreeMap::from([
                    ("z_thousandths".to_owned(), z.to_string()),
                    ("baseline".to_owned(), if is_own { "own" } else { "group" }.to_owned()),
                ]),
            },
            next_step: format!(
                "See what it does with `weir calls`, and set a [[budget]] for {} if this can happen again",
                record.identity
            ),
        });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.identities.rename(from, to);
    }
}
