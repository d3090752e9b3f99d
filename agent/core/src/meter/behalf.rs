//! On whose behalf a call was made, as far as calls show it. Nobody's bill depends on it.

use std::num::NonZeroUsize;

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::record::UsageRecord;
use crate::identity::{Attribution, IdentityId};

/// Most traces that are remembered, some 300 bytes each and as much for each step.
const TRACES: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Longest id of a trace, in bytes: that of the W3C has 32.
const TRACE_MAX: usize = 64;
/// Most steps of one trace that are remembered. Later ones are not told of.
const STEPS_MAX: usize = 32;

/// Somebody for whom another made a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behalf {
    /// Who it is.
    pub identity: IdentityId,
    /// Its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What shows it.
    pub by: Linked,
    /// Those in between who were seen to be asked and to ask, the first to be asked first: their agents, or
    /// else their identities. The chain is one longer than they are many, at least.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
    /// The chain comes back to whom it has been at before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
}

/// What links a call to somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linked {
    /// It is the upstream call of a gateway, whose caller got the same answer in that time.
    Gateway,
    /// The trace that it says it belongs to, which somebody else began: a claim of who made it.
    Trace,
}

/// The latest traces: who began them, and who asked whom in them.
#[derive(Debug)]
pub struct Traces(LruCache<String, Trace>);

#[derive(Debug)]
struct Trace {
    /// Who was seen first.
    began: Origin,
    /// Who was asked, and by whom. The last word on somebody counts. At most [`STEPS_MAX`].
    steps: Vec<(Origin, Origin)>,
}

/// Somebody who works on a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    identity: IdentityId,
    agent: Option<String>,
}

impl Default for Traces {
    fn default() -> Self {
        Self(LruCache::new(TRACES))
    }
}

impl Traces {
    /// Takes note of somebody who works on a trace: a call or a step to another agent names it. Says for
    /// whom that is: who began the trace, if that was somebody else, or if the chain comes back to him.
    pub fn follow(&mut self, trace_id: Option<&str>, maker: &Attribution) -> Option<Behalf> {
        let maker = Origin::of(maker);
        let trace = self.trace(trace_id?, &maker)?;
        let (mut chain, recursive) = trace.chain(&maker);
        let first = chain.last().copied().unwrap_or(&maker);
        if *first != trace.began {
            chain.push(&trace.began);
        }
        let began = chain.pop()?;
        Some(Behalf {
            identity: began.identity.clone(),
            agent: began.agent.clone(),
            by: Linked::Trace,
            through: chain.into_iter().rev().map(Origin::label).collect(),
            recursive,
        })
    }

    /// Takes note of a request that was seen where it was sent and where it was received.
    pub fn asked(&mut self, trace_id: &str, caller: &Attribution, callee: &Attribution) {
        let (caller, callee) = (Origin::of(caller), Origin::of(callee));
        let Some(trace) = self.trace(trace_id, &caller) else { return };
        if caller == callee {
            return;
        }
        trace.steps.retain(|(asked, by)| (asked, by) != (&callee, &caller));
        if trace.steps.len() < STEPS_MAX {
            trace.steps.push((callee, caller));
        }
    }

    /// The trace of that id, which `first` begins if nobody has.
    fn trace(&mut self, trace_id: &str, first: &Origin) -> Option<&mut Trace> {
        if !(1..=TRACE_MAX).contains(&trace_id.len()) {
            return None;
        }
        let begin = || Trace { began: first.clone(), steps: Vec::new() };
        Some(self.0.get_or_insert_mut_ref(trace_id, begin))
    }
}

impl Trace {
    /// By whom `maker` was asked, by whom that one was, and so on; and whether that comes back to somebody
    /// who was there before, where the chain ends.
    fn chain<'a>(&'a self, maker: &'a Origin) -> (Vec<&'a Origin>, bool) {
        let mut chain: Vec<&Origin> = Vec::new();
        let mut at = maker;
        while let Some((_, caller)) = self.steps.iter().rev().find(|(asked, _)| asked == at) {
            let was_there = caller == maker || chain.contains(&caller);
            if was_there {
                return (chain, true);
            }
            chain.push(caller);
            at = caller;
        }
        (chain, false)
    }
}

impl Origin {
    fn of(maker: &Attribution) -> Self {
        let agent = maker.workload.agent.as_ref().map(|agent| agent.name.clone());
        Self { identity: maker.identity.clone(), agent }
    }

