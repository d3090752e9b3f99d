//! Webhooks that are told something by the daemon, and what their own library thinks of the signature.

use serde_json::Value;
use weir_tests::harness::{Daemon, Receiver, Scene, keep_secrets};

use crate::{Case, case};

/// Two keys, as while one takes the other's place.
const SECRETS: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_d2VpciB0ZXN0cyBpdHMgb3duIHdlYmhvb2tz"];

pub(crate) fn cases() -> Vec<Case> {
    vec![case("signatures_are_verified_by_the_reference_library", signatures)]
}

fn signatures() -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let secret = scene.directory().join("webhook.secret");
    keep_secrets(&secret, &SECRETS)?;
    // The second receiver has a key of its own, which we don't know.
    let mut good = Receiver::start(scene.place(), &SECRETS)?;
    let mut other = Receiver::start(scene.place(), &["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])?;
    let webhooks =
        [("good", &good.url, 60), ("other", &other.url, 86_400)].map(|(name, url, beat)| {
            format!(
                "[[webhook]]\nname = '{name}'\nurl = '{url}'\nformat = 'standard'\n\
             secret_file = '{}'\nheartbeat_seconds = {beat}\n",
                secret.display()
            )
        });
    let home = scene.directory().join("weir");
    let daemon = Daemon::start_with(scene.place(), &home, &webhooks.concat())?;
    // A heart begins to beat at once.
    let is_message = |told: &Value, kind: &str| {
        told["type"] == kind && told["id"].as_str().is_some_and(|id| id.starts_with("msg_"))
    };
    let beat = good.told()?;
    anyhow::ensure!(is_message(&beat, "weir.heartbeat"), "{beat}");
    let refused = other.told()?;
    anyhow::ensure!(refused["error"].to_string().contains("WebhookVerificationError"), "{refused}");

    let said = daemon.said(&["alerts", "test", "good"])?;
    anyhow::ensure!(said == "good: taken\n", "{said}");
    let test = good.told()?;
    anyhow::ensure!(is_message(&test, "weir.test"), "{test}");
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
