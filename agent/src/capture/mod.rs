//! The capture room: starts the probes, finds TLS code in processes and attaches to it, and drains
//! what the probes write.
//!
//! Two threads are behind it. Whoever owns the [`Drain`] calls [`Drain::wait`] and
//! [`Drain::drain`] in turn. A second thread, started here, does what may be slow: it reads
//! `/proc` and ELF files, and attaches. [`Capture`] is a handle on both; when the last clone is
//! dropped, probing ends.

mod attach;
mod block;
mod btf;
mod drain;
mod elf;
mod embedded;
mod error;
mod event;
mod files;
mod flows;
mod functions;
mod go;
mod host;
mod layout;
mod load;
mod log_ring;
mod makeup;
mod mapping;
mod multi;
mod pairing;
mod probes;
mod same;
mod site;
mod sockets;
mod status;
mod tally;
mod targets;

pub use block::{End, Gate, Judgement, Place, SLOTS, plain};
pub use drain::{Drain, Waker};
pub use error::CaptureError;
pub use event::{Event, Malformed, Stamp};
pub use flows::{FlowEvent, WatchError};
pub use makeup::Makeup;
pub use mapping::FileId;
pub use site::{Exits, Site, SiteKind, Sites};
pub use status::{Loss, Outcome, Probed, Status, Target};
pub use tally::Tried;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aya::maps::Map;
use weir_core::blind::{Carried, FlowId};
use weir_core::pipeline::Steering;
use weir_core::units::{ConnectionId, ProcessKey};
use weir_ebpf::policy::{Handle, Steer};
use zerocopy::IntoBytes;

use attach::Attacher;
use drain::Rings;
use flows::Flows;
use load::SteeringMap;
use status::Shared;

/// How capturing is to be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the ring in bytes; rounded up to a power of two of at least 64 KiB. A burst of this
    /// size is carried while the reader does something else.
    pub ring_bytes: u32,
    /// Processes that are not looked at, besides this one; at most
    /// [`weir_ebpf::limit::EXCLUDED`].
    pub excluded: Vec<u32>,
    /// Programs that are attached to before any process uses them, if they have TLS inside.
    pub programs: Vec<PathBuf>,
    /// Connections are watched from outside too, so that those can be told of that nothing is read of.
    pub watch_connections: bool,
    /// Processes can be kept from model endpoints. Whom is said later, by the [`Gate`].
    pub block: bool,
    /// How often all processes are searched for what no event has told of. At least a second.
    pub sweep: Duration,
    /// Attach by links of many probes where the kernel has them. Without, as on older kernels: that
    /// is slower to let go.
    pub multi: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ring_bytes: weir_ebpf::limit::RING_BYTES,
            excluded: Vec::new(),
            programs: Vec::new(),
            watch_connections: true,
            block: false,
            sweep: Duration::from_secs(60),
            multi: true,
        }
    }
}

/// A handle on running probes. Cheap to clone.
#[derive(Clone)]
pub struct Capture {
    steering: Arc<Mutex<SteeringMap>>,
    /// Only kept open.
    _continued: Arc<Map>,
    /// Absent where connections aren't watched.
    flows: Option<Arc<Mutex<Flows>>>,
    /// Absent where nobody is to be blocked, or can be.
    gate: Option<Arc<Mutex<Gate>>>,
    shared: Arc<Shared>,
    attacher: Arc<Attacher>,
}

impl Capture {
    /// Loads the probes, attaches them to what the host has installed and what runs now, and goes
    /// on attaching as processes start and load libraries. Returns when the first round is done.
    ///
    /// # Errors
    ///
    /// See [`CaptureError`]: each of its kinds has another remedy.
    pub fn start(options: &Options) -> Result<(Self, Drain), CaptureError> {
        let probes = load::load(options)?;
        let (flows, flow_ring, unwatched) = match probes.flows {
            Ok((flows, ring)) => (Some(Arc::new(Mutex::new(flows))), Some(ring), None),
            Err(error) => (None, None, Some(error)),
        };
        let (gate, unblocked) = match probes.gate.transpose() {
            Ok(gate) => (gate.map(|gate| Arc::new(Mutex::new(gate))), None),
            Err(error) => (None, Some(error)),
        };
        let shared = Arc::new(Shared::new(probes.losses, unwatched, unblocked));
        let attacher = Attacher::start(probes.prober, options, Arc::clone(&shared))?;
        let hints = attacher.hints();
        let rings = Rings { ring: probes.ring, flows: flow_ring };
        let drain = Drain::new(rings, probes.armed, probes.log, hints, Arc::clone(&shared))?;
        let steering = Arc::new(Mutex::new(probes.steering));
        let capture = Self {
            steering,
            _continued: Arc::new(probes.continued),
            flows,
            gate,
            shared,
            attacher: Arc::new(attacher),
        };
        Ok((capture, drain))
    }

    /// Tells the kernel what to copy of a connection from now on. Without effect if the connection
    /// has been closed, or its address reused, in the meantime.
    ///
    /// # Errors
    ///
    /// If the kernel refuses; the connection is then copied as before.
    pub fn steer(&self, connection: ConnectionId, steering: Steering) -> Result<(), CaptureError> {
        let handle =
            Handle { address: connection.handle, tgid: connection.process.pid, reserved: 0 };
        let steer = Steer {
            generation: connection.generation,
            skip_reads_until_write_beyond: match steering {
                Steering::Ignore => Steer::IGNORE,
                Steering::SkipReadsUntilWriteBeyond(offset) => offset.min(Steer::IGNORE - 1),
            },
        };
        let (mut key, mut value) = ([0; 16], [0; 16]);
        key.copy_from_slice(handle.as_bytes());
        value.copy_from_slice(steer.as_bytes());
        let mut map = self.steering.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(key, value, 0).map_err(CaptureError::Map)
    }

    /// How much a connection has carried so far; `None` if it is closed or not watched.
    #[must_use]
    pub fn carried(&self, id: FlowId) -> Option<Carried> {
        let flows = self.flows.as_ref()?;
        flows.lock().unwrap_or_else(PoisonError::into_inner).carried(id)
    }

    /// Has a connection not watched any more.
    pub fn forget(&self, id: FlowId) {
        if let Some(flows) = &self.flows {
            flows.lock().unwrap_or_else(PoisonError::into_inner).forget(id);
        }
    }

    /// What keeps processes from model endpoints; `None` if nobody wants that, or the kernel won't have it.
    #[must_use]
    pub fn gate(&self) -> Option<Arc<Mutex<Gate>>> {
        self.gate.clone()
    }

    /// What a process runs, or ran when it was last looked at; `None` if it was gone before anybody
    /// could look.
    #[must_use]
    pub fn makeup(&self, process: ProcessKey) -> Option<Makeup> {
        self.shared.makeups.of(process)
    }

    /// How many records were lost of what the probes saw of processes, since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost()
    }

    /// What is probed, and what was lost.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Searches all processes now, and returns when that is done.
    pub fn sweep(&self) {
        self.attacher.sweep();
    }
}
