//! The paths about identities and credentials: what is known of them, and what an administrator says of
//! them.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use weir_core::identity::IdentityId;
use weir_core::units::Timestamp;

use super::api::{Answer, Parameters, bad_parameters, blocking, failed};
use super::error::ApiError;
use super::peer::{Peer, Role};
use super::server::Control;
use crate::ledger::{
    CHANGES_MAX, Change, Deed, Entry, IdentitiesReport, IdentityDetail, IdentityQuery,
    KnownCredentials, KnownIdentity, Standing,
};

/// The longest name that an identity can be given, in bytes: as much as rows keep of one.
const NAME_MAX: usize = 1024;
/// The longest reason, in bytes.
pub(super) const REASON_MAX: usize = 1024;

/// Why a change is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The queue to the ledger is full.
    #[error("the ledger can't keep up; nothing was changed: try again")]
    Busy,
    /// It waits to be written.
    #[error("the ledger can't be written for now; this is done once it can: see `weir doctor`")]
    Unconfirmed,
    /// So many changes are remembered that there is no room for more.
    #[error("there were {CHANGES_MAX} changes already, and no more are taken")]
    Full,
}

/// Which identities are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Active,
    Dormant,
    Offboarded,
    Unowned,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentitiesParameters {
    state: Option<Wanted>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityParameters {
    identity: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialsParameters {
    provider: Option<String>,
    identity: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeParameters {
    identity: String,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameParameters {
    identity: String,
    to: String,
    reason: Option<String>,
}

pub(super) async fn identities(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<IdentitiesParameters>,
) -> Answer<IdentitiesReport> {
    let Query(IdentitiesParameters { state }) = parameters.map_err(bad_parameters)?;
    let query = asked(peer);
    let host = control.host.clone();
    let report = blocking(move || control.reader.identities(&query)).await?;
    let mut report = report.map_err(failed)?;
    report.identities.retain(|identity| is_wanted(identity, state));
    report.identities.iter_mut().for_each(|identity| identity.hosts = vec![host.clone()]);
    Ok(Json(report))
}

pub(super) async fn identity(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<IdentityParameters>,
) -> Answer<IdentityDetail> {
    let Query(IdentityParameters { identity }) = parameters.map_err(bad_parameters)?;
    let query = asked(peer);
    let host = control.host.clone();
    let found = blocking(move || control.reader.identity(&identity, &query)).await?;
    let mut found = found.map_err(failed)?.ok_or(ApiError::UnknownIdentity)?;
    found.identity.hosts = vec![host];
    match peer.role {
        // Who asked for a change is another user.
        Role::Viewer => found.changes.clear(),
        Role::Auditor | Role::Admin => {}
    }
    Ok(Json(found))
}

pub(super) async fn credentials(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<CredentialsParameters>,
) -> Answer<KnownCredentials> {
    let Query(CredentialsParameters { provider, identity }) = parameters.map_err(bad_parameters)?;
    let query = asked(peer);
    let answer = blocking(move || {
        let mut report = control.reader.credentials(&query)?;
        // It may be asked for by an old name.
        let current = match &identity {
            Some(name) => control.reader.current_name(name)?,
            None => String::new(),
        };
        report.credentials.retain(|credential| {
            provider.as_ref().is_none_or(|name| credential.providers.values.contains(name))
                && (identity.is_none() || credential.identities.values.contains(&current))
        });
        Ok(report)
    });
    Ok(Json(answer.await?.map_err(failed)?))
}

pub(super) async fn offboard(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<ChangeParameters>,
) -> Answer<Change> {
    let Query(ChangeParameters { identity, reason }) = parameters.map_err(bad_parameters)?;
    say(control, peer, identity, Deed::Offboard, reason).await
}

pub(super) async fn restore(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<ChangeParameters>,
) -> Answer<Change> {
    let Query(ChangeParameters { identity, reason }) = parameters.map_err(bad_parameters)?;
    say(control, peer, identity, Deed::Restore, reason).await
}

pub(super) async fn unblock(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<ChangeParameters>,
) -> Answer<Change> {
    let Query(ChangeParameters { identity, reason }) = parameters.map_err(bad_parameters)?;
    say(control, peer, identity, Deed::Unblock, reason).await
}

pub(super) async fn rename(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<RenameParameters>,
) -> Answer<Change> {
    let Query(RenameParameters { identity, to, reason }) = parameters.map_err(bad_parameters)?;
    let name = to.strip_prefix("spiffe://").unwrap_or_default();
    if name.is_empty() || to.len() > NAME_MAX || to.contains(|c: char| c.is_control() || c == ' ') {
        let message = format!("`to` is not the name of an identity: spiffe://…, {NAME_MAX} bytes");
        return Err(ApiError::BadRequest(message));
    }
    say(control, peer, identity, Deed::Rename { to: IdentityId(to) }, reason).await
}

/// Puts into the log what an administrator says of an identity that was seen.
async fn say(
    control: Arc<Control>,
    peer: Peer,
    identity: String,
    deed: Deed,
    reason: Option<String>,
) -> Answer<Change> {
    match peer.role {
        Role::Admin => {}
        Role::Viewer | Role::Auditor => return Err(ApiError::Forbidden),
    }
    let is_text = |text: &String| text.len() <= REASON_MAX && !text.contains(char::is_control);
    if !reason.as_ref().is_none_or(is_text) {
        let message = format!("`reason` is not one line of at most {REASON_MAX} bytes");
        return Err(ApiError::BadRequest(message));
    }
    let time = Timestamp::now();
    let change = Change {
        change: new_id()?,
        time,
        uid: peer.uid,
        pid: peer.pid.and_then(|pid| u32::try_from(pid).ok()),
        identity: IdentityId(identity),
        deed,
        reason,
    };
    let said = blocking(move || {
        let query = IdentityQuery { uid: None, now: time };
        let known = control.reader.identity(&change.identity.0, &query).map_err(failed)?;
        known.ok_or(ApiError::UnknownIdentity)?;
        if control.reader.change_count().map_err(failed)? >= CHANGES_MAX {
            return Err(ApiError::Unchanged(ChangeError::Full));
        }
        (control.say)(Entry::Change(Box::new(change.clone()))).map_err(ApiError::Unchanged)?;
        tracing::info!(?change, "an identity was changed");
        Ok(change)
    });
    said.await?.map(Json)
}

fn asked(peer: Peer) -> IdentityQuery {
    IdentityQuery { uid: peer.sees(), now: Timestamp::now() }
}

fn is_wanted(identity: &KnownIdentity, wanted: Option<Wanted>) -> bool {
    match wanted {
        None => true,
        Some(Wanted::Active) => identity.state == Standing::Active,
        Some(Wanted::Dormant) => identity.state == Standing::Dormant,
        Some(Wanted::Offboarded) => identity.state == Standing::Offboarded,
        // Nobody has to own what is gone.
        Some(Wanted::Unowned) => identity.unowned && identity.state != Standing::Offboarded,
    }
}

/// 32 hexadecimal digits that nothing else that was said has.
pub(super) fn new_id() -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    filled.map_err(|errno| ApiError::Ledger(errno.to_string()))?;
    let mut id = String::new();
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}
