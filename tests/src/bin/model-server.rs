//! The model server on its own, for playing with clients by hand.
//!
//! ```text
//! $ cargo run -p weir-tests --bin model-server -- --port 8443
//! listening: https://localhost:8443/v1
//! authority: /tmp/model-server-8443/authority.pem
//! truth:     /tmp/model-server-8443/truth.jsonl
//! ```

use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;

use anyhow::Context as _;
use clap::Parser;
use weir_tests::server::ModelServer;
use weir_tests::truth::Journal;

/// Answers as OpenAI's and Anthropic's APIs do, over TLS on the loopback, and writes down what it
/// answered.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Where to leave the certificate to trust and the truth [default: model-server-PORT in the
    /// directory for temporary files].
    #[arg(long)]
    directory: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let Arguments { port, directory } = Arguments::parse();
    let directory =
        directory.unwrap_or_else(|| std::env::temp_dir().join(format!("model-server-{port}")));
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't make {}", directory.display()))?;
    let (truth, authority) = (directory.join("truth.jsonl"), directory.join("authority.pem"));
    let server = ModelServer::start(port, Journal::with_file(File::create(&truth)?))?;
    fs::write(&authority, server.authority())?;
    println!("listening: https://{}/v1", server.host());
    println!("authority: {}", authority.display());
    println!("truth:     {}", truth.display());
    loop {
        thread::park();
    }
}
