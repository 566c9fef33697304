//! A TLS listener that serves a router, telling it who is on the other end.

use crate::{
    limit::{Rate, RateLimit},
    tls::{Guard, Issuer, Tls},
};
use anyhow::Context;
use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use edgedeck_engine::{Actor, ClientTrust, Engine};
use edgedeck_model::{Code, Problem, user::Role};
use hyper::{Request, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections of one listener at once; more wait to be accepted.
pub const CONNECTIONS_MAX: usize = 20_000;
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const HEADERS_TIME: Duration = Duration::from_secs(30);

/// The other end of a connection; an extension of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The client certificate that the handshake has verified.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// What a client certificate says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Common name of the subject.
    pub name: String,
    /// Subject alternative names that are URIs.
    pub uris: Vec<String>,
    /// SHA-256 of the public key, in hex.
    pub key_hash: String,
    pub issuer: Issuer,
}

impl PeerCertificate {
    fn parse(der: &[u8], issuer: Issuer) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let uris = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                x509_parser::extensions::GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            });
        let name = certificate
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok());
        Some(Self {
            name: name.unwrap_or_default().to_owned(),
            uris: uris.collect(),
            key_hash: edgedeck_engine::key_hash(&certificate.public_key().subject_public_key.data),
            issuer,
        })
    }
}

/// Writes into the audit who came to a listener with a certificate that is not good there.
pub struct Refusals {
    engine: Arc<Engine>,
    listener: &'static str,
    rate: RateLimit,
}

impl Refusals {
    pub fn new(engine: Arc<Engine>, listener: &'static str) -> Self {
        // A stranger that tries again and again must not fill the audit.
        let rate = Rate {
            per_second: 1.0 / 60.0,
            burst: 2.0,
            at_once: u32::MAX,
        };
        Self {
            engine,
            listener,
            rate: RateLimit::new(rate),
        }
    }

    async fn tell(&self, address: SocketAddr, error: &rustls::Error) {
        let rustls::Error::InvalidCertificate(why) = error else {
            return;
        };
        let Some(_place) = self.rate.take(address.ip(), Instant::now()) else {
            return;
        };
        tracing::warn!(%address, listener = self.listener, %why, "a client certificate was refused");
        let actor = Actor {
            name: String::new(),
            origin: address.ip().to_string(),
            role: Role::Viewer,
        };
        let subject = self.listener.to_owned();
        let problem = Problem::new(Code::Unauthenticated);
        self.engine
            .audit_refusal(actor, "certificate.show", subject, &problem)
            .await;
    }
}

/// Answers a request to its end even if whoever asked goes away meanwhile: what follows a commit must not be left undone.
pub async fn answer(router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    match tokio::spawn(router.oneshot(request)).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "answering a request");
            Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

/// Serves `router` until `stop`, then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<Tls>,
    router: Router,
    refusals: Arc<Refusals>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to come back.
                    tracing::warn!(%error, "accepting a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        let refusals = refusals.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(stream, address, tls, router, &refusals, stop).await {
                tracing::debug!(%address, %error, "a connection ended");
            }
            drop(place);
        });
    }
}

/// The certificate of an open connection, judged anew whenever what the lab trusts changes.
struct Watch {
    guard: Option<(watch::Receiver<Arc<ClientTrust>>, Arc<Guard>)>,
    chain: Vec<CertificateDer<'static>>,
}

impl Watch {
    fn judge(&self) -> Result<Issuer, rustls::Error> {
        match &self.guard {
            Some((_, guard)) => guard.judge(&self.chain, UnixTime::now()),
            None => Ok(Issuer::Lab),
        }
    }

    /// Returns when the certificate is not good any more, and why.
    async fn revoked(&mut self) -> rustls::Error {
        loop {
            let changed = match &mut self.guard {
                Some((changes, _)) => changes.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                std::future::pending::<()>().await;
            }
            if let Err(error) = self.judge() {
                return error;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Arc<Tls>,
    router: Router,
    refusals: &Refusals,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let config = tls.config().context("no TLS")?;
    let accepted = TlsAcceptor::from(config).accept(stream);
    let stream = match tokio::time::timeout(HANDSHAKE_TIME, accepted).await? {
        Ok(stream) => stream,
        Err(error) => {
            if let Some(why) = error.get_ref().and_then(|error| error.downcast_ref()) {
                refusals.tell(address, why).await;
            }
            return Err(error.into());
        }
    };
    let chain: Vec<_> = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
    let mut watch = Watch {
        guard: tls.guard.clone().map(|guard| (guard.changes(), guard)),
        chain,
    };
    // A resumed session brings its certificate along unjudged.
    let issuer = match watch.judge() {
        Ok(issuer) => issuer,
        Err(error) => {
            refusals.tell(address, &error).await;
            return Err(error.into());
        }
    };
    let certificate = watch
        .chain
        .first()
        .and_then(|leaf| PeerCertificate::parse(leaf, issuer))
        .map(Arc::new);
    let peer = Peer { address, certificate };
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        answer(router.clone(), request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIME)
        .max_buf_size(64 * 1024);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => Ok(ended?),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            Ok(tokio::time::timeout(Duration::from_secs(2), connection).await.unwrap_or(Ok(()))?)
        }
        error = watch.revoked() => {
            refusals.tell(address, &error).await;
            Err(error.into())
        }
    }
}
