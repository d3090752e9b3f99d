//! Detection: what the stored records of a host show to be wrong, or about to be.
//!
//! Detectors see only what the log has: whatever they find can be found again by reading it from where a
//! checkpoint was made. They read no clock. Time comes with what is seen, and with [`Detect::tick`] while
//! nothing is.
//!
//! Each detector is a [`Rule`]: a state machine that is fed records and says what it finds. It says so once
//! when something begins, again when it gets worse, and once more when it is over; a [`FindingId`] names all
//! of these. Whom to tell, and how often, is not its business.

pub mod agent_chain;
pub mod agent_loop;
mod baseline;
pub mod blind_spot;
mod block;
pub mod budget;
pub mod cost_drift;
mod cost_spike;
pub mod credential_leaked;
pub mod credential_shared;
mod declared;
mod detector;
pub mod dormant_revival;
pub mod environment_crossing;
pub mod exposed_credential;
pub mod finding;
pub mod human_use;
mod lifts;
pub mod llmjacking;
pub mod long_lived_credential;
pub mod loss;
pub mod new_model;
pub mod new_provider;
mod novelty;
pub mod off_hours;
mod offboarded;
pub mod retry_storm;
mod seen;
mod settings;
mod sharers;
pub mod spike;
mod token_spike;
pub mod unpriced_model;
pub mod unsafe_cost;
pub mod use_after_offboarding;
mod watch;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use crate::identity::IdentityId;
use crate::units::Timestamp;
pub use block::{Block, Cause, Enforcement};
pub use budget::Budgets;
pub use detector::Detector;
use finding::CALLS_MAX;
pub use finding::{Amount, Evidence, Finding, FindingId, Severity, State, Subject};
use lifts::Lifts;
pub use offboarded::Offboarded;
pub use seen::{Lost, Seen};
pub use settings::Settings;
pub use watch::Watches;

/// Something that looks at one stored record after another and says what it finds.
pub trait Rule: Send {
    /// What its state is kept under. No other rule has the same.
    fn name(&self) -> &'static str;

    /// Looks at what was stored. `found` takes what it shows.
    fn take(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>);

    /// Looks at the time, about once a second. What is over by then is found to be.
    fn tick(&mut self, now: Timestamp, found: &mut Vec<Finding>);

    /// Who should be kept from model endpoints now.
    fn blocks(&self) -> Vec<Block> {
        Vec::new()
    }

    /// What it remembers.
    ///
    /// # Errors
    /// If that can't be written down.
    fn save(&self) -> serde_json::Result<Vec<u8>>;

    /// Remembers what [`Self::save`] gave, of this version or another.
    ///
    /// # Errors
    /// If it is nothing of its own. Then it remembers nothing.
    fn restore(&mut self, saved: &[u8]) -> serde_json::Result<()>;
}

/// What all rules remember, by their names.
pub type Memory = Vec<(String, Vec<u8>)>;

/// All rules of a host.
#[derive(Default)]
pub struct Detect {
    rules: Vec<Box<dyn Rule>>,
    lifts: Lifts,
}

impl Detect {
    /// Of these rules, which remember nothing yet.
    #[must_use]
    pub fn new(rules: Vec<Box<dyn Rule>>) -> Self {
        Self { rules, lifts: Lifts::default() }
    }

    /// A person says that this identity may use models, whatever budget is used up by then.
    pub fn lift(&mut self, identity: &IdentityId, time: Timestamp) {
        self.lifts.lift(identity, time);
    }

    /// Looks at what was stored, in the order of the log. Says what it shows.
    pub fn take(&mut self, seen: &Seen<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        self.lifts.take(seen);
        self.rules.iter_mut().for_each(|rule| rule.take(seen, &mut found));
        found
    }

    /// Looks at the time. To be called about once a second, once all that is stored has been taken.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        self.rules.iter_mut().for_each(|rule| rule.tick(now, &mut found));
        found
    }

    /// Who should be kept from model endpoints now.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let blocks = self.rules.iter().flat_map(|rule| rule.blocks());
        blocks.filter(|block| !self.lifts.has(block)).collect()
    }

    /// What there is to remember over a restart.
    ///
    /// # Errors
    /// If a rule can't write that down.
    pub fn save(&self) -> serde_json::Result<Memory> {
        let rules = self.rules.iter().map(|rule| Ok((rule.name().to_owned(), rule.save()?)));
        rules.chain([Ok((Lifts::NAME.to_owned(), self.lifts.save()?))]).collect()
    }

    /// Remembers what [`Self::save`] gave. Returns the names of rules that remember nothing, because they
    /// are new or can't read what they gave.
    pub fn restore(&mut self, memory: &Memory) -> Vec<&'static str> {
        let mut without = Vec::new();
        for rule in &mut self.rules {
            let saved = memory.iter().find(|(name, _)| name == rule.name());
            if saved.is_none_or(|(_, saved)| rule.restore(saved).is_err()) {
                without.push(rule.name());
            }
        }
        let saved = memory.iter().find(|(name, _)| name == Lifts::NAME);
        if saved.is_none_or(|(_, saved)| self.lifts.restore(saved).is_err()) {
            without.push(Lifts::NAME);
        }
        without
    }
}
