//! The paths of the API: each reads its parameters, asks the ledger or the daemon, and answers.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use weir_core::detect::budget::BudgetReport;
use weir_core::units::Timestamp;

use super::blocks::blocks;
use super::calls::{CallsStream, Follow};
use super::doctor::DoctorReport;
use super::error::ApiError;
use super::peer::{Peer, Role};
use super::server::Control;
use super::{Health, Verification, alerts, explain, inventory, metrics, verification, when};
use crate::ledger::{CallsQuery, Dimension, LedgerError, UsageQuery, UsageReport};

/// From when on is answered if nobody says.
const SINCE: &str = "24h";

pub(super) type Answer<T> = Result<Json<T>, ApiError>;
pub(super) type Parameters<T> = Result<Query<T>, QueryRejection>;

pub(super) fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/usage", get(usage))
        .route("/v1/calls", get(calls))
        .route("/v1/identities", get(inventory::identities))
        .route("/v1/identity", get(inventory::identity))
        .route("/v1/identity/explain", get(explain_identity))
        .route("/v1/identity/offboard", post(inventory::offboard))
        .route("/v1/identity/restore", post(inventory::restore))
        .route("/v1/identity/rename", post(inventory::rename))
        .route("/v1/identity/unblock", post(inventory::unblock))
        .route("/v1/blocks", get(blocks))
        .route("/v1/credentials", get(inventory::credentials))
        .route("/v1/budgets", get(budgets))
        .route("/v1/alerts", get(alerts::alerts))
        .route("/v1/alert", get(alerts::alert))
        .route("/v1/alerts/ack", post(alerts::ack))
        .route("/v1/alerts/silence", post(alerts::silence))
        .route("/v1/alerts/unsilence", post(alerts::unsilence))
        .route("/v1/alerts/test", post(alerts::test))
        .route("/v1/alerts/replay", post(alerts::replay))
        .route("/v1/doctor", get(doctor))
        .route("/v1/metrics", get(metrics))
        .route("/v1/ledger/verify", get(verify))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn(audit))
        .with_state(control)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageParameters {
    /// Dimensions with commas between.
    by: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsParameters {
    since: Option<String>,
    until: Option<String>,
    identity: Option<String>,
    #[serde(default)]
    follow: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainParameters {
    pid: Option<u32>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetsParameters {
    name: Option<String>,
}

async fn health(
    State(control): State<Arc<Control>>,
    parameters: Parameters<NoParameters>,
) -> Answer<Health> {
    let Query(NoParameters {}) = parameters.map_err(bad_parameters)?;
    Ok(Json(Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: control.started,
        host: control.host.clone(),
        trust_domain: control.trust_domain.clone(),
    }))
}

async fn usage(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<UsageParameters>,
) -> Answer<UsageReport> {
    let Query(parameters) = parameters.map_err(bad_parameters)?;
    let by = parameters.by.as_deref().unwrap_or("identity,model");
    let now = Timestamp::now();
    let query = UsageQuery {
        by: dimensions(by)?,
        since: time(parameters.since.as_deref().unwrap_or(SINCE), now)?,
        until: time(parameters.until.as_deref().unwrap_or("now"), now)?,
        uid: peer.sees(),
    };
    let report = blocking(move || control.reader.usage(&query)).await?;
    Ok(Json(report.map_err(failed)?))
}

async fn calls(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<CallsParameters>,
) -> Result<Response, ApiError> {
    let Query(parameters) = parameters.map_err(bad_parameters)?;
    let now = Timestamp::now();
    let follow = if parameters.follow { Follow::Yes } else { Follow::No };
    let since = match (parameters.since.as_deref(), follow) {
        (Some(since), Follow::Yes | Follow::No) => Some(time(since, now)?),
        (None, Follow::No) => Some(time(SINCE, now)?),
        (None, Follow::Yes) => None,
    };
    let until = parameters.until.as_deref().map(|until| time(until, now)).transpose()?;
    if follow == Follow::Yes && until.is_some() {
        return Err(ApiError::BadRequest("`follow` has no end: leave out `until`".to_owned()));
    }
    let query = CallsQuery {
        from: since.is_none().then(|| control.reader.committed()),
        since,
        until,
        identity: parameters.identity,
        uid: peer.sees(),
        ..CallsQuery::default()
    };
    let reader = control.reader.clone();
    let stream = blocking(move || CallsStream::open(reader, query)).await?.map_err(failed)?;
    Ok(stream.into_response(follow))
}

/// Shows facts of a process, so others than administrators are told of their own only.
async fn explain_identity(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<ExplainParameters>,
) -> Result<Response, ApiError> {
    let Query(parameters) = parameters.map_err(bad_parameters)?;
    let own = peer.sees();
    match (parameters.pid, parameters.name) {
        (Some(pid), None) => {
            let explanation = blocking(move || (control.explain)(pid)).await??;
            let explanation = explanation
                .ok_or_else(|| ApiError::Unknown(format!("no process has the id {pid}")))?;
            if own.is_some_and(|uid| uid != explanation.process.uid) {
                return Err(ApiError::Forbidden);
            }
            Ok(Json(explanation).into_response())
        }
        (None, Some(name)) => {
            let Control { rules, namespace, reader, .. } = &*control;
            let (rules, namespace, reader) = (rules.clone(), namespace.clone(), reader.clone());
            let ask = move || explain::named(&name, own, &rules, &namespace, &reader);
            let named = blocking(ask).await?.map_err(failed)?;
            if own.is_some() && named.latest.is_none() {
                return Err(ApiError::Forbidden);
            }
            Ok(Json(named).into_response())
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(ApiError::BadRequest("say either `pid` or `name`".to_owned()))
        }
    }
}

/// They are about what others use, so not everybody may ask for them.
async fn budgets(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<BudgetsParameters>,
) -> Answer<BudgetReport> {
    let Query(parameters) = parameters.map_err(bad_parameters)?;
    match peer.role {
        Role::Auditor | Role::Admin => {}
        Role::Viewer => return Err(ApiError::NotForViewers),
    }
    let mut report = blocking(move || (control.budgets)()).await?;
    if let Some(name) = parameters.name {
        report.names.retain(|known| *known == name);
        report.rows.retain(|row| row.budget == name);
        if report.names.is_empty() {
            return Err(ApiError::Unknown(format!("no budget has the name {name:?}")));
        }
    }
    Ok(Json(report))
}

async fn doctor(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<NoParameters>,
) -> Answer<DoctorReport> {
    let Query(NoParameters {}) = parameters.map_err(bad_parameters)?;
    let report = blocking(move || (control.doctor)()).await?;
    Ok(Json(match peer.sees() {
        Some(uid) => report.of_user(uid),
        None => report,
    }))
}

/// They are about everybody, so not everybody may ask for them.
async fn metrics(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<NoParameters>,
) -> Result<Response, ApiError> {
    let Query(NoParameters {}) = parameters.map_err(bad_parameters)?;
    match peer.role {
        Role::Auditor | Role::Admin => {}
        Role::Viewer => return Err(ApiError::NotForViewers),
    }
    let started = control.started;
    let answers = blocking(move || ((control.doctor)(), (control.budgets)()));
    let (report, budgets) = answers.await?;
    let text = metrics::text(&report, &budgets, started);
    Ok(([(CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}

/// Reads the whole log, so not everybody may ask for it.
async fn verify(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    parameters: Parameters<NoParameters>,
) -> Answer<Verification> {
    let Query(NoParameters {}) = parameters.map_err(bad_parameters)?;
    match peer.role {
        Role::Admin => {}
        Role::Viewer | Role::Auditor => return Err(ApiError::Forbidden),
    }
    let report = blocking(move || verification::verify(&control.state_dir)).await?;
    Ok(Json(report.map_err(failed)?))
}

/// Logs who that is not an administrator reads what of others.
async fn audit(Extension(peer): Extension<Peer>, request: Request, next: Next) -> Response {
    match peer.role {
        // What viewers get is about themselves.
        Role::Admin | Role::Viewer => {}
        Role::Auditor => tracing::info!(
            uid = peer.uid,
            pid = peer.pid,
            method = %request.method(),
            target = %request.uri(),
            "read by another user",
        ),
    }
    next.run(request).await
}

/// Runs what reads files where it can't hold up the event loop.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|panicked| ApiError::Ledger(panicked.to_string()))
}

fn dimensions(text: &str) -> Result<Vec<Dimension>, ApiError> {
    let mut dimensions = Vec::new();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        let dimension: Dimension =
            word.parse().map_err(|error: crate::ledger::ParseDimensionError| {
                ApiError::BadRequest(error.to_string())
            })?;
        if dimensions.contains(&dimension) {
            return Err(ApiError::BadRequest(format!("`by` names {dimension} twice")));
        }
        dimensions.push(dimension);
    }
    Ok(dimensions)
}

fn time(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    when::parse(text, now).map_err(|error| ApiError::BadRequest(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err asks for")]
pub(super) fn bad_parameters(rejection: QueryRejection) -> ApiError {
    ApiError::BadRequest(rejection.body_text())
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err asks for")]
pub(super) fn failed(error: LedgerError) -> ApiError {
    tracing::error!(%error, "the ledger could not answer");
    ApiError::Ledger(error.to_string())
}
