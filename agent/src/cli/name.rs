//! Names in tables, short enough to read and still unmistakable.

use crate::control::Health;

/// Shortens the identities of one host.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// For tables about the host of this daemon.
    pub(super) fn of(health: &Health) -> Self {
        Self::on(&health.trust_domain, &health.host)
    }

    /// For tables about this host.
    pub(super) fn on(trust_domain: &str, host: &str) -> Self {
        Self { prefix: format!("spiffe://{trust_domain}/host/{host}/") }
    }

    /// What follows the host, for identities of this host: only those have no `spiffe://` in front.
    pub(super) fn short<'i>(&self, identity: &'i str) -> &'i str {
        match identity.strip_prefix(&self.prefix) {
            Some(rest) if !rest.is_empty() && !rest.starts_with("spiffe://") => rest,
            Some(_) | None => identity,
        }
    }

    /// The whole name of what may be written as [`Self::short`] gives it.
    pub(super) fn long(&self, name: &str) -> String {
        if name.starts_with("spiffe://") {
            name.to_owned()
        } else {
            format!("{}{name}", self.prefix)
        }
    }
}

/// Text that came from a traced process, with nothing in it that a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identities_of_this_host_are_shortened() {
        let names = Names { prefix: "spiffe://weir.local/host/a/".to_owned() };
        for (identity, short) in [
            ("spiffe://weir.local/host/a/unit/bot.service", "unit/bot.service"),
            (
                "spiffe://weir.local/host/ab/unit/bot.service",
                "spiffe://weir.local/host/ab/unit/bot.service",
            ),
            ("spiffe://other/host/a/user/root", "spiffe://other/host/a/user/root"),
            ("spiffe://weir.local/host/a/", "spiffe://weir.local/host/a/"),
        ] {
            assert_eq!(names.short(identity), short);
            if identity != short {
                assert_eq!(names.long(short), identity);
            }
            assert_eq!(names.long(identity), identity);
        }
    }

    #[test]
    fn a_name_can_not_drive_the_terminal() {
        assert_eq!(printable("gpt\u{1b}[2J-4\n"), "gpt\u{fffd}[2J-4\u{fffd}");
    }
}
