//! From the bytes of a record of the ring of flows to a [`FlowEvent`].

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use weir_core::blind::{Carried, Flow, FlowId};
use weir_core::units::{ProcessKey, Timestamp};
use weir_ebpf::flow::{Flow as Record, kind};
use zerocopy::FromBytes as _;

use crate::capture::event::{BootTime, Malformed, Stamp};

/// Something that was seen of a connection from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEvent<'a> {
    /// A process sent part of a TLS greeting.
    Greeted {
        /// On which connection.
        flow: Flow,
        /// Where the part begins in the greeting.
        offset: usize,
        /// The part.
        data: &'a [u8],
        /// In the name of whom the connection was opened.
        stamp: Stamp,
    },
    /// A process sent the first packet of a QUIC connection.
    Quic {
        /// Which connection.
        flow: Flow,
        /// In the name of whom it was opened.
        stamp: Stamp,
    },
    /// A process began a connection with a request of HTTP, without TLS.
    Plain {
        /// Which connection.
        flow: Flow,
        /// How much it has carried so far.
        carried: Carried,
        /// As much of the request as is in the first segment, and no more than
        /// [`REQUEST_MAX`](weir_ebpf::flow::REQUEST_MAX) bytes. May hold a secret.
        data: &'a [u8],
        /// In the name of whom the connection was opened.
        stamp: Stamp,
    },
    /// A connection was closed.
    Released {
        /// Which.
        id: FlowId,
        /// How much it has carried.
        carried: Carried,
        /// When.
        time: Timestamp,
    },
}

/// Reads one record.
pub(in crate::capture) fn decode(
    record: &[u8],
    boot: BootTime,
) -> Result<FlowEvent<'_>, Malformed> {
    let (flow, data) = Record::read_from_prefix(record)
        .map_err(|_short| Malformed { length: record.len(), kind: 0 })?;
    let event = decode_kind(&flow, data, boot);
    event.ok_or(Malformed { length: record.len(), kind: flow.head.kind })
}

fn decode_kind<'a>(record: &Record, data: &'a [u8], boot: BootTime) -> Option<FlowEvent<'a>> {
    let head = &record.head;
    let time = boot.utc(head.time_ns);
    let id = FlowId(record.cookie);
    let stamp = Stamp { tid: head.tid, uid: head.uid, gid: head.gid, cgroup_id: head.cgroup_id };
    let process = ProcessKey { pid: head.tgid, start_ns: head.start_ns };
    let address = IpAddr::V6(Ipv6Addr::from(record.address)).to_canonical();
    let remote = SocketAddr::new(address, u16::try_from(record.port).ok()?);
    let flow = Flow { id, process, remote, time };
    let carried = Carried { written: record.written, read: record.read };
    let data = || data.get(..usize::try_from(record.length).ok()?);
    match head.kind {
        kind::GREETED => Some(FlowEvent::Greeted {
            flow,
            offset: usize::try_from(record.offset).ok()?,
            data: data()?,
            stamp,
        }),
        kind::QUIC => Some(FlowEvent::Quic { flow, stamp }),
        kind::PLAIN => Some(FlowEvent::Plain { flow, carried, data: data()?, stamp }),
        kind::RELEASED => Some(FlowEvent::Released { id, carried, time }),
        _unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_ebpf::record::Head;
    use zerocopy::IntoBytes as _;

    const BOOT: BootTime = BootTime(1_700_000_000_000_000_000);

    fn record(kind: u32, port: u32, length: u32) -> Vec<u8> {
        let head = Head {
            kind,
            tgid: 7,
            time_ns: 5,
            start_ns: 3,
            cgroup_id: 11,
            tid: 8,
            uid: 1000,
            gid: 100,
            reserved: 0,
        };
        let mut address = [0; 16];
        address[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 2]);
        let record = Record {
            head,
            cookie: 42,
            written: 517,
            read: 6,
            address,
            port,
            offset: 0,
            length,
            reserved: 0,
        };
        let mut bytes = record.as_bytes().to_vec();
        bytes.extend([9; 64]);
        bytes
    }

    #[test]
    fn a_greeting_is_as_long_as_it_says() {
        let bytes = record(kind::GREETED, 443, 3);
        let Ok(FlowEvent::Greeted { flow, offset: 0, data, stamp }) = decode(&bytes, BOOT) else {
            panic!("not a greeting")
        };
        let process = ProcessKey { pid: 7, start_ns: 3 };
        let remote = "127.0.0.2:443".parse().unwrap();
        assert_eq!((flow.id, flow.process, flow.remote), (FlowId(42), process, remote));
        assert_eq!((data, stamp.uid), (&[9; 3][..], 1000));
    }

    #[test]
    fn a_request_is_as_long_as_it_says() {
        let bytes = record(kind::PLAIN, 80, 64);
        let Ok(FlowEvent::Plain { flow, carried, data, .. }) = decode(&bytes, BOOT) else {
            panic!("not a request")
        };
        assert_eq!((flow.id, data), (FlowId(42), &[9; 64][..]));
        assert_eq!(carried, Carried { written: 517, read: 6 });
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for bytes in [
            record(kind::GREETED, 443, 65),
            record(kind::PLAIN, 80, 65),
            record(kind::GREETED, 65_536, 1),
            record(1, 443, 0),
            vec![0; 8],
        ] {
            assert!(decode(&bytes, BOOT).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_record_panics(kind in 0u32..14, rest in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = kind.to_ne_bytes().to_vec();
            bytes.extend(rest);
            let _any = decode(&bytes, BOOT);
        }
    }
}
