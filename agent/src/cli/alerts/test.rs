//! `weir alerts test`: sends a webhook something, and says what came of it.
//!
//! ```text
//! $ weir alerts test
//! security: taken
//! pager: it answers 403
//! ```

use std::io::Write as _;
use std::time::{Duration, Instant};

use weir_core::alert::AlertsReport;

use super::Connection;
use crate::cli::connection::{converse, explain, read};
use crate::cli::span::target;
use crate::control::Tests;
use crate::exit::Exit;

/// How long the outcome is waited for: an attempt takes 20 seconds at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked for.
const PAUSE: Duration = Duration::from_millis(250);

/// Send a signed test to a webhook and say whether it was taken. For root only.
///
/// A test that gets through also has told at once what waits because the receiver was down, or wanted nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its name in the configuration [default: all]
    webhook: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client()?;
        let target = target("/v1/alerts/test", &[("webhook", self.webhook)]);
        let (begun, outcomes) = converse(async {
            let begun: Tests = read(&client.post(&target).await.map_err(explain)?)?;
            let deadline = Instant::now() + PATIENCE;
            loop {
                let report: AlertsReport = read(&client.get("/v1/alerts").await.map_err(explain)?)?;
                let outcomes = outcomes(&begun, &report);
                if outcomes.iter().all(Option::is_some) || Instant::now() >= deadline {
                    return Ok((begun, outcomes));
                }
                tokio::time::sleep(PAUSE).await;
            }
        })?;
        let mut exit = Exit::Ok;
        let mut out = std::io::stdout();
        for (test, outcome) in begun.tests.iter().zip(outcomes) {
            let name = &test.webhook;
            match outcome {
                Some(None) => writeln!(out, "{name}: taken")?,
                Some(Some(problem)) => {
                    writeln!(out, "{name}: {problem}")?;
                    exit = Exit::Failure;
                }
                None => {
                    writeln!(out, "{name}: nothing came of it yet: see `weir alerts`")?;
                    exit = Exit::Failure;
                }
            }
        }
        Ok(exit)
    }
}

/// What came of each test, as far as it is known.
fn outcomes(
    begun: &Tests,
    report: &AlertsReport,
) -> Vec<Option<Option<weir_core::alert::Problem>>> {
    let outcome = |test: &crate::control::Begun| {
        let webhook = report.webhooks.iter().find(|webhook| webhook.webhook == test.webhook)?;
        let last = webhook.test.as_ref()?;
        (last.notification == test.notification).then_some(last.problem)
    };
    begun.tests.iter().map(outcome).collect()
}
