//! Watches connections without reading more of them than how they begin: programs on the root of the v2
//! hierarchy of cgroups, so that they see every process there. They stand beside whatever programs others have there, and let
//! everything pass. The kernel takes them away when this process ends, however it does.
//!
//! Watching is a help and no condition: where it isn't possible, everything else works, and
//! `weir doctor` says so.

mod event;
mod hierarchy;

use std::fs::File;
use std::io;

use aya::Ebpf;
use aya::maps::{HashMap, MapData, RingBuf};
use aya::programs::cgroup_skb::CgroupSkbLink;
use aya::programs::cgroup_sock::CgroupSockLink;
use aya::programs::cgroup_sock_addr::CgroupSockAddrLink;
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, Program,
    ProgramError,
};
use weir_core::blind::{Carried, FlowId};
use weir_ebpf::flow::Watched;
use weir_ebpf::name;
use zerocopy::FromBytes as _;

use super::CaptureError;

pub use event::FlowEvent;
pub(super) use event::decode;

const SOCKET_PROGRAMS: [&str; 4] = [name::CONNECT4, name::CONNECT6, name::SENDMSG4, name::SENDMSG6];

/// A link stands beside all other programs in any case, and the kernel refuses to be told so
/// (`cgroup_bpf_link_attach` in kernel/bpf/cgroup.c).
pub(super) const BESIDE_OTHERS: CgroupAttachMode = CgroupAttachMode::Single;

/// The kernel's table of connections: a cookie to a [`Watched`], as bytes.
type FlowMap = HashMap<MapData, u64, [u8; size_of::<Watched>()]>;

/// What is watched, as the attacher's owner keeps it.
pub(super) struct Flows {
    map: FlowMap,
    // Only kept open. Dropped in this order, so that nothing is noted any more before the rest goes.
    _addressed: Vec<CgroupSockAddrLink>,
    _egress: CgroupSkbLink,
    _released: CgroupSockLink,
}

/// Why connections can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Nobody wants them to be.
    #[error("it is switched off (blind_spots.watch)")]
    Off,
    /// There is nothing to watch on.
    #[error("no v2 hierarchy of cgroups is mounted")]
    NoHierarchy,
    /// It can't be opened.
    #[error("the v2 hierarchy of cgroups can't be opened")]
    Io(#[from] io::Error),
    /// The kernel refused a program. It takes Linux 5.9.
    #[error("the kernel refused the program {name}")]
    Refused {
        /// Which.
        name: &'static str,
        /// What it said.
        #[source]
        source: Box<ProgramError>,
    },
    /// The rest of the object can't be used.
    #[error("the probes' object can't be used")]
    Object(#[source] Box<CaptureError>),
}

/// Begins to watch.
pub(super) fn start(ebpf: &mut Ebpf) -> Result<(Flows, RingBuf<MapData>), WatchError> {
    let root = root()?;
    let take = |error| WatchError::Object(Box::new(error));
    let map = super::load::take(ebpf, name::FLOWS).map_err(take)?;
    let ring = super::load::take(ebpf, name::FLOW_RING).map_err(take)?;
    // What closes comes first, and what opens last: nothing is noted that isn't let go of.
    let released = with(ebpf, name::RELEASED, |program| {
        let program: &mut CgroupSock = program.try_into()?;
        program.load()?;
        let link = program.attach(&root, BESIDE_OTHERS)?;
        program.take_link(link)
    })?;
    let egress = with(ebpf, name::EGRESS, |program| {
        let program: &mut CgroupSkb = program.try_into()?;
        program.load()?;
        let (way, mode) = (CgroupSkbAttachType::Egress, BESIDE_OTHERS);
        let link = program.attach(&root, way, mode)?;
        program.take_link(link)
    })?;
    let mut addressed = Vec::new();
    for name in SOCKET_PROGRAMS {
        addressed.push(with(ebpf, name, |program| {
            let program: &mut CgroupSockAddr = program.try_into()?;
            program.load()?;
            let link = program.attach(&root, BESIDE_OTHERS)?;
            program.take_link(link)
        })?);
    }
    let flows = Flows { map, _addressed: addressed, _egress: egress, _released: released };
    Ok((flows, ring))
}

/// The root of the v2 hierarchy.
pub(super) fn root() -> Result<File, WatchError> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let root = hierarchy::root(&mounts).ok_or(WatchError::NoHierarchy)?;
    Ok(File::open(root)?)
}

/// Loads and attaches a program in the way that its kind takes.
pub(super) fn with<L>(
    ebpf: &mut Ebpf,
    name: &'static str,
    how: impl FnOnce(&mut Program) -> Result<L, ProgramError>,
) -> Result<L, WatchError> {
    let incomplete = || WatchError::Object(Box::new(CaptureError::Incomplete { name }));
    let program = ebpf.program_mut(name).ok_or_else(incomplete)?;
    how(program).map_err(|source| WatchError::Refused { name, source: Box::new(source) })
}

impl Flows {
    /// How much a connection has carried so far; `None` if it is closed, or was forgotten.
    pub(super) fn carried(&self, id: FlowId) -> Option<Carried> {
        let bytes = self.map.get(&id.0, 0).ok()?;
        let watched = Watched::read_from_bytes(&bytes).ok()?;
        Some(Carried { written: watched.written, read: watched.read })
    }

    /// Has the kernel forget a connection.
    pub(super) fn forget(&mut self, id: FlowId) {
        // It may have been closed or forgotten in the meantime.
        let _absent = self.map.remove(&id.0);
    }
}
