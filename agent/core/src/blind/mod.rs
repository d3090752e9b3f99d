//! Connections to model endpoints that nothing was read of.
//!
//! The kernel tells of every TLS connection that is opened, whoever speaks it, and the pipeline of
//! every one that it has read a request on. The two have no name in common, so they are matched by
//! process and host, one to one: a process with two TLS libraries, one read and one not, has
//! connections left over. A connection that is left over, that has carried enough for a request, and
//! of which nothing was read for a while, is a blind spot ([`Table`]); what there is to say of blind
//! spots is gathered into rows of which there are few, however many connections there are ([`Rows`]).
//!
//! A model call that goes by plain HTTP is one too: no TLS library will ever show it.

mod hosts;
mod record;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use crate::plain::Request;
use crate::units::{ProcessKey, Timestamp};

pub use hosts::{HostPattern, Hosts, ParseHostError};
pub use record::{BlindSpot, KnownBy, PlainRequest, Reason, Transport};
pub use rows::{OTHERS, Rows, Sighting};
pub use table::Table;

/// Names a connection: the kernel's cookie of its socket, which no other socket of a boot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// A connection that was opened by a process of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Which.
    pub id: FlowId,
    /// By whom.
    pub process: ProcessKey,
    /// To where.
    pub remote: SocketAddr,
    /// When its greeting, its first packet or its first request was sent.
    pub time: Timestamp,
}

/// How much went each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes that the process sent, from the greeting or the first request on; of QUIC, once it had an
    /// answer.
    pub written: u64,
    /// Bytes that it received; of QUIC always 0, for they are not looked at.
    pub read: u64,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Part of the greeting of a connection over TCP was sent.
    Greeted {
        /// Which connection.
        flow: Flow,
        /// Where the part begins in the greeting.
        offset: usize,
        /// The part.
        data: &'a [u8],
    },
    /// The first packet of a connection over QUIC was sent.
    Quic {
        /// Which connection.
        flow: Flow,
    },
    /// A connection began with a request in plain HTTP.
    Plain {
        /// Which connection.
        flow: Flow,
        /// How much it has carried so far.
        carried: Carried,
        /// The request; absent if it says too little.
        request: Option<&'a Request>,
    },
    /// How much a connection has carried so far.
    Counted {
        /// Which.
        id: FlowId,
        /// How much.
        carried: Carried,
        /// As of when.
        time: Timestamp,
    },
    /// A connection was closed.
    Released {
        /// Which.
        id: FlowId,
        /// How much it has carried in all.
        carried: Carried,
        /// When.
        time: Timestamp,
    },
    /// A request was read, the first on its connection.
    Spoke {
        /// Of which process.
        process: ProcessKey,
        /// To which host, as the request says, a port included or not. `None` if it doesn't say.
        host: Option<&'a str>,
        /// When.
        time: Timestamp,
    },
    /// Time passed.
    Tick {
        /// The time now.
        time: Timestamp,
    },
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// This connection may become a blind spot: it is time to look at its process, which may be gone
    /// soon.
    Look {
        /// Which.
        flow: Flow,
    },
    /// Nobody needs to know any more of this connection.
    Forget {
        /// Which.
        id: FlowId,
    },
    /// Nothing was read of this connection.
    Blind {
        /// Which.
        flow: Flow,
        /// Where it goes.
        endpoint: Endpoint,
        /// How much it has carried so far.
        carried: Carried,
        /// It was closed.
        is_closed: bool,
    },
    /// This connection carries a request to a model endpoint, or a model call, in plain HTTP. Its
    /// process is to be looked at now.
    Plain {
        /// Which.
        flow: Flow,
        /// Where it goes.
        endpoint: Endpoint,
        /// How much it has carried so far.
        carried: Carried,
        /// The request that it began with.
        request: Box<Request>,
    },
    /// A connection of which that was said has carried more since.
    More {
        /// Which.
        id: FlowId,
        /// How much more.
        carried: Carried,
        /// When it had.
        time: Timestamp,
        /// There will be no more.
        is_closed: bool,
    },
}

/// A model endpoint, as far as it can be told from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name; of one that was configured by its address and has none, that.
    pub host: String,
    /// How it is known.
    pub known_by: KnownBy,
    /// How it is reached.
    pub transport: Transport,
}

/// An IPv4 address that is written as one of IPv6, as that of IPv4.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
