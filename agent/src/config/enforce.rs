//! `[enforce]`: who is kept from model endpoints, besides those whose budget says so.

use toml::de::DeValue;
use weir_core::detect::Enforcement;

use super::section::{Section, text};

/// `[enforce]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforce {
    /// What happens to identities that are offboarded.
    pub offboarded: Enforcement,
}

pub(super) fn read(section: &mut Section<'_, '_>) -> Enforce {
    Enforce { offboarded: section.take("offboarded", enforcement).unwrap_or_default() }
}

/// What is to happen, by its name.
pub(super) fn enforcement(value: &DeValue<'_>) -> Result<Enforcement, String> {
    match text(value) {
        Some("off") => Ok(Enforcement::Off),
        Some("dry-run") => Ok(Enforcement::DryRun),
        Some("block") => Ok(Enforcement::Block),
        Some(_) | None => Err("\"off\", \"dry-run\" or \"block\"".to_owned()),
    }
}
