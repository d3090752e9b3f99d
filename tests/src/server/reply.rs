//! From a request to an answer: which form, what it will say, and how it is sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap,
};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use soketto::handshake::http::is_upgrade_request;
use tokio::sync::watch;
use tokio::time::sleep;

use super::coding::{Encoder, choose};
use super::script::{Scene, Script};
use super::{anthropic, openai, session};
use crate::play::{self, Coding, Failure, Play};
use crate::truth::{Entry, Journal, State, Truth};

type Body = Either<Full<Bytes>, Channel<Bytes, io::Error>>;

/// What all connections share.
pub(super) struct Stage {
    pub(super) journal: Journal,
    gate: watch::Receiver<bool>,
    requests: AtomicU64,
}

/// A request, understood.
struct Call {
    form: Form,
    label: String,
    host: String,
    model: String,
    stream: bool,
    include_usage: bool,
    base64: bool,
    accept: String,
    play: Play,
    request_bytes: u64,
}

#[derive(Clone, Copy)]
enum Form {
    Chat,
    Responses,
    Embeddings,
    Messages,
}

impl Form {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            path if path.ends_with("/chat/completions") => Self::Chat,
            path if path.ends_with("/responses") => Self::Responses,
            path if path.ends_with("/embeddings") => Self::Embeddings,
            path if path.ends_with("/messages") => Self::Messages,
            _ => return None,
        })
    }

    /// Provider and API, by the names that `weir` has for them.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Chat => ("openai", "chat_completions"),
            Self::Responses => ("openai", "responses"),
            Self::Embeddings => ("openai", "embeddings"),
            Self::Messages => ("anthropic", "messages"),
        }
    }
}

impl Stage {
    pub(super) fn new(journal: Journal, gate: watch::Receiver<bool>) -> Self {
        Self { journal, gate, requests: AtomicU64::new(0) }
    }

    pub(super) async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if is_upgrade_request(&request) && path.ends_with("/responses") {
            return session::begin(Arc::clone(self), request).map_or_else(
                |error| {
                    eprintln!("model-server: can't begin a session: {error:#}");
                    plain(StatusCode::BAD_REQUEST, "{}")
                },
                |switch| switch.map(|()| Either::Left(Full::default())),
            );
        }
        if path == "/hold" {
            // An error means that the server is going away, and this answer with it.
            drop(self.gate.clone().wait_for(|open| *open).await);
            return plain(StatusCode::OK, "go\n");
        }
        if path == "/v1/models" {
            return plain(StatusCode::OK, r#"{"object":"list","data":[]}"#);
        }
        let Some(form) = Form::of(&path).filter(|_| request.method() == Method::POST) else {
            return plain(StatusCode::NOT_FOUND, r#"{"error":{"message":"no such path"}}"#);
        };
        match read(form, request).await {
            Ok(call) => self.perform(call).await,
            Err(error) => {
                eprintln!("model-server: can't understand a request for {path}: {error:#}");
                plain(StatusCode::BAD_REQUEST, r#"{"error":{"message":"not understood"}}"#)
            }
        }
    }

    async fn perform(&self, call: Call) -> Response<Body> {
        let (script, mut rng) = self.draw(&call.model, &call.play);
        let scene = scene(&call, &script);
        let coding = call.play.coding.unwrap_or_else(|| choose(&call.accept, &mut rng));
        let chunked = scene.streamed || call.play.chunked.unwrap_or_else(|| rng.bool());
        let entry = self.journal.open(truth(&call, &scene, coding));
        sleep(Duration::from_millis(call.play.hold_ms)).await;
        self.send(entry, &call.play, scene, coding, chunked).unwrap_or_else(|error| {
            eprintln!("model-server: can't answer: {error}");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "{}")
        })
    }

    /// What the next answer will say.
    pub(super) fn draw(&self, model: &str, play: &Play) -> (Script, fastrand::Rng) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut rng = fastrand::Rng::with_seed(play.seed.unwrap_or(number));
        let script = Script::draw(model, play, &mut rng);
        // The id is of this call even where the same seed is played twice.
        (Script { id: format!("{number:08}{}", &script.id[8..]), ..script }, rng)
    }

    fn send(
        &self,
        entry: Entry,
        play: &Play,
        scene: Scene,
        coding: Coding,
        chunked: bool,
    ) -> io::Result<Response<Body>> {
        let kind = if scene.streamed { "text/event-stream; charset=utf-8" } else { JSON };
        let mut head = Response::builder().status(scene.status).header(CONTENT_TYPE, kind);
        if coding != Coding::Identity {
            head = head.header(CONTENT_ENCODING, coding.name());
        }
        head = match &scene.response_id {
            Some(id) => head.header("x-request-id", format!("req_{id}")),
            None => head,
        };

        let mut wire = Vec::with_capacity(scene.parts.len());
        let mut encoder = Encoder::new(coding)?;
        for part in &scene.parts {
            wire.push(encoder.push(&part.bytes)?);
        }
        let tail = encoder.finish()?;
        if !chunked {
            let length = wire.iter().map(Bytes::len).sum::<usize>() + tail.len();
            head = head.header(CONTENT_LENGTH, length);
        }
        let (sender, body) = Channel::new(1);
        let delivery = Delivery {
            journal: self.journal.clone(),
            entry,
            scene,
            pause: Duration::from_millis(play.pause_ms),
            cut_after: play.cut_after,
        };
        tokio::spawn(delivery.run(sender, wire, tail));
        head.body(Either::Right(body)).map_err(io::Error::other)
    }
}

