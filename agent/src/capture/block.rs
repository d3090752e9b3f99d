//! Keeps processes from model endpoints: programs on the root of the v2 hierarchy of cgroups, and the
//! tables by which they know whom, and from what. They stand beside whatever programs others have there.
//! They are loaded only where the configuration blocks somebody, are pinned nowhere, and go when this
//! process ends, however it does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError};
use aya::programs::cgroup_skb::CgroupSkbLink;
use aya::programs::cgroup_sock::CgroupSockLink;
use aya::programs::cgroup_sock_addr::CgroupSockAddrLink;
use aya::programs::{CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr};
use rustix::time::{ClockId, clock_gettime};
use weir_core::blind::FlowId;
use weir_core::units::ProcessKey;
use weir_ebpf::block::{Endpoint, Owned, Refused, Verdict, end, judged};
use weir_ebpf::name;
use zerocopy::{FromBytes as _, IntoBytes as _};

pub use weir_ebpf::block::Place;

use super::flows::{self, BESIDE_OTHERS, WatchError};
use super::load::take;

const SOCKET_PROGRAMS: [&str; 4] =
    [name::BLOCK_CONNECT4, name::BLOCK_CONNECT6, name::BLOCK_SENDMSG4, name::BLOCK_SENDMSG6];

/// The tables whose room is only wanted where somebody is to be blocked.
pub(super) const TABLES: [&str; 5] =
    [name::GATED, name::VERDICTS, name::PLACES, name::ENDPOINTS, name::REFUSED];

/// An entry that was there before is replaced, and none is made.
const REPLACE: u64 = 2;

/// What is at the other end of a connection, or at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A model endpoint.
    Model,
    /// Something else.
    Other,
    /// Of an address: both.
    Both,
}

/// What is decided of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It may talk to anybody.
    Free,
    /// It must not talk to model endpoints. Refusals are counted under this number, which is below
    /// [`SLOTS`].
    Blocked(u32),
}

/// Identities that can be blocked at once.
pub const SLOTS: u32 = weir_ebpf::block::SLOTS;

/// The kernel's tables.
pub struct Gate {
    gate: Array<MapData, u64>,
    connections: HashMap<MapData, u64, [u8; size_of::<Owned>()]>,
    verdicts: HashMap<MapData, u32, [u8; size_of::<Verdict>()]>,
    places: HashMap<MapData, [u8; size_of::<Place>()], u8>,
    endpoints: HashMap<MapData, [u8; size_of::<Endpoint>()], u32>,
    refused: Array<MapData, [u8; size_of::<Refused>()]>,
    // Only kept open. What lets nothing pass goes first.
    _addressed: Vec<CgroupSockAddrLink>,
    _ways: Vec<CgroupSkbLink>,
    _released: CgroupSockLink,
}

/// Loads and attaches the programs. Nobody is blocked yet.
pub(super) fn start(ebpf: &mut Ebpf) -> Result<Gate, WatchError> {
    let root = flows::root()?;
    let incomplete = |error| WatchError::Object(Box::new(error));
    let gate = take(ebpf, name::GATE).map_err(incomplete)?;
    let connections = take(ebpf, name::GATED).map_err(incomplete)?;
    let verdicts = take(ebpf, name::VERDICTS).map_err(incomplete)?;
    let places = take(ebpf, name::PLACES).map_err(incomplete)?;
    let endpoints = take(ebpf, name::ENDPOINTS).map_err(incomplete)?;
    let refused = take(ebpf, name::REFUSED).map_err(incomplete)?;
    let released = flows::with(ebpf, name::BLOCK_RELEASED, |program| {
        let program: &mut CgroupSock = program.try_into()?;
        program.load()?;
        let link = program.attach(&root, BESIDE_OTHERS)?;
        program.take_link(link)
    })?;
    let mut ways = Vec::new();
    for (name, way) in [
        (name::BLOCK_INGRESS, CgroupSkbAttachType::Ingress),
        (name::BLOCK_EGRESS, CgroupSkbAttachType::Egress),
    ] {
        ways.push(flows::with(ebpf, name, |program| {
            let program: &mut CgroupSkb = program.try_into()?;
            program.load()?;
            let link = program.attach(&root, way, BESIDE_OTHERS)?;
            program.take_link(link)
        })?);
    }
    let mut addressed = Vec::new();
    for name in SOCKET_PROGRAMS {
        addressed.push(flows::with(ebpf, name, |program| {
            let program: &mut CgroupSockAddr = program.try_into()?;
            program.load()?;
            let link = program.attach(&root, BESIDE_OTHERS)?;
            program.take_link(link)
        })?);
    }
    Ok(Gate {
        gate,
        connections,
        verdicts,
        places,
        endpoints,
        refused,
        _addressed: addressed,
        _ways: ways,
        _released: released,
    })
}

