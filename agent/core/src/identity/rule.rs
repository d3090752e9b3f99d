//! One rule of the configuration: what it matches and what it assigns.

use super::fact::escaped;
use super::facts::{Known, KnownFact};
use super::kind::Kind;
use super::selector::{ParsePatternError, Pattern};
use super::workload::Assigned;
use crate::secret::Fingerprint;

/// Longest label that is made of conditions, in bytes.
const LABEL_MAX: usize = 120;

/// A rule as the configuration says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// What whoever it matches is called from then on, on every host.
    pub name: Option<String>,
    /// What must be the case, all of it.
    pub all: Vec<Pattern>,
    /// One of these must be the program's SHA-256, in hexadecimal digits, unless there are none.
    pub exe_sha256: Vec<Pattern>,
    /// One of these must be the parent, unless there are none.
    pub parents: Vec<Pattern>,
    /// The call must be made with one of these, unless there are none.
    pub credentials: Vec<Fingerprint>,
    /// What it assigns. The rule's own name is filled in.
    pub assigned: Assigned,
    /// Models that it is meant to use; a `*` at the end stands for anything. None says nothing.
    pub approved_models: Vec<String>,
    /// Providers that it is meant to use. None says nothing.
    pub approved_providers: Vec<String>,
    /// Credentials that others are meant to use, too.
    pub shared_credentials: Vec<Fingerprint>,
}

/// A rule that is safe to apply: nobody comes under it by his own word alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    spec: RuleSpec,
    /// Each holds if one of its patterns does.
    conditions: Vec<Vec<Pattern>>,
    /// One of them must hold by a fact that a rule may rest on.
    must_rest: bool,
}

/// Why a rule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It has no condition.
    #[error("it matches everybody: say who is meant with `match`")]
    MatchesAll,
    /// Anybody could come under it.
    #[error(
        "anybody can make {0} true of himself: add what the host says of who is meant, such as `unix:uid:…`, \
         `systemd:id:…`, `container:name:…` or `k8s:ns:…`"
    )]
    OnlyHints(String),
    /// Who has stolen the credential would take the name with it.
    #[error(
        "who steals a credential would take the name with it: add who is meant to have it with \
         `match`, or leave out `name`"
    )]
    NamedByCredential,
}

/// Why a condition doesn't hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// The condition; of several patterns that would do, all of them.
    pub(super) condition: String,
    /// What is the case instead.
    pub(super) because: String,
}

impl Rule {
    /// Takes a rule, if it is safe.
    ///
    /// # Errors
    /// If a process that is not meant could come under it by what it says of itself. See
    /// `docs/identity.md`.
    pub fn new(mut spec: RuleSpec) -> Result<Self, RuleError> {
        let alone = spec.all.iter().map(|pattern| vec![pattern.clone()]);
        let choices = [spec.exe_sha256.clone(), spec.parents.clone()];
        let choices = choices.into_iter().filter(|patterns| !patterns.is_empty());
        let conditions: Vec<Vec<Pattern>> = alone.chain(choices).collect();
        // Where one of several is enough, the weakest counts.
        let is_safe = conditions.iter().any(|any| any.iter().all(Pattern::tells_who));
        if !is_safe {
            match (conditions.is_empty(), spec.credentials.is_empty(), &spec.name) {
                (true, true, _) => return Err(RuleError::MatchesAll),
                (false, true, _) => return Err(RuleError::OnlyHints(said(&conditions))),
                (_, false, Some(_)) => return Err(RuleError::NamedByCredential),
                // Whoever uses a credential pays for it, whatever he says of himself.
                (_, false, None) => {}
            }
        }
        spec.assigned.rule = match &spec.name {
            Some(name) => name.clone(),
            None => label(&conditions, &spec.credentials),
        };
        Ok(Self { spec, conditions, must_rest: is_safe })
    }

    /// What the configuration says.
    #[must_use]
    pub const fn spec(&self) -> &RuleSpec {
        &self.spec
    }

