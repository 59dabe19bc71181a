//! Who sends: the address at the other end of the connection, or the one that a trusted proxy tells.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use towpath_config::route::Networks;

/// The header in which proxies pass on the addresses before them, the nearest one last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address at the other end of the connection: the sender, or a proxy in front of this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub IpAddr);

/// The sender's address. Anybody can write the header, so only what trusted proxies appended to it is believed: from the
/// end, the first address that is none of theirs.
pub fn sender(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> Option<IpAddr> {
    if !trusted.contain(peer) {
        return Some(peer);
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    for hop in hops.iter().rev() {
        // What cannot be read hides who sent it.
        let address = address(hop)?;
        if !trusted.contain(address) {
            return Some(address);
        }
    }
    // A proxy that appends nothing, or a request of its own.
    hops.first().map_or(Some(peer), |first| address(first))
}

/// Some proxies write the port too.
fn address(hop: &str) -> Option<IpAddr> {
    hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(peer: &str, lines: &[&str]) -> Option<String> {
        let trusted = Networks::new(vec!["10.0.0.0/8".parse().expect("a range"), "::1/128".parse().expect("a range")]);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().expect("a header"));
        }
        sender(peer.parse().expect("an address"), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(sent("203.0.113.7", &["192.0.2.1"]).as_deref(), Some("203.0.113.7"));
        // Written by the stranger, then its real address by the proxy.
        assert_eq!(sent("10.0.0.1", &["192.0.2.1, 203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(sent("10.0.0.1", &["192.0.2.1", "203.0.113.7"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(sent("10.0.0.1", &["192.0.2.1, rubbish"]), None);
        assert_eq!(sent("10.0.0.1", &["203.0.113.7, , 10.0.0.2"]), None);
    }

    #[test]
    fn the_address_before_all_trusted_proxies_is_the_senders() {
        assert_eq!(sent("10.0.0.1", &["203.0.113.7, 10.0.0.2"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(sent("::ffff:10.0.0.1", &["203.0.113.7:4711"]).as_deref(), Some("203.0.113.7"));
        assert_eq!(sent("::1", &["[2001:db8::1]:80"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(sent("10.0.0.1", &["10.0.0.3, 10.0.0.2"]).as_deref(), Some("10.0.0.3"));
        assert_eq!(sent("10.0.0.1", &[]).as_deref(), Some("10.0.0.1"));
    }
}
