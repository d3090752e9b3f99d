//! The local API: HTTP/1.1 and JSON over a Unix socket, and the client of it that the command line
//! uses. `curl --unix-socket /run/weir/weir.sock 'http://weir/v1/usage?by=identity'` works too.
//!
//! | path | parameters | answer |
//! |---|---|---|
//! | `GET /v1/health` | | [`Health`] |
//! | `GET /v1/usage` | `by`, `since`, `until` | [`crate::ledger::UsageReport`] |
//! | `GET /v1/calls` | `since`, `until`, `identity`, `follow` | a call a line, as they are read |
//! | `GET /v1/identities` | `state` | [`crate::ledger::IdentitiesReport`] |
//! | `GET /v1/identity` | `identity` | [`crate::ledger::IdentityDetail`] |
//! | `POST /v1/identity/offboard` | `identity`, `reason` | [`crate::ledger::Change`]; for root only |
//! | `POST /v1/identity/restore` | `identity`, `reason` | the same |
//! | `POST /v1/identity/rename` | `identity`, `to`, `reason` | the same |
//! | `POST /v1/identity/unblock` | `identity`, `reason` | the same |
//! | `GET /v1/blocks` | | [`Blocks`]; not for viewers |
//! | `GET /v1/credentials` | `provider`, `identity` | [`crate::ledger::KnownCredentials`] |
//! | `GET /v1/budgets` | `name` | [`BudgetReport`]; not for viewers |
//! | `GET /v1/identity/explain` | `pid` or `name` | [`Explanation`] or [`NamedIdentity`] |
//! | `GET /v1/alerts` | `all` | [`weir_core::alert::AlertsReport`]; not for viewers |
//! | `GET /v1/alert` | `id` | [`weir_core::alert::AlertView`]; not for viewers |
//! | `POST /v1/alerts/ack` | `id`, `comment` | [`weir_core::alert::AlertEvent`]; for root only |
//! | `POST /v1/alerts/silence` | `match` (a condition a line), `until`, `comment` | the same |
//! | `POST /v1/alerts/unsilence` | `id` | the same |
//! | `POST /v1/alerts/replay` | `id` | the same |
//! | `POST /v1/alerts/test` | `webhook` | [`Tests`]; for root only |
//! | `GET /v1/doctor` | | [`DoctorReport`] |
//! | `GET /v1/metrics` | | OpenMetrics text, which Prometheus reads; not for viewers |
//! | `GET /v1/ledger/verify` | | [`Verification`]; for root only |
//!
//! Times are written as [`when::parse`] reads them. A parameter that is not known is refused. What
//! fails answers `{"error": {"code": …, "message": …}}`.
//!
//! Who may connect is decided by the socket's mode; who may do what, by the user and the groups that the
//! kernel gives for the other end. Root and the daemon's own user may do everything. Members of the
//! auditors' group may read everything, and what they read is logged. Everybody else is a viewer, and
//! every answer is about the calls and processes of the own user alone.
//!
//! [`BudgetReport`]: weir_core::detect::budget::BudgetReport
//! [`Explanation`]: weir_core::identity::Explanation

mod alerts;
mod api;
mod blocks;
mod calls;
mod client;
mod doctor;
mod error;
mod explain;
mod inventory;
mod metrics;
mod peer;
mod server;
mod socket;
mod verification;
pub mod when;

use serde::{Deserialize, Serialize};
use weir_core::units::Timestamp;

pub use alerts::{Begun, Tests};
pub use blocks::Blocks;
pub use client::{Client, ClientError, Lines};
pub use doctor::{CaptureFunction, CaptureSite, CaptureTarget, Check, DoctorReport, Status};
pub use explain::{Busy, NamedIdentity, RuleView};
pub use inventory::ChangeError;
pub use server::{Control, serve};
pub use socket::{Socket, SocketError, group_id};
pub use verification::{Verification, verify};

/// The daemon that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// What identities of this host call it.
    pub host: String,
    /// The trust domain of the identities.
    pub trust_domain: String,
}
