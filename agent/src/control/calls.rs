//! A stream of calls, one JSON object a line, that may go on for ever. It reads on only as fast as
//! the client takes it, and gives up on a client that takes nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::ledger::{Calls, CallsQuery, LedgerError, Position, Reader};

/// Lines are handed over in pieces of about this many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// How many pieces may wait for a client.
const PIECES_WAITING: usize = 2;
/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a stream that is followed looks for new calls.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Whether a stream goes on with calls that are stored later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Yes,
    No,
}

/// The calls that a query asks for, from the first on.
pub(super) struct CallsStream {
    reader: Reader,
    query: CallsQuery,
    calls: Calls,
    /// Everything before this has been given to the client or is not asked for.
    done: Position,
}

/// Some lines, and whether there are more for now.
struct Piece {
    lines: Vec<u8>,
    more: bool,
}

impl CallsStream {
    /// Reads from files: not for the event loop.
    pub(super) fn open(reader: Reader, query: CallsQuery) -> Result<Self, LedgerError> {
        // The position comes first, so that what is stored between the two lines is seen twice by
        // us, never missed; `done` follows what the second has given.
        let done = reader.committed();
        let calls = reader.calls(query.clone())?;
        Ok(Self { reader, query, calls, done })
    }

    pub(super) fn into_response(self, follow: Follow) -> Response {
        let (sender, pieces) = mpsc::channel(PIECES_WAITING);
        tokio::spawn(async move {
            if let Err(error) = self.feed(follow, &sender).await {
                tracing::warn!(%error, "a stream of calls was cut");
                let cut = sender.send(Err(error));
                drop(timeout(PATIENCE, cut).await);
            }
        });
        ([(CONTENT_TYPE, "application/x-ndjson")], Body::new(Pieces(pieces))).into_response()
    }

    async fn feed(self, follow: Follow, client: &Client) -> Result<(), StreamError> {
        let mut stream = self;
        loop {
            let (back, piece) = tokio::task::spawn_blocking(move || {
                let piece = stream.piece();
                (stream, piece)
            })
            .await
            .map_err(|_panicked| StreamError::Panicked)?;
            stream = back;
            let Piece { lines, more } = piece?;
            if !lines.is_empty() {
                match timeout(PATIENCE, client.send(Ok(lines.into()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_gone)) => return Ok(()),
                    Err(_elapsed) => return Err(StreamError::SlowClient),
                }
            }
            match (more, follow) {
                (true, Follow::Yes | Follow::No) => {}
                (false, Follow::No) => return Ok(()),
                (false, Follow::Yes) => {
                    while stream.reader.committed() <= stream.done {
                        tokio::select! {
                            () = client.closed() => return Ok(()),
                            () = sleep(LOOK_EVERY) => {}
                        }
                    }
                    let query = CallsQuery { from: Some(stream.done), ..stream.query };
                    let reader = stream.reader;
                    stream = tokio::task::spawn_blocking(move || Self::open(reader, query))
                        .await
                        .map_err(|_panicked| StreamError::Panicked)??;
                }
            }
        }
    }

    fn piece(&mut self) -> Result<Piece, StreamError> {
        let mut lines = Vec::new();
        while lines.len() < PIECE_BYTES {
            let Some(call) = self.calls.next().transpose()? else {
                return Ok(Piece { lines, more: false });
            };
            serde_json::to_writer(&mut lines, &call.record)?;
            lines.push(b'\n');
            self.done = self.done.max(call.next);
        }
        Ok(Piece { lines, more: true })
    }
}

/// Why a stream ended early. The client sees a body without its end.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("the ledger can't be read")]
    Ledger(#[from] LedgerError),
    #[error("a call can't be written as JSON")]
    Encode(#[from] serde_json::Error),
    #[error("the client took nothing for {} s", PATIENCE.as_secs())]
    SlowClient,
    #[error("reading the ledger panicked")]
    Panicked,
}

type Client = mpsc::Sender<Result<Bytes, StreamError>>;

/// A body that is what comes out of a queue.
struct Pieces(mpsc::Receiver<Result<Bytes, StreamError>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
