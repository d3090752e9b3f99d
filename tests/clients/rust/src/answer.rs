//! The other end: answers every call with the same completion, its TLS from the same.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::Result;

/// Answers on a port that it prints, with the certificate and the key in `folder`, until it is killed.
pub(crate) async fn run(folder: &Path) -> Result<()> {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem"))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let config = ServerConfig::builder().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key)?));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", json!({ "ready": listener.local_addr()?.port() }));
    loop {
        let (socket, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(&acceptor, socket).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn serve(acceptor: &TlsAcceptor, socket: TcpStream) -> Result<()> {
    let mut stream = BufReader::new(acceptor.accept(socket).await?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            stream.read_exact(&mut vec![0; length]).await?;
            stream.write_all(answer().as_bytes()).await?;
            stream.flush().await?;
        }
    }
}

fn answer() -> String {
    let body = json!({
        "id": "chatcmpl-answer",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-4o-2024-08-06",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "yes" },
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10 },
    })
    .to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
