//! What a request's head says of the caller's doings beside the call: which attempt it is, which
//! trace it belongs to, what program made it. Claims of the caller.

use super::head::{Field, field};

/// Longest name of a program that is kept, in bytes.
const MAX_PRODUCT: usize = 64;

/// What a request says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// How often the call was tried before (`x-stainless-retry-count`).
    pub retry: Option<u32>,
    /// The trace it belongs to: 32 hexadecimal digits (`traceparent`).
    pub trace_id: Option<String>,
    /// The caller's place in that trace: 16 hexadecimal digits.
    pub parent_id: Option<String>,
    /// The first product that `User-Agent` names, its version included where that follows a slash.
    pub user_agent: Option<String>,
}

impl Hints {
    pub(super) fn new(fields: &[Field<'_>]) -> Self {
        let text = |name| field(fields, name).and_then(|value| std::str::from_utf8(value).ok());
        let trace = text("traceparent").and_then(traceparent);
        Self {
            retry: text("x-stainless-retry-count").and_then(|count| count.trim().parse().ok()),
            trace_id: trace.map(|(trace_id, _)| trace_id.to_owned()),
            parent_id: trace.map(|(_, parent_id)| parent_id.to_owned()),
            user_agent: text("user-agent").and_then(product),
        }
    }
}

/// Reads `version-trace_id-parent_id-flags` (W3C Trace Context, 3.2). Ids of zeros are no ids.
fn traceparent(value: &str) -> Option<(&str, &str)> {
    let mut parts = value.trim().split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    let is_id = |text: &str, length: usize| {
        let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.len() == length && text.bytes().all(hex) && text.bytes().any(|byte| byte != b'0')
    };
    (version.len() == 2 && is_id(trace, 32) && is_id(parent, 16)).then_some((trace, parent))
}

fn product(value: &str) -> Option<String> {
    let first = value.split_ascii_whitespace().next()?;
    let fits = first.len() <= MAX_PRODUCT && first.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read_where_they_have_their_form() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let id = |text: &str| Some(text.to_owned());
        for (name, value, expected) in [
            ("X-Stainless-Retry-Count", "2", Hints { retry: Some(2), ..Hints::default() }),
            ("x-stainless-retry-count", "-1", Hints::default()),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                Hints {
                    trace_id: id(TRACE),
                    parent_id: id("00f067aa0ba902b7"),
                    ..Hints::default()
                },
            ),
            (
                "traceparent",
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                Hints::default(),
            ),
            ("traceparent", "00-4BF9", Hints::default()),
            (
                "user-agent",
                "OpenAI/Python 3.54.0",
                Hints { user_agent: id("OpenAI/Python"), ..Hints::default() },
            ),
            ("user-agent", "caf\u{e9}/1", Hints::default()),
        ] {
            let fields = [(name.as_bytes(), value.as_bytes())];
            assert_eq!(Hints::new(&fields), expected, "{name}: {value}");
        }
    }
}
