//! Which addresses notifications go to. A name may be resolved by somebody else, so what it is resolved to
//! is looked at: nothing goes to this host, its links or its cloud's metadata service by a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use weir_core::alert::Problem;

use crate::config::Endpoint;

/// Services of clouds that tell machines their secrets, and aren't link-local: Alibaba's, Azure's, and those
/// of Amazon and Google by IPv6.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];
/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// The addresses of an endpoint.
///
/// # Errors
/// [`Problem::Resolve`] if it has none, [`Problem::Forbidden`] if any of them is one that nothing goes to.
pub(super) async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Problem> {
    let Endpoint { host, port, .. } = endpoint;
    let found = tokio::net::lookup_host((host.as_str(), *port));
    let found = found.await.map_err(|_unknown| Problem::Resolve)?;
    let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() {
        return Err(Problem::Resolve);
    }
    let may = found.iter().all(|address| is_allowed(host, address.ip()));
    may.then_some(found).ok_or(Problem::Forbidden)
}

/// Whether something may go to this address of `host`.
fn is_allowed(host: &str, address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() {
        let literal = host.parse().is_ok_and(|literal: IpAddr| literal.is_loopback());
        return literal || host == "localhost";
    }
    if address.is_unspecified() || address.is_multicast() || METADATA.contains(&address) {
        return false;
    }
    match address {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            // "This network", and addresses of protocols, among them Oracle's metadata (RFC 6890).
            let is_special = first == 0 || [first, second, third] == [192, 0, 0];
            !(address.is_link_local() || address.is_broadcast() || is_special)
        }
        IpAddr::V6(address) => {
            !address.is_unicast_link_local()
                && inside(address).is_none_or(|inner| is_allowed("", IpAddr::V4(inner)))
        }
    }
}

/// The address of IPv4 that one of IPv6 leads to: compatible, by NAT64 (RFC 6052) or by 6to4 (RFC 3056).
fn inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(four(high, low))
        }
        [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_goes_to_this_host_or_its_cloud_by_a_name() {
        for (host, address, allowed) in [
            ("alerts.example", "203.0.113.7", true),
            ("alerts.example", "10.0.0.7", true),
            ("alerts.example", "2001:db8::7", true),
            ("alerts.example", "fd12::7", true),
            ("alerts.example", "127.0.0.1", false),
            ("alerts.example", "::1", false),
            ("localhost", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("10.0.0.7", "127.0.0.1", false),
            ("alerts.example", "0.0.0.0", false),
            ("alerts.example", "0.1.2.3", false),
            ("alerts.example", "::", false),
            ("alerts.example", "169.254.169.254", false),
            ("169.254.169.254", "169.254.169.254", false),
            ("alerts.example", "::ffff:169.254.169.254", false),
            ("alerts.example", "::ffff:127.0.0.1", false),
            ("alerts.example", "64:ff9b::a9fe:a9fe", false),
            ("alerts.example", "2002:7f00:1::", false),
            ("alerts.example", "::127.0.0.1", false),
            ("alerts.example", "64:ff9b::cb00:7107", true),
            ("alerts.example", "fe80::1", false),
            ("alerts.example", "ff02::1", false),
            ("alerts.example", "224.0.0.1", false),
            ("alerts.example", "255.255.255.255", false),
            ("alerts.example", "100.100.100.200", false),
            ("alerts.example", "168.63.129.16", false),
            ("alerts.example", "192.0.0.192", false),
            ("alerts.example", "fd00:ec2::254", false),
        ] {
            assert_eq!(is_allowed(host, address.parse().unwrap()), allowed, "{host} {address}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_the_same_in_either_family(bits in any::<u32>()) {
            let four = Ipv4Addr::from_bits(bits);
            let mapped = IpAddr::V6(four.to_ipv6_mapped());
            prop_assert_eq!(is_allowed("a", IpAddr::V4(four)), is_allowed("a", mapped));
        }
    }
}
