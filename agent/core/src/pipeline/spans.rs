//! Who asked whom: a request that names its place in a trace is the same one where it is sent and where it is
//! received. Either sight may come first, for they are of two processes.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::units::{ProcessKey, Role};

/// Most requests that are remembered of which one side was seen, some 100 bytes each.
const REQUESTS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The latest requests with a place in a trace, one side of each.
#[derive(Debug)]
pub(super) struct Spans(LruCache<Span, (Role, ProcessKey)>);

/// The place of a request in its trace (W3C Trace Context, 3.2.2): the trace's id and the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Span {
    trace: u128,
    parent: u64,
}

/// Who sent a request, and who received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) caller: ProcessKey,
    pub(super) callee: ProcessKey,
}

impl Span {
    /// Of hexadecimal digits.
    pub(super) fn new(trace_id: &str, parent_id: &str) -> Option<Self> {
        let trace = u128::from_str_radix(trace_id, 16).ok()?;
        Some(Self { trace, parent: u64::from_str_radix(parent_id, 16).ok()? })
    }
}

impl Default for Spans {
    fn default() -> Self {
        Self(LruCache::new(REQUESTS))
    }
}

impl Spans {
    /// Takes note of one side of a request. Says who asked whom, if that was the other side of one that was
    /// seen. Who asks himself asks nobody.
    pub(super) fn note(&mut self, span: Span, role: Role, process: ProcessKey) -> Option<Asked> {
        let other = self.0.peek(&span).copied().filter(|(seen, _)| *seen != role);
        let Some((_, other)) = other else {
            self.0.put(span, (role, process));
            return None;
        };
        self.0.pop(&span);
        let (caller, callee) = match role {
            Role::Client => (process, other),
            Role::Server => (other, process),
        };
        (caller != callee).then_some(Asked { caller, callee })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> ProcessKey {
        ProcessKey { pid, start_ns: 1 }
    }

    #[test]
    fn the_two_sides_of_a_request_meet_once_in_either_order() {
        let asked = Some(Asked { caller: process(1), callee: process(2) });
        let span = Span::new("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7").unwrap();
        let (sent, received) = ((Role::Client, process(1)), (Role::Server, process(2)));
        for [(first, one), (second, two)] in [[sent, received], [received, sent]] {
            let mut spans = Spans::default();
            assert_eq!(spans.note(span, first, one), None);
            assert_eq!(spans.note(span, first, one), None, "it is sent again");
            assert_eq!(spans.note(span, second, two), asked);
            assert_eq!(
                spans.note(span, second, two),
                None,
                "that request was seen from both sides"
            );
        }
        let mut spans = Spans::default();
        spans.note(span, Role::Client, process(1));
        assert_eq!(spans.note(span, Role::Server, process(1)), None);
        assert_eq!(Span::new("4b", "é"), None);
    }
}
