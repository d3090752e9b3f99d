//! Starts the daemon and the clients, under several identities, and compares what `weir` says with
//! what the model server answered.

pub mod client;
pub mod compare;
pub mod container;
pub mod daemon;
pub mod kind;
mod place;
mod receiver;
mod unit;
pub mod who;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub use client::{Client, Load};
pub use daemon::Daemon;
pub use kind::Kind;
pub use place::Place;
pub use receiver::{Receiver, keep_secrets};
pub use who::Who;

use crate::server::ModelServer;
use crate::truth::Journal;

/// A model server and a directory for its clients' files.
#[derive(Debug)]
pub struct Scene {
    /// The server.
    pub server: ModelServer,
    directory: tempfile::TempDir,
    place: Place,
}

impl Scene {
    /// Starts a model server and finds the clients.
    ///
    /// # Errors
    /// If there is no server or the clients are not installed.
    pub fn start() -> anyhow::Result<Self> {
        let place = Place::find()?;
        let directory = tempfile::Builder::new().prefix("weir-e2e-").tempdir()?;
        let server = ModelServer::start(0, Journal::default())?;
        std::fs::write(directory.path().join("authority.pem"), server.authority())?;
        // Clients of other users write their scratch files here.
        who::open_to_all(directory.path())?;
        Ok(Self { server, directory, place })
    }

    /// Where the clients' files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the programs are.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }
}

/// Asks until `done` says yes.
///
/// # Errors
/// If it said no for as long as `limit`, or failed.
pub fn wait_until(
    what: &str,
    limit: Duration,
    mut done: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !done().with_context(|| format!("while waiting for {what}"))? {
        anyhow::ensure!(begin.elapsed() < limit, "waited {} s in vain for {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
