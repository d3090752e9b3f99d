//! How tables and numbers look.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};

/// A table without lines whose header is bold on a terminal. Columns whose title is in `numbers`
/// are aligned at the right.
pub(super) fn table(titles: &[&str], numbers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if colours() {
        table.enforce_styling().set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.force_no_tty();
    }
    table.set_header(titles.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for (index, title) in titles.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if numbers.contains(title) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// Whether standard output is a terminal that wants colours (no-color.org).
pub(super) fn colours() -> bool {
    let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !declined && std::io::stdout().is_terminal()
}

/// A count with its digits in groups of three.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount of dollars to four decimals; what is less but not nothing says so. The exact amount
/// is in the JSON.
pub(super) fn dollars(exact: &str) -> String {
    let (whole, decimals) = exact.split_once('.').unwrap_or((exact, ""));
    let negative = whole.starts_with('-');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(amount) = whole.parse::<u64>().ok().filter(|_| !negative && digits(decimals)) else {
        return exact.to_owned();
    };
    let shown = format!("{:0<4}", &decimals[..decimals.len().min(4)]);
    let rest = decimals.get(4..).is_some_and(|rest| rest.bytes().any(|byte| byte != b'0'));
    if amount == 0 && shown == "0000" && rest {
        return "<$0.0001".to_owned();
    }
    format!("${}.{shown}", grouped(amount))
}

/// One thing, or several.
pub(super) fn counted(count: u64, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {several}", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
    }

    #[test]
    fn dollars_are_short_and_never_nothing_by_mistake() {
        for (exact, text) in [
            ("0.00", "$0.0000"),
            ("0.000000000001", "<$0.0001"),
            ("0.0544", "$0.0544"),
            ("0.05449", "$0.0544"),
            ("1234.5", "$1,234.5000"),
            ("-2.00", "-2.00"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(dollars(exact), text);
        }
    }
}
