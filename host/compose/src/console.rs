//! The web console: a listener of its own, and who may use it.
//!
//! It must never be in the way of events. It has its own connections to the store, its failures are logged and end nothing else, and a drain
//! does not wait for pages that are open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use towpath_config::ConsoleConfig;
use towpath_config::route::Networks;
use towpath_console::{Access, Console, Peer, Proxy, Role, Session};
use towpath_intake::sender;
use towpath_operate::archive::FoundArchive;
use towpath_operate::history::History;
use towpath_operate::place::Found;
use towpath_operate::story::StoryPlace;
use towpath_operate::token;
use towpath_runtime::tasks::log_panic;
use tracing::{error, info, warn};

use crate::registry::releases;
use crate::server::{self, Guard, HostName};
use crate::supervisor::Supervisor;

/// How long a drain waits for requests of the console. Pages that follow events would never end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// The file with the token of operators, in the folder of the store.
const TOKEN: &str = "console.token";

/// The file with the token of those who only look.
const VIEW_TOKEN: &str = "console-view.token";

/// What a console shows.
pub struct Shown {
    /// The queues, and the config.
    pub found: Found,
    /// The story of messages.
    pub story: StoryPlace,
    /// The archive, if there is one.
    pub archive: Option<FoundArchive>,
    /// Whether this process delivers, so that its rates are worth showing.
    pub delivers: bool,
}

/// Where a console listens, and who may use it.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the config says.
    pub config: ConsoleConfig,
    /// More names by which it may be called.
    pub names: Vec<HostName>,
    /// Whether to take a free port if the address is taken.
    pub or_free_port: bool,
}

/// A console that listens.
pub struct Opened {
    /// Its address.
    pub address: SocketAddr,
    /// The link that logs in its first user, once, within ten minutes.
    pub link: String,
    /// Why nobody may act, if so.
    pub read_only: Option<String>,
}

/// Starts the console, which ends when the host stops. Fails if it cannot listen.
pub async fn open(shown: Shown, options: Options, host: &mut Supervisor) -> anyhow::Result<Opened> {
    let mut names = options.names;
    for name in &options.config.allow_hosts {
        let read = name.parse::<HostName>().map_err(anyhow::Error::msg);
        names.push(read.with_context(|| format!("reading console.allow_hosts: {name}"))?);
    }
    let listener = bind(options.config.listen, options.or_free_port).await?;
    let address = listener.local_addr().context("listening for the console")?;
    let once = token::made();
    let read_only = why_read_only(&shown.found, &options.config);
    let access = access(&shown.found, &options.config, read_only.as_deref())?.on_port(address.port()).link(&once);
    let Shown { found, story, archive, delivers } = shown;
    let history = delivers.then(|| keep_history(host));
    let releases = releases(found.config.as_deref()).await;
    let console = Console { archive, history, releases, ..Console::new(found, story, host.stop.clone()) };
    let router = towpath_console::router(console, access);
    let router = router.layer(middleware::from_fn_with_state(Arc::new(options.config.trusted_proxies), tell_peer));
    let stop = host.stop.clone();
    let serving = server::serve_unless(listener, router, Guard::of(&names), stop.clone(), follows);
    host.tasks.spawn("console", apart(serving, stop));
    info!(address = %address, read_only = read_only.is_some(), "console listening");
    let link = format!("http://{}/login?once={once}", from_here(address));
    Ok(Opened { address, link, read_only })
}

/// Keeps the rates of this process until the host stops.
fn keep_history(host: &mut Supervisor) -> Arc<History> {
    let history = Arc::new(History::default());
    let kept = Arc::clone(&history);
    let stop = host.stop.clone();
    host.tasks.spawn("history", async move {
        stop.run_until_cancelled(kept.run()).await;
    });
    history
}

async fn bind(at: SocketAddr, or_free_port: bool) -> anyhow::Result<TcpListener> {
    let bound = match TcpListener::bind(at).await {
        Err(_) if or_free_port => TcpListener::bind(SocketAddr::new(at.ip(), 0)).await,
        bound => bound,
    };
    bound.with_context(|| format!("listening on {at} for the console"))
}

