use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use weir_core::detect::Cause;

use super::*;

const NOBODY: Counters<'static> = &|_slot| (0, 0);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn block(name: &str, dry_run: bool) -> Block {
    let identity = IdentityId(name.to_owned());
    Block { identity, cause: Cause::Offboarded, since: at(0), until: None, dry_run }
}

fn process(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ns: u64::from(pid) }
}

fn in_cgroup(cgroup_id: u64) -> Place {
    Place { cgroup_id, uid: 1000, reserved: 0 }
}

fn flow(number: u64, pid: u32, port: u16) -> Flow {
    let remote = SocketAddr::new([192, 0, 2, 1].into(), port);
    Flow { id: FlowId(number), process: process(pid), remote, time: at(0) }
}

/// What the kernel would do after all orders, and the wards behind it.
#[derive(Default)]
struct Room {
    wards: Wards,
    judged: BTreeMap<ProcessKey, Judgement>,
    suspected: BTreeSet<Spot>,
    addresses: BTreeMap<SocketAddr, End>,
    reset: Vec<u64>,
}

impl Room {
    fn obey(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Judge(process, judgement) => {
                    self.judged.insert(process, judgement);
                }
                Order::Acquit(process) => drop(self.judged.remove(&process)),
                Order::Suspect(place) => drop(self.suspected.insert(spot(place))),
                Order::Trust(place) => drop(self.suspected.remove(&spot(place))),
                Order::Address(remote, end) => drop(self.addresses.insert(remote, end)),
                Order::Reset(_, flow) => self.reset.push(flow.0),
                Order::Recognise(..) => {}
            }
        }
    }

    fn hold(&mut self, blocks: &[Block]) -> Vec<BlockDeed> {
        let (orders, records) = self.wards.hold(blocks, at(9), &Clone::clone, NOBODY);
        self.obey(orders);
        records.into_iter().map(|record| record.deed).collect()
    }

    fn seen(&mut self, pid: u32, cgroup_id: u64, name: &str) {
        let identity = IdentityId(name.to_owned());
        let orders = self.wards.seen(process(pid), in_cgroup(cgroup_id), identity);
        self.obey(orders);
    }

    fn met(&mut self, flow: Flow, end: End) {
        let orders = self.wards.met(flow, end);
        self.obey(orders);
    }

    fn blocked(&self) -> Vec<u32> {
        let judged = self.judged.iter();
        let blocked = judged.filter(|(_, judgement)| matches!(judgement, Judgement::Blocked(_)));
        blocked.map(|(process, _)| process.pid).collect()
    }
}

#[test]
fn a_block_is_of_one_identity_and_ends() {
    let mut room = Room::default();
    room.seen(1, 10, "a");
    room.seen(2, 10, "b");
    room.seen(3, 20, "b");
    assert_eq!(room.hold(&[block("a", false)]), [BlockDeed::Closed]);
    assert_eq!(room.blocked(), [1]);
    // Who shares the place is judged, so that its greetings don't wait.
    assert_eq!(room.judged.get(&process(2)), Some(&Judgement::Free));
    assert_eq!((room.suspected.len(), room.judged.len()), (1, 2));
    // What comes later, by a fork or a new connection.
    let orders = room.wards.forked(process(1), process(4));
    room.obey(orders);
    room.seen(5, 30, "a");
    assert_eq!((room.blocked(), room.suspected.len()), (vec![1, 4, 5], 2));
    let order = room.wards.exited(process(4));
    room.obey(order.into_iter().collect());
    assert_eq!(room.blocked(), [1, 5]);
    assert_eq!(room.hold(&[]), [BlockDeed::Released]);
    assert!(room.judged.is_empty() && room.suspected.is_empty() && !room.wards.is_closed());
}

#[test]
fn open_connections_to_models_are_reset_once() {
    let mut room = Room::default();
    room.seen(1, 10, "a");
    room.seen(2, 10, "b");
    room.met(flow(1, 1, 443), End::Model);
    assert_eq!(room.reset, [0; 0]);
    room.hold(&[block("a", false)]);
    let open = vec![(FlowId(1), process(1)), (FlowId(2), process(2))];
    for _ in 0..2 {
        let orders = room.wards.sweep(open.clone());
        room.obey(orders);
    }
    assert_eq!(room.reset, [1]);
    // One whose end is found out later.
    room.met(flow(3, 1, 443), End::Model);
    room.met(flow(4, 1, 5432), End::Other);
    room.met(flow(5, 2, 443), End::Model);
    assert_eq!(room.reset, [1, 3]);
    let standing = room.wards.standing(at(10), &|slot| (u64::from(slot) + 5, 7));
    assert_eq!(standing[0].kept.connections_reset, 2);
    assert_eq!((standing[0].kept.connections_refused, standing[0].deed), (5, BlockDeed::Stands));
}

