//! Questions about processes. Only the thread that follows them can answer: what it has noted of one is
//! what its calls are named by.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_core::identity::Explanation;

use crate::control::Busy;
use crate::host::Host;

/// At least so much time is between two questions, so that nobody keeps the thread from its work with
/// them: an answer takes as long as the first call of a process, some tens of microseconds.
const PAUSE: Duration = Duration::from_millis(10);
/// How long to wait for an answer. The thread has its bounded work to do first.
const PATIENCE: Duration = Duration::from_secs(2);

/// One question.
struct Ask {
    pid: u32,
    answer: SyncSender<Option<Explanation>>,
}

/// Asks, one question at a time.
pub(super) struct Asker {
    asks: SyncSender<Ask>,
    wake: Box<dyn Fn() + Send + Sync>,
    /// When the last answer came.
    last: Mutex<Instant>,
}

/// The end where questions are answered.
pub(super) struct Asks(Receiver<Ask>);

/// Both ends. `wake` wakes the thread that answers.
pub(super) fn asks(wake: impl Fn() + Send + Sync + 'static) -> (Asker, Asks) {
    let (sender, receiver) = sync_channel(1);
    let last = Mutex::new(Instant::now());
    (Asker { asks: sender, wake: Box::new(wake), last }, Asks(receiver))
}

impl Asker {
    /// Who the process with this pid is; `None` if none has it. May block for some seconds.
    ///
    /// # Errors
    /// If no answer comes in time.
    pub(super) fn explain(&self, pid: u32) -> Result<Option<Explanation>, Busy> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        sleep(PAUSE.saturating_sub(last.elapsed()));
        let (answer, answered) = sync_channel(1);
        self.asks.try_send(Ask { pid, answer }).map_err(|_full_or_gone| Busy)?;
        (self.wake)();
        let explanation = answered.recv_timeout(PATIENCE).map_err(|_late_or_gone| Busy);
        *last = Instant::now();
        explanation
    }
}

impl Asks {
    /// Answers the question that waits, if one does.
    pub(super) fn answer(&self, host: &mut Host) {
        if let Ok(Ask { pid, answer }) = self.0.try_recv() {
            // Whoever asked may have given up.
            let _ = answer.try_send(host.explain(pid));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use weir_core::identity::Namespace;

    use super::*;
    use crate::host::Paths;

    #[test]
    fn a_question_is_answered_by_who_knows() {
        let (woken, wake) = sync_channel(8);
        let (asker, asks) = asks(move || woken.send(()).unwrap());
        let namespace = Namespace::new("example.org", "h1").unwrap();
        let mut host = Host::new(namespace, Paths::default());
        let asker = Arc::new(asker);
        let asking = thread::spawn({
            let asker = Arc::clone(&asker);
            move || {
                let own = asker.explain(std::process::id()).unwrap().unwrap();
                (own.process.pid, asker.explain(u32::MAX))
            }
        });
        for _question in 0..2 {
            wake.recv().unwrap();
            asks.answer(&mut host);
        }
        assert_eq!(asking.join().unwrap(), (std::process::id(), Ok(None)));
        drop(asks);
        assert_eq!(asker.explain(1), Err(Busy), "nobody is there any more");
    }
}