    fn label(&self) -> String {
        self.agent.clone().unwrap_or_else(|| self.identity.0.clone())
    }
}

impl Behalf {
    /// Of whoever made the call of `record`, which a gateway passed on.
    pub(super) fn of_caller(record: &UsageRecord) -> Self {
        Self {
            identity: record.identity.clone(),
            agent: record.workload.agent.as_ref().map(|agent| agent.name.clone()),
            by: Linked::Gateway,
            through: Vec::new(),
            recursive: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Agent, Process, Workload};

    fn maker(user: &str, agent: &str) -> Attribution {
        let agent = Agent {
            name: agent.to_owned(),
            pid: 7,
            depth: 0,
            through: Vec::new(),
            recursive: false,
        };
        Attribution {
            workload: Workload { agent: Some(agent), ..Workload::default() },
            ..Attribution::new(IdentityId(user.to_owned()), Process { pid: 7, exe: None, uid: 0 })
        }
    }

    #[test]
    fn who_joins_a_trace_works_for_who_began_it() {
        let mut traces = Traces::default();
        let (planner, tool) = (maker("a", "planner"), maker("b", "tool"));
        assert_eq!(traces.follow(Some("t1"), &planner), None);
        assert_eq!(traces.follow(Some("t1"), &planner), None, "nobody works for himself");
        let behalf = Behalf {
            identity: IdentityId("a".to_owned()),
            agent: Some("planner".to_owned()),
            by: Linked::Trace,
            through: Vec::new(),
            recursive: false,
        };
        assert_eq!(traces.follow(Some("t1"), &tool), Some(behalf));
        assert_eq!(traces.follow(Some("t2"), &tool), None);
        assert_eq!(traces.follow(None, &tool), None);
    }

    #[test]
    fn chains_go_back_through_those_who_were_seen_to_be_asked() {
        let [a, b, c] = ["a", "b", "c"].map(|user| maker(user, user));
        let check = |steps: &[(&Attribution, &Attribution)], maker: &Attribution, expected| {
            let mut traces = Traces::default();
            traces.follow(Some("t"), &a);
            steps.iter().for_each(|(caller, callee)| traces.asked("t", caller, callee));
            let behalf = traces.follow(Some("t"), maker);
            let shown = behalf
                .map(|behalf| (behalf.identity.0, behalf.through.join(" "), behalf.recursive));
            assert_eq!(shown, expected, "{steps:?} {maker:?}");
        };
        let shown = |identity: &str, through: &str, recursive| {
            Some((identity.to_owned(), through.to_owned(), recursive))
        };
        check(&[(&a, &b)], &a, None);
        check(&[(&a, &b)], &b, shown("a", "", false));
        check(&[(&a, &b), (&b, &c)], &c, shown("a", "b", false));
        check(&[(&b, &c)], &c, shown("a", "b", false));
        check(&[(&a, &b), (&b, &a)], &a, shown("a", "b", true));
        check(&[(&a, &b), (&b, &c), (&c, &b)], &b, shown("a", "c", true));
        check(&[(&a, &b), (&a, &c), (&b, &c), (&a, &c)], &c, shown("a", "", false));
        check(&[(&b, &b)], &b, shown("a", "", false));
    }

    #[test]
    fn the_steps_of_a_trace_are_bounded() {
        let mut traces = Traces::default();
        for number in 0..STEPS_MAX + 10 {
            let (caller, callee) = (number.to_string(), (number + 1).to_string());
            traces.asked("t", &maker(&caller, "x"), &maker(&callee, "x"));
        }
        let last = maker(&STEPS_MAX.to_string(), "x");
        let behalf = traces.follow(Some("t"), &last).unwrap();
        assert_eq!((behalf.identity.0.as_str(), behalf.through.len()), ("0", STEPS_MAX - 1));
    }

    #[test]
    fn traces_are_bounded() {
        let mut traces = Traces::default();
        for number in 0..TRACES.get() + 10 {
            traces.follow(Some(&number.to_string()), &maker("a", "planner"));
        }
        assert_eq!(traces.0.len(), TRACES.get());
        traces.follow(Some(&"x".repeat(TRACE_MAX + 1)), &maker("a", "planner"));
        traces.follow(Some(""), &maker("a", "planner"));
        assert!(!traces.0.contains(""), "what is no id names no trace");
    }
}
