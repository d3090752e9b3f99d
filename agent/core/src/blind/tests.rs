mod plain;

use super::*;
use crate::identity::{Attribution, IdentityId, Process};
use jiff::SignedDuration;
use proptest::prelude::*;

const HOST: &str = "api.openai.com";

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + milliseconds).unwrap()
}

fn process(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ns: 1 }
}

fn flow(number: u64, pid: u32, milliseconds: i64) -> Flow {
    let remote = "192.0.2.1:443".parse().unwrap();
    Flow { id: FlowId(number), process: process(pid), remote, time: at(milliseconds) }
}

/// What a client that wants `host` begins with.
fn greeting(host: &str) -> Vec<u8> {
    let short = |number: usize| u16::try_from(number).unwrap().to_be_bytes();
    let name = [&[0][..], &short(host.len()), host.as_bytes()].concat();
    let list = [&short(name.len())[..], &name].concat();
    let extension = [&[0, 0][..], &short(list.len()), &list].concat();
    let mut body = vec![3; 34];
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(short(extension.len()));
    body.extend(extension);
    let message = [&[1, 0][..], &short(body.len()), &body].concat();
    [&[22, 3, 1][..], &short(message.len()), &message].concat()
}

/// A table with a host of one's own, and what it puts out.
struct Room(Table);

impl Room {
    fn new() -> Self {
        let named = ["gateway.example", "*.inside.example", "192.0.2.9"];
        let named = named.map(|host| host.parse().unwrap()).to_vec();
        Self(Table::new(Hosts::new(named), SignedDuration::from_secs(5)))
    }

    fn feed(&mut self, input: Input<'_>) -> Vec<Output> {
        self.0.handle(input);
        std::iter::from_fn(|| self.0.poll()).collect()
    }

    fn greet(&mut self, flow: Flow, host: &str) -> Vec<Output> {
        self.feed(Input::Greeted { flow, offset: 0, data: &greeting(host) })
    }

    fn count(&mut self, number: u64, written: u64, milliseconds: i64) -> Vec<Output> {
        let carried = Carried { written, read: 2 * written };
        self.feed(Input::Counted { id: FlowId(number), carried, time: at(milliseconds) })
    }

    fn release(&mut self, number: u64, written: u64, milliseconds: i64) -> Vec<Output> {
        let carried = Carried { written, read: 2 * written };
        self.feed(Input::Released { id: FlowId(number), carried, time: at(milliseconds) })
    }

    fn speak(&mut self, pid: u32, host: Option<&str>, milliseconds: i64) -> Vec<Output> {
        self.feed(Input::Spoke { process: process(pid), host, time: at(milliseconds) })
    }

    /// The blind spots of a tick.
    fn tick(&mut self, milliseconds: i64) -> Vec<u64> {
        let outputs = self.feed(Input::Tick { time: at(milliseconds) });
        let blind = outputs.into_iter().map(|output| match output {
            Output::Blind { flow, .. } => flow.id.0,
            other => panic!("not a blind spot: {other:?}"),
        });
        blind.collect()
    }
}

#[test]
fn hosts_that_count() {
    for (host, counts) in [
        (HOST, true),
        ("gateway.example", true),
        ("a.gateway.example", false),
        ("a.inside.example", true),
        ("inside.example", false),
        ("example.com", false),
        ("my-resource.openai.azure.com", true),
    ] {
        let outputs = Room::new().greet(flow(1, 7, 0), host);
        let expected = if counts {
            Output::Look { flow: flow(1, 7, 0) }
        } else {
            Output::Forget { id: FlowId(1) }
        };
        assert_eq!(outputs, [expected], "{host}");
    }
}

#[test]
fn hosts_are_named_as_they_should_be() {
    for (text, is_good) in [
        ("gateway.example", true),
        ("*.gateway.example", true),
        ("localhost", true),
        ("::1", true),
        ("10.0.0.7", true),
        ("", false),
        ("*", false),
        ("a..b", false),
        ("https://gateway.example", false),
        ("gateway.example:443", false),
    ] {
        assert_eq!(text.parse::<HostPattern>().is_ok(), is_good, "{text}");
    }
}

#[test]
fn what_is_not_read_is_a_blind_spot_after_a_while() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    assert!(room.0.is_waiting(at(59_999)) && !room.0.is_waiting(at(60_000)));
    room.count(1, 5000, 1000);
    assert!(room.0.is_waiting(at(60_000)));
    assert_eq!(room.tick(5900), [0; 0]);
    assert_eq!(room.tick(6000), [1]);
    assert!(!room.0.is_waiting(at(6000)) && !room.0.is_following());
    let more = Carried { written: 3000, read: 6000 };
    let expected = Output::More { id: FlowId(1), carried: more, time: at(9000), is_closed: true };
    assert_eq!(room.release(1, 8000, 9000), [expected]);
    assert_eq!(room.tick(60_000), [0; 0]);
}

#[test]
fn what_is_read_is_none() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    room.count(1, 5000, 1000);
    let spoken = room.speak(7, Some("API.openai.com:443"), 1100);
    assert_eq!(spoken, [Output::Forget { id: FlowId(1) }]);
    assert_eq!(room.tick(60_000), [0; 0]);
}

