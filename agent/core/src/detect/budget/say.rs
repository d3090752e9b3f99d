//! What is said of a budget.

use std::collections::BTreeMap;

use super::account::Account;
use super::cell::{Open, Standing};
use super::pace::{Burn, Pace};
use super::spec::{Budget, Limit, Measure};
use crate::detect::{
    Detector, Enforcement, Evidence, Finding, FindingId, Severity, State, Subject,
};
use crate::identity::IdentityId;
use crate::meter::Dimension;
use crate::units::{PicoUsd, Timestamp};

/// Which limit of whose budget is spoken of.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) budget: &'a Budget,
    pub(super) limit: &'a Limit,
    /// Empty if there is one budget for all.
    pub(super) whom: &'a str,
}

impl About<'_> {
    /// Begins a finding. Each limit has its own, whatever else begins at the same time.
    pub(super) fn open(
        &self,
        detector: Detector,
        severity: Severity,
        start: Timestamp,
        now: Timestamp,
    ) -> Open {
        let Self { budget: Budget { name, .. }, limit: Limit { window, measure, .. }, whom } = self;
        let all = format!("{name}/{window}/{}/{whom}", measure.as_str());
        let id = FindingId::new(detector, &Subject::Budget(all), now);
        Open { id, since: now, severity, start }
    }

    /// Says how much of it is used.
    pub(super) fn used(
        &self,
        open: &Open,
        state: State,
        standing: &Standing,
        account: &Account,
        now: Timestamp,
    ) -> Finding {
        let Self { budget, limit, .. } = self;
        let used = self.of_limit(standing.spent.amount);
        let part = standing.passed(budget, limit);
        let ends = match limit.window.piece() {
            None => format!("before its window ends at {}", standing.span.end),
            Some(_) => "if it goes on like this".to_owned(),
        };
        let summary = match (state, standing.exhausted, part) {
            (State::Resolved, _, _) => format!("{} is no longer in danger: {used}", self.name()),
            (State::Firing, _, _) if standing.spent.amount >= limit.most => {
                format!("{} is used up: {used}", self.name())
            }
            (State::Firing, _, Some(part)) => {
                format!("{} % of {} are used: {used}", percent(part), self.lower_name())
            }
            (State::Firing, Some(time), None) => {
                format!("{} will be used up at {time}, {ends}: {used}", self.name())
            }
            (State::Firing, None, None) => format!("{}: {used}", self.name()),
        };
        let mut details = self.details(standing.spent.unpriced);
        if let (State::Firing, Some(time)) = (state, standing.exhausted) {
            details.insert("exhausted_at".to_owned(), time.to_string());
        }
        let evidence = Evidence {
            observed: Some(limit.measure.amount(standing.spent.amount)),
            limit: Some(limit.measure.amount(limit.most)),
            from: Some(standing.span.start),
            until: Some(standing.span.end),
            calls: account.calls.iter().cloned().collect(),
            details,
            ..Evidence::default()
        };
        let summary = with_unpriced(summary, standing.spent.unpriced);
        self.finding(Detector::Budget, open, state, summary, evidence, account, now)
    }

    /// Says that the window is over in which it was used.
    pub(super) fn window_over(&self, open: &Open, account: &Account, now: Timestamp) -> Finding {
        let summary =
            format!("The window of {} that began at {} is over", self.lower_name(), open.start);
        let evidence = Evidence {
            limit: Some(self.limit.measure.amount(self.limit.most)),
            from: Some(open.start),
            details: self.details(0),
            ..Evidence::default()
        };
        self.finding(Detector::Budget, open, State::Resolved, summary, evidence, account, now)
    }

    /// Says how fast it is used up. The pace is the one that was passed, or by which it was held.
    pub(super) fn burnt(
        &self,
        open: &Open,
        state: State,
        (pace, burn): &(Pace, Burn),
        account: &Account,
        now: Timestamp,
    ) -> Finding {
        let limit = self.limit;
        let summary = match state {
            State::Firing => format!(
                "{} is used up {:.1} times as fast as it allows: {} in {}",
                self.name(),
                burn.long,
                shown(limit.measure, burn.spent.amount),
                duration(pace.long),
            ),
            State::Resolved => {
                format!(
                    "{} is no longer used up too fast: at {:.1} times what it allows",
                    self.name(),
                    burn.long
                )
            }
        };
        let mut details = self.details(burn.spent.unpriced);
        details.insert("burn_rate".to_owned(), format!("{:.2}", burn.long));
        details.insert("burn_rate_limit".to_owned(), pace.factor.to_string());
        let evidence = Evidence {
            observed: Some(limit.measure.amount(burn.spent.amount)),
            limit: Some(limit.measure.amount(limit.most)),
            from: Some(super::window::later(now, -pace.long)),
            until: Some(now),
            calls: account.calls.iter().cloned().collect(),
            details,
            ..Evidence::default()
        };
        let summary = with_unpriced(summary, burn.spent.unpriced);
        self.finding(Detector::BudgetBurn, open, state, summary, evidence, account, now)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a finding that differ")]
    fn finding(
        &self,
        detector: Detector,
        open: &Open,
        state: State,
        summary: String,
        evidence: Evidence,
        account: &Account,
        now: Timestamp,
    ) -> Finding {
        let Self { budget, whom, .. } = self;
        let subject = match budget.per {
            None => budget.name.clone(),
            Some(_) => format!("{}/{whom}", budget.name),
        };
        let is_per = |dimension| (budget.per == Some(dimension)).then(|| (*whom).to_owned());
        Finding {
            id: open.id.clone(),
            time: now,
            since: open.since,
            state,
            detector,
            severity: open.severity,
            subject: Subject::Budget(subject),
            identity: is_per(Dimension::Identity).map(IdentityId),
            owner: is_per(Dimension::Owner).or_else(|| account.owner.clone()),
            team: is_per(Dimension::Team).or_else(|| account.team.clone()),
            summary,
            evidence,
            next_step: self.next_step(detector, state).to_owned(),
        }
    }

    fn next_step(&self, detector: Detector, state: State) -> &'static str {
        match (state, detector, self.budget.enforce) {
            (State::Resolved, _, _) => "Nothing is to be done",
            (State::Firing, Detector::BudgetBurn, _) => {
                "See with `weir calls --follow` what is called so often, and stop it if nobody wants it"
            }
            (State::Firing, _, Enforcement::Block) => {
                "See with `weir budget` and `weir usage` who has used it; raise the limit in the configuration to let them go on"
            }
            (State::Firing, _, Enforcement::Off | Enforcement::DryRun) => {
                "See with `weir budget` and `weir usage` who has used it, and slow them down or raise the limit"
            }
        }
    }

    fn details(&self, unpriced: u32) -> BTreeMap<String, String> {
        let Self { budget, limit, whom } = self;
        let mut details = BTreeMap::from([
            ("budget".to_owned(), budget.name.clone()),
            ("window".to_owned(), limit.window.to_string()),
        ]);
        if let Some(dimension) = budget.per {
            details.insert(dimension.to_string(), (*whom).to_owned());
        }
        if unpriced > 0 {
            details.insert("unpriced_calls".to_owned(), unpriced.to_string());
        }
        details
    }

    fn name(&self) -> String {
        let name = self.lower_name();
        name.strip_prefix("the").map_or(name.clone(), |rest| format!("The{rest}"))
    }

    fn lower_name(&self) -> String {
        let Self { budget: Budget { name, .. }, limit, whom } = self;
        let whose = if whom.is_empty() { String::new() } else { format!(" of {whom}") };
        format!("the budget {name} ({}){whose}", limit.window)
    }

    fn of_limit(&self, amount: i128) -> String {
        let measure = self.limit.measure;
        format!("{} of {}", shown(measure, amount), shown(measure, self.limit.most))
    }
}

fn with_unpriced(summary: String, unpriced: u32) -> String {
    match unpriced {
        0 => summary,
        1 => format!("{summary}; 1 call has no price and counts as nothing"),
        _ => format!("{summary}; {unpriced} calls have no price and count as nothing"),
    }
}

/// An amount for people: dollars to the cent, or to four decimals below one.
fn shown(measure: Measure, amount: i128) -> String {
    /// Pico-dollars.
    const CENT: i128 = 10_000_000_000;
    match measure {
        Measure::Usd if amount >= 100 * CENT => format!("${}", PicoUsd(amount - amount % CENT)),
        Measure::Usd if amount >= CENT => format!("${}", PicoUsd(amount - amount % (CENT / 100))),
        Measure::Usd => format!("${}", PicoUsd(amount)),
        Measure::Tokens => format!("{amount} tokens"),
        Measure::Calls if amount == 1 => "1 call".to_owned(),
        Measure::Calls => format!("{amount} calls"),
    }
}

/// Thousandths as percent.
fn percent(part: u32) -> String {
    match part % 10 {
        0 => (part / 10).to_string(),
        tenths => format!("{}.{tenths}", part / 10),
    }
}

fn duration(seconds: i64) -> String {
    match seconds {
        ..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
