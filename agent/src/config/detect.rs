//! `[detect]`: which detectors there are, and their parameters, a table for each.

use std::ops::RangeInclusive;

use toml::de::DeValue;
use weir_core::detect::{Settings, spike};

use super::read::switch;
use super::section::{Section, count};
use super::units::ByteSize;

/// The longest that a number of days may say: ten years.
const DAYS_MAX: u32 = 3650;
/// The same in hours.
const HOURS_MAX: u32 = 24 * DAYS_MAX;
/// Most minutes of a window: a week.
const MINUTES_MAX: u32 = 7 * 24 * 60;
/// Most of anything that is counted.
const COUNT_MAX: u32 = 1_000_000_000;

/// Reads the table. What isn't there has its default.
pub(super) fn read(section: &mut Section<'_, '_>) -> Settings {
    let mut all = Settings::default();
    detector(section, "token_spike", &mut all.token_spike, |spike, section| {
        whole(section, "effect_tokens", 1..=u64::from(COUNT_MAX), &mut spike.effect);
        read_spike(spike, section);
    });
    detector(section, "cost_spike", &mut all.cost_spike, |spike, section| {
        dollars(section, "effect_usd", &mut spike.effect);
        read_spike(spike, section);
    });
    detector(section, "cost_drift", &mut all.cost_drift, |drift, section| {
        thousandths(section, "lambda", 1..=1000, &mut drift.lambda_thousandths);
        thousandths(section, "l", 100..=100_000, &mut drift.l_thousandths);
        thousandths(section, "factor", 1000..=1_000_000, &mut drift.factor_thousandths);
        dollars(section, "effect_usd", &mut drift.effect);
        small(section, "days", 7..=DAYS_MAX, &mut drift.days);
        small(section, "quiet_days", 1..=DAYS_MAX, &mut drift.quiet_days);
    });
    detector(section, "off_hours", &mut all.off_hours, |off, section| {
        small(section, "calls", 1..=COUNT_MAX, &mut off.calls);
        small(section, "weeks", 1..=100, &mut off.weeks);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut off.quiet_hours);
    });
    detector(section, "retry_storm", &mut all.retry_storm, |storm, section| {
        small(section, "window_minutes", 1..=MINUTES_MAX, &mut storm.window_minutes);
        small(section, "calls", 1..=COUNT_MAX, &mut storm.calls);
        thousandths(section, "retries", 1..=1000, &mut storm.retries_thousandths);
        small(section, "same_body", 1..=COUNT_MAX, &mut storm.same_body);
        small(section, "hopeless", 1..=COUNT_MAX, &mut storm.hopeless);
        small(section, "quiet_minutes", 1..=MINUTES_MAX, &mut storm.quiet_minutes);
    });
    detector(section, "agent_loop", &mut all.agent_loop, |agent, section| {
        small(section, "warn", 2..=COUNT_MAX, &mut agent.warn);
        small(section, "alert", 2..=COUNT_MAX, &mut agent.alert);
        small(section, "runaway", 2..=COUNT_MAX, &mut agent.runaway);
        small(section, "growing", 2..=COUNT_MAX, &mut agent.growing);
        whole(section, "tokens", 0..=u64::from(COUNT_MAX), &mut agent.tokens);
        small(section, "pause_minutes", 1..=MINUTES_MAX, &mut agent.pause_minutes);
        small(section, "quiet_minutes", 1..=MINUTES_MAX, &mut agent.quiet_minutes);
    });
    read_credentials(&mut all, section);
    read_use(&mut all, section);
    read_sight(&mut all, section);
    all
}

fn read_spike(spike: &mut spike::Settings, section: &mut Section<'_, '_>) {
    thousandths(section, "z", 100..=100_000, &mut spike.z_thousandths);
    thousandths(section, "factor", 1000..=1_000_000, &mut spike.factor_thousandths);
    small(section, "days", 1..=DAYS_MAX, &mut spike.days);
    small(section, "sums", 1..=4000, &mut spike.sums);
    small(section, "quiet_minutes", 1..=MINUTES_MAX, &mut spike.quiet_minutes);
}

