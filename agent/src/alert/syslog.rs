//! Lines of syslog: over TCP or TLS with their length before each (RFC 6587, RFC 5425), or as datagrams
//! (RFC 5426). Syslog has no answers: what was written counts as taken.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;
use weir_core::alert::{Answer, Problem};

use super::format::Message;
use super::post::Stream;

/// The largest datagram, in bytes: what every receiver should take (RFC 5426, section 3.2). Of a line
/// that is longer the end is missing.
const DATAGRAM_MAX: usize = 2048;

/// Sends each line of `message` over a connection.
pub(super) async fn frames(
    mut stream: Box<dyn Stream>,
    message: &Message,
) -> Result<Answer, Problem> {
    let mut frames = Vec::new();
    for line in lines(message) {
        frames.extend_from_slice(line.len().to_string().as_bytes());
        frames.push(b' ');
        frames.extend_from_slice(line);
    }
    let write = async {
        stream.write_all(&frames).await?;
        stream.flush().await?;
        stream.shutdown().await
    };
    write.await.map_err(|_broken: std::io::Error| Problem::Connect)?;
    Ok(Answer::Taken)
}

/// Sends each line of `message` to the first address.
pub(super) async fn datagrams(
    addresses: &[SocketAddr],
    message: &Message,
) -> Result<Answer, Problem> {
    let address = addresses.first().ok_or(Problem::Resolve)?;
    let own = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let send = async {
        let socket = UdpSocket::bind(own).await?;
        socket.connect(address).await?;
        for line in lines(message) {
            socket.send(&line[..line.len().min(DATAGRAM_MAX)]).await?;
        }
        Ok(())
    };
    send.await.map_err(|_broken: std::io::Error| Problem::Connect)?;
    Ok(Answer::Taken)
}

fn lines(message: &Message) -> impl Iterator<Item = &[u8]> {
    message.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}
