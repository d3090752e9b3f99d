//! The patterns that rules match facts with.

use std::fmt;
use std::str::FromStr;

use super::kind::{Form, Kind};

/// Longest value that is kept or matched, in bytes.
pub(super) const VALUE_MAX: usize = 1024;
/// Stands at the end of a value that was cut, which makes it longer than any pattern.
const CUT_MARK: char = '…';

/// What a rule wants of a fact: `type:value`, where a `*` at the end of the value stands for anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    kind: Kind,
    /// `1 <= len <=` [`VALUE_MAX`], or empty before a `*`.
    value: String,
    is_prefix: bool,
}

/// Why a text is no [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePatternError {
    /// It begins with no known type.
    #[error("no such selector")]
    UnknownKind,
    /// The value is empty, too long, or has control characters, which no rule is about.
    #[error("a selector's value has 1 to {VALUE_MAX} bytes and no control characters")]
    Value,
    /// The value can't be one of this type.
    #[error("a value of {0} {1}")]
    Form(Kind, &'static str),
}

impl Pattern {
    /// The one that `kind` with exactly this value fits.
    ///
    /// # Errors
    /// If no such value can be.
    pub fn exact(kind: Kind, value: &str) -> Result<Self, ParsePatternError> {
        check(kind, value, false)?;
        Ok(Self { kind, value: value.to_owned(), is_prefix: false })
    }

    /// What facts it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it says who a process is, if such a fact is vouched for.
    pub(super) const fn tells_who(&self) -> bool {
        self.kind.tells_who() && !self.value.is_empty()
    }

    pub(super) fn fits(&self, kind: Kind, value: &str) -> bool {
        self.kind == kind
            && if self.is_prefix { value.starts_with(&self.value) } else { value == self.value }
    }
}

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, value) = Kind::split(text).ok_or(ParsePatternError::UnknownKind)?;
        let (value, is_prefix) = match value.strip_suffix('*') {
            Some(front) => (front, true),
            None => (value, false),
        };
        check(kind, value, is_prefix)?;
        Ok(Self { kind, value: value.to_owned(), is_prefix })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_prefix { "*" } else { "" };
        write!(f, "{}:{}{star}", self.kind, self.value)
    }
}

fn check(kind: Kind, value: &str, is_prefix: bool) -> Result<(), ParsePatternError> {
    let is_empty = value.is_empty() && !is_prefix;
    if is_empty || value.len() > VALUE_MAX || value.contains(char::is_control) {
        return Err(ParsePatternError::Value);
    }
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let digits = || value.bytes().all(|b| b.is_ascii_digit()) && value.parse::<u32>().is_ok();
    let canonical = || value == "0" || !value.starts_with('0');
    let (is_good, expected) = match kind.form() {
        Form::Number => (!is_prefix && digits() && canonical(), "is a whole number, without a `*`"),
        Form::Digest => {
            let length = if is_prefix { value.len() <= 64 } else { value.len() == 64 };
            (length && value.bytes().all(hex), "is 64 hexadecimal digits in lower case")
        }
        Form::Switch => (!is_prefix && matches!(value, "true" | "false"), "is true or false"),
        Form::Text => (true, ""),
    };
    if is_good { Ok(()) } else { Err(ParsePatternError::Form(kind, expected)) }
}

/// A value as facts keep it. One that is cut is longer than any that a rule could name.
pub(super) fn bounded(value: &str) -> String {
    if value.len() <= VALUE_MAX {
        return value.to_owned();
    }
    let mut cut = value[..value.floor_char_boundary(VALUE_MAX)].to_owned();
    cut.push(CUT_MARK);
    // The last character may have been cut off whole, up to three bytes of it.
    while cut.len() <= VALUE_MAX {
        cut.push(CUT_MARK);
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn selectors_are_read_as_written() {
        let digest = "a".repeat(64);
        for (text, is_good) in [
            ("unix:uid:1000", true),
            ("unix:uid:0", true),
            ("unix:uid:", false),
            ("unix:uid:01", false),
            ("unix:uid:+1", false),
            ("unix:uid:4294967296", false),
            ("unix:uid:10*", false),
            ("unix:uid:*", false),
            ("unix:user:agent", true),
            ("unix:path:/usr/bin/*", true),
            ("unix:path:a\nb", false),
            ("unix:uuid:1", false),
            ("unix:uid", false),
            ("systemd:id:bot@*", true),
            ("systemd:id:*", true),
            ("systemd:id:bot@7.service", true),
            ("k8s:ns:prod", true),
            ("container:image:registry.example:5000/bot:*", true),
            ("process:interactive:true", true),
            ("process:interactive:yes", false),
            ("process:interactive:t*", false),
            ("cloud:AWS_ROLE_ARN:arn:aws:iam::1:role/bot", true),
            ("package:python3", true),
            ("weir:id:spiffe://weir.local/host/a/user/b", true),
            ("", false),
            (":", false),
            ("*", false),
            ("docker:label:a:b", false),
        ] {
            let read = text.parse::<Pattern>();
            assert_eq!(read.is_ok(), is_good, "{text:?}: {read:?}");
        }
        for (value, is_good) in [
            (digest.as_str(), true),
            (&digest[..63], false),
            (&digest.to_uppercase(), false),
            (&format!("{}*", &digest[..12]), true),
        ] {
            let text = format!("unix:sha256:{value}");
            assert_eq!(text.parse::<Pattern>().is_ok(), is_good, "{text}");
        }
        let long = format!("unix:path:/{}", "a".repeat(VALUE_MAX));
        assert_eq!(long.parse::<Pattern>(), Err(ParsePatternError::Value));
    }

    #[test]
    fn a_star_stands_for_anything_at_the_end_only() {
        let fits = |pattern: &str, kind, value: &str| {
            pattern.parse::<Pattern>().unwrap().fits(kind, value)
        };
        assert!(fits("systemd:id:bot@*", Kind::Unit, "bot@7.service"));
        assert!(!fits("systemd:id:bot@*", Kind::Unit, "bot.service"));
        assert!(!fits("systemd:id:bot@*", Kind::UserUnit, "bot@7.service"));
        assert!(fits("unix:path:/a*b", Kind::Path, "/a*b"));
        assert!(!fits("unix:path:/a*b", Kind::Path, "/axb"));
        assert!(!fits("unix:uid:100", Kind::Uid, "1000"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in any::<String>()) {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }

        #[test]
        fn what_is_read_is_what_was_written(
            kind in prop::sample::select(&Kind::ALL[..]),
            value in "[ -~äö]{0,40}",
        ) {
            let text = format!("{kind}:{value}");
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.to_string(), text);
                prop_assert_eq!(pattern.kind(), kind);
                prop_assert!(pattern.fits(kind, &value) || value.ends_with('*'));
            }
        }

        #[test]
        fn no_rule_names_a_value_that_was_cut(value in "[aä…]{1000,1100}") {
            let kept = bounded(&value);
            prop_assert!(kept.len() <= VALUE_MAX + 6);
            prop_assert_eq!(kept == value, value.len() <= VALUE_MAX);
            let exact = Pattern::exact(Kind::Path, &kept);
            prop_assert_eq!(exact.is_ok(), kept == value);
        }
    }
}
