//! An incoming webhook of Slack: one block of text for each finding. The URL is the secret.

use serde_json::{Value, json};
use weir_core::alert::Notification;
use weir_core::detect::{Finding, State};

use super::{Message, Telling, short, whom};

/// Characters of a text, of which Slack takes 3,000 with what escaping adds.
const TEXT_MAX: usize = 500;
/// Most blocks of findings; Slack takes 50 in all.
const BLOCKS_MAX: usize = 20;

pub(super) fn message(telling: &Telling<'_>) -> Message {
    let Notification { findings, more, .. } = telling.notification;
    let title = escaped(&short(&telling.title(), TEXT_MAX));
    let mut blocks: Vec<Value> = findings.iter().take(BLOCKS_MAX).map(block).collect();
    let left = findings.len().saturating_sub(BLOCKS_MAX) as u64 + more;
    if blocks.is_empty() {
        blocks.push(section(&title));
    }
    if left > 0 {
        blocks.push(section(&format!("_and {left} more_")));
    }
    Message::json(&json!({ "text": title, "blocks": blocks }), Vec::new())
}

fn block(finding: &Finding) -> Value {
    let head = match finding.state {
        State::Firing => format!("*{}*", finding.severity.as_str().to_uppercase()),
        State::Resolved => "*OVER*".to_owned(),
    };
    let part = |text: &str| escaped(&short(text, TEXT_MAX));
    let next = match finding.state {
        State::Firing => format!("\n_{}_", part(&finding.next_step)),
        State::Resolved => String::new(),
    };
    section(&format!(
        "{head} {}: {}\n`{}` since {}{next}",
        finding.detector.as_str(),
        part(&finding.summary),
        part(whom(finding)).replace('`', "'"),
        finding.since,
    ))
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// What Slack would take for a link, a mention or a command is text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
