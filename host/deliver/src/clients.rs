//! The HTTP clients: one for all endpoints that are reached in the same way.

use std::collections::BTreeMap;
use std::sync::Arc;

use towpath_config::target::{Auth, Reach, Target};

use super::auth::Oauth2;
use super::pool::{ClientError, Pool, client};

/// The connections of one target.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) target: Arc<Pool>,
    /// Its client of a token endpoint, which is another server with its own certificates.
    pub(super) tokens: Option<Arc<Oauth2>>,
}

/// The connections of each target, by its name. Endpoints that are reached in the same way share theirs.
pub(super) fn build<'a>(targets: impl Iterator<Item = &'a Target>) -> Result<BTreeMap<String, Clients>, ClientError> {
    let mut shared: Vec<(&'a Reach, Arc<Pool>)> = Vec::new();
    let mut pool = |reach: &'a Reach, endpoint: String| {
        if let Some((_, pool)) = shared.iter().find(|(known, _)| *known == reach) {
            return Ok(Arc::clone(pool));
        }
        let own = reach.clone();
        let pool = Arc::new(Pool::new(reach.max_age, move || client(&own, &endpoint))?);
        shared.push((reach, Arc::clone(&pool)));
        Ok(pool)
    };
    let mut clients = BTreeMap::new();
    for target in targets {
        let credentials = target.auth.iter().find_map(|auth| match auth {
            Auth::Oauth2(credentials) => Some(credentials),
            _ => None,
        });
        let tokens = match credentials {
            None => None,
            Some(credentials) => {
                let endpoint = format!("target {}, its token endpoint", target.name);
                let pool = pool(&credentials.reach, endpoint)?;
                Some(Arc::new(Oauth2::new(credentials.clone(), pool)))
            }
        };
        let own = Clients { target: pool(&target.reach, format!("target {}", target.name))?, tokens };
        clients.insert(target.name.clone(), own);
    }
    Ok(clients)
}
