//! Each client, with streams and without, started before the daemon and after it.

use weir_tests::harness::client::Stream;
use weir_tests::harness::who::CAST;
use weir_tests::harness::{Client, Kind, Load, Scene};

use crate::{Case, Play, case};

/// How many calls each client makes of each API it speaks.
const CALLS: u32 = 6;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in Kind::ALL {
        for stream in [Stream::No, Stream::Yes] {
            let form = if stream == Stream::Yes { "streamed" } else { "whole" };
            let name = kind.name();
            cases.push(case(format!("{name}_{form}_after_the_daemon"), move || {
                started_after(kind, stream)
            }));
            cases.push(case(format!("{name}_{form}_before_the_daemon"), move || {
                started_before(kind, stream)
            }));
        }
    }
    cases
}

fn started_after(kind: Kind, stream: Stream) -> anyhow::Result<()> {
    let mut play = Play::begin()?;
    for (api, who) in kind.apis().iter().zip(CAST) {
        let load = Load { stream, concurrency: 2, ..Load::new(api, CALLS) };
        play.run(kind, who, &load)?;
    }
    play.check(kind.apis().len() * CALLS as usize)
}

/// The clients have made a call each and hold their connections open when the daemon starts.
fn started_before(kind: Kind, stream: Stream) -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let mut clients = Vec::new();
    for (api, who) in kind.apis().iter().zip(CAST) {
        let load = Load { stream, wait: true, ..Load::new(api, CALLS) };
        clients.push(Client::start(&scene, kind, who, &load)?);
    }
    let mut play = Play::begin_on(scene)?;
    for client in &mut clients {
        client.go(&play.scene)?;
    }
    for client in clients {
        play.callers.push(client.finish()?.0);
    }
    play.check(kind.apis().len() * CALLS as usize)
}
