//! Work that may wait for the process that it is about, done where nothing else waits for it.
//!
//! A process can make whoever reads its arguments, or a file below its root, wait for as long as it
//! likes: both may be in a file system that it serves itself (FUSE). So each such reading has a thread of its own, and who wants to know waits for it with patience
//! that ends:
//!
//! - *Whoever makes us wait pays himself.* Each [`Account`] has a credit of waiting that refills slowly.
//!   While it is used up, or an earlier piece of its work is still going on, nothing of it is begun.
//! - *What hangs is bounded.* At most [`THREADS`] pieces of work go on at once. One that never ends keeps
//!   its thread until the process is gone.
//!
//! What isn't known for either reason is a fact that is absent: these are hints.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use lru::LruCache;
use weir_core::identity::ContainerId;

/// Most pieces of work at once.
const THREADS: usize = 16;
/// Most accounts that are remembered.
const ACCOUNTS: NonZeroUsize = NonZeroUsize::new(2048).unwrap();
/// How long an account may make us wait at once.
const CREDIT: Duration = Duration::from_millis(500);
/// Of the time that goes by, an account may make us wait one part in so many.
const SHARE: u32 = 10;
/// What a piece of work may take without costing anything: more than a look takes that nobody holds up.
const FREE: Duration = Duration::from_millis(2);
/// Room for the stack of a thread, in bytes. Nothing here calls itself.
const STACK: usize = 256 * 1024;

/// Whose time is spent: the outermost of what a process is in that it didn't choose itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Account {
    /// A container of root's runtimes.
    Container(ContainerId),
    /// A system service.
    Unit(String),
    /// Everything else of a user.
    User(u32),
}

/// Work of one kind doesn't keep that of another waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Reading a few pages.
    Look,
    /// Reading a whole program.
    Study,
}

/// Where such work is done, and how much of it was for whom.
#[derive(Debug)]
pub(super) struct Aside {
    accounts: LruCache<(Account, Kind), Balance>,
    running: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Balance {
    /// `credit <= CREDIT`
    credit: Duration,
    /// When the credit was that.
    at: Instant,
    /// The work that goes on, if any does.
    work: Weak<Running>,
}

/// Is there for as long as a piece of work goes on.
#[derive(Debug)]
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Aside {
    pub(super) fn new() -> Self {
        Self { accounts: LruCache::new(ACCOUNTS), running: Arc::default() }
    }

    /// Does `work` in a thread of its own and waits for it, but not longer than `patience` and than
    /// the account has credit for. `None` if it was not done by then or was not even begun; what was
    /// begun goes on to its end.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        account: &Account,
        kind: Kind,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let begun = Instant::now();
        let key = (account.clone(), kind);
        let balance = self.accounts.get_or_insert_mut(key, || Balance {
            credit: CREDIT,
            at: begun,
            work: Weak::new(),
        });
        balance.refill(begun);
        // With less time than that it would hardly be done.
        if balance.credit < patience.min(CREDIT) / 2 || balance.work.strong_count() > 0 {
            return None;
        }
        let patience = patience.min(balance.credit);
        if self.running.fetch_add(1, Ordering::Relaxed) >= THREADS {
            self.running.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let running = Arc::new(Running(Arc::clone(&self.running)));
        balance.work = Arc::downgrade(&running);
        let (done, result) = sync_channel(1);
        let thread = thread::Builder::new().name("weir-look".to_owned()).stack_size(STACK);
        thread
            .spawn(move || {
                let found = work();
                drop(running);
                // Nobody may be waiting any more.
                let _ = done.send(found);
            })
            .ok()?;
        let found = result.recv_timeout(patience).ok();
        balance.credit = balance.credit.saturating_sub(begun.elapsed().saturating_sub(FREE));
        found
    }
}

impl Balance {
    fn refill(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.at) / SHARE;
        self.credit = (self.credit + earned).min(CREDIT);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender};

    const LONG: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_millis(5);

    /// Work that hangs until its sender is dropped.
    fn hanging() -> (SyncSender<()>, impl FnOnce() + Send + 'static) {
        let (release, held): (_, Receiver<()>) = sync_channel(1);
        (release, move || {
            let _ = held.recv();
        })
    }

    #[test]
    fn what_hangs_costs_its_own_account_and_nobody_else() {
        let mut aside = Aside::new();
        let (bad, good) = (Account::User(1), Account::User(2));
        let (release, work) = hanging();
        let begun = Instant::now();
        assert_eq!(aside.run(&bad, Kind::Look, SHORT, work), None);
        assert_eq!(aside.run(&bad, Kind::Look, LONG, || 1), None, "one piece of work at a time");
        assert!(begun.elapsed() < LONG);
        assert_eq!(aside.run(&bad, Kind::Study, LONG, || 1), Some(1));
        assert_eq!(aside.run(&good, Kind::Look, LONG, || 1), Some(1));
        drop(release);
        let ended = || aside.running.load(Ordering::Relaxed) == 0;
        while !ended() {
            thread::sleep(SHORT);
        }
        assert_eq!(aside.run(&bad, Kind::Look, LONG, || 1), Some(1));
    }

    #[test]
    fn patience_is_bought_with_credit_that_runs_out() {
        let mut aside = Aside::new();
        let account = Account::Unit("a.service".to_owned());
        let begun = Instant::now();
        for _ in 0..100 {
            aside.run(&account, Kind::Look, LONG, || thread::sleep(Duration::from_millis(50)));
        }
        assert!(begun.elapsed() < 2 * CREDIT, "{:?}", begun.elapsed());
    }

    #[test]
    fn threads_are_bounded() {
        let mut aside = Aside::new();
        let mut held = Vec::new();
        for uid in 0..100 {
            let (release, work) = hanging();
            held.push(release);
            aside.run(&Account::User(uid), Kind::Look, Duration::from_micros(1), work);
        }
        assert_eq!(aside.running.load(Ordering::Relaxed), THREADS);
        assert_eq!(aside.run(&Account::User(1000), Kind::Look, LONG, || 1), None);
    }

    #[test]
    fn work_that_fails_is_over() {
        let mut aside = Aside::new();
        let account = Account::User(1);
        let failed = aside.run(&account, Kind::Look, LONG, || {
            assert!(std::hint::black_box(false));
        });
        assert_eq!(failed, None);
        while aside.running.load(Ordering::Relaxed) > 0 {
            thread::sleep(SHORT);
        }
        let key = (account, Kind::Look);
        assert_eq!(aside.accounts.peek(&key).unwrap().work.strong_count(), 0);
    }
}
