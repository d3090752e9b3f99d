//! Who is to be kept from model endpoints, where the configuration wants that.

use serde::{Deserialize, Serialize};

use crate::identity::IdentityId;
use crate::units::Timestamp;

/// What happens to somebody who may not use models, or not any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// It is told.
    #[default]
    Off,
    /// And it is said who would be kept from model endpoints, if it were [`Self::Block`].
    DryRun,
    /// And who it is is kept from model endpoints.
    Block,
}

/// An identity whose way to model endpoints is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Who.
    pub identity: IdentityId,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// Until when; absent if only a person can end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// It is only said that it would be closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Why a way is closed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The budget of this name is used up.
    Budget(String),
    /// The identity is offboarded.
    Offboarded,
}
