//! Each client, with streams and without, started before the daemon and after it.

use std::thread::{self, ScopedJoinHandle};

use anyhow::anyhow;
use weir_tests::harness::client::Stream;
use weir_tests::harness::who::CAST;
use weir_tests::harness::{Client, Kind, Load, Scene};

use crate::{Case, Play, case};

/// How many calls each client makes of each API it speaks.
const CALLS: u32 = 6;

const FORMS: [(&str, Stream); 2] = [("whole", Stream::No), ("streamed", Stream::Yes)];

pub(crate) fn cases() -> Vec<Case> {
    let kinds = [&Kind::ALL[..], &Kind::OF_OPENSSL, &Kind::ON_RING, &Kind::IN_CONTAINERS].concat();
    let cases = kinds.into_iter().map(|kind| {
        case(format!("{}_before_and_after_the_daemon", kind.name()), move || one_kind(kind))
    });
    cases.collect()
}

/// Clients of every API and both forms have made a call each and hold their connections open when the
/// daemon starts. When they are done, as many start anew.
fn one_kind(kind: Kind) -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let mut clients = start_all(&scene, kind, "before")?;
    let mut play = Play::begin_on(scene)?;
    for client in &mut clients {
        client.go(&play.scene)?;
    }
    finish_all(&mut play, clients)?;
    let clients = start_all(&play.scene, kind, "after")?;
    finish_all(&mut play, clients)?;
    play.check(kind.apis().len() * FORMS.len() * 2 * CALLS as usize)
}

/// The label of each says which cell of the matrix it is, and so does whatever is found wrong.
fn start_all(scene: &Scene, kind: Kind, when: &str) -> anyhow::Result<Vec<Client>> {
    let cells =
        FORMS.into_iter().flat_map(|form| kind.apis().iter().zip(CAST).map(move |it| (form, it)));
    // Those that wait have to make their first call, which takes some of them a second.
    thread::scope(|scope| {
        let starting = cells.map(|((form, stream), (api, who))| {
            let label = format!("{}.{api}.{form}.{when}", kind.name());
            let wait = when == "before";
            let concurrency = if wait { 1 } else { 2 };
            let key = Some(label);
            let load = Load { stream, wait, concurrency, key, ..Load::new(api, CALLS) };
            scope.spawn(move || Client::start(scene, kind, who, &load))
        });
        let starting: Vec<_> = starting.collect();
        let started = starting.into_iter().map(ScopedJoinHandle::join);
        started
            .map(|client| client.map_err(|_panic| anyhow!("a client can't be started"))?)
            .collect()
    })
}

fn finish_all(play: &mut Play, clients: Vec<Client>) -> anyhow::Result<()> {
    for client in clients {
        play.callers.push(client.finish()?.0);
    }
    Ok(())
}
