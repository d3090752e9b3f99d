//! The shell around [`weir_core::alert`]: forms a notification as its receiver wants it, and brings it there.
//!
//! What to tell, when, and what an answer means is decided in the core. Here are one file for each form, the
//! rules for addresses, and one attempt over the network.
//!
//! - *Only where the configuration says.* No redirects, no proxy from the environment. A name is resolved
//!   once, and what was looked at is what is connected to.
//! - *Encrypted and verified*, except to a literal loopback address. There is no way to skip it.
//! - *Bounded.* An attempt takes 20 seconds at most, and of an answer only its head is read.
//! - *No secret is shown.* Whatever goes wrong is one of a few words ([`Problem`](weir_core::alert::Problem)).

mod address;
mod format;
mod post;
mod secret;
mod syslog;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_core::alert::{AlertView, AlertsReport, Book, Line, Settings, WebhookView};
use weir_core::units::Timestamp;

use crate::ledger::Entry;

pub(crate) use post::attempt;

/// What is known of alerts. All who hold it see the same.
#[derive(Clone, Debug, Default)]
pub struct Alerts(Arc<Mutex<Book>>);

impl Alerts {
    /// Of these settings, and nothing known yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Mutex::new(Book::new(settings))))
    }

    /// The book, while nobody else has it. To be held for a moment.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next line of the log.
    pub fn take(&self, entry: &Entry) {
        match entry {
            Entry::Finding(finding) => self.book().take(Line::Finding(finding)),
            Entry::Alert(event) => self.book().take(Line::Alert(event)),
            Entry::Call(_)
            | Entry::Edge(_)
            | Entry::Batch(_)
            | Entry::Blind(_)
            | Entry::Change(_)
            | Entry::Block(_)
            | Entry::Loss(_)
            | Entry::Start(_)
            | Entry::Stop(_) => {}
        }
    }

    /// Everything; findings that are over only if `all` are wanted.
    #[must_use]
    pub fn report(&self, all: bool) -> AlertsReport {
        self.book().report(all, Timestamp::now())
    }

    /// The finding of this name, or the only one whose name begins so.
    #[must_use]
    pub fn alert(&self, id: &str) -> Option<AlertView> {
        self.book().alert(id, Timestamp::now())
    }

    /// How it goes with the webhooks of the configuration, in its order.
    #[must_use]
    pub fn webhooks(&self) -> Vec<WebhookView> {
        self.book().webhooks(Timestamp::now())
    }
}
