//! The lines of a transcript, each with the indented lines that belong to it.

use super::{FIRST_LINE, Problem, TranscriptError};

/// A line and its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    /// 1 for the first line of the transcript.
    pub(super) line: usize,
    /// The line, without white space around it.
    pub(super) head: &'t str,
    /// The indented lines below it, without their indentation. Blank lines between them are kept,
    /// at the end they are not.
    pub(super) block: Vec<&'t str>,
}

/// Splits a transcript, comments left out.
pub(super) fn entries(text: &str) -> Result<Vec<Entry<'_>>, TranscriptError> {
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, first)| first.trim_end() != FIRST_LINE) {
        return Err(TranscriptError { line: 1, problem: Problem::NotATranscript });
    }
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut open = false;
    for (line, text) in lines {
        if text.trim().is_empty() {
            if open && let Some(entry) = entries.last_mut() {
                entry.block.push("");
            }
        } else if text.starts_with([' ', '\t']) {
            let inner = text.strip_prefix("  ").or_else(|| text.strip_prefix('\t'));
            match (entries.last_mut(), inner) {
                (Some(entry), Some(inner)) if open => entry.block.push(inner),
                _ => return Err(TranscriptError { line, problem: Problem::Indented }),
            }
        } else if text.starts_with('#') {
            open = false;
        } else {
            open = true;
            entries.push(Entry { line, head: text.trim(), block: Vec::new() });
        }
    }
    for entry in &mut entries {
        let blank = entry.block.iter().rev().take_while(|line| line.is_empty()).count();
        entry.block.truncate(entry.block.len() - blank);
    }
    Ok(entries)
}