    /// Its name, or else what it matches.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.spec.assigned.rule
    }

    /// Whether it depends on what a program's file is.
    pub(super) fn asks_of_programs(&self) -> bool {
        let mut asked = self.conditions.iter().flatten();
        asked.any(|pattern| matches!(pattern.kind(), Kind::Sha256 | Kind::Package))
    }

    /// Whether it matches a process, the credential aside.
    pub(super) fn matches(&self, known: &Known) -> bool {
        let mut rests = !self.must_rest;
        self.conditions.iter().all(|any| {
            let held = strongest(any, known);
            rests |= held == Held::Firmly;
            held >= Held::Loosely
        }) && rests
    }

    /// Why it doesn't match: the first condition that doesn't hold.
    pub(super) fn failed(&self, known: &Known) -> Failed {
        let fails = |any: &&Vec<Pattern>| strongest(any, known) < Held::Loosely;
        match self.conditions.iter().find(fails) {
            Some(any) => {
                Failed { condition: said(std::slice::from_ref(any)), because: why(any, known) }
            }
            None => Failed {
                condition: said(&self.conditions),
                because: "a process in a container may take on any user: say which container"
                    .to_owned(),
            },
        }
    }
}

/// How well a condition holds, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    /// Nothing says so.
    Not,
    /// Only the workload says who it is.
    ByOwnWord,
    /// It holds and doesn't tell who it is.
    Loosely,
    /// A rule may rest on it.
    Firmly,
}

/// How well the best of the facts that fit makes a condition hold.
fn strongest(any: &[Pattern], known: &Known) -> Held {
    let fits = |fact: &&KnownFact| any.iter().any(|pattern| pattern.fits(fact.kind, &fact.value));
    let held = |fact: &KnownFact| {
        if fact.is_own_word() {
            Held::ByOwnWord
        } else if fact.is_sufficient() {
            Held::Firmly
        } else {
            Held::Loosely
        }
    };
    known.0.iter().filter(fits).map(held).max().unwrap_or(Held::Not)
}

/// What is the case where a condition doesn't hold.
fn why(any: &[Pattern], known: &Known) -> String {
    let is_asked = |kind| any.iter().any(|pattern| pattern.kind() == kind);
    let asked: Vec<_> = known.0.iter().filter(|fact| is_asked(fact.kind)).collect();
    let own_word = asked.iter().find(|fact| fact.is_own_word());
    match (strongest(any, known), own_word, asked.as_slice()) {
        (Held::ByOwnWord, Some(fact), _) => {
            format!("only the workload itself says so (source: {})", fact.source)
        }
        (_, _, []) => "nothing is known of that".to_owned(),
        (_, _, facts) => {
            let values: Vec<_> = facts.iter().map(|fact| fact.value.as_str()).collect();
            format!("it is {}", escaped(&values.join(", ")))
        }
    }
}

/// Conditions in words: `a, b`, and `a or b` where one is enough.
fn said(conditions: &[Vec<Pattern>]) -> String {
    let any = |patterns: &Vec<Pattern>| {
        patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    };
    conditions.iter().map(any).collect::<Vec<_>>().join(", ")
}

fn label(conditions: &[Vec<Pattern>], credentials: &[Fingerprint]) -> String {
    let credentials = credentials.iter().map(|print| format!("credential:{print}"));
    let credentials = credentials.collect::<Vec<_>>().join(" or ");
    let mut label = said(conditions);
    if !label.is_empty() && !credentials.is_empty() {
        label.push_str(", ");
    }
    label.push_str(&credentials);
    if label.len() > LABEL_MAX {
        label.truncate(label.floor_char_boundary(LABEL_MAX));
        label.push('…');
    }
    label
}

impl RuleSpec {
    /// One of the digits in `exe_sha256`, as a pattern.
    ///
    /// # Errors
    /// If they aren't 64 in lower case.
    pub fn program(digits: &str) -> Result<Pattern, ParsePatternError> {
        Pattern::exact(Kind::Sha256, digits)
    }

    /// One of the names in `parent`, as a pattern.
    ///
    /// # Errors
    /// If it can't be a name.
    pub fn parent(name: &str) -> Result<Pattern, ParsePatternError> {
        Pattern::exact(Kind::Parent, name)
    }
}
