//! The thread that finds TLS code and attaches to it.
//!
//! It is told of what may have changed a process's mappings: an exec, the dynamic loader's word, a
//! process's end. Hints may be lost (the queue is bounded), in which case all processes are
//! searched; that is also done every [`super::Options::sweep`], for what no event tells of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::event::Event;
use super::probes::Prober;
use super::status::Shared;
use super::targets::Targets;
use super::{CaptureError, Options};

/// Hints that may wait.
const QUEUE: usize = 4096;

/// Searches after an exec whose loader doesn't tell us when it is done.
const AFTER_EXEC: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(500)];

/// The loader speaks before it loads and after; and again for each library of a program that loads
/// many. One search a while after the first word serves them all.
const AFTER_LOADER: Duration = Duration::from_millis(1);

/// Why a process should be searched.
#[derive(Clone, Debug)]
pub(super) enum Hint {
    /// It replaced its program.
    Executed(u32),
    /// Its loader changed its mappings.
    Loaded(u32),
    /// It ended.
    Exited(u32),
    /// Search all, then say so.
    Sweep(SyncSender<()>),
    /// End.
    Stop,
}

impl Hint {
    /// What an event tells us, if anything.
    pub(super) fn of(event: &Event<'_>) -> Option<Self> {
        match event {
            Event::Executed { process, .. } => Some(Self::Executed(process.pid)),
            Event::Loaded { process, .. } => Some(Self::Loaded(process.pid)),
            Event::Exited { process, .. } => Some(Self::Exited(process.pid)),
            // A new process has the mappings of its parent.
            Event::Forked { .. } | Event::Segment { .. } | Event::Closed { .. } => None,
        }
    }
}

/// The sending end of the queue.
#[derive(Clone)]
pub(super) struct Hints {
    queue: SyncSender<Hint>,
    overflowed: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Hints {
    /// Never blocks: what doesn't fit is made up for by a sweep.
    pub(super) fn give(&self, hint: Hint) {
        match self.queue.try_send(hint) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.shared.hints_dropped.fetch_add(1, Ordering::Relaxed);
                self.overflowed.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// The thread, as its owner sees it. It ends when this is dropped.
pub(super) struct Attacher {
    hints: Hints,
    thread: Option<thread::JoinHandle<()>>,
}

impl Attacher {
    /// Attaches to what is there, then goes on in a thread.
    pub(super) fn start(
        prober: Prober,
        options: &Options,
        shared: Arc<Shared>,
    ) -> Result<Self, CaptureError> {
        let (queue, received) = sync_channel(QUEUE);
        let overflowed = Arc::new(AtomicBool::new(false));
        let hints =
            Hints { queue, overflowed: Arc::clone(&overflowed), shared: Arc::clone(&shared) };
        let mut targets = Targets::new(prober, Arc::clone(&shared));
        targets.attach_installed(&options.programs);
        targets.sweep();
        shared.set_targets(targets.list());
        let sweep = options.sweep.max(Duration::from_secs(1));
        let worker = Worker {
            targets,
            received,
            overflowed,
            shared,
            due: BTreeMap::new(),
            sweep,
            next_sweep: Instant::now() + sweep,
        };
        let thread = thread::Builder::new()
            .name("weir-attach".to_owned())
            .spawn(move || worker.run())
            .map_err(CaptureError::Io)?;
        Ok(Self { hints, thread: Some(thread) })
    }

    pub(super) fn hints(&self) -> Hints {
        self.hints.clone()
    }

    /// Has all processes searched, and waits for it.
    pub(super) fn sweep(&self) {
        let (done, wait) = sync_channel(1);
        if self.hints.queue.send(Hint::Sweep(done)).is_ok() {
            let _ended_if_disconnected = wait.recv();
        }
    }
}

impl Drop for Attacher {
    fn drop(&mut self) {
        let _ended_if_disconnected = self.hints.queue.send(Hint::Stop);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

struct Worker {
    targets: Targets,
    received: Receiver<Hint>,
    overflowed: Arc<AtomicBool>,
    shared: Arc<Shared>,
    /// When each process is to be searched next, and how many searches after its exec that will
    /// have been. Bounded by the number of processes: those that end are taken out.
    due: BTreeMap<u32, (Instant, usize)>,
    sweep: Duration,
    next_sweep: Instant,
}

impl Worker {
    fn run(mut self) {
        loop {
            let next = self.due.values().map(|(when, _)| *when).min();
            let until = next.map_or(self.next_sweep, |when| when.min(self.next_sweep));
            let patience = until.saturating_duration_since(Instant::now());
            match self.received.recv_timeout(patience) {
                Ok(Hint::Executed(pid)) => self.schedule(pid, AFTER_EXEC[0], 0),
                // The last search: a loader that speaks will speak again when there is more.
                Ok(Hint::Loaded(pid)) => self.schedule(pid, AFTER_LOADER, AFTER_EXEC.len()),
                Ok(Hint::Exited(pid)) => {
                    self.due.remove(&pid);
                }
                Ok(Hint::Sweep(done)) => {
                    self.search_all();
                    let _caller_has_gone = done.try_send(());
                }
                Ok(Hint::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.targets.remove();
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.overflowed.swap(false, Ordering::Relaxed) || Instant::now() >= self.next_sweep {
                self.search_all();
            }
            self.search_due();
        }
    }

    /// Has a process searched after `delay`, unless it is to be searched before that anyway.
    fn schedule(&mut self, pid: u32, delay: Duration, attempt: usize) {
        let when = Instant::now() + delay;
        let (due, attempts) = self.due.entry(pid).or_insert((when, attempt));
        *due = when.min(*due);
        *attempts = attempt;
    }

    fn search_due(&mut self) {
        let now = Instant::now();
        let ready: Vec<_> = self
            .due
            .iter()
            .filter(|(_, (when, _))| *when <= now)
            .map(|(pid, (_, attempt))| (*pid, *attempt))
            .collect();
        let mut changed = false;
        for (pid, attempt) in ready {
            changed |= self.targets.search(pid);
            self.due.remove(&pid);
            if let Some(delay) = AFTER_EXEC.get(attempt + 1) {
                self.schedule(pid, *delay, attempt + 1);
            }
        }
        if changed {
            self.shared.set_targets(self.targets.list());
        }
    }

    fn search_all(&mut self) {
        self.targets.sweep();
        self.shared.set_targets(self.targets.list());
        self.next_sweep = Instant::now() + self.sweep;
    }
}