/// Detectors of what is done with credentials.
fn read_credentials(all: &mut Settings, section: &mut Section<'_, '_>) {
    detector(section, "credential_shared", &mut all.credential_shared, |shared, section| {
        small(section, "history_days", 1..=DAYS_MAX, &mut shared.history_days);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut shared.quiet_hours);
    });
    detector(section, "credential_leaked", &mut all.credential_leaked, |leaked, section| {
        small(section, "history_days", 1..=DAYS_MAX, &mut leaked.history_days);
        small(section, "concurrent_minutes", 1..=MINUTES_MAX, &mut leaked.concurrent_minutes);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut leaked.quiet_hours);
    });
    detector(section, "environment_crossing", &mut all.environment_crossing, |cross, section| {
        small(section, "within_days", 1..=DAYS_MAX, &mut cross.within_days);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut cross.quiet_hours);
    });
    detector(section, "human_use", &mut all.human_use, |human, section| {
        small(section, "calls", 1..=COUNT_MAX, &mut human.calls);
        small(section, "days", 1..=DAYS_MAX, &mut human.days);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut human.quiet_hours);
    });
    let long_lived = &mut all.long_lived_credential;
    detector(section, "long_lived_credential", long_lived, |long, section| {
        small(section, "days", 1..=DAYS_MAX, &mut long.days);
        small(section, "quiet_days", 1..=DAYS_MAX, &mut long.quiet_days);
    });
    detector(section, "exposed_credential", &mut all.exposed_credential, |exposed, section| {
        small(section, "quiet_days", 1..=DAYS_MAX, &mut exposed.quiet_days);
    });
    detector(section, "llmjacking", &mut all.llmjacking, |jacking, section| {
        small(section, "tries", 1..=64, &mut jacking.tries);
        small(section, "window_minutes", 1..=MINUTES_MAX, &mut jacking.window_minutes);
        small(section, "history_days", 1..=DAYS_MAX, &mut jacking.history_days);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut jacking.quiet_hours);
    });
}

/// Detectors of who does what.
fn read_use(all: &mut Settings, section: &mut Section<'_, '_>) {
    let offboarded = &mut all.use_after_offboarding;
    detector(section, "use_after_offboarding", offboarded, |offboarded, section| {
        small(section, "refused", 1..=1000, &mut offboarded.refused);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut offboarded.quiet_hours);
    });
    detector(section, "dormant_revival", &mut all.dormant_revival, |dormant, section| {
        small(section, "days", 1..=DAYS_MAX, &mut dormant.days);
        small(section, "calls", 0..=COUNT_MAX, &mut dormant.calls);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut dormant.quiet_hours);
    });
    detector(section, "new_model", &mut all.new_model, |new, section| {
        small(section, "learning_days", 0..=DAYS_MAX, &mut new.learning_days);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut new.quiet_hours);
    });
    detector(section, "new_provider", &mut all.new_provider, |new, section| {
        small(section, "learning_days", 0..=DAYS_MAX, &mut new.learning_days);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut new.quiet_hours);
    });
    detector(section, "agent_chain", &mut all.agent_chain, |chain, section| {
        small(section, "depth", 1..=1000, &mut chain.depth);
        small(section, "fan_out", 1..=255, &mut chain.fan_out);
        small(section, "quiet_minutes", 1..=MINUTES_MAX, &mut chain.quiet_minutes);
    });
    detector(section, "unsafe_cost", &mut all.unsafe_cost, |cost, section| {
        whole(section, "large_input", 1..=u64::from(COUNT_MAX), &mut cost.large_input);
        whole(section, "small_input", 1..=u64::from(COUNT_MAX), &mut cost.small_input);
        small(section, "calls", 1..=COUNT_MAX, &mut cost.calls);
        whole(section, "tokens", 0..=u64::from(COUNT_MAX), &mut cost.tokens);
        small(section, "quiet_minutes", 1..=MINUTES_MAX, &mut cost.quiet_minutes);
    });
}

