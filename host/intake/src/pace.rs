//! Keeps to the `rate` of each route.

use std::collections::HashMap;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use towpath_config::route::{Rate, Route, Routes};

/// What each route with a rate may still take, by its path.
#[derive(Debug, Default)]
pub(crate) struct Pace(HashMap<String, DefaultDirectRateLimiter>);

impl Pace {
    pub(crate) fn of(routes: &Routes) -> Pace {
        let limited = routes.iter().filter_map(|route| Some((route.path.clone(), limiter(route.admission.rate?)?)));
        Pace(limited.collect())
    }

    /// Takes one event of the route, or says when the next one may come.
    pub(crate) fn take(&self, route: &Route) -> Result<(), Duration> {
        let Some(limiter) = self.0.get(&route.path) else { return Ok(()) };
        limiter.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

fn limiter(rate: Rate) -> Option<DefaultDirectRateLimiter> {
    let burst = NonZeroU32::new(rate.burst())?;
    Some(RateLimiter::direct(Quota::with_period(rate.interval())?.allow_burst(burst)))
}
