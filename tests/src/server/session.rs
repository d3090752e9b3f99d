//! Sessions: OpenAI's responses over a WebSocket. The caller sends a message for each call, and gets
//! the events of a stream as messages.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap, SEC_WEBSOCKET_EXTENSIONS};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use soketto::Sender;
use soketto::connection::Error;
use soketto::handshake::http::Server;
use tokio::time::sleep;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::deflate::PerMessage;
use super::openai;
use super::reply::{Stage, header, label, note, play};
use super::script::Scene;
use crate::play::{Coding, Play};
use crate::truth::{Entry, State, Truth};

/// The bytes beneath a session.
type Socket = Compat<TokioIo<hyper::upgrade::Upgraded>>;

/// Begins a session by switching protocols.
pub(super) fn begin(
    stage: Arc<Stage>,
    mut request: Request<Incoming>,
) -> anyhow::Result<Response<()>> {
    let mut server = Server::new();
    // Soketto names its extensions even to those who have offered none.
    if request.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        server.add_extension(Box::new(PerMessage::new()));
    }
    let switch = server.receive_request(&request)?;
    let upgrade = hyper::upgrade::on(&mut request);
    let session =
        Session { stage, play: play(request.headers())?, headers: request.into_parts().0.headers };
    tokio::spawn(async move {
        if let Err(error) = session.run(server, upgrade).await {
            eprintln!("model-server: a session failed: {error:#}");
        }
    });
    Ok(switch)
}

struct Session {
    stage: Arc<Stage>,
    headers: HeaderMap,
    play: Play,
}

impl Session {
    async fn run(self, server: Server, upgrade: OnUpgrade) -> anyhow::Result<()> {
        let socket = TokioIo::new(upgrade.await?).compat();
        let (mut sender, mut receiver) = server.into_builder(socket).finish();
        let mut message = Vec::new();
        loop {
            message.clear();
            match receiver.receive_data(&mut message).await {
                Ok(_kind) => {}
                // Callers leave as they like.
                Err(Error::Closed | Error::Io(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            let asked: Value = serde_json::from_slice(&message).context("not JSON")?;
            anyhow::ensure!(asked["type"] == "response.create", "can't do that: {asked}");
            let model = asked["model"].as_str().context("no model")?;
            self.perform(model, message.len() as u64, &mut sender).await;
        }
    }

    async fn perform(&self, model: &str, request_bytes: u64, sender: &mut Sender<Socket>) {
        let (script, _) = self.stage.draw(model, &self.play);
        let scene = openai::responses(&script, true);
        let entry = self.stage.journal.open(self.truth(model, &scene, request_bytes));
        for (place, part) in (1..).zip(&scene.parts) {
            if place > 1 {
                sleep(Duration::from_millis(self.play.pause_ms)).await;
            }
            // Before it is sent: whoever has read the answer finds it noted.
            let state = match (place == scene.parts.len(), scene.errors.is_empty()) {
                (false, _) => State::Open,
                (true, true) => State::Complete,
                (true, false) => State::Error,
            };
            self.note(entry, &scene, place, state);
            if sender.send_text(data(&part.bytes)).await.is_err() || sender.flush().await.is_err() {
                self.note(entry, &scene, place - 1, State::Aborted);
                return;
            }
        }
    }

    fn note(&self, entry: Entry, scene: &Scene, parts: usize, state: State) {
        note(&self.stage.journal, entry, scene, parts, state);
    }

    fn truth(&self, model: &str, scene: &Scene, request_bytes: u64) -> Truth {
        Truth {
            label: label(&self.headers),
            provider: "openai".to_owned(),
            api: "responses".to_owned(),
            host: header(&self.headers, HOST.as_str()).to_owned(),
            model_requested: model.to_owned(),
            model: scene.model.clone(),
            status: 101,
            streamed: true,
            state: State::Open,
            usage: None,
            words: 0,
            response_id: scene.response_id.clone(),
            errors: scene.errors.clone(),
            request_bytes,
            response_bytes: 0,
            coding: Coding::Identity.name().to_owned(),
        }
    }
}

/// The data of an event of a stream, which is the message of a session.
fn data(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default().to_owned()
}
