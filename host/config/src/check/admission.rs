//! Who may send: `allow_from` and `rate` of a route, `trusted_proxies` of the front door.

use super::Checker;
use crate::route::{Admission, Networks, Rate, network};

impl Checker<'_> {
    pub(super) fn admission(&mut self, at: &str, from: &[String], rate: Option<f64>) -> Admission {
        let from = self.networks(&format!("{at}.allow_from"), from);
        let allowed = rate.and_then(Rate::per_second);
        if rate.is_some() && allowed.is_none() {
            let hint = "events per second and host process, such as 10 or 0.5; unlimited if left out";
            self.wrong(format!("{at}.rate"), "must be between 0.01 and 100000", hint);
        }
        Admission { from, rate: allowed }
    }

    pub(super) fn networks(&mut self, at: &str, texts: &[String]) -> Networks {
        let mut networks = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let Some(network) = network(text) else {
                let hint =
                    "an address such as \"203.0.113.7\", or a range such as \"203.0.113.0/24\" or \"2001:db8::/32\"";
                self.wrong(format!("{at}[{number}]"), format!("{text:?} is not a range of addresses"), hint);
                continue;
            };
            if network.trunc() != network {
                let hint = format!("write the first address of the range, {}, or a single address", network.trunc());
                self.wrong(format!("{at}[{number}]"), format!("{text:?} has bits behind its prefix"), hint);
            }
            networks.push(network);
        }
        Networks::new(networks)
    }
}
