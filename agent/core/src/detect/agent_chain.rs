//! Agents that call agents: too deep, too many at once, or in a circle.
//!
//! From who started whom: more than [`Settings::depth`] agents one below the other are medium; an agent of which
//! more than [`Settings::fan_out`] processes make calls within a minute is, too; agents that run themselves
//! through another are low at first and medium from [`Settings::depth`] on. From messages to other agents (A2A):
//! more than [`Settings::fan_out`] a minute. What the chain costs is its root's: `weir usage --by agent`.
//! (OWASP LLM10, NHI5.)

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::watch::{Call, Report, Say, Table, Watch, Whose, ago, minutes};
use super::{Amount, Detector, Evidence, Seen, Severity, Subject};
use crate::provider::Protocol;
use crate::units::Timestamp;

/// Most processes of an agent that are told apart within a minute.
const PROCESSES_MAX: usize = 256;

/// Parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many agents may be one below the other.
    pub depth: u32,
    /// So many processes or messages of an agent may be within a minute.
    pub fan_out: u32,
    /// So many minutes without a sign, and it is over.
    pub quiet_minutes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { depth: 4, fan_out: 20, quiet_minutes: 30 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct AgentChain {
    /// Processes of an agent.
    processes: Table<Minute, 1000>,
    /// Messages of an identity.
    messages: Table<Minute, 1000>,
}

/// What there was in the minute that began then.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Minute {
    since: Option<Timestamp>,
    processes: BTreeSet<u32>,
    messages: u32,
}

impl Minute {
    fn begin(&mut self, now: Timestamp) {
        if self.since.is_none_or(|since| ago(now, since) >= minutes(1)) {
            *self = Self { since: Some(now), ..Self::default() };
        }
    }
}

impl Watch for AgentChain {
    type Settings = Settings;
    const DETECTOR: Detector = Detector::AgentChain;

    fn quiet(settings: &Settings) -> SignedDuration {
        minutes(settings.quiet_minutes)
    }

    fn call(&mut self, settings: &Settings, call: &Call<'_>, say: &mut Say<'_>) {
        let record = call.record;
        let Some(agent) = &record.workload.agent else { return };
        if !call.is_live {
            return;
        }
        let through = u32::try_from(agent.through.len()).unwrap_or(u32::MAX);
        // The agent itself, those between, and the one that made the call if it isn't the agent.
        let depth = through.saturating_add(if agent.depth == 0 { 1 } else { 2 });
        let minute = self.processes.row(&format!("{}\0{}", record.identity, agent.pid));
        minute.begin(call.now);
        if minute.processes.len() < PROCESSES_MAX {
            minute.processes.insert(record.process.pid);
        }
        let width = u32::try_from(minute.processes.len()).unwrap_or(u32::MAX);
        let is_deep = depth > settings.depth;
        let circle = agent.recursive && through > 0;
        let name = &agent.name;
        let ways = [
            (
                is_deep,
                "depth",
                format!("{depth} agents one below the other"),
                depth,
                settings.depth,
            ),
            (
                width > settings.fan_out,
                "fan-out",
                format!("{width} processes that make calls within a minute"),
                width,
                settings.fan_out,
            ),
            (circle, "circle", "agents that run themselves".to_owned(), depth, settings.depth),
        ];
        for (holds, what, words, observed, limit) in ways {
            if !holds {
                continue;
            }
            let is_low = what == "circle" && !is_deep;
            let severity = if is_low { Severity::Low } else { Severity::Medium };
            let what = format!("{what}\0{name}");
            let subject = Subject::Identity(record.identity.clone());
            say.holds(subject, &what, severity, || Whose::call(record), || Report {
                summary: format!("the agent {name} of {} has {words}", record.identity),
                evidence: Evidence {
                    observed: Some(Amount::Count(u64::from(observed))),
                    limit: Some(Amount::Count(u64::from(limit))),
                    from: Some(record.time),
                    until: Some(call.now),
                    calls: vec![record.id.clone()],
                    details: BTreeMap::from([
                        ("agent".to_owned(), name.clone()),
                        ("agent_pid".to_owned(), agent.pid.to_string()),
                        ("through".to_owned(), agent.through.join(" ")),
                    ]),
                    ..Evidence::default()
                },
                next_step: format!(
                    "See what it costs with `weir usage --by agent`, and stop process {} if it isn't meant",
                    agent.pid
                ),
            });
        }
    }

