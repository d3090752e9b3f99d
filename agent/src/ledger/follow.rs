//! Follows the log: everything from a place on, and then what is appended to it.

use std::time::Duration;

use super::entry::Entry;
use super::error::LedgerError;
use super::position::Position;
use super::reader::Reader;
use super::walk::Walk;

/// Reads on from where it was the last time.
#[derive(Debug)]
pub struct Follow {
    reader: Reader,
    at: Position,
    /// How often there was something to wake up for, when it was last read.
    stirred: u64,
}

/// What was read on the way to [`Follow::position`].
#[derive(Debug)]
pub struct Followed<'a> {
    follow: &'a mut Follow,
    walk: Walk,
}

impl Reader {
    /// Follows the log from this place, or from the start of what retention has left.
    #[must_use]
    pub fn follow(&self, from: Position) -> Follow {
        let at = self.0.status().anchor.position().max(from);
        Follow { reader: self.clone(), at, stirred: 0 }
    }

    /// Ends the waiting of all who follow.
    pub fn wake(&self) {
        self.0.stir(|status| status.stirred += 1);
    }
}

impl Follow {
    /// The place after what was read.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.at
    }

    /// Waits until there may be something to read, or somebody has called [`Reader::wake`] since it was last
    /// read, but not longer than this.
    pub fn wait(&self, patience: Duration) {
        self.reader.0.wait(patience, |status| status.stirred == self.stirred);
    }

    /// What was acknowledged since, in the order of the log. Lines that can't be read are passed over.
    ///
    /// # Errors
    /// If the log can't be opened.
    pub fn read(&mut self) -> Result<Followed<'_>, LedgerError> {
        let status = self.reader.0.status().clone();
        self.stirred = status.stirred;
        let from = status.anchor.position().max(self.at);
        let walk = Walk::new(&self.reader.0.log_dir, from, status.committed)?;
        Ok(Followed { follow: self, walk })
    }
}

impl Iterator for Followed<'_> {
    type Item = Result<Entry, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.walk.step() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some(item)) => {
                    self.follow.at = item.after();
                    if let Some(entry) = item.entry {
                        return Some(Ok(entry));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::time;
    use super::super::{Ledger, Mark, Options};
    use super::*;

    #[test]
    fn what_was_read_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { retain_days: None, probe: None };
        let (mut ledger, _report) = Ledger::open(dir.path(), time(0), options).unwrap();
        let start = |second| Entry::Start(Mark { time: time(second) });
        ledger.append(time(0), &[start(0), start(1)]).unwrap();
        let mut follow = ledger.reader().follow(Position::START);
        let read = |follow: &mut Follow| -> Vec<_> {
            follow.read().unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(read(&mut follow), [start(0), start(1)]);
        assert_eq!(read(&mut follow), []);
        // The next day has another file.
        ledger.append(time(86_400), &[start(2)]).unwrap();
        let place = follow.position();
        assert_eq!(follow.read().unwrap().next().unwrap().unwrap(), start(2));
        assert_eq!(read(&mut follow), []);
        assert_eq!(read(&mut ledger.reader().follow(place)), [start(2)]);
    }

    #[test]
    fn who_waits_is_woken() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { retain_days: None, probe: None };
        let (mut ledger, _report) = Ledger::open(dir.path(), time(0), options).unwrap();
        let reader = ledger.reader();
        let (woken, waits) = std::sync::mpsc::sync_channel(2);
        let mut follow = reader.follow(Position::START);
        let waiter = std::thread::spawn(move || {
            for _ in 0..2 {
                follow.read().unwrap().for_each(drop);
                woken.send(()).unwrap();
                follow.wait(Duration::from_secs(600));
            }
        });
        waits.recv().unwrap();
        ledger.append(time(1), &[Entry::Start(Mark { time: time(1) })]).unwrap();
        waits.recv().unwrap();
        reader.wake();
        waiter.join().unwrap();
    }
}
