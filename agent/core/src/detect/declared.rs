//! What the configuration's rules say that an identity is meant to do.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::Rules;
use crate::meter::UsageRecord;
use crate::secret::Fingerprint;

/// What is meant to be, by the names of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Declared {
    models: BTreeMap<String, Vec<String>>,
    providers: BTreeMap<String, Vec<String>>,
    shared: BTreeSet<Fingerprint>,
}

impl Declared {
    /// What these rules say.
    pub(super) fn new(rules: &Rules) -> Self {
        let mut declared = Self::default();
        for rule in rules.iter() {
            let (label, spec) = (rule.label(), rule.spec());
            declared.models.insert(label.to_owned(), spec.approved_models.clone());
            declared.providers.insert(label.to_owned(), spec.approved_providers.clone());
            declared.shared.extend(spec.shared_credentials.iter().cloned());
        }
        declared
    }

    /// Whether whoever made a call is meant to use its model; nothing if no rule says.
    pub(super) fn model_approved(&self, record: &UsageRecord) -> Option<bool> {
        approved(&self.models, record, record.model.as_deref()?)
    }

    /// Whether whoever made a call is meant to use its provider; nothing if no rule says.
    pub(super) fn provider_approved(&self, record: &UsageRecord) -> Option<bool> {
        approved(&self.providers, record, &record.provider)
    }

    /// Whether several are meant to use this credential.
    pub(super) fn is_shared(&self, credential: &Fingerprint) -> bool {
        self.shared.contains(credential)
    }
}

fn approved(
    lists: &BTreeMap<String, Vec<String>>,
    record: &UsageRecord,
    name: &str,
) -> Option<bool> {
    let rule = &record.workload.assigned.as_ref()?.rule;
    let patterns = lists.get(rule).filter(|patterns| !patterns.is_empty())?;
    let fits = |pattern: &String| match pattern.strip_suffix('*') {
        Some(front) => name.starts_with(front),
        None => name == pattern,
    };
    Some(patterns.iter().any(fits))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Log;
    use super::*;
    use crate::identity::{Rule, RuleSpec};

    #[test]
    fn a_rule_says_what_is_meant() {
        let spec = RuleSpec {
            name: Some("bot".to_owned()),
            all: vec!["systemd:id:bot.service".parse().unwrap()],
            approved_models: vec!["gpt-5*".to_owned(), "o9".to_owned()],
            shared_credentials: vec![Log::print(1)],
            ..RuleSpec::default()
        };
        let declared = Declared::new(&Rules::new(vec![Rule::new(spec).unwrap()]));
        for (rule, model, approved) in [
            ("bot", "gpt-5-mini", Some(true)),
            ("bot", "o9", Some(true)),
            ("bot", "o9-mini", Some(false)),
            ("other", "o9-mini", None),
        ] {
            let log = Log::new().rule(rule, None).with(|like| like.model = Some(model.to_owned()));
            assert_eq!(declared.model_approved(&log.like), approved, "{rule} {model}");
            assert_eq!(declared.provider_approved(&log.like), None);
        }
        assert!(declared.is_shared(&Log::print(1)) && !declared.is_shared(&Log::print(2)));
    }
}
