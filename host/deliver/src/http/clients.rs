//! HTTP clients: one for all endpoints with the same connection settings.

use std::sync::Arc;

use towpath_config::target::{Auth, Kind, Reach, Target};
use towpath_reach::{ClientError, Pool, client};

use super::auth::Oauth2;

/// The connections of one target.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) target: Arc<Pool>,
    /// The client for its token endpoint, which is another server with its own certificates.
    pub(super) tokens: Option<Arc<Oauth2>>,
}

/// The connections of each of these targets, in order. Endpoints with the same connection settings share theirs.
pub(super) fn build(targets: &[Target]) -> Result<Vec<Clients>, ClientError> {
    let mut shared: Vec<(&Reach, Arc<Pool>)> = Vec::new();
    let mut all = Vec::with_capacity(targets.len());
    for target in targets {
        let Kind::Http(http) = &target.kind;
        let mut pool = |reach, endpoint| pool(&mut shared, reach, endpoint);
        let credentials = http.auth.iter().find_map(|auth| match auth {
            Auth::Oauth2(credentials) => Some(credentials),
            _ => None,
        });
        let tokens = match credentials {
            None => None,
            Some(credentials) => {
                let pool = pool(&credentials.reach, format!("target {}, its token endpoint", target.name))?;
                Some(Arc::new(Oauth2::new(credentials.clone(), pool)))
            }
        };
        all.push(Clients { target: pool(&http.reach, format!("target {}", target.name))?, tokens });
    }
    Ok(all)
}

fn pool<'a>(
    shared: &mut Vec<(&'a Reach, Arc<Pool>)>,
    reach: &'a Reach,
    endpoint: String,
) -> Result<Arc<Pool>, ClientError> {
    if let Some((_, pool)) = shared.iter().find(|(known, _)| *known == reach) {
        return Ok(Arc::clone(pool));
    }
    let own = reach.clone();
    let pool = Arc::new(Pool::new(reach.max_age, move || client(&own, &endpoint))?);
    shared.push((reach, Arc::clone(&pool)));
    Ok(pool)
}
