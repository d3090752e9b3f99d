//! The other end of the socket: what the command line asks the daemon with.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::error::ErrorBody;

/// The longest answer that is taken whole.
const ANSWER_MAX: usize = 64 << 20;
/// The longest line of a stream.
const LINE_MAX: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error(
        "nothing answers on {socket}; start it with `systemctl start weir`, or `weir run` as root"
    )]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket is there, but not for this user.
    #[error("{socket} is not for this user; ask as root or as a member of the socket's group")]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon said no.
    #[error("the daemon refused: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// A word for the reason.
        code: String,
        /// The reason.
        message: String,
    },
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What came is not what this version of weir understands.
    #[error("the daemon's answer is not understood: is it another version of weir?")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Asks the daemon behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The body of the answer to `GET target`, JSON of at most 64 MiB.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&self, target: &str) -> Result<Bytes, ClientError> {
        whole(self.send(Method::GET, target).await?).await
    }

    /// The body of the answer to `POST target`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post(&self, target: &str) -> Result<Bytes, ClientError> {
        whole(self.send(Method::POST, target).await?).await
    }

    /// The answer to `GET target`, to be read line by line while it comes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn lines(&self, target: &str) -> Result<Lines, ClientError> {
        let body = self.send(Method::GET, target).await?.into_body();
        Ok(Lines { body, waiting: BytesMut::new() })
    }

    async fn send(&self, method: Method, target: &str) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| {
            let socket = self.socket.clone();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ClientError::Denied { socket, source },
                _other => ClientError::NotRunning { socket, source },
            }
        })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "weir")
            .body(Empty::<Bytes>::new())
            .map_err(malformed)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }
}

/// An answer of one JSON object a line.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    waiting: BytesMut,
}

impl Lines {
    /// The next line without its end; `None` when the answer is over.
    ///
    /// # Errors
    /// The connection broke, or the line is longer than any call.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let mut searched = 0;
        loop {
            let rest = self.waiting.get(searched..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let mut line = self.waiting.split_to(searched + end + 1);
                line.truncate(searched + end);
                return Ok(Some(line.freeze()));
            }
            searched = self.waiting.len();
            if searched > LINE_MAX {
                return Err(malformed(format!("a line of more than {LINE_MAX} bytes")));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.waiting.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(broken(error)),
                None if self.waiting.is_empty() => return Ok(None),
                None => return Err(broken("the last line is cut")),
            }
        }
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
    Ok(body.map_err(ClientError::Broken)?.to_bytes())
}

async fn refused(response: Response<Incoming>) -> ClientError {
    let status: StatusCode = response.status();
    match whole(response).await {
        Ok(body) => match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error }) => ClientError::Refused {
                status: status.as_u16(),
                code: error.code,
                message: error.message,
            },
            Err(error) => malformed(error),
        },
        Err(error) => error,
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Broken(error.into())
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Malformed(error.into())
}
