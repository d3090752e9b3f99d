//! Brings what an administrator says to the ledger, which another thread writes, and waits until it is on
//! the disk.

use std::collections::HashMap;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::control::ChangeError;
use crate::ledger::Entry;

/// How long a change is waited for: a batch is written within half a second while the disk is well.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who waits for which change. At most as many as there are connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    waiting: Arc<Mutex<HashMap<String, SyncSender<()>>>>,
}

impl Changes {
    /// Hands over what an administrator says, which has a name, and waits.
    ///
    /// # Errors
    /// [`ChangeError::Busy`] if there is no room for it, [`ChangeError::Unconfirmed`] if it takes long.
    pub(super) fn say(&self, said: Entry, entries: &SyncSender<Entry>) -> Result<(), ChangeError> {
        let id = said.name().unwrap_or_default().to_owned();
        let (written, wait) = sync_channel(1);
        self.waiting().insert(id.clone(), written);
        let result = match entries.try_send(said) {
            Ok(()) => wait.recv_timeout(PATIENCE).map_err(|_late| ChangeError::Unconfirmed),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(ChangeError::Busy),
        };
        self.waiting().remove(&id);
        result
    }

    /// A batch is on the disk.
    pub(super) fn written(&self, batch: &[Entry]) {
        for entry in batch {
            let Some(name) = entry.name() else { continue };
            if let Some(waits) = self.waiting().remove(name) {
                // Whoever waited may have given up.
                let _gone = waits.try_send(());
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, SyncSender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use weir_core::identity::IdentityId;
    use weir_core::units::Timestamp;

    use super::*;
    use crate::ledger::{Change, Deed};

    fn change() -> Entry {
        Entry::Change(Box::new(Change {
            change: "1".to_owned(),
            time: Timestamp::UNIX_EPOCH,
            uid: 0,
            pid: None,
            identity: IdentityId("a".to_owned()),
            deed: Deed::Offboard,
            reason: None,
        }))
    }

    #[test]
    fn a_change_is_waited_for_until_it_is_written() {
        let (entries, kept) = sync_channel(1);
        let changes = Changes::default();
        let keeper = std::thread::spawn({
            let changes = changes.clone();
            move || changes.written(&[kept.recv().unwrap()])
        });
        assert_eq!(changes.say(change(), &entries), Ok(()));
        keeper.join().unwrap();
        assert!(changes.waiting().is_empty());
    }

    #[test]
    fn where_there_is_no_room_nothing_waits() {
        let (entries, _kept) = sync_channel(0);
        let changes = Changes::default();
        assert_eq!(changes.say(change(), &entries), Err(ChangeError::Busy));
        assert!(changes.waiting().is_empty());
    }
}
