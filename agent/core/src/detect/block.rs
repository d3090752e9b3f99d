//! Who is to be kept from model endpoints, where the configuration wants that.

use serde::{Deserialize, Serialize};

use crate::identity::IdentityId;
use crate::units::Timestamp;

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
