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

/// Those that take a second or more of processor time until their first call is made. Each has a case of its
/// own: what the others hold open meanwhile would be given up by some of them before the daemon is there.
const SLOW: [Kind; 7] = [
    Kind::OpenAiSync,
    Kind::OpenAiAsync,
    Kind::OpenAiHttp2,
    Kind::AnthropicSync,
    Kind::AnthropicAsync,
    Kind::Node,
    Kind::NodeHttp2,
];

/// How many of the others share a daemon, and how many of those in containers.
const TOGETHER: usize = 5;
const CONTAINERS_TOGETHER: usize = 2;

pub(crate) fn cases() -> Vec<Case> {
    let kinds = [&Kind::ALL[..], &Kind::OF_OPENSSL, &Kind::ON_RING].concat();
    let (slow, quick): (Vec<Kind>, Vec<Kind>) =
        kinds.into_iter().partition(|kind| SLOW.contains(kind));
    let groups = slow.chunks(1).chain(quick.chunks(TOGETHER));
    let groups = groups.chain(Kind::IN_CONTAINERS.chunks(CONTAINERS_TOGETHER));
    let cases = groups.map(|group| {
        let names: Vec<&str> = group.iter().map(|kind| kind.name()).collect();
        let group = group.to_vec();
        case(format!("{}_before_and_after_the_daemon", names.join("+")), move || together(&group))
    });
    cases.collect()
}

/// Clients of every API and both forms have made a call each and hold their connections open when the
/// daemon starts. When they are done, as many start anew.
fn together(kinds: &[Kind]) -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let mut clients = start_all(&scene, kinds, "before")?;
    let mut play = Play::begin_on(scene)?;
    for client in &mut clients {
        client.go(&play.scene)?;
    }
    finish_all(&mut play, clients)?;
    // One kind after the other: a host that is that busy names short-lived processes by less.
    for kind in kinds {
        let clients = start_all(&play.scene, &[*kind], "after")?;
        finish_all(&mut play, clients)?;
    }
    let apis: usize = kinds.iter().map(|kind| kind.apis().len()).sum();
    play.check(apis * FORMS.len() * 2 * CALLS as usize)
}

/// The label of each says which cell of the matrix it is, and so does whatever is found wrong.
fn start_all(scene: &Scene, kinds: &[Kind], when: &str) -> anyhow::Result<Vec<Client>> {
    let cells = kinds.iter().flat_map(|&kind| {
        FORMS.into_iter().flat_map(move |form| {
            kind.apis().iter().zip(CAST).map(move |(api, who)| (kind, form, api, who))
        })
    });
    // Those that wait have to make their first call, which takes some of them a second.
    thread::scope(|scope| {
        let starting = cells.map(|(kind, (form, stream), api, who)| {
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