#[test]
fn what_is_read_before_the_kernel_tells_of_it_is_none() {
    let mut room = Room::new();
    room.speak(7, Some(HOST), 20);
    room.greet(flow(1, 7, 0), HOST);
    assert_eq!(room.count(1, 5000, 100), [Output::Forget { id: FlowId(1) }]);
    assert!(!room.0.is_following());
    // It was that of one connection, and of none that was opened after it.
    room.speak(7, Some(HOST), 30);
    room.greet(flow(2, 7, 40), HOST);
    room.count(2, 5000, 100);
    assert_eq!(room.tick(6000), [2]);
}

/// Clients open a connection for each of several requests, find that one of HTTP/2 is enough, and leave
/// the others alone.
#[test]
fn a_connection_that_is_kept_ready_is_not_taken_for_the_one_that_is_read() {
    for is_counted_first in [true, false] {
        let mut room = Room::new();
        room.greet(flow(1, 7, 0), HOST);
        room.greet(flow(2, 7, 1), HOST);
        let said = greeting(HOST).len() as u64 + 200;
        room.count(1, said, 50);
        if is_counted_first {
            room.count(2, 5000, 50);
        }
        room.speak(7, Some(HOST), 60);
        room.count(2, 5000, 70);
        room.release(1, said, 9000);
        assert_eq!(room.tick(60_000), [0; 0]);
        assert!(!room.0.is_following());
    }
}

/// A short request was read, and long ones come a minute later.
#[test]
fn what_was_read_of_a_connection_once_holds() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    room.count(1, greeting(HOST).len() as u64 + 200, 50);
    room.speak(7, Some(HOST), 60);
    room.tick(70_000);
    assert_eq!(room.count(1, 5000, 71_000), [Output::Forget { id: FlowId(1) }]);
}

/// Of two connections to one host one is read: the process has two libraries.
#[test]
fn one_read_connection_hides_no_other() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    room.greet(flow(2, 7, 0), HOST);
    room.count(1, 5000, 100);
    room.count(2, 5000, 100);
    room.speak(7, Some(HOST), 200);
    assert_eq!(room.tick(6000).len(), 1);
}

#[test]
fn neither_another_process_nor_another_host_speaks_for_it() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    room.count(1, 5000, 100);
    room.speak(8, Some(HOST), 200);
    room.speak(7, Some("api.anthropic.com"), 200);
    assert_eq!(room.tick(6000), [1]);
}

/// A header that refers to what nobody saw doesn't say the host.
#[test]
fn a_request_whose_host_is_unknown_is_of_any() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    room.count(1, 5000, 100);
    room.speak(7, None, 200);
    assert_eq!(room.tick(6000), [0; 0]);
}

#[test]
fn a_connection_that_is_only_kept_ready_is_none() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    room.greet(flow(2, 7, 0), HOST);
    let said = greeting(HOST).len() as u64 + 240;
    room.count(1, said, 100);
    assert_eq!(room.tick(60_000), [0; 0]);
    assert_eq!(room.release(2, said, 61_000), []);
    room.count(1, 5000, 70_000);
    assert_eq!(room.tick(75_000), [1]);
}

#[test]
fn a_short_connection_is_one_too() {
    let mut room = Room::new();
    room.greet(flow(1, 7, 0), HOST);
    assert_eq!(room.release(1, 5000, 50), []);
    assert_eq!(room.tick(5100), [1]);
    assert!(!room.0.is_following());
}

#[test]
fn a_greeting_in_parts_is_put_together() {
    let bytes = greeting(HOST);
    for cut in 1..bytes.len() {
        let mut room = Room::new();
        let flow = flow(1, 7, 0);
        let (first, second) = bytes.split_at(cut);
        assert_eq!(room.feed(Input::Greeted { flow, offset: 0, data: first }), []);
        // Sent again.
        assert_eq!(room.feed(Input::Greeted { flow, offset: 0, data: first }), []);
        let outputs = room.feed(Input::Greeted { flow, offset: cut, data: second });
        assert_eq!(outputs, [Output::Look { flow }], "{cut}");
    }
}

