//! How much of anything the probes will hold or carry.

/// Data bytes of the smallest of the four sizes of segment record. A segment takes the smallest
/// that fits, so that a short read doesn't cost a long reservation.
pub const SEGMENT_SMALL: usize = 256;
/// Data bytes of the next size.
pub const SEGMENT_MEDIUM: usize = 1024;
/// Data bytes of the next size.
pub const SEGMENT_LARGE: usize = 4096;
/// Data bytes of the longest segment; a longer buffer is split. The longest TLS record is as long.
pub const SEGMENT_MAX: usize = 16384;

/// Segments that one program run copies before it continues by a tail call.
pub const SEGMENTS_PER_RUN: u32 = 32;

/// Program runs of one library call: the first and the 33 tail calls that every kernel since 5.8
/// allows (`MAX_TAIL_CALL_CNT`, which some kernels count as 32).
pub const RUNS: u32 = 1 + 32;

/// Bytes of one library call that can be carried. What is beyond is a counted hole.
pub const CALL_MAX: u64 = RUNS as u64 * SEGMENTS_PER_RUN as u64 * SEGMENT_MAX as u64;

/// Threads that can be inside a probed function at once, in each direction.
pub const CALLS: u32 = 16 * 1024;

/// Connections whose offsets and policy are kept; the least recently used is forgotten first.
pub const CONNECTIONS: u32 = 32 * 1024;

/// Threads, and processes, that seal and open records themselves and of which is kept what they do; the least
/// recently seen is forgotten first.
pub const SEALERS: u32 = 8 * 1024;

/// Bytes that are carried of one direction of a connection while it isn't known which that is.
pub const HELD_MAX: u64 = 1 << 20;

/// Sockets that are known to be of their connections.
pub const SOCKETS: u32 = 16 * 1024;

/// Processes that can be exempted by [`crate::name::EXCLUDED`].
pub const EXCLUDED: u32 = 64;

/// Bytes of the path in an `Executed` record.
pub const PATH_MAX: usize = 256;

/// Default size of the ring in bytes; a power of two. The reader maps it twice over, and the kernel
/// counts both as resident.
pub const RING_BYTES: u32 = 8 * 1024 * 1024;

/// A reader that sleeps is woken at the latest when this fraction (1/n) of the ring is in use.
pub const WATERMARK_DIVISOR: u64 = 4;

const _: () = assert!(CALL_MAX > 16 * 1024 * 1024, "a 16 MiB write is carried whole");
