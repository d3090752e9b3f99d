//! The paths about alerts: what goes on, who was told of it, and what an administrator says of it.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use weir_core::alert::{
    AlertEvent, AlertView, AlertsReport, MATCHERS_MAX, Notification, NotificationId, Reason,
    SILENCES_MAX, Silence, What,
};
use weir_core::units::Timestamp;

use super::api::{Answer, Parameters, bad_parameters, blocking};
use super::error::ApiError;
use super::inventory::{REASON_MAX, new_id};
use super::peer::{Peer, Role};
use super::server::Control;
use crate::ledger::Entry;

/// The longest that a silence may hold, in days.
const SILENCE_DAYS_MAX: i64 = 366;

/// Tests that were begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// One for each webhook that was asked for.
    pub tests: Vec<Begun>,
}

/// A test that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Whom it is for.
    pub webhook: String,
    /// What the webhook is sent.
    pub notification: NotificationId,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParameters {
    #[serde(default)]
    all: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdParameters {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AckParameters {
    id: String,
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SilenceParameters {
    /// A condition a line.
    #[serde(rename = "match")]
    matchers: String,
    until: String,
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestParameters {
    webhook: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayParameters {
    id: Option<String>,
}

pub(super) async fn alerts(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<ListParameters>,
) -> Answer<AlertsReport> {
    let Query(ListParameters { all }) = parameters.map_err(bad_parameters)?;
    may_read(peer)?;
    Ok(Json(blocking(move || control.alerts.report(all)).await?))
}

pub(super) async fn alert(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<IdParameters>,
) -> Answer<AlertView> {
    let Query(IdParameters { id }) = parameters.map_err(bad_parameters)?;
    may_read(peer)?;
    Ok(Json(found(&control, &id)?))
}

pub(super) async fn ack(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<AckParameters>,
) -> Answer<AlertEvent> {
    let Query(AckParameters { id, comment }) = parameters.map_err(bad_parameters)?;
    may_change(peer)?;
    let comment = line(comment)?;
    let finding = found(&control, &id)?.finding.id;
    say(control, What::Ack { finding, uid: peer.uid, comment }).await
}

pub(super) async fn silence(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<SilenceParameters>,
) -> Answer<AlertEvent> {
    let Query(SilenceParameters { matchers, until, comment }) =
        parameters.map_err(bad_parameters)?;
    may_change(peer)?;
    let comment = line(comment)?;
    let bad = |message: String| ApiError::BadRequest(message);
    let matchers: Vec<_> = matchers
        .lines()
        .map(|condition| {
            condition.parse().map_err(|error| {
                let shown: String = condition.chars().take(60).collect();
                bad(format!("{shown:?} is {error}"))
            })
        })
        .collect::<Result<_, _>>()?;
    if matchers.is_empty() || matchers.len() > MATCHERS_MAX {
        return Err(bad(format!("`match` has from 1 to {MATCHERS_MAX} conditions, one a line")));
    }
    let until: Timestamp =
        until.parse().map_err(|_other| bad("`until` is not a moment".to_owned()))?;
    let ahead = until.duration_since(Timestamp::now()).as_hours();
    if until <= Timestamp::now() || ahead > SILENCE_DAYS_MAX * 24 {
        return Err(bad(format!("`until` is in the future, {SILENCE_DAYS_MAX} days at most")));
    }
    if control.alerts.book().silence_count() >= SILENCES_MAX {
        return Err(bad(format!("there are {SILENCES_MAX} silences: end some of them")));
    }
    say(control, What::Silence(Silence { matchers, until, uid: peer.uid, comment })).await
}

pub(super) async fn unsilence(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<IdParameters>,
) -> Answer<AlertEvent> {
    let Query(IdParameters { id }) = parameters.map_err(bad_parameters)?;
    may_change(peer)?;
    let silence = control.alerts.book().silence_named(&id);
    let silence = silence.ok_or_else(|| unknown("silence"))?;
    say(control, What::Unsilence { silence, uid: peer.uid }).await
}

pub(super) async fn test(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<TestParameters>,
) -> Answer<Tests> {
    let Query(TestParameters { webhook }) = parameters.map_err(bad_parameters)?;
    may_change(peer)?;
    let known = control.alerts.webhooks().into_iter().map(|known| known.webhook);
    let wanted: Vec<_> =
        known.filter(|known| webhook.as_ref().is_none_or(|wanted| wanted == known)).collect();
    if wanted.is_empty() {
        let message = "the configuration has no such webhook: see [[webhook]] in `weir.toml`";
        return Err(ApiError::Unknown(message.to_owned()));
    }
    let mut tests = Vec::new();
    for webhook in wanted {
        let now = Timestamp::now();
        let test = Notification::without_findings(&webhook, Reason::Test, now, &new_id()?);
        let notification = test.id.clone();
        drop(say(Arc::clone(&control), What::Queued(Box::new(test))).await?);
        tests.push(Begun { webhook, notification });
    }
    Ok(Json(Tests { tests }))
}

pub(super) async fn replay(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<ReplayParameters>,
) -> Answer<AlertEvent> {
    let Query(ReplayParameters { id }) = parameters.map_err(bad_parameters)?;
    may_change(peer)?;
    let notification = id.map(NotificationId);
    let webhooks = control.alerts.webhooks();
    let mut dead = webhooks.iter().flat_map(|webhook| &webhook.dead);
    let is_meant = notification.as_ref();
    if !dead.any(|letter| is_meant.is_none_or(|wanted| *wanted == letter.notification)) {
        return Err(unknown("dead notification"));
    }
    say(control, What::Replay { notification, uid: peer.uid }).await
}

fn may_read(peer: Peer) -> Result<(), ApiError> {
    match peer.role {
        Role::Auditor | Role::Admin => Ok(()),
        Role::Viewer => Err(ApiError::NotForViewers),
    }
}

fn may_change(peer: Peer) -> Result<(), ApiError> {
    match peer.role {
        Role::Admin => Ok(()),
        Role::Viewer | Role::Auditor => Err(ApiError::Forbidden),
    }
}

fn found(control: &Control, id: &str) -> Result<AlertView, ApiError> {
    control.alerts.alert(id).ok_or_else(|| unknown("finding"))
}

fn unknown(what: &str) -> ApiError {
    ApiError::Unknown(format!("there is no {what} of this name, or more than one"))
}

fn line(text: Option<String>) -> Result<Option<String>, ApiError> {
    let is_line = |text: &String| text.len() <= REASON_MAX && !text.contains(char::is_control);
    if text.as_ref().is_none_or(is_line) {
        return Ok(text);
    }
    Err(ApiError::BadRequest(format!("`comment` is not one line of at most {REASON_MAX} bytes")))
}

/// Puts into the log what an administrator says.
async fn say(control: Arc<Control>, event: What) -> Answer<AlertEvent> {
    let event = AlertEvent { id: new_id()?, time: Timestamp::now(), event };
    let said = blocking(move || {
        (control.say)(Entry::Alert(Box::new(event.clone()))).map_err(ApiError::Unchanged)?;
        tracing::info!(?event, "said of alerts");
        Ok(event)
    });
    said.await?.map(Json)
}
