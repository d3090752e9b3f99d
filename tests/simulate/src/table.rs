//! What came of trials, in numbers.

use std::fmt::Write;

use crate::incident::{KINDS, Strength};
use crate::trial::{Outcome, Score};

/// A table in Markdown, a row for each detector, and what all of them come to.
#[must_use]
pub fn markdown(outcome: &Outcome) -> String {
    let mut text = String::from(
        "| detector | incident (weak, clear or strong) | found within | weak | clear | strong | precision | delay: median, longest |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let none = Score::default();
    for kind in KINDS {
        let score = outcome.by_detector.get(&kind.detector).unwrap_or(&none);
        let found = Strength::ALL.map(|strength| match score.incidents.get(&strength) {
            Some((all, hits)) => format!("{hits} of {all}"),
            None => "–".to_owned(),
        });
        let all = score.right + score.wrong.len();
        let precision = (score.right * 100).checked_div(all);
        let precision = precision.map_or("–".to_owned(), |percent| format!("{percent}%"));
        let mut delays = score.delays.clone();
        delays.sort_unstable();
        let delay = match (delays.get(delays.len() / 2), delays.last()) {
            (Some(median), Some(longest)) => format!("{}, {}", span(*median), span(*longest)),
            _ => "–".to_owned(),
        };
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {precision} | {delay} |",
            kind.detector,
            kind.words,
            span(kind.promise),
            found.join(" | "),
        );
    }
    let _ = writeln!(
        text,
        "\n{} lines of logs, {:.0} months of identities, {} false findings.",
        outcome.lines,
        outcome.identity_months,
        outcome.false_findings()
    );
    text
}

/// So many seconds, in the largest unit that fits.
fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
