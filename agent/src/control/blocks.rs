//! The path about who is kept from model endpoints.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::api::{Answer, NoParameters, Parameters, bad_parameters, blocking};
use super::error::ApiError;
use super::peer::{Peer, Role};
use super::server::Control;
use crate::ledger::BlockRecord;

/// Who is kept from model endpoints now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// The configuration blocks somebody, or would, and the kernel allows that.
    pub enforced: bool,
    /// Each block that holds, with what it has kept from model endpoints so far.
    pub blocks: Vec<BlockRecord>,
}

/// They are about everybody, so not everybody may ask for them.
pub(super) async fn blocks(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<NoParameters>,
) -> Answer<Blocks> {
    let Query(NoParameters {}) = parameters.map_err(bad_parameters)?;
    match peer.role {
        Role::Auditor | Role::Admin => {}
        Role::Viewer => return Err(ApiError::NotForViewers),
    }
    Ok(Json(blocking(move || (control.blocks)()).await?))
}
