//! The cost of a day moves away from what it was, slowly or at once.
//!
//! An exponentially weighted moving average (Roberts 1959; Lucas and Saccucci 1990) with λ of
//! [`Settings::lambda_thousandths`] of how far the logarithm of a day's cost is from the median of the latest
//! six weeks' days of its kind, working or not. It alerts beyond L of [`Settings::l_thousandths`] standard deviations, or a factor of
//! [`Settings::factor_thousandths`] if that is more, once the day costs [`Settings::effect`] more. Their standard
//! deviation is the median of the latest 28 deviations, divided by 0.6745, and 0.15 at least. One day counts as a factor of 2.7
//! at most, so one alone doesn't alert. Once enough is known, what is learnt of a
//! day is 1.5 times the median at most. (OWASP LLM10.)

use std::collections::VecDeque;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::baseline::{STEPS, amount, factor, level};
use super::cost_spike::{dollars, units};
use super::watch::{Call, Calls, Report, Say, Table, Watch, Whose, days};
use super::{Amount, Detector, Evidence, Severity, Subject};
use crate::identity::IdentityId;

/// Weeks that are remembered.
const WEEKS: usize = 6;
/// So many days of its kind must be known.
const KNOWN_MIN: usize = 3;
/// Days of a week that are working days, counted from Monday.
const WORKING_DAYS: i64 = 5;
/// Deviations that are remembered.
const DEVIATIONS: usize = 28;
/// The least standard deviation that is believed, in steps: 0.15.
const SIGMA_MIN: i64 = 10;
/// The most that one day counts, in steps: a factor of e.
const DAY_MAX: i32 = 64;
/// The average is kept in thousandths of a step.
const FINE: i64 = 1000;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// λ: how much the latest day counts.
    pub lambda_thousandths: u32,
    /// L: how many standard deviations are too far.
    pub l_thousandths: u32,
    /// Less than this many thousandths of the usual cost is no drift.
    pub factor_thousandths: u32,
    /// A day must cost so much more than usual, in hundredths of a cent.
    pub effect: u64,
    /// So many days must be known.
    pub days: u32,
    /// So many days that are as usual, and it is over.
    pub quiet_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lambda_thousandths: 200,
            l_thousandths: 3000,
            factor_thousandths: 1500,
            effect: 50_000,
            days: 14,
            quiet_days: 2,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct CostDrift {
    /// This day since 1970.
    today: i64,
    identities: Table<Row>,
}

/// About 400 bytes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    /// What today cost so far.
    sum: u64,
    /// What working days cost, and what others.
    working: VecDeque<i32>,
    others: VecDeque<i32>,
    deviations: VecDeque<i32>,
    average: i64,
    days: u32,
    whose: Option<Owners>,
    calls: Calls,
}

/// Whom to ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Owners {
    owner: Option<String>,
    team: Option<String>,
}

/// A day that is too dear.
struct TooDear {
    cost: u64,
    usual: u64,
    average: i64,
}

impl Row {
    fn close(&mut self, day: i64, settings: &Settings) -> Option<TooDear> {
        let cost = std::mem::take(&mut self.sum);
        if cost == 0 {
            return None;
        }
        let today = level(cost);
        // 1970 began on a Thursday.
        let (known, a_week) = match (day + 3).rem_euclid(7) < WORKING_DAYS {
            true => (&mut self.working, 5),
            false => (&mut self.others, 2),
        };
        let median = median(known.iter().copied());
        let is_known = known.len() >= KNOWN_MIN;
        let is_learning = self.days < settings.days;
        let learnt = match median {
            Some(median) if is_known && !is_learning => today.min(median + factor(1500)),
            Some(_) | None => today,
        };
        known.push_back(learnt);
        if known.len() > WEEKS * a_week {
            known.pop_front();
        }
        self.days = self.days.saturating_add(1);
        let median = median.filter(|_| is_known)?;
        let away = (today - median).clamp(-DAY_MAX, DAY_MAX);
        let lambda = i64::from(settings.lambda_thousandths.min(1000));
        self.average += (i64::from(away) * FINE - self.average) * lambda / 1000;
        let usual_deviation = self::median(self.deviations.iter().map(|away| away.abs()));
        let sigma = (i64::from(usual_deviation.unwrap_or(0)) * 10_000 / 6745).max(SIGMA_MIN);
        self.deviations.push_back(away);
        if self.deviations.len() > DEVIATIONS {
            self.deviations.pop_front();
        }
        let root = ((lambda as f64 / (2000.0 - lambda as f64)).sqrt() * 1000.0) as i64;
        let by_chance = sigma * i64::from(settings.l_thousandths) * root / 1000;
        let limit = by_chance.max(i64::from(factor(settings.factor_thousandths)) * FINE);
        let usual = amount(median);
        let is_too_dear = self.days > settings.days
            && self.average > limit
            && cost.saturating_sub(usual) >= settings.effect;
        is_too_dear.then_some(TooDear { cost, usual, average: self.average })
    }
}

