//! On whose behalf a call was made, as far as calls show it. Nobody's bill depends on it.

use std::num::NonZeroUsize;

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::record::UsageRecord;
use crate::identity::{Attribution, IdentityId};

/// Most traces that are remembered, some 300 bytes each.
const TRACES: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Longest id of a trace, in bytes: that of the W3C has 32.
const TRACE_MAX: usize = 64;

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

/// Who has begun the latest traces.
#[derive(Debug)]
pub struct Traces(LruCache<Box<str>, Origin>);

/// Who began a trace, as far as it was seen.
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
    /// Takes note of somebody who works on a trace: a call or a step to another agent names it. Says who
    /// had begun it, if that was somebody else.
    pub fn follow(&mut self, trace_id: Option<&str>, maker: &Attribution) -> Option<Behalf> {
        let trace_id = trace_id.filter(|id| (1..=TRACE_MAX).contains(&id.len()))?;
        let maker = Origin {
            identity: maker.identity.clone(),
            agent: maker.workload.agent.as_ref().map(|agent| agent.name.clone()),
        };
        let Some(origin) = self.0.get(trace_id) else {
            self.0.put(trace_id.into(), maker);
            return None;
        };
        let Origin { identity, agent } = origin.clone();
        (*origin != maker).then_some(Behalf { identity, agent, by: Linked::Trace })
    }
}

impl Behalf {
    /// Of whoever made the call of `record`, which a gateway passed on.
    pub(super) fn of_caller(record: &UsageRecord) -> Self {
        Self {
            identity: record.identity.clone(),
            agent: record.workload.agent.as_ref().map(|agent| agent.name.clone()),
            by: Linked::Gateway,
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
        };
        assert_eq!(traces.follow(Some("t1"), &tool), Some(behalf));
        assert_eq!(traces.follow(Some("t2"), &tool), None);
        assert_eq!(traces.follow(None, &tool), None);
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