#[test]
fn a_dry_run_touches_nothing_and_counts() {
    let mut room = Room::default();
    room.seen(1, 10, "a");
    room.hold(&[block("a", true)]);
    let orders = room.wards.sweep(vec![(FlowId(1), process(1))]);
    room.obey(orders);
    room.met(flow(2, 1, 443), End::Model);
    assert!(room.reset.is_empty() && room.judged.is_empty() && room.suspected.is_empty());
    assert!(!room.wards.is_closed());
    assert_eq!(room.wards.standing(at(10), NOBODY)[0].kept.connections_reset, 2);
    // It becomes real.
    let deeds = room.hold(&[block("a", false)]);
    assert_eq!(deeds, [BlockDeed::Released, BlockDeed::Closed]);
    assert_eq!(room.blocked(), [1]);
}

#[test]
fn an_address_with_several_names_is_known_as_such() {
    let mut room = Room::default();
    let remote = flow(1, 1, 443).remote;
    for (end, known) in [
        (End::Other, End::Other),
        (End::Other, End::Other),
        (End::Model, End::Both),
        (End::Model, End::Both),
        (End::Other, End::Both),
    ] {
        room.met(flow(1, 1, 443), end);
        assert_eq!(room.addresses.get(&remote), Some(&known));
    }
    room.met(flow(2, 1, 8443), End::Model);
    assert_eq!(room.addresses.get(&flow(2, 1, 8443).remote), Some(&End::Model));
}

#[test]
fn a_new_name_is_the_same_identity() {
    let mut room = Room::default();
    room.seen(1, 10, "old");
    let name = |identity: &IdentityId| match identity.0.as_str() {
        "old" => IdentityId("new".to_owned()),
        _other => identity.clone(),
    };
    let (orders, _) = room.wards.hold(&[block("old", false)], at(9), &name, NOBODY);
    room.obey(orders);
    assert_eq!(room.blocked(), [1]);
    room.seen(2, 10, "new");
    assert_eq!(room.blocked(), [1, 2]);
}

proptest! {
    /// Whatever happens in whatever order, exactly the processes of blocked identities are blocked, and
    /// whoever is in a place with them is judged.
    #[test]
    fn the_kernel_knows_what_holds(
        steps in prop::collection::vec((0u8..6, 1u32..6, 0u64..3, 0u8..4), 0..80),
    ) {
        let mut room = Room::default();
        let mut whose: BTreeMap<ProcessKey, (u64, String)> = BTreeMap::new();
        let mut held: BTreeSet<String> = BTreeSet::new();
        for (step, pid, cgroup, who) in steps {
            let name = who.to_string();
            match step {
                0 | 1 => {
                    room.seen(pid, cgroup, &name);
                    whose.insert(process(pid), (cgroup, name));
                }
                2 => {
                    let order = room.wards.exited(process(pid));
                    room.obey(order.into_iter().collect());
                    whose.remove(&process(pid));
                }
                3 => {
                    let orders = room.wards.forked(process(pid), process(pid + 10));
                    room.obey(orders);
                    if let Some(parent) = whose.get(&process(pid)).cloned() {
                        whose.insert(process(pid + 10), parent);
                    }
                }
                _ => {
                    if !held.remove(&name) {
                        held.insert(name);
                    }
                    let blocks: Vec<_> = held.iter().map(|name| block(name, false)).collect();
                    room.hold(&blocks);
                }
            }
            let expected: Vec<u32> = whose
                .iter()
                .filter(|(_, (_, name))| held.contains(name))
                .map(|(process, _)| process.pid)
                .collect();
            prop_assert_eq!(room.blocked(), expected);
            for (process, (cgroup, _)) in &whose {
                let suspected = room.suspected.contains(&(*cgroup, 1000));
                prop_assert!(!suspected || room.judged.contains_key(process));
            }
        }
    }
}
