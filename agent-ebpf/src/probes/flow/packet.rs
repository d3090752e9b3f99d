//! The headers of a packet, from the network's on.

use aya_ebpf::programs::SkBuffContext;

/// Protocols, as IANA numbers them.
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// What the network's header says.
pub(crate) struct Network {
    pub(crate) protocol: u8,
    /// Where it goes, an IPv4 address mapped into IPv6.
    pub(crate) destination: [u8; 16],
    /// Where the next header begins, in bytes.
    pub(crate) end: u32,
    /// Bytes of the whole packet. A packet here may be one that is cut into many only later.
    pub(crate) length: u32,
}

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

impl Network {
    /// `None` for what is neither IPv4 nor IPv6 with TCP or UDP right behind it.
    #[inline(always)]
    pub(crate) fn of(ctx: &SkBuffContext) -> Option<Self> {
        let length = ctx.len();
        let first: u8 = ctx.load(0).ok()?;
        match first >> 4 {
            4 => {
                let header: [u8; IPV4_HEADER] = ctx.load(0).ok()?;
                let mut destination = [0; 16];
                destination[10..12].copy_from_slice(&[0xff; 2]);
                destination[12..].copy_from_slice(&header[16..]);
                let end = u32::from(first & 0xf) * 4;
                Some(Self { protocol: header[9], destination, end, length })
            }
            6 => {
                let header: [u8; IPV6_HEADER] = ctx.load(0).ok()?;
                let mut destination = [0; 16];
                destination.copy_from_slice(&header[24..]);
                Some(Self { protocol: header[6], destination, end: IPV6_HEADER as u32, length })
            }
            _ => None,
        }
    }
}
