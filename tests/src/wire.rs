//! A server that is no HTTP server: for each connection a test writes its own bytes, over TCP or TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What is done with a connection once a request's head has come.
pub type Script = Arc<dyn Fn(Box<dyn Stream>) -> BoxFuture<'static, ()> + Send + Sync>;

/// The server. It ends when it is dropped.
pub struct Wire {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Wire {
    /// A server that does this with each connection.
    pub async fn start(tls: Option<TlsAcceptor>, script: Script) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let tls = tls.clone();
                let script = Arc::clone(&script);
                let counted = Arc::clone(&counted);
                connections.spawn(async move {
                    let mut stream: Box<dyn Stream> = match tls {
                        None => Box::new(tcp),
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    if head(&mut stream).await {
                        counted.fetch_add(1, Ordering::SeqCst);
                        script(stream).await;
                    }
                });
            }
        });
        Wire { address, requests, _server: server }
    }

    /// A server that answers every request with these bytes, again and again until nobody listens if `forever`.
    pub async fn answering(first: &'static [u8], forever: Option<&'static [u8]>) -> Wire {
        let script = move |mut stream: Box<dyn Stream>| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                let mut sent = stream.write_all(first).await;
                while let (Ok(()), Some(more)) = (&sent, forever) {
                    sent = stream.write_all(more).await;
                }
                // Kept open: what ends the exchange is the host.
                while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
            })
        };
        Wire::start(None, Arc::new(script)).await
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Reads to the end of a request's head; false if there was none.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => seen.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// A certificate authority of its own, for one test.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }
}

impl Authority {
    /// Its certificate.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate of this name and its key, as PEM.
    pub fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A TLS server of this name; with `clients` it lets in only those whose certificate it issued.
    pub fn server(&self, name: &str, clients: bool) -> TlsAcceptor {
        towpath_runtime::install_crypto();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = ServerConfig::builder();
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let builder = if clients {
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
    }
}
