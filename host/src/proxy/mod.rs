//! The proxy before an enclave: frames in from nodes, frames out over vsock, and back.
//!
//! It is trusted with nothing. Views are sealed to the enclave, certificates are signed by it; the proxy reads just
//! enough of a request to protect the enclave from strangers, and holds no secret that outlives it: towards
//! `tls://` clients it shows a throw-away key.
//!
//! With manifests it admits their voters' keys alone and forwards `Elect` and `Latest` for their electorates alone,
//! so that one Byzantine voter cannot fill a fresh enclave with electorates of its own. Each key has connections,
//! memory and turns at the enclave of its own ([`turns`]), so that no key can crowd out another. Without a manifest
//! it serves whoever reaches it, which is why it then listens on loopback unless told otherwise.
//!
//! What the enclave does not get is answered here: garbage, unknown versions, foreign electorates, too much at once,
//! and, from a cache that lives as long as one connection to the enclave, `Attest` without a nonce. When the
//! enclave is away, clients are told at once. One thing is never answered here: an election whose answer got lost.
//! The enclave may have certified it, so the client's connection ends instead, and the client asks for the latest.

pub mod args;
pub mod counts;
pub mod served;
pub mod turns;

mod accept;
mod admin;
mod limits;
mod metrics;
mod session;
mod shared;
#[cfg(test)]
mod tests;
mod upstream;

pub use args::ProxyArgs;
pub use counts::Counters;
pub use served::{AdmittedElectorate, Client};
pub use upstream::EnclaveState;

use crate::http::guard::Hosts;
use crate::limits::{ENCLAVE_ANSWER_DEADLINE, FRAME_DEADLINE, HANDSHAKE_DEADLINE, PROCESS_DESCRIPTORS};
use crate::transport::endpoint::Endpoint;
use crate::transport::listen::{BindError, Exposure, Listener};
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What a proxy is started with.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Where nodes connect.
    pub listen: Endpoint,
    /// Where the enclave is: anything but `tls://`.
    pub enclave: Endpoint,
    /// Whom to serve; empty for whoever reaches it. Several while a manifest is being replaced.
    pub electorates: Vec<AdmittedElectorate>,
    /// Whether a plain port may be reachable from other machines.
    pub exposure: Exposure,
    /// How much of everything.
    pub bounds: ProxyBounds,
}

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// `tls://` without anybody to admit.
    #[error("{listen} admits the keys of a manifest, and none was given: add --manifest FILE")]
    NobodyToAdmit {
        /// Where it was to listen.
        listen: Endpoint,
    },
    /// An enclave behind another proxy.
    #[error("{enclave} is a proxy itself, which admits no proxies: name the enclave's own endpoint")]
    BehindAProxy {
        /// Where the enclave was to be.
        enclave: Endpoint,
    },
    /// The address cannot be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Every bound of the proxy; [`ProxyBounds::default`] is right for production, tests make them small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyBounds {
    /// Connections that wait for somebody nobody vouches for: to authenticate, or for a plain client's request.
    pub strangers: usize,
    /// The same from one IP address or virtual machine.
    pub strangers_per_origin: usize,
    /// Connections of one admitted key.
    pub connections_per_key: usize,
    /// From an accepted connection to an authenticated one.
    pub handshake_deadline: Duration,
    /// How long an admitted client may pause between requests.
    pub idle: Duration,
    /// How long a plain client may.
    pub plain_idle: Duration,
    /// From a frame's first byte to its last.
    pub frame_deadline: Duration,
    /// Requests at the enclave at once.
    pub turns: usize,
    /// Requests for an attestation document at the enclave at once, besides those.
    pub document_turns: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
    /// How long a request waits for its turn.
    pub turn_deadline: Duration,
    /// How long the enclave may take to answer.
    pub answer_deadline: Duration,
    /// How often the enclave is asked how it does.
    pub health_interval: Duration,
    /// How long that answer may take.
    pub health_deadline: Duration,
    /// How often its attestation document is fetched anew.
    pub document_interval: Duration,
    /// The wait before an enclave that went away is tried again.
    pub retry: Duration,
}

