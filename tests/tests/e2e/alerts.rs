//! Webhooks that are told something by the daemon, and what their own library thinks of the signature.

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;
use weir_tests::harness::{Daemon, Scene};

use crate::{Case, case};

/// Two keys, as while one takes the other's place.
const SECRETS: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_d2VpciB0ZXN0cyBpdHMgb3duIHdlYmhvb2tz"];

pub(crate) fn cases() -> Vec<Case> {
    vec![case("signatures_are_verified_by_the_reference_library", signatures)]
}

/// A receiver that verifies, until it is dropped.
struct Receiver {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Receiver {
    fn start(scene: &Scene, secrets: &[&str]) -> anyhow::Result<(Self, String)> {
        let place = scene.place();
        let mut child = Command::new(&place.python)
            .arg(place.clients.join("webhook_receiver.py"))
            .args(secrets)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .context("can't run Python")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut receiver = Self { child, lines: BufReader::new(stdout).lines() };
        let port = receiver.line()?;
        Ok((receiver, format!("http://127.0.0.1:{port}/hook")))
    }

    fn line(&mut self) -> anyhow::Result<String> {
        Ok(self.lines.next().context("the receiver has ended")??)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signatures() -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let secret = scene.directory().join("webhook.secret");
    std::fs::write(&secret, SECRETS.join("\n"))?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
    // The second receiver has a key of its own, which we don't know.
    let (mut good, good_url) = Receiver::start(&scene, &SECRETS)?;
    let (mut other, other_url) =
        Receiver::start(&scene, &["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])?;
    let webhooks =
        [("good", good_url, 60), ("other", other_url, 86_400)].map(|(name, url, beat)| {
            format!(
                "[[webhook]]\nname = '{name}'\nurl = '{url}'\nformat = 'standard'\n\
             secret_file = '{}'\nheartbeat_seconds = {beat}\n",
                secret.display()
            )
        });
    let home = scene.directory().join("weir");
    let daemon = Daemon::start_with(scene.place(), &home, &webhooks.concat())?;
    // A heart begins to beat at once.
    let beat = good.line()?;
    anyhow::ensure!(
        beat.starts_with("weir.heartbeat msg_") && beat.ends_with(" verified"),
        "{beat}"
    );
    let refused = other.line()?;
    anyhow::ensure!(refused.contains("WebhookVerificationError"), "{refused}");

    let said = daemon.said(&["alerts", "test", "good"])?;
    anyhow::ensure!(said == "good: taken\n", "{said}");
    let test = good.line()?;
    anyhow::ensure!(test.starts_with("weir.test msg_") && test.ends_with(" verified"), "{test}");
    let refused = daemon.ask(&["alerts", "test", "other"])?;
    anyhow::ensure!(refused.status.code() == Some(1), "{refused:?}");
    anyhow::ensure!(refused.stdout == b"other: it answers 400\n", "{refused:?}");

    let report: Value =
        serde_json::from_str(&daemon.said(&["alerts", "list", "--format", "json"])?)?;
    anyhow::ensure!(report["webhooks"][0]["delivered"] == 2, "{report}");
    let doctor = String::from_utf8(daemon.ask(&["doctor"])?.stdout)?;
    anyhow::ensure!(doctor.contains("it answers 400"), "{doctor}");
    // The secret is in nothing that was said.
    let log = daemon.log()?;
    let key = SECRETS[0].trim_start_matches("whsec_");
    anyhow::ensure!(
        ![&log, &doctor, &report.to_string()].iter().any(|text| text.contains(key)),
        "a key was shown"
    );
    daemon.stop()?;
    Ok(())
}