impl CostDrift {
    fn close_day(&mut self, settings: &Settings, say: &mut Say<'_>) {
        let day = self.today;
        for (identity, row) in self.identities.iter_mut() {
            let calls = row.calls.to_vec();
            row.calls.clear();
            let Some(TooDear { cost, usual, average }) = row.close(day, settings) else { continue };
            let times = (average as f64 / FINE as f64 / STEPS).exp();
            let identity = IdentityId(identity.clone());
            let owners = row.whose.clone();
            let whose = || {
                let (owner, team) = owners.map_or((None, None), |who| (who.owner, who.team));
                Whose::identity(identity.clone()).asking(owner, team)
            };
            say.holds(Subject::Identity(identity.clone()), "", Severity::Medium, whose, || Report {
                summary: format!(
                    "{identity} cost ${} in a day, where ${} was usual: {times:.1} times as much on average",
                    dollars(cost),
                    dollars(usual)
                ),
                evidence: Evidence {
                    observed: Some(Amount::Usd(dollars(cost))),
                    usual: Some(Amount::Usd(dollars(usual))),
                    until: Some(end_of(day)),
                    calls,
                    ..Evidence::default()
                },
                next_step: "See what it is spent on with `weir usage --since 14d --by identity,model`, and set \
                            a [[budget]] if it is meant"
                    .to_owned(),
            });
        }
    }
}

impl Watch for CostDrift {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::CostDrift;

    fn quiet(settings: &Settings) -> SignedDuration {
        days(settings.quiet_days)
    }

    fn call(&mut self, _settings: &Settings, call: &Call<'_>, _say: &mut Say<'_>) {
        let record = call.record;
        let row = self.identities.row(call.identity());
        row.sum = row.sum.saturating_add(units(record.cost_usd));
        row.calls.push(&record.id);
        row.whose = record
            .workload
            .assigned
            .as_ref()
            .map(|assigned| Owners { owner: assigned.owner.clone(), team: assigned.team.clone() });
    }

    fn pass(&mut self, settings: &Settings, say: &mut Say<'_>) {
        let day = say.now.as_second().div_euclid(86_400);
        // If the clock was set back, the day goes on.
        if day > self.today {
            // It is found at its end, whenever that is noticed.
            let now = std::mem::replace(&mut say.now, end_of(self.today));
            self.close_day(settings, say);
            say.now = now;
            self.today = day;
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.identities.rename(from, to);
    }
}

/// The lower median.
fn median(values: impl Iterator<Item = i32>) -> Option<i32> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// The end of a day.
fn end_of(day: i64) -> crate::units::Timestamp {
    let end = day.saturating_add(1).saturating_mul(86_400);
    crate::units::Timestamp::from_second(end).unwrap_or(crate::units::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Log, firing, resolved};
    use super::super::watch::Watches;
    use super::*;
    use crate::units::PicoUsd;

    /// A call a day, of so many cents on each.
    fn days_of(cents: impl IntoIterator<Item = i128>) -> Log {
        let mut log = Log::new();
        for cents in cents {
            log = log.with(|like| like.cost_usd = Some(PicoUsd(cents * 10_000_000_000)));
            log = log.each_hours("a", 24, 1);
        }
        log.calls("b", 1)
    }

    fn watches() -> Watches {
        let mut watches = Watches::default();
        watches.add::<CostDrift>(Some(Settings::default()));
        watches
    }

    #[test]
    fn a_cost_that_moves_away_is_found() {
        let flat = || vec![1000; 28];
        let then = |cents: Vec<i128>| days_of(flat().into_iter().chain(cents));
        let found = [("a", Severity::Medium)];
        for (log, expected) in [
            (days_of(flat()), &[] as &[_]),
            (then(vec![3000; 2]), &[]),
            (then(vec![3000; 5]), &found),
            (then(vec![100_000]), &[]),
            (then((0..30).map(|day| 1000 * (100 + 6 * day) / 100).collect()), &found),
            (then((0..30).map(|day| 1000 * (100 + day) / 100).collect()), &[]),
            (days_of((0..40).map(|day| if day % 7 < 2 { 100 } else { 3000 })), &[]),
            (days_of(vec![10; 28].into_iter().chain(vec![100; 9])), &[]),
        ] {
            assert_eq!(log.firing(watches()), firing(expected));
        }
    }

    #[test]
    fn it_is_over_once_days_are_as_usual() {
        let log = days_of(vec![1000; 28].into_iter().chain(vec![3000; 5]).chain(vec![500; 9]));
        assert_eq!(resolved(&log.found(watches())).len(), 1);
    }
}
