//! What programs do with their TLS libraries that the clients of the matrix don't.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use weir_tests::harness::{Kind, Load, Who, wait_until};

use crate::{Case, Play, case};

/// How many calls are made.
const CALLS: u32 = 6;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("what_a_library_holds_back_is_counted_once", held_back),
        case("grpc_is_told_of_though_it_is_not_read", grpc),
    ]
}

fn held_back() -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    play.run(Kind::GnuTlsCorked, Who::Myself, &Load::new("chat", CALLS))?;
    play.check(CALLS as usize)
}

fn grpc() -> anyhow::Result<()> {
    let play = Play::begin()?;
    let place = play.scene.place();
    let mut client = Command::new(&place.python);
    client.arg(place.clients.join("grpc_channel.py"));
    client.env("SSL_CERT_FILE", play.scene.directory().join("authority.pem"));
    client.env("OPENAI_BASE_URL", format!("https://{}/v1", play.scene.server.host()));
    let status = client.status().context("can't run Python")?;
    anyhow::ensure!(status.success(), "the client failed: {status}");
    // Three calls on one connection.
    wait_until("doctor to tell of gRPC", Duration::from_secs(10), || {
        let report: Value =
            serde_json::from_str(&play.daemon.said(&["doctor", "--format", "json"])?)?;
        Ok(report["unsupported"]["grpc"] == 1)
    })?;
    play.check(0)
}
