//! The model server: TLS with a certificate made at start, or nothing to a client that begins without;
//! HTTP/1.1, HTTP/2 and WebSocket, and answers in the exact forms of the providers. It decides the numbers of each answer and keeps them as the [`Journal`].
//!
//! It runs on a thread of its own and speaks TLS through `rustls` on `ring`, which nothing probes:
//! whatever `weir` sees is the clients' side.

mod anthropic;
mod coding;
mod deflate;
mod openai;
mod reply;
mod script;
mod session;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::truth::Journal;

/// A running server. It stops when this is dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    authority: String,
    credentials: String,
    journal: Journal,
    gate: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl ModelServer {
    /// Listens on a loopback port: `port`, or any if that is 0.
    ///
    /// # Errors
    /// If the port is taken or a certificate can't be made.
    pub fn start(port: u16, journal: Journal) -> anyhow::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", port)))
            .with_context(|| format!("the model server can't listen on port {port}"))?;
        let address = listener.local_addr()?;
        let tls::Identity { authority, credentials, config } = tls::identity()?;
        let (gate, gate_seen) = watch::channel(false);
        let (stop, mut stop_seen) = watch::channel(false);
        let stage = Arc::new(reply::Stage::new(journal.clone(), gate_seen));
        let acceptor = TlsAcceptor::from(config);
        let thread = thread::Builder::new().name("model-server".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, &acceptor, &stage) => {}
                    _ = stop_seen.changed() => {}
                }
            });
        })?;
        Ok(Self { address, authority, credentials, journal, gate, stop, thread: Some(thread) })
    }

    /// `localhost:PORT`, what a client that is given this server sends as `Host`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// The certificate of the authority to trust, PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The server's certificate and its key, PEM, for others that are to be `localhost`.
    #[must_use]
    pub fn credentials(&self) -> &str {
        &self.credentials
    }

    /// What was answered.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Lets requests for `/hold` be answered, which until then wait.
    pub fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// Makes requests for `/hold` wait from now on.
    pub fn close_gate(&self) {
        self.gate.send_replace(false);
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor, stage: &Arc<reply::Stage>) {
    loop {
        match listener.accept().await {
            Ok((socket, _peer)) => {
                tokio::spawn(serve(socket, acceptor.clone(), Arc::clone(stage)));
            }
            Err(error) => eprintln!("model-server: can't accept a connection: {error}"),
        }
    }
}

/// One connection. That clients break connections is part of the play, so errors are no news.
async fn serve(socket: TcpStream, acceptor: TlsAcceptor, stage: Arc<reply::Stage>) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    // Every record of a handshake begins so, and no request does.
    const HANDSHAKE: u8 = 22;
    let mut first = [0; 1];
    if !matches!(socket.peek(&mut first).await, Ok(1)) {
        return;
    }
    if first != [HANDSHAKE] {
        return converse(socket, stage).await;
    }
    let Ok(stream) = acceptor.accept(socket).await else { return };
    converse(stream, stage).await;
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stage: Arc<reply::Stage>,
) {
    let service = service_fn(|request| {
        let stage = Arc::clone(&stage);
        async move { Ok::<_, Infallible>(stage.answer(request).await) }
    });
    let connection = auto::Builder::new(TokioExecutor::new());
    drop(connection.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
}
