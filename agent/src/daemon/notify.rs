//! What the service manager is told: that the daemon is ready, that it stops and, if it asks for that, that it
//! goes on (`sd_notify(3)`). Where nobody asks, nothing is said and no timer runs.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;

use super::vitals::Vitals;

/// The service manager, if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manager {
    /// After how long without a word it takes the daemon for stuck.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names.
    pub(super) fn of_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// How long a thread may wait for work at most, so that it is seen to go on; `None` for as long as it
    /// likes.
    pub(super) fn turn(self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 8)
    }

    /// Says what is being done, for `systemctl status`.
    pub(super) fn status(self, doing: &str) {
        tell(&[NotifyState::Status(doing)]);
    }

    /// Says that probes are attached and the socket answers.
    pub(super) fn ready(self) {
        tell(&[NotifyState::Ready, NotifyState::Status("watching model calls")]);
    }

    /// Says that the daemon was told to stop.
    pub(super) fn stopping(self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("writing what is left")]);
    }

    /// Says that the daemon goes on, as often as is asked for, while it does.
    pub(super) async fn keep_told(self, vitals: &Vitals) -> Infallible {
        let Some(watchdog) = self.watchdog else { return std::future::pending().await };
        let mut progress = Progress::default();
        let mut stuck = false;
        loop {
            tokio::time::sleep(watchdog / 4).await;
            let turns = [&vitals.drained, &vitals.kept].map(|turns| turns.load(Ordering::Relaxed));
            if progress.was_made(turns) {
                stuck = false;
                tell(&[NotifyState::Watchdog]);
            } else if !std::mem::replace(&mut stuck, true) {
                let [drained, kept] = turns;
                tracing::error!(drained, kept, "the ring or the ledger stands still");
            }
        }
    }
}

/// How far the threads had come when the service manager was told the last time.
#[derive(Debug, Default)]
struct Progress {
    told: Option<[u64; 2]>,
}

impl Progress {
    /// Whether every thread has come further since this was true the last time.
    fn was_made(&mut self, turns: [u64; 2]) -> bool {
        let made =
            self.told.is_none_or(|told| told.iter().zip(turns).all(|(old, new)| *old != new));
        if made {
            self.told = Some(turns);
        }
        made
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_if_both_threads_go_on_there_is_progress() {
        let mut progress = Progress::default();
        for (turns, made) in [
            ([0, 0], true),
            ([0, 0], false),
            ([1, 0], false),
            ([5, 0], false),
            ([5, 1], true),
            ([5, 9], false),
            ([6, 9], true),
            ([6, 9], false),
        ] {
            assert_eq!(progress.was_made(turns), made, "{turns:?}");
        }
    }

    #[test]
    fn nobody_waits_by_the_clock_for_whom_nobody_asks() {
        assert_eq!(Manager { watchdog: None }.turn(), None);
        let asks = Manager { watchdog: Some(Duration::from_secs(30)) };
        assert!(asks.turn() < Some(Duration::from_secs(30) / 4));
    }
}
