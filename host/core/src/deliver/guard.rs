//! The SSRF guard: a target resolves to public addresses unless its config allows private ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Whether the URL's host is itself a private or local address. Names are checked when they resolve.
pub fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => true,
    }
}

/// Whether an address is not one of the public internet.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4() {
            Some(v4) => is_private_v4(v4) || v6.is_loopback(),
            None => is_private_v6(v6),
        },
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || address.octets().starts_with(&[192, 0, 0]) // protocol assignments, RFC 6890: a cloud's metadata too
        || address.octets().starts_with(&[192, 88, 99]) // 6to4 relays, RFC 7526
        || (a == 100 && (64..128).contains(&b)) // shared address space, RFC 6598
        || (a == 198 && (b == 18 || b == 19)) // benchmarking, RFC 2544
        || a >= 240
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || matches!(address.segments(), [0x64, 0xff9b, ..]) // NAT64 leads back to IPv4, RFC 6052 and RFC 8215
        || matches!(address.segments(), [0x2002, ..]) // 6to4 too, RFC 3056
        || matches!(address.segments(), [0x2001, 0..=0x1ff, ..]) // Teredo and other protocols, RFC 2928
        || matches!(address.segments(), [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..]) // documentation, RFC 3849 and RFC 9637
        || matches!(address.segments(), [0x100, 0, 0, 0 | 1, ..]) // discarded, RFC 6666 and RFC 9780
        || matches!(address.segments(), [0x5f00, ..]) // segment routing, RFC 9602
        || matches!(address.segments(), [0xfec0..=0xfeff, ..]) // site-local, RFC 3879
}

/// A resolver that keeps public addresses only, so that a name cannot be pointed inwards later.
#[derive(Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| !is_private(address.ip())).collect();
            if public.is_empty() {
                let error = "the name has no public address; if that is meant, set allow_private = true for the target";
                return Err(error.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_inwards_are_private() {
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "fec0::1",
            "fd00:ec2::254",
            "::7f00:1",
            "192.0.0.192",
            "192.88.99.1",
            "198.18.0.1",
            "203.0.113.1",
            "240.0.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ];
        for address in private {
            assert!(is_private(address.parse().expect(address)), "{address}");
        }
        for address in
            ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860:4860::8888", "192.0.1.1"]
        {
            assert!(!is_private(address.parse().expect(address)), "{address}");
        }
    }
}
