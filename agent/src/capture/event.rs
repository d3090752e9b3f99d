//! From the bytes of a ring record to an [`Event`].

use std::fmt;

use jiff::Timestamp;
use weir_core::units::{ConnectionId, Direction, ProcessKey};
use weir_ebpf::record::{Closed, Executed, Forked, Head, Joined, Segment, direction, kind};
use zerocopy::FromBytes;

/// Something that the probes saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A process sent or received bytes.
    Segment {
        /// Where.
        connection: ConnectionId,
        /// Which way.
        direction: Direction,
        /// Position of the first byte in its direction, from where the probes first saw the
        /// connection. Bytes that were not wanted count too.
        offset: u64,
        /// When the call that carried them returned.
        time: Timestamp,
        /// What.
        data: &'a [u8],
        /// In the name of whom.
        stamp: Stamp,
    },
    /// A connection of which something was copied was freed, or made ready for reuse.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// When.
        time: Timestamp,
        /// Bytes it had received, copied or not.
        read_total: u64,
        /// Bytes it had sent, copied or not.
        write_total: u64,
    },
    /// A process replaced its program; its connections are gone.
    Executed {
        /// Which.
        process: ProcessKey,
        /// When.
        time: Timestamp,
        /// In the name of whom it runs from now on.
        stamp: Stamp,
        /// The path it was started by, as the caller wrote it; cut after 255 bytes.
        path: &'a [u8],
    },
    /// A process was made.
    Forked {
        /// By whom.
        parent: ProcessKey,
        /// Which.
        child: ProcessKey,
        /// When.
        time: Timestamp,
        /// The parent's.
        stamp: Stamp,
    },
    /// A process ended, and its connections with it. May be said twice.
    Exited {
        /// Which.
        process: ProcessKey,
        /// When.
        time: Timestamp,
    },
    /// A process's dynamic loader has loaded or unloaded libraries.
    Loaded {
        /// Which.
        process: ProcessKey,
        /// When.
        time: Timestamp,
    },
}

/// What a record says: an event, or something that becomes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    Event(Event<'a>),
    Held(Held),
    Joined(HeldJoined),
}

/// A segment of which it isn't known yet what connection it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Its own until then.
    pub(super) connection: ConnectionId,
    pub(super) direction: Direction,
    /// Position of the first byte in what has that id.
    pub(super) offset: u64,
    pub(super) time: Timestamp,
    pub(super) data: Box<[u8]>,
    pub(super) stamp: Stamp,
}

/// It is known now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldJoined {
    /// What the segments had.
    pub(super) held: ConnectionId,
    /// What they belong to.
    pub(super) connection: ConnectionId,
    /// Where in its direction the first of them begins.
    pub(super) offset: u64,
}

impl Held {
    /// As part of `connection`, in which the first of its kind begins at `offset`.
    pub(super) fn event(&self, connection: ConnectionId, offset: u64) -> Event<'_> {
        Event::Segment {
            connection,
            direction: self.direction,
            offset: offset.wrapping_add(self.offset),
            time: self.time,
            data: &self.data,
            stamp: self.stamp,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({:?}, {} bytes)", self.connection, self.data.len())
    }
}

/// What the kernel knows of the thread that caused an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Thread id.
    pub tid: u32,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// Id of its cgroup in the v2 hierarchy: the inode number of the cgroup's folder.
    pub cgroup_id: u64,
}

/// A record that is not what the probes write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {length} bytes and kind {kind} is malformed")]
pub struct Malformed {
    /// Its length.
    pub length: usize,
    /// Its kind; 0 if it is too short to have one.
    pub kind: u32,
}

/// Nanoseconds from boot to the Unix epoch: what turns the kernel's times into UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootTime(pub(super) i128);