    fn other(&mut self, settings: &Settings, seen: &Seen<'_>, say: &mut Say<'_>) {
        let Seen::Edge(edge) = seen else { return };
        if edge.protocol != Protocol::A2a {
            return;
        }
        let minute = self.messages.row(&edge.identity.0);
        minute.begin(say.now);
        minute.messages = minute.messages.saturating_add(1);
        let (count, limit) = (minute.messages, settings.fan_out);
        if count <= limit {
            return;
        }
        let subject = Subject::Identity(edge.identity.clone());
        let whose = || Whose::identity(edge.identity.clone());
        say.holds(subject, "messages", Severity::Medium, whose, || Report {
            summary: format!(
                "{} sends {count} messages to other agents within a minute",
                edge.identity
            ),
            evidence: Evidence {
                observed: Some(Amount::Count(u64::from(count))),
                limit: Some(Amount::Count(u64::from(limit))),
                from: minute.since,
                until: Some(edge.time),
                details: edge.host.iter().map(|host| ("host".to_owned(), host.clone())).collect(),
                ..Evidence::default()
            },
            next_step: format!(
                "Look at what it does with `weir calls`, and stop process {} if it isn't meant",
                edge.process.pid
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Line, Log, firing};
    use super::super::watch::Watches;
    use super::*;
    use crate::identity::{Agent, IdentityId, Process};
    use crate::meter::{EdgeId, EdgeRecord};

    fn check(log: Log, expected: &[Severity]) {
        let mut watches = Watches::default();
        watches.add::<AgentChain>(Some(Settings::default()));
        let expected: Vec<_> = expected.iter().map(|severity| ("a", *severity)).collect();
        assert_eq!(log.firing(watches), firing(&expected));
    }

    fn agent(through: usize, recursive: bool) -> Log {
        Log::new().with(|like| {
            like.workload.agent = Some(Agent {
                name: "planner".to_owned(),
                pid: 7,
                depth: 9,
                through: vec!["worker".to_owned(); through],
                recursive,
            });
        })
    }

    #[test]
    fn deep_and_circular_chains_are_found() {
        check(agent(2, false).calls("a", 3), &[]);
        check(agent(3, false).calls("a", 3), &[Severity::Medium]);
        check(agent(0, true).calls("a", 3), &[]);
        check(agent(1, true).calls("a", 3), &[Severity::Low]);
        check(agent(3, true).calls("a", 3), &[Severity::Medium, Severity::Medium]);
    }

    #[test]
    fn many_processes_of_an_agent_are_found() {
        for (processes, pause, expected) in
            [(20, 1, &[] as &[_]), (21, 1, &[Severity::Medium]), (40, 4, &[])]
        {
            let mut log = agent(0, false).pause(SignedDuration::from_secs(pause));
            for pid in 0..processes {
                log = log.with(|like| like.process.pid = pid).calls("a", 1);
            }
            check(log, expected);
        }
    }

    #[test]
    fn many_messages_to_other_agents_are_found() {
        let message = |number: u64, protocol, log: Log| {
            log.line(|time| {
                Line::Edge(Box::new(EdgeRecord {
                    id: EdgeId(format!("{number:032x}")),
                    time,
                    identity: IdentityId("a".to_owned()),
                    process: Process { pid: 7, exe: None, uid: 1000 },
                    protocol,
                    host: None,
                    method: "message/send".to_owned(),
                    tool: None,
                    trace_id: None,
                    parent_id: None,
                    on_behalf_of: None,
                    status: Some(200),
                }))
            })
            .after(SignedDuration::from_secs(1))
        };
        for (protocol, count, expected) in [
            (Protocol::A2a, 20, &[] as &[_]),
            (Protocol::A2a, 21, &[Severity::Medium]),
            (Protocol::Mcp, 50, &[]),
        ] {
            let log = (0..count).fold(Log::new(), |log, number| message(number, protocol, log));
            check(log, expected);
        }
    }
}