/// An address at which somebody asked for an endpoint is that endpoint's.
#[test]
fn quic_is_known_by_the_address() {
    let mut room = Room::new();
    assert_eq!(room.feed(Input::Quic { flow: flow(1, 7, 0) }), [Output::Forget { id: FlowId(1) }]);
    room.greet(flow(2, 8, 0), HOST);
    assert_eq!(
        room.feed(Input::Quic { flow: flow(3, 7, 0) }),
        [Output::Look { flow: flow(3, 7, 0) }]
    );
    room.count(3, 1000, 1000);
    let outputs = room.feed(Input::Tick { time: at(6000) });
    let [Output::Blind { endpoint, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    let (host, known_by, transport) = (HOST.to_owned(), KnownBy::Address, Transport::Quic);
    assert_eq!(*endpoint, Endpoint { host, known_by, transport });
}

/// A client without a name for the host is known by the address that somebody has configured.
#[test]
fn an_address_can_be_configured() {
    let mut room = Room::new();
    let mut nameless = greeting("a");
    // The extension becomes one of another kind.
    let place = nameless.len() - 10;
    nameless[place] = 0x2b;
    let flow = Flow { remote: "192.0.2.9:8443".parse().unwrap(), ..flow(1, 7, 0) };
    assert_eq!(
        room.feed(Input::Greeted { flow, offset: 0, data: &nameless }),
        [Output::Look { flow }]
    );
    room.count(1, 5000, 100);
    assert_eq!(room.speak(7, Some("192.0.2.9:8443"), 200), [Output::Forget { id: FlowId(1) }]);
}

#[test]
fn a_storm_is_bounded_and_what_is_pushed_out_is_counted() {
    let mut room = Room::new();
    for number in 0..5000 {
        room.greet(flow(number, 7, 0), HOST);
    }
    assert_eq!(room.0.unjudged().count(), 4096);
    assert_eq!(room.0.evicted(), 5000 - 4096);
}

fn attribution(name: &str) -> Attribution {
    let process = Process { pid: 7, exe: None, uid: 1000 };
    Attribution::new(IdentityId(name.to_owned()), process)
}

fn add(rows: &mut Rows, number: u64, who: &str, host: &str, seconds: i64) -> Option<BlindSpot> {
    rows.add(&Sighting {
        flow: flow(number, 7, seconds * 1000),
        endpoint: &Endpoint {
            host: host.to_owned(),
            known_by: KnownBy::Name,
            transport: Transport::Tcp,
        },
        attribution: &attribution(who),
        reason: Reason::UnknownTls,
        carried: Carried { written: 100, read: 200 },
        time: at(seconds * 1000),
        is_closed: false,
        request: None,
    })
}

#[test]
fn the_first_of_its_kind_has_a_row_and_the_others_share_one() {
    let mut rows = Rows::default();
    let first = add(&mut rows, 1, "a", HOST, 0).unwrap();
    assert_eq!((first.connections, first.written, first.read), (1, 100, Some(200)));
    for number in 2..=10 {
        assert_eq!(add(&mut rows, number, "a", HOST, 10), None);
    }
    rows.more(FlowId(1), Carried { written: 5, read: 6 }, at(20_000), true);
    rows.more(FlowId(99), Carried { written: 5, read: 6 }, at(20_000), true);
    assert_eq!(rows.due(at(299_000), false), []);
    let due = rows.due(at(300_000), false);
    let [second] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!((second.connections, second.written, second.read), (9, 905, Some(1806)));
    assert_eq!((second.time, second.until), (at(10_000), at(20_000)));
    assert_eq!(rows.due(at(600_000), false), []);
    // Nine are still open, and whatever they carry is told; the next one has a row at once.
    assert!(rows.is_waiting());
    assert!(add(&mut rows, 11, "a", HOST, 700).is_some());
    (2..=11).for_each(|number| rows.more(FlowId(number), Carried::default(), at(701_000), true));
    rows.due(at(2_000_000), false);
    assert!(!rows.is_waiting());
}

#[test]
fn an_identity_that_asks_for_many_hosts_has_few_rows() {
    let mut rows = Rows::default();
    let mut told = 0;
    for number in 0..100 {
        told += usize::from(add(&mut rows, number, "a", &format!("{number}.example"), 0).is_some());
    }
    assert_eq!(told, 33);
    let rest = rows.due(at(1000), true);
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].host.as_str(), rest[0].connections), ("(others)", 67));
    assert!(add(&mut rows, 200, "b", HOST, 0).is_some());
}

#[test]
fn rows_are_bounded_and_what_is_left_out_is_counted() {
    let mut rows = Rows::default();
    for number in 0..600 {
        add(&mut rows, number, &number.to_string(), HOST, 0);
    }
    assert_eq!(rows.omitted(), 600 - 512);
}

#[test]
fn reasons_are_written_as_they_are_named() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}

proptest! {
    /// Whatever is said of whom in whatever order, no more connections are blind than were opened and
    /// not read, and none is followed for ever.
    #[test]
    fn connections_are_judged_once(
        steps in prop::collection::vec((0u64..6, 0u8..5, 0i64..4000), 0..60),
    ) {
        let mut room = Room::new();
        let mut now = 0;
        let mut blind = Vec::new();
        let mut opened = std::collections::BTreeSet::new();
        for (number, step, passed) in steps {
            now += passed;
            let pid = u32::try_from(number % 2).unwrap();
            match step {
                0 if opened.insert(number) => drop(room.greet(flow(number, pid, now), HOST)),
                1 => drop(room.count(number, 5000, now)),
                2 => drop(room.release(number, 9000, now)),
                3 => drop(room.speak(pid, Some(HOST), now)),
                _ => blind.extend(room.tick(now)),
            }
        }
        for number in 0..6 {
            room.count(number, 9000, now);
        }
        blind.extend(room.tick(now + 5000));
        prop_assert!(!room.0.is_following());
        let distinct: std::collections::BTreeSet<_> = blind.iter().collect();
        prop_assert_eq!(distinct.len(), blind.len());
        prop_assert!(blind.iter().all(|number| opened.contains(number)));
    }
}
