//! Tells private and local addresses and names from those of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether the URL's host is itself a private or local address. Names are checked when they resolve.
pub fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_private(IpAddr::V6(address)),
        Some(Host::Domain(name)) => is_private_name(name),
        None => true,
    }
}

/// Whether the URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Names, including all below them, that resolve to something private: IANA's special-use names, `internal`, which
/// ICANN reserves for private use, services of a Kubernetes cluster, and other names of cloud metadata services.
const PRIVATE_NAMES: [&str; 9] = [
    "localhost",
    "local",
    "internal",
    "home.arpa",
    "svc",
    "metadata.platformequinix.com",
    "metadata.packet.net",
    "metadata.tencentyun.com",
    "api.metadata.cloud.ibm.com",
];

fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let below = |parent: &&str| name.strip_suffix(*parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    // A name without a dot is resolved in the local network: `metadata`, `instance-data`, a container.
    !name.contains('.') || PRIVATE_NAMES.iter().any(below)
}

/// Whether an address is not on the public internet. Sources: IANA's registries of special-purpose addresses, of IPv6
/// address space and of IPv4 multicast.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private_v4(v4),
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
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared address space, RFC 6598; also cloud metadata
        || (a == 198 && (b == 18 || b == 19)) // benchmarking, RFC 2544
        || address.octets().starts_with(&[192, 0, 0]) // protocol assignments, RFC 6890; also cloud metadata
        || address.octets().starts_with(&[192, 31, 196]) // AS112, RFC 7535
        || address.octets().starts_with(&[192, 52, 193]) // AMT, RFC 7450
        || address.octets().starts_with(&[192, 88, 99]) // 6to4 relays, RFC 7526
        || address.octets().starts_with(&[192, 175, 48]) // AS112, RFC 7534
        || address == Ipv4Addr::new(168, 63, 129, 16) // Azure's host, as seen from its machines
        || address.octets().starts_with(&[161, 26]) // IBM Cloud services, as seen from inside
        || (a == 166 && (8..12).contains(&b)) // IBM Cloud services as well
}

/// Only 2000::/3 of IPv6 is assigned to the public internet. All embeddings of IPv4 addresses but one are outside of
/// it, as are local addresses, multicast, and future assignments.
fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // The exception: a translator's well-known prefix, RFC 6052. Where there is a translator, it leads to this IPv4
    // address.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        return is_private_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    }
    !matches!(segments, [0x2000..=0x3fff, ..])
        || matches!(segments, [0x2001, 0..=0x1ff, ..]) // Teredo and other protocols, RFC 2928
        || matches!(segments, [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..]) // documentation, RFC 3849 and RFC 9637
        || matches!(segments, [0x2002, ..]) // 6to4 leads to IPv4, RFC 3056
        || matches!(segments, [0x2620, 0x4f, 0x8000, ..]) // AS112, RFC 7534
        || matches!(segments, [_, _, _, _, 0 | 0x200, 0x5efe, ..]) // ISATAP leads to IPv4, RFC 5214
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_internal_networks_are_private() {
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
            "64:ff9b::a9fe:a9fe",
            "::ffff:0:a00:1",
            "::ffff:0:808:808",
            "2001:470::5efe:a00:1",
            "2001:470::200:5efe:a00:1",
            "2620:4f:8000::1",
            "4000::1",
            "fc00::1",
            "febf::1",
            "fed0::1",
            "5f00::1",
            "100:0:0:1::1",
            "::ffff:168.63.129.16",
            "168.63.129.16",
            "100.100.100.200",
            "161.26.0.10",
            "166.8.0.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.175.48.1",
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
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "192.0.1.1",
            "64:ff9b::808:808",
            "166.12.0.1",
        ] {
            assert!(!is_private(address.parse().expect(address)), "{address}");
        }
    }

    #[test]
    fn names_of_private_services_are_private() {
        for name in [
            "localhost",
            "a.localhost.",
            "metadata.google.internal",
            "printer.local",
            "x.home.arpa",
            "metadata",
            "redis",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "metadata.tencentyun.com",
        ] {
            let url: Url = format!("https://{name}/x").parse().expect(name);
            assert!(is_private_host(&url), "{name}");
        }
        for name in ["sss.example", "not.localhosts", "internal.example", "my.locals", "platformequinix.com"] {
            let url: Url = format!("https://{name}/x").parse().expect(name);
            assert!(!is_private_host(&url), "{name}");
        }
    }
}
