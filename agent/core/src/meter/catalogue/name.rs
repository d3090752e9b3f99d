//! The names under which a model may be listed, from the name that was on the wire. Each step only
//! takes off what is known not to change the price; nothing is matched by likeness.

/// Longer names are no model's: what follows is not looked at.
const LONGEST: usize = 200;

/// The names to look up, best first. `makers` are the providers whose prefix may be taken off.
pub(super) fn candidates<'a>(wire: &str, makers: impl Iterator<Item = &'a str>) -> Vec<String> {
    if wire.len() > LONGEST {
        return Vec::new();
    }
    let wire = wire.trim().to_ascii_lowercase();
    let bare = without_maker(&wire, makers);
    let mut names = vec![wire.clone()];
    match bare.strip_prefix("ft:") {
        // `ft:BASE:organisation:name:id` has a price of its own. That of BASE would be a guess.
        Some(tuned) => {
            let base = tuned.split(':').next().unwrap_or_default();
            names.push(format!("ft:{base}"));
            names.push(format!("ft:{}", without_date(base)));
        }
        None => {
            names.push(bare.to_owned());
            names.push(without_date(bare).to_owned());
        }
    }
    names.dedup();
    names
}

/// Takes off `MAKER/`, or `MAKER.` and the region `global.` before it, at which the price is the
/// maker's own. Other regions have other prices, so their names stay as they are.
fn without_maker<'a, 'b>(name: &'a str, makers: impl Iterator<Item = &'b str>) -> &'a str {
    let local = name.strip_prefix("global.").unwrap_or(name);
    for maker in makers {
        let rest = local.strip_prefix(maker).and_then(|rest| rest.strip_prefix(['/', '.']));
        if let Some(rest) = rest {
            return rest;
        }
    }
    name
}

/// Takes off `-YYYY-MM-DD`, `-YYYYMMDD`, `-latest` or `@…`, which name a release of a model, not
/// another one.
#[must_use]
pub fn without_date(name: &str) -> &str {
    if let Some((model, _release)) = name.split_once('@') {
        return model;
    }
    if let Some(model) = name.strip_suffix("-latest") {
        return model;
    }
    [11, 9]
        .into_iter()
        .find_map(|length| {
            let (model, suffix) = name.split_at_checked(name.len().checked_sub(length)?)?;
            is_date(suffix).then_some(model)
        })
        .unwrap_or(name)
}

/// Whether `text` is `-YYYY-MM-DD` or `-YYYYMMDD`.
fn is_date(text: &str) -> bool {
    let Some(date) = text.strip_prefix('-') else { return false };
    let dashes_fit = match date.len() {
        8 => !date.contains('-'),
        10 => date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-',
        _ => false,
    };
    dashes_fit
        && date.starts_with("20")
        && date.replace('-', "").len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn last(wire: &str) -> String {
        candidates(wire, ["anthropic", "openai"].into_iter()).pop().unwrap()
    }

    #[test]
    fn only_what_leaves_the_price_alone_is_taken_off() {
        for (wire, name) in [
            ("gpt-4o", "gpt-4o"),
            ("openai/gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-opus-4-1-20250805", "claude-opus-4-1"),
            ("claude-sonnet-4@20250514", "claude-sonnet-4"),
            ("global.anthropic.claude-x", "claude-x"),
            ("us.anthropic.claude-x", "us.anthropic.claude-x"),
            ("azure/gpt-4o", "azure/gpt-4o"),
            ("ft:gpt-4o-2024-08-06:org::id", "ft:gpt-4o"),
            ("gpt-4-0613", "gpt-4-0613"),
            ("gpt-4o-2024-0806", "gpt-4o-2024-0806"),
            ("GPT-4o", "gpt-4o"),
        ] {
            assert_eq!(last(wire), name, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_too_hostile(wire in any::<String>(), tail in "[-@:./0-9ä]{0,14}") {
            candidates(&format!("{wire}{tail}"), ["anthropic", "openai"].into_iter());
        }
    }
}