impl BootTime {
    pub(super) fn utc(self, boot_ns: u64) -> Timestamp {
        let nanoseconds = i128::from(boot_ns).saturating_add(self.0);
        Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Reads one record.
pub(super) fn decode(record: &[u8], boot: BootTime) -> Result<Said<'_>, Malformed> {
    let (head, _rest) = Head::read_from_prefix(record)
        .map_err(|_short| Malformed { length: record.len(), kind: 0 })?;
    let said = match head.kind {
        kind::HELD => held(&head, record, boot).map(Said::Held),
        kind::JOINED => joined(&head, record).map(Said::Joined),
        _event => decode_kind(&head, record, boot).map(Said::Event),
    };
    said.ok_or(Malformed { length: record.len(), kind: head.kind })
}

fn held(head: &Head, record: &[u8], boot: BootTime) -> Option<Held> {
    let event = decode_kind(&Head { kind: kind::SEGMENT, ..*head }, record, boot)?;
    let Event::Segment { connection, direction, offset, time, data, stamp } = event else {
        return None;
    };
    Some(Held { connection, direction, offset, time, data: data.into(), stamp })
}

fn joined(head: &Head, record: &[u8]) -> Option<HeldJoined> {
    let (joined, _padding) = Joined::read_from_prefix(record).ok()?;
    let process = ProcessKey { pid: head.tgid, start_ns: head.start_ns };
    let id = |handle, generation| ConnectionId { process, handle, generation };
    Some(HeldJoined {
        held: id(joined.held, joined.held_generation),
        connection: id(joined.handle, joined.generation),
        offset: joined.offset,
    })
}

fn decode_kind<'a>(head: &Head, record: &'a [u8], boot: BootTime) -> Option<Event<'a>> {
    let process = ProcessKey { pid: head.tgid, start_ns: head.start_ns };
    let time = boot.utc(head.time_ns);
    let stamp = Stamp { tid: head.tid, uid: head.uid, gid: head.gid, cgroup_id: head.cgroup_id };
    match head.kind {
        kind::SEGMENT => {
            let (segment, data) = Segment::read_from_prefix(record).ok()?;
            let direction = match segment.direction {
                direction::READ => Direction::Read,
                direction::WRITE => Direction::Write,
                _unknown => return None,
            };
            Some(Event::Segment {
                connection: ConnectionId {
                    process,
                    handle: segment.handle,
                    generation: segment.generation,
                },
                direction,
                offset: segment.offset,
                time,
                data: data.get(..usize::try_from(segment.length).ok()?)?,
                stamp,
            })
        }
        kind::CLOSED => {
            let (closed, _padding) = Closed::read_from_prefix(record).ok()?;
            Some(Event::Closed {
                connection: ConnectionId {
                    process,
                    handle: closed.handle,
                    generation: closed.generation,
                },
                time,
                read_total: closed.read_total,
                write_total: closed.write_total,
            })
        }
        kind::EXECUTED => {
            let (executed, _padding) = Executed::ref_from_prefix(record).ok()?;
            let path = executed.path.split(|byte| *byte == 0).next().unwrap_or_default();
            Some(Event::Executed { process, time, stamp, path })
        }
        kind::FORKED => {
            let (forked, _padding) = Forked::read_from_prefix(record).ok()?;
            let child = ProcessKey { pid: forked.child_tgid, start_ns: forked.child_start_ns };
            Some(Event::Forked { parent: process, child, time, stamp })
        }
        kind::EXITED => Some(Event::Exited { process, time }),
        kind::LOADED => Some(Event::Loaded { process, time }),
        _unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    const BOOT: BootTime = BootTime(1_700_000_000_000_000_000);

    fn head(kind: u32) -> Head {
        Head {
            kind,
            tgid: 7,
            time_ns: 5,
            start_ns: 3,
            cgroup_id: 11,
            tid: 8,
            uid: 1000,
            gid: 100,
            reserved: 0,
        }
    }

    fn segment(length: u32, direction: u32, space: usize) -> Vec<u8> {
        let head = head(kind::SEGMENT);
        let segment = Segment { head, handle: 0xabc, generation: 4, offset: 9, length, direction };
        let mut bytes = segment.as_bytes().to_vec();
        bytes.extend((0..space).map(|at| at.to_le_bytes()[0]));
        bytes
    }

    #[test]
    fn a_segment_is_as_long_as_it_says() {
        let bytes = segment(3, direction::WRITE, 256);
        let Ok(Said::Event(Event::Segment { connection, direction, offset, time, data, stamp })) =
            decode(&bytes, BOOT)
        else {
            panic!("not a segment")
        };
        let process = ProcessKey { pid: 7, start_ns: 3 };
        assert_eq!(connection, ConnectionId { process, handle: 0xabc, generation: 4 });
        assert_eq!((direction, offset, data), (Direction::Write, 9, &[0, 1, 2][..]));
        assert_eq!(time.as_nanosecond(), BOOT.0 + 5);
        assert_eq!(stamp, Stamp { tid: 8, uid: 1000, gid: 100, cgroup_id: 11 });
    }

    #[test]
    fn a_segment_longer_than_its_record_is_refused() {
        let bytes = segment(257, direction::READ, 256);
        let malformed = Malformed { length: bytes.len(), kind: kind::SEGMENT };
        assert_eq!(decode(&bytes, BOOT), Err(malformed));
        assert!(decode(&segment(1, 2, 256), BOOT).is_err());
    }

    #[test]
    fn what_is_held_becomes_part_of_its_connection() {
        let mut bytes = segment(3, direction::WRITE, 256);
        bytes[..4].copy_from_slice(&kind::HELD.to_ne_bytes());
        let Ok(Said::Held(held)) = decode(&bytes, BOOT) else { panic!("not held") };
        let joined = Joined {
            head: head(kind::JOINED),
            held: 0xabc,
            held_generation: 4,
            handle: 0xdef,
            generation: 6,
            offset: 100,
        };
        let Ok(Said::Joined(joined)) = decode(joined.as_bytes(), BOOT) else {
            panic!("not joined")
        };
        assert_eq!(joined.held, held.connection);
        let Event::Segment { connection, offset, data, .. } =
            held.event(joined.connection, joined.offset)
        else {
            panic!("not a segment")
        };
        assert_eq!((connection.handle, connection.generation), (0xdef, 6));
        assert_eq!((offset, data), (109, &[0, 1, 2][..]));
    }

    #[test]
    fn a_path_ends_at_its_first_zero() {
        let mut executed = Executed { head: head(kind::EXECUTED), path: [0; 256] };
        executed.path[..7].copy_from_slice(b"/bin/ls");
        let Ok(Said::Event(Event::Executed { path, .. })) = decode(executed.as_bytes(), BOOT)
        else {
            panic!("not an exec")
        };
        assert_eq!(path, b"/bin/ls");
        executed.path = [b'a'; 256];
        assert!(matches!(
            decode(executed.as_bytes(), BOOT),
            Ok(Said::Event(Event::Executed { path, .. })) if path.len() == 256
        ));
    }

    proptest! {
        #[test]
        fn no_record_panics(
            kind in 0u32..11,
            rest in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut bytes = kind.to_ne_bytes().to_vec();
            bytes.extend(rest);
            let _any = decode(&bytes, BOOT);
        }
    }
}
