//! `allow_from` and `rate` of a route: who may send to it, and how fast.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

/// Who may send to a route, and how fast.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Admission {
    /// The addresses that may send; all if there are none.
    pub from: Networks,
    pub rate: Option<Rate>,
}

/// Ranges of addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks(Vec<IpNet>);

/// How many events a route takes per second; as many may come at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate(f64);

impl Networks {
    pub fn new(networks: Vec<IpNet>) -> Networks {
        Networks(networks)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An IPv4 address counts as itself, also where a socket for both families shows it as one of IPv6.
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl Rate {
    /// The range that a config may give, in events per second.
    pub const RANGE: std::ops::RangeInclusive<f64> = 0.01..=100_000.0;

    /// A rate within [`Rate::RANGE`].
    pub fn per_second(rate: f64) -> Option<Rate> {
        Rate::RANGE.contains(&rate).then_some(Rate(rate))
    }

    /// The time between two events.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }

    /// How many events may come at once.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 1–100,000 by the range")]
    pub fn burst(self) -> u32 {
        self.0.ceil().max(1.0) as u32
    }
}

/// A range of addresses, or a single address.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()
}