impl ProxyConfig {
    /// The most descriptors that it can come to need: clients, the enclave, and the process itself.
    pub fn descriptors_max(&self) -> usize {
        let upstream = self.bounds.turns + self.bounds.document_turns + 1;
        shared::connections_max(self) + upstream + PROCESS_DESCRIPTORS
    }
}

impl Default for ProxyBounds {
    fn default() -> Self {
        ProxyBounds {
            strangers: limits::STRANGERS_MAX,
            strangers_per_origin: limits::STRANGERS_PER_ORIGIN_MAX,
            connections_per_key: limits::CONNECTIONS_PER_KEY,
            handshake_deadline: HANDSHAKE_DEADLINE,
            idle: limits::IDLE,
            plain_idle: limits::PLAIN_IDLE,
            frame_deadline: FRAME_DEADLINE,
            turns: limits::TURNS,
            document_turns: limits::DOCUMENT_TURNS,
            waiting: limits::WAITING_MAX,
            turn_deadline: limits::TURN_DEADLINE,
            answer_deadline: ENCLAVE_ANSWER_DEADLINE,
            health_interval: limits::HEALTH_INTERVAL,
            health_deadline: limits::HEALTH_DEADLINE,
            document_interval: limits::DOCUMENT_INTERVAL,
            retry: limits::RETRY,
        }
    }
}

/// A running proxy. Dropping it ends it and every connection; a question that is at the enclave has its turn until
/// it is answered.
pub struct Proxy {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    accepting: JoinSet<()>,
    _watching: JoinSet<()>,
}

impl Proxy {
    /// Listens and serves from now on.
    pub async fn start(config: ProxyConfig) -> Result<Proxy, ProxyError> {
        if matches!(config.listen, Endpoint::Tls(_)) && config.electorates.is_empty() {
            return Err(ProxyError::NobodyToAdmit { listen: config.listen });
        }
        if matches!(config.enclave, Endpoint::Tls(_)) {
            return Err(ProxyError::BehindAProxy { enclave: config.enclave });
        }
        let listener = Listener::bind(&config.listen, config.exposure).await?;
        let endpoint = listener.endpoint().clone();
        let shared = Arc::new(Shared::new(&config));
        let (mut accepting, mut watching) = (JoinSet::new(), JoinSet::new());
        watching.spawn(upstream::watch_over(shared.clone()));
        accepting.spawn(accept::accept(shared.clone(), listener));
        Ok(Proxy { shared, endpoint, accepting, _watching: watching })
    }

    /// Where it listens, with the port the system chose.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How the enclave does.
    pub fn enclave(&self) -> EnclaveState {
        self.shared.upstream.state()
    }

    /// Waits until the enclave's state is another than this one; returns the new one.
    pub async fn enclave_changed(&self, from: &EnclaveState) -> EnclaveState {
        self.shared.upstream.changed(from).await
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What it answers at its admin address: `/healthz`, `/readyz`, `/metrics`.
    pub fn routes(&self, hosts: Hosts) -> axum::Router {
        admin::routes(self.shared.clone(), hosts)
    }

    /// Takes in nobody and no further request, and returns when those taken in have their answers; no later than the
    /// longest that an answer may take.
    pub async fn shutdown(mut self) {
        self.shared.closing.send_replace(true);
        let bounds = &self.shared.bounds;
        let longest = bounds.turn_deadline + bounds.answer_deadline + bounds.frame_deadline;
        let answered = async { while self.accepting.join_next().await.is_some() {} };
        if tokio::time::timeout(longest, answered).await.is_err() {
            tracing::warn!("stopped with requests that were not answered within {longest:?}");
        }
    }
}
