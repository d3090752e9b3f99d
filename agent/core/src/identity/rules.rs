//! Applies the rules of the configuration: the first that matches decides.

use std::sync::Arc;

use super::explain::{Explanation, Outcome, Tried};
use super::facts::Known;
use super::namespace::Namespace;
use super::resolve::Resolution;
use super::rule::{Failed, Rule};
use super::segment::segment;
use super::workload::Workload;
use super::{Attribution, IdentityId, ProcessFacts};
use crate::secret::Fingerprint;

/// The rules in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Arc<Rule>>);

/// A rule that decides over the calls which are made with its credentials, and the identity that it
/// gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    rule: Arc<Rule>,
    identity: IdentityId,
}

impl Rules {
    /// These, in this order.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules.into_iter().map(Arc::new).collect())
    }

    /// Each of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().map(Arc::as_ref)
    }

    /// Whether one depends on the digest or the package of a program, which it takes time to find out.
    #[must_use]
    pub fn ask_of_programs(&self) -> bool {
        self.iter().any(Rule::asks_of_programs)
    }

    /// The rule that gives this name, or this identity in that namespace.
    #[must_use]
    pub fn named(&self, name: &str, namespace: &Namespace) -> Option<&Rule> {
        self.iter().find(|rule| {
            let own = rule.spec().name.as_deref();
            own.is_some_and(|own| own == name || workload(own, namespace).0 == name)
        })
    }

    /// The identity that a rule gives, if it gives one.
    #[must_use]
    pub fn identity(&self, rule: &Rule, namespace: &Namespace) -> Option<IdentityId> {
        rule.spec().name.as_deref().map(|name| workload(name, namespace))
    }

    /// Who a process is: [`super::resolve()`], and then the first rule that matches. Rules that depend
    /// on a call's credential come into it later, by [`Attribution::of_call`].
    #[must_use]
    pub fn attribute(&self, facts: &ProcessFacts, namespace: &Namespace) -> Attribution {
        let resolution = Resolution::of(facts, namespace);
        if self.0.is_empty() {
            return resolution.attribution;
        }
        let known = Known::of(facts, &resolution);
        let mut attribution = resolution.attribution;
        let resolved = attribution.identity.clone();
        for rule in self.0.iter().filter(|rule| rule.matches(&known)) {
            let identity = named_by(rule, namespace, &resolved);
            if rule.spec().credentials.is_empty() {
                attribution.identity = identity;
                attribution.workload.assigned = Some(rule.spec().assigned.clone());
                break;
            }
            attribution.claims.push(Claim { rule: Arc::clone(rule), identity });
        }
        attribution
    }

    /// Who a process is, and how that is known.
    #[must_use]
    pub fn explain(&self, facts: &ProcessFacts, namespace: &Namespace) -> Explanation {
        let resolution = Resolution::of(facts, namespace);
        let known = Known::of(facts, &resolution);
        let mut tried = Vec::new();
        for rule in self.iter() {
            let outcome = match (rule.matches(&known), rule.spec().credentials.is_empty()) {
                (true, true) => Outcome::Matched,
                (true, false) => Outcome::WithCredential,
                (false, _) => {
                    let Failed { condition, because } = rule.failed(&known);
                    Outcome::Failed { condition, because }
                }
            };
            let is_decided = outcome == Outcome::Matched;
            let identity = self.identity(rule, namespace);
            tried.push(Tried { rule: rule.label().to_owned(), identity, outcome });
            if is_decided {
                break;
            }
        }
        let resolved = resolution.attribution.identity;
        Explanation::new(self.attribute(facts, namespace), resolved, &known, tried)
    }
}

impl Attribution {
    /// Who is billed for a call with this credential, and what is known of him.
    #[must_use]
    pub fn of_call(&self, credential: Option<&Fingerprint>) -> (&IdentityId, Workload) {
        let is_meant = |claim: &&Claim| {
            credential.is_some_and(|used| claim.rule.spec().credentials.contains(used))
        };
        match self.claims.iter().find(is_meant) {
            Some(claim) => {
                let assigned = Some(claim.rule.spec().assigned.clone());
                (&claim.identity, Workload { assigned, ..self.workload.clone() })
            }
            None => (&self.identity, self.workload.clone()),
        }
    }
}

fn named_by(rule: &Rule, namespace: &Namespace, resolved: &IdentityId) -> IdentityId {
    match &rule.spec().name {
        Some(name) => workload(name, namespace),
        None => resolved.clone(),
    }
}

/// `spiffe://<trust-domain>/workload/<name>`: the same on every host.
fn workload(name: &str, namespace: &Namespace) -> IdentityId {
    IdentityId(format!("{}/workload/{}", namespace.domain(), segment(name)))
}