/// Runs the server of a console until the host stops. Whatever happens to it, the host goes on.
async fn apart(serving: impl Future<Output = ()> + Send + 'static, stop: CancellationToken) {
    let mut task = JoinSet::new();
    task.spawn(serving);
    let stopped = async {
        stop.cancelled().await;
        sleep(GRACE).await;
    };
    tokio::select! {
        Some(ended) = task.join_next() => {
            log_panic("console", ended);
            if !stop.is_cancelled() {
                error!("console broke, events are delivered without it: restart the host to have one");
            }
        }
        () = stopped => {}
    }
    stop.cancelled().await;
}

/// Whether only the client wants the answer: a page that follows events. Whatever changes something is done to its end.
fn follows(method: &Method, headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    *method == Method::GET && accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

fn why_read_only(found: &Found, config: &ConsoleConfig) -> Option<String> {
    if config.read_only {
        Some("this console was started to be read only".to_owned())
    } else if !found.is_writable() {
        Some(format!("the store in {} cannot be written", found.folder().display()))
    } else {
        None
    }
}

/// Who may use a console of this place.
fn access(found: &Found, config: &ConsoleConfig, read_only: Option<&str>) -> anyhow::Result<Access> {
    let folder = found.folder();
    let operator = Session { by: format!("{} (console)", found.by), role: Role::Operator };
    let viewer = Session { by: format!("{} (console, to look)", found.by), role: Role::Viewer };
    let mut access = Access::by_token(kept(&folder.join(TOKEN)), operator);
    access = access.and_token(kept(&folder.join(VIEW_TOKEN)), viewer);
    if let Some(name) = &config.identity_header {
        let Ok(header) = name.parse::<HeaderName>() else {
            bail!("console.identity_header is not the name of a header")
        };
        access = access.behind(Proxy { header, operators: config.operators.clone() });
    }
    Ok(match read_only {
        Some(why) => access.read_only(why),
        None => access,
    })
}

/// The token of a file; one that nobody but the link has, if it cannot be kept.
fn kept(file: &Path) -> String {
    token::kept(file).unwrap_or_else(|error| {
        warn!(problem = format!("{error:#}"), "token of the console cannot be kept, only the link logs in");
        token::made()
    })
}

/// Tells the console who asks: it knows no networks.
async fn tell_peer(State(trusted): State<Arc<Networks>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<towpath_intake::Peer>().map(|peer| peer.0);
    let peer = Peer {
        address: peer.and_then(|peer| sender(peer, request.headers(), &trusted)),
        is_proxy: peer.is_some_and(|peer| trusted.contain(peer)),
    };
    request.extensions_mut().insert(peer);
    next.run(request).await
}

/// The address at which this machine reaches a listener: the loopback address, if it listens on all.
fn from_here(mut at: SocketAddr) -> SocketAddr {
    match at.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => at.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => at.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    at
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn a_hang_up_ends_what_only_follows_and_nothing_that_acts() {
        let mut headers = HeaderMap::new();
        assert!(!follows(&Method::GET, &headers));
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        assert!(follows(&Method::GET, &headers));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD] {
            assert!(!follows(&method, &headers), "{method}");
        }
    }

    async fn breaks(panics: bool) {
        assert!(!panics, "a bug");
    }

    #[tokio::test(start_paused = true)]
    async fn a_console_that_breaks_stops_nothing() {
        for panics in [true, false] {
            let mut host = Supervisor::new();
            let stop = host.stop.clone();
            host.tasks.spawn("console", apart(breaks(panics), stop.clone()));
            let later = async {
                sleep(Duration::from_secs(3600)).await;
                assert!(!stop.is_cancelled(), "panics: {panics}: the host goes on");
                stop.cancel();
            };
            let (ended, ()) = tokio::join!(host.run(), later);
            assert!(ended.is_ok(), "panics: {panics}: {ended:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_does_not_wait_for_pages_that_are_open() {
        let mut host = Supervisor::new();
        let stop = host.stop.clone();
        host.tasks.spawn("console", apart(std::future::pending(), stop.clone()));
        let began = Instant::now();
        stop.cancel();
        assert!(host.run().await.is_ok());
        assert_eq!(began.elapsed(), GRACE);
    }
}
