//! Budgets: what real calls use up is found, kept, shown and told.

use std::time::Duration;

use serde_json::Value;
use weir_tests::harness::{Daemon, Kind, Load, Receiver, Scene, Who, keep_secrets, wait_until};

use crate::{Case, Play, case};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const CONFIG: &str = r#"
[alerts]
group_wait_seconds = 0

[[budget]]
name = "everything"
window = "day"
limit_usd = 0.00000001

[[budget]]
name = "each"
per = "identity"
window = "rolling-24h"
limit_calls = 1000
"#;

pub(crate) fn cases() -> Vec<Case> {
    vec![case("a_budget_that_is_used_up_is_found_shown_and_told", used_up)]
}

fn used_up() -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let home = scene.directory().join("weir");
    let secret = scene.directory().join("webhook.secret");
    keep_secrets(&secret, &[SECRET])?;
    let mut receiver = Receiver::start(scene.place(), &[SECRET])?;
    let webhook = format!(
        "[[webhook]]\nname = 'security'\nurl = '{}'\nformat = 'standard'\nsecret_file = '{}'\n",
        receiver.url,
        secret.display()
    );
    let config = [CONFIG, &webhook].concat();
    let daemon = Daemon::start_with(scene.place(), &home, &config)?;
    let mut play = Play { scene, daemon, callers: Vec::new(), unseen: 0 };
    play.run(Kind::Curl, Who::Myself, &Load::new("chat", 2))?;
    let mut row = Value::Null;
    wait_until("the budget to be used up", Duration::from_secs(15), || {
        let report: Value = serde_json::from_str(&play.daemon.said(&[
            "budget",
            "everything",
            "--format",
            "json",
        ])?)?;
        row = report["rows"][0].clone();
        Ok(row["state"] == "exceeded")
    })?;
    anyhow::ensure!(row["limit"]["usd"] == "0.00000001", "{row}");
    let of_each = play.daemon.said(&["budget", "each", "--format", "csv"])?;
    anyhow::ensure!(of_each.contains(",rolling-24h,calls,1000,"), "{of_each}");
    let metrics = play.daemon.said(&["metrics"])?;
    anyhow::ensure!(metrics.contains("weir_budget_used_ratio{budget=\"everything\""), "{metrics}");
    let log = home.join("state/log");
    wait_until("the finding to be stored", Duration::from_secs(5), || {
        let mut lines = String::new();
        for day in std::fs::read_dir(&log)? {
            lines.push_str(&std::fs::read_to_string(day?.path())?);
        }
        Ok(lines.lines().any(|line| {
            line.contains(r#""kind":"finding""#) && line.contains(r#""detector":"budget""#)
        }))
    })?;
    let told = receiver.told()?;
    anyhow::ensure!(told["type"] == "finding.firing", "{told}");
    anyhow::ensure!(told["title"].to_string().contains("everything"), "{told}");
    play.check(2)
}