impl Gate {
    /// Somebody is blocked, for so long from now on: then the kernel lets everybody pass, unless that was
    /// said again. A daemon that hangs blocks nobody for ever.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn close(&mut self, lease: Duration) -> Result<(), MapError> {
        let now = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
        let until = now.saturating_add(lease).as_nanos();
        self.gate.set(0, u64::try_from(until).unwrap_or(u64::MAX), 0)
    }

    /// Nobody is blocked. The programs look at nothing.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn open(&mut self) -> Result<(), MapError> {
        self.gate.set(0, 0, 0)
    }

    /// Says what was decided of a process.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn judge(&mut self, process: ProcessKey, judgement: Judgement) -> Result<(), MapError> {
        let (judged, slot) = match judgement {
            Judgement::Free => (judged::FREE, 0),
            Judgement::Blocked(slot) => (judged::BLOCKED, slot.min(SLOTS - 1)),
        };
        let verdict = Verdict { start_ns: process.start_ns, judged, slot };
        let mut bytes = [0; size_of::<Verdict>()];
        bytes.copy_from_slice(verdict.as_bytes());
        self.verdicts.insert(process.pid, bytes, 0)
    }

    /// Nothing is decided of a process any more.
    pub fn acquit(&mut self, process: ProcessKey) {
        // The kernel may have forgotten it first.
        let _absent = self.verdicts.remove(&process.pid);
    }

    /// Somebody may be meant who is here, and whom nobody has judged yet.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn suspect(&mut self, place: Place) -> Result<(), MapError> {
        self.places.insert(bytes_of(place), 1, 0)
    }

    /// Nobody is meant any more who is here.
    pub fn trust(&mut self, place: Place) {
        let _absent = self.places.remove(&bytes_of(place));
    }

    /// Says what is at the other end of a connection. Without effect if it is closed already.
    pub fn recognise(&mut self, connection: FlowId, end: End) {
        let Ok(bytes) = self.connections.get(&connection.0, 0) else { return };
        let Ok(mut owned) = Owned::read_from_bytes(&bytes) else { return };
        owned.end = number(end);
        let mut bytes = [0; size_of::<Owned>()];
        bytes.copy_from_slice(owned.as_bytes());
        let _closed_meanwhile = self.connections.insert(connection.0, bytes, REPLACE);
    }

    /// Says what is at an address: at one port, or at all.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn place(&mut self, address: IpAddr, port: Option<u16>, end: End) -> Result<(), MapError> {
        let endpoint = Endpoint {
            address: match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            },
            port: port.map_or(0, u32::from),
        };
        let mut key = [0; size_of::<Endpoint>()];
        key.copy_from_slice(endpoint.as_bytes());
        self.endpoints.insert(key, number(end), 0)
    }

    /// The connections to model endpoints that are open, each with the process that has opened it. At
    /// most as many as the table has room for.
    pub fn to_models(&self) -> Vec<(FlowId, ProcessKey)> {
        let connections = self.connections.iter().filter_map(Result::ok);
        let connections = connections.filter_map(|(cookie, bytes)| {
            let owned = Owned::read_from_bytes(&bytes).ok()?;
            let process = ProcessKey { pid: owned.tgid, start_ns: owned.start_ns };
            (owned.end == end::MODEL).then_some((FlowId(cookie), process))
        });
        connections.take(weir_ebpf::block::SOCKETS as usize).collect()
    }

    /// Connections and packets that were refused under a number, since the start.
    #[must_use]
    pub fn refused(&self, slot: u32) -> (u64, u64) {
        let bytes = self.refused.get(&slot, 0).ok();
        let refused = bytes.and_then(|bytes| Refused::read_from_bytes(&bytes).ok());
        refused.map_or((0, 0), |refused| (refused.connects, refused.packets))
    }
}

/// The same address and port as the kernel's programs see them.
#[must_use]
pub fn plain(remote: SocketAddr) -> SocketAddr {
    SocketAddr::new(remote.ip().to_canonical(), remote.port())
}

const fn number(end: End) -> u32 {
    match end {
        End::Model => end::MODEL,
        End::Other => end::OTHER,
        End::Both => end::BOTH,
    }
}

fn bytes_of(place: Place) -> [u8; size_of::<Place>()] {
    let mut bytes = [0; size_of::<Place>()];
    bytes.copy_from_slice(place.as_bytes());
    bytes
}
