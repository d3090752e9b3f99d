//! What is usual: of an identity, and of its like while too little is known of itself.
//!
//! All numbers are integers, so that what is written down and read back is the same to the bit.
//!
//! - *Robust.* Amounts are logarithms ([`level`]) in a [`Spread`], of which the median and the median absolute
//!   deviation are looked at: a few wild values move neither.
//! - *Gaps are no zeros.* Only times in which there was something are learnt, and age is counted in days that
//!   were seen. A week off, a daemon that was down or a clock that was set change nothing.
//! - *Slow poisoning is slow.* What a day's peak may be rises by [`usual::RISE`] a day at most, and what alerts
//!   isn't learnt.
//! - *Cold start.* Until [`usual::Needs`] are met, the group's baseline stands in ([`group`]).

mod spread;
mod usual;
mod week;

use crate::meter::UsageRecord;
pub(super) use spread::Spread;
pub(super) use usual::{Amounts, Limits, Needs, Usual};
pub(super) use week::Week;

/// A natural logarithm has so many steps.
pub(super) const STEPS: f64 = 64.0;
/// So many steps are a factor of 2: ln 2 · 64.
pub(super) const DOUBLE: i32 = 44;
/// So many steps are a factor of 10.
pub(super) const TENFOLD: i32 = 147;

/// `ln(1 + amount)` in steps of 1/64, from 0 to 2839.
pub(super) fn level(amount: u64) -> i32 {
    ((amount as f64).ln_1p() * STEPS).round() as i32
}

/// About the amount that has this [`level`].
pub(super) fn amount(level: i32) -> u64 {
    (f64::from(level) / STEPS).exp_m1().round() as u64
}

/// So many steps are a factor of so many thousandths.
pub(super) fn factor(thousandths: u32) -> i32 {
    ((f64::from(thousandths.max(1)) / 1000.0).ln() * STEPS).round() as i32
}

/// Whose baseline stands in for that of whoever made a call: those that are like it, else users of the same
/// model.
pub(super) fn group(record: &UsageRecord) -> String {
    let model = || format!("model\0{}", family(record.model.as_deref().unwrap_or_default()));
    peers(record).unwrap_or_else(model)
}

/// Who is like whoever made a call: those under the same rule, else those that run the same script, else
/// those of units made from one template.
pub(super) fn peers(record: &UsageRecord) -> Option<String> {
    let workload = &record.workload;
    if let Some(assigned) = &workload.assigned {
        return Some(format!("rule\0{}", assigned.rule));
    }
    if let Some(script) = &workload.script {
        return Some(format!("script\0{script}"));
    }
    let (template, _instance) = record.unit.as_deref()?.split_once('@')?;
    Some(format!("unit\0{template}"))
}

/// The name of a model without the date of its version: `gpt-5-2025-08-07` and `gpt-5-20250807` are `gpt-5`.
pub(super) fn family(model: &str) -> &str {
    let is_date = |text: &str, dashes: bool| {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        digits == 8
            && text.bytes().filter(|byte| *byte == b'-').count() == if dashes { 2 } else { 0 }
    };
    for (length, dashes) in [(10, true), (8, false)] {
        let Some(start) = model.len().checked_sub(length + 1) else { continue };
        if let (Some(front), Some(date)) = (model.get(..start), model.get(start..))
            && let Some(date) = date.strip_prefix(['-', '@'])
            && date.len() == length
            && is_date(date, dashes)
        {
            return front;
        }
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_logarithms() {
        assert_eq!((level(0), amount(0)), (0, 0));
        assert_eq!(level(u64::MAX), 2839);
        for value in [1, 10, 1000, 123_456, 1 << 40] {
            let back = amount(level(value));
            assert!(back.abs_diff(value) * 50 <= value + 25, "{value} came back as {back}");
        }
        assert_eq!((factor(2000), factor(10_000), factor(1000)), (DOUBLE, TENFOLD, 0));
    }

    #[test]
    fn families_have_no_dates() {
        for (model, name) in [
            ("gpt-5-2025-08-07", "gpt-5"),
            ("claude-sonnet-5-20260101", "claude-sonnet-5"),
            ("claude-sonnet-5@20260101", "claude-sonnet-5"),
            ("gpt-5", "gpt-5"),
            ("2025-08-07", "2025-08-07"),
            ("", ""),
            ("modell-ä", "modell-ä"),
        ] {
            assert_eq!(family(model), name);
        }
    }
}