/// Detectors of what isn't seen, or not in full.
fn read_sight(all: &mut Settings, section: &mut Section<'_, '_>) {
    detector(section, "unpriced_model", &mut all.unpriced_model, |unpriced, section| {
        small(section, "calls", 1..=COUNT_MAX, &mut unpriced.calls);
        whole(section, "tokens", 1..=u64::from(COUNT_MAX), &mut unpriced.tokens);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut unpriced.quiet_hours);
    });
    detector(section, "blind_spot", &mut all.blind_spot, |blind, section| {
        bytes(section, "bytes", &mut blind.bytes);
        small(section, "quiet_hours", 1..=HOURS_MAX, &mut blind.quiet_hours);
    });
    detector(section, "loss", &mut all.loss, |loss, section| {
        bytes(section, "bytes", &mut loss.bytes);
        whole(section, "records", 1..=u64::from(COUNT_MAX), &mut loss.records);
        small(section, "quiet_minutes", 1..=MINUTES_MAX, &mut loss.quiet_minutes);
    });
}

/// Reads one detector's table, and takes the detector out if it is switched off.
fn detector<S>(
    section: &mut Section<'_, '_>,
    key: &'static str,
    place: &mut Option<S>,
    read: impl FnOnce(&mut S, &mut Section<'_, '_>),
) {
    let enabled = section.table(key, |section| {
        let enabled = section.take("enabled", switch);
        if let Some(settings) = place {
            read(settings, section);
        }
        enabled
    });
    if enabled == Some(false) {
        *place = None;
    }
}

fn whole(
    section: &mut Section<'_, '_>,
    key: &'static str,
    range: RangeInclusive<u64>,
    place: &mut u64,
) {
    let read = section.take(key, |value| {
        let (least, most) = (range.start(), range.end());
        let number = count(value).filter(|number| range.contains(number));
        number.ok_or_else(|| format!("a number from {least} to {most}"))
    });
    if let Some(number) = read {
        *place = number;
    }
}

fn small(
    section: &mut Section<'_, '_>,
    key: &'static str,
    range: RangeInclusive<u32>,
    place: &mut u32,
) {
    let mut number = u64::from(*place);
    whole(section, key, u64::from(*range.start())..=u64::from(*range.end()), &mut number);
    // It is within the range.
    *place = u32::try_from(number).unwrap_or(*place);
}

fn thousandths(
    section: &mut Section<'_, '_>,
    key: &'static str,
    range: RangeInclusive<u32>,
    place: &mut u32,
) {
    let read = section.take(key, |value| {
        let (least, most) = (f64::from(*range.start()) / 1000.0, f64::from(*range.end()) / 1000.0);
        let number = decimal(value).filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("a number from {least} to {most}"))
    });
    if let Some(number) = read {
        *place = (number * 1000.0).round() as u32;
    }
}

/// Dollars, in hundredths of a cent.
fn dollars(section: &mut Section<'_, '_>, key: &'static str, place: &mut u64) {
    let read = section.take(key, |value| {
        let number = decimal(value).filter(|number| (0.0..=1_000_000.0).contains(number));
        number.ok_or_else(|| "dollars from 0 to 1000000".to_owned())
    });
    if let Some(number) = read {
        *place = (number * 10_000.0).round() as u64;
    }
}

fn bytes(section: &mut Section<'_, '_>, key: &'static str, place: &mut u64) {
    let read = section.take(key, |value| {
        let size = count(value).map(ByteSize).or_else(|| value.as_str()?.parse().ok());
        size.ok_or_else(|| "a number of bytes such as \"1MiB\"".to_owned())
    });
    if let Some(ByteSize(size)) = read {
        *place = size;
    }
}

/// A number with or without decimals.
fn decimal(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
        _ => count(value).map(|number| number as f64),
    }
}