const JSON: &str = "application/json";

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(JSON));
    response
}

async fn read(form: Form, request: Request<Incoming>) -> anyhow::Result<Call> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.context("the body ended early")?.to_bytes();
    let json: Value = serde_json::from_slice(&body).context("the body is not JSON")?;
    let text = |name: &hyper::header::HeaderName| header(&head.headers, name.as_str());
    let play = play(&head.headers)?;
    Ok(Call {
        form,
        label: label(&head.headers),
        // HTTP/2 has it in `:authority`.
        host: head.uri.authority().map_or(text(&HOST), Authority::as_str).to_owned(),
        model: json["model"].as_str().context("no model")?.to_owned(),
        stream: json["stream"].as_bool().unwrap_or(false),
        include_usage: json["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        base64: json["encoding_format"] == "base64",
        accept: text(&ACCEPT_ENCODING).to_owned(),
        play,
        request_bytes: body.len() as u64,
    })
}

/// What the caller wants done.
pub(super) fn play(headers: &HeaderMap) -> anyhow::Result<Play> {
    match header(headers, play::HEADER) {
        "" => Ok(Play::default()),
        play => serde_json::from_str(play).with_context(|| format!("bad play {play:?}")),
    }
}

/// Who calls: the end of the key.
pub(super) fn label(headers: &HeaderMap) -> String {
    let bearer = header(headers, AUTHORIZATION.as_str()).trim_start_matches("Bearer ");
    let key = if bearer.is_empty() { header(headers, "x-api-key") } else { bearer };
    key.trim_start_matches("sk-ant-weir-").trim_start_matches("sk-weir-").to_owned()
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn scene(call: &Call, script: &Script) -> Scene {
    let fails_at_once = script.fail.filter(|failure| *failure != Failure::InStream || !call.stream);
    match (call.form, fails_at_once) {
        (Form::Messages, Some(failure)) => anthropic::error(failure),
        (_, Some(failure)) => openai::error(failure),
        (Form::Chat, None) => openai::chat(script, call.stream, call.include_usage),
        (Form::Responses, None) => openai::responses(script, call.stream),
        (Form::Embeddings, None) => openai::embeddings(script, call.base64),
        (Form::Messages, None) => anthropic::messages(script, call.stream),
    }
}

/// The journal's entry for a call of which nothing has been sent yet.
fn truth(call: &Call, scene: &Scene, coding: Coding) -> Truth {
    let (provider, api) = call.form.names();
    Truth {
        label: call.label.clone(),
        provider: provider.to_owned(),
        api: api.to_owned(),
        host: call.host.clone(),
        model_requested: call.model.clone(),
        model: scene.model.clone(),
        status: scene.status,
        streamed: call.stream,
        state: State::Open,
        usage: None,
        words: 0,
        response_id: scene.response_id.clone(),
        errors: scene.errors.clone(),
        request_bytes: call.request_bytes,
        response_bytes: 0,
        coding: coding.name().to_owned(),
    }
}

/// The sending of one answer.
struct Delivery {
    journal: Journal,
    entry: Entry,
    scene: Scene,
    pause: Duration,
    cut_after: Option<usize>,
}

impl Delivery {
    async fn run(self, mut sender: Sender<Bytes, io::Error>, wire: Vec<Bytes>, tail: Bytes) {
        let mut wire: Vec<(Bytes, usize)> = wire.into_iter().zip(1..).collect();
        if self.cut_after.is_some() && !self.scene.streamed {
            // A body of one part is cut in its middle, of which nobody can make sense.
            wire = wire.into_iter().map(|(part, _)| (part.slice(..part.len() / 2), 0)).collect();
        }
        let last = wire.len();
        for (place, (bytes, whole_parts)) in (1..).zip(wire) {
            if place > 1 && !self.pause.is_zero() {
                sleep(self.pause).await;
            }
            if self.cut_after.is_some_and(|limit| place > limit) {
                self.note(place - 1, State::Aborted);
                sender.abort(io::Error::other("cut, as the play has it"));
                return;
            }
            // Before the last part is handed over: whoever has read the answer finds it noted.
            let done = place == last && self.cut_after.is_none();
            self.note(whole_parts, if done { self.ending() } else { State::Open });
            if sender.send_data(bytes).await.is_err() {
                self.note(whole_parts.saturating_sub(1), State::Aborted);
                return;
            }
        }
        if self.cut_after.is_some() {
            sleep(Duration::from_millis(20)).await;
            self.note(if self.scene.streamed { last } else { 0 }, State::Aborted);
            sender.abort(io::Error::other("cut, as the play has it"));
            return;
        }
        if !tail.is_empty() && sender.send_data(tail).await.is_err() {
            self.note(last, State::Aborted);
        }
    }

    fn ending(&self) -> State {
        if self.scene.errors.is_empty() { State::Complete } else { State::Error }
    }

    fn note(&self, parts: usize, state: State) {
        note(&self.journal, self.entry, &self.scene, parts, state);
    }
}

/// Notes how much of an answer was sent, and that the call is in `state`.
pub(super) fn note(journal: &Journal, entry: Entry, scene: &Scene, parts: usize, state: State) {
    let sent = &scene.parts[..parts];
    journal.amend(entry, |truth| {
        truth.state = state;
        truth.words = sent.iter().map(|part| part.words).sum();
        truth.response_bytes = sent.iter().map(|part| part.bytes.len() as u64).sum();
        let told = sent.iter().any(|part| part.tells_usage);
        truth.usage = scene.usage.filter(|_| told);
    });
}
