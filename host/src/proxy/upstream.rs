//! The enclave behind the proxy: how it does, its document at hand, and the connections for requests.
//!
//! One connection watches. It asks for `Health` and, now and then, for the attestation document. What was learnt on
//! it holds as long as it lives: when it ends, the enclave may have restarted under new keys, so the document is
//! forgotten at once and clients are told that the enclave is away until the next connection has its health.

use super::shared::Shared;
use super::{ProxyBounds, ProxyConfig};
use crate::enclave_client::{EnclaveCallError, EnclaveClient, EnclaveConnection};
use crate::transport::endpoint::Endpoint;
use nitro_elect_protocol::enclave_api::{Health, Request, Response};
use nitro_elect_protocol::peer::{open_envelope, seal_envelope};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How the enclave does, as the proxy sees it. Nothing here is proven to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnclaveState {
    /// Not known yet.
    Unknown,
    /// It answers.
    Up(Health),
    /// It does not.
    Down {
        /// Why.
        why: String,
    },
}

/// Whether a request may reach the enclave twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It changes nothing.
    Harmless,
    /// It may certify a term: what became of the first one must be found out otherwise.
    Never,
}

#[derive(Debug, Clone)]
struct Seen {
    state: EnclaveState,
    /// The answer to `Attest` without a nonce, as a frame.
    document: Option<Arc<[u8]>>,
}

/// See the module.
pub struct Upstream {
    endpoint: Endpoint,
    client: EnclaveClient,
    seen: watch::Sender<Seen>,
}

impl Upstream {
    pub fn new(config: &ProxyConfig) -> Self {
        let connections = config.bounds.turns + config.bounds.document_turns;
        let client = EnclaveClient::with_connections(config.enclave.clone(), None, connections);
        let seen = watch::Sender::new(Seen { state: EnclaveState::Unknown, document: None });
        Upstream { endpoint: config.enclave.clone(), client, seen }
    }

    pub fn state(&self) -> EnclaveState {
        self.seen.borrow().state.clone()
    }

    pub async fn changed(&self, from: &EnclaveState) -> EnclaveState {
        let mut seen = self.seen.subscribe();
        let found = seen.wait_for(|seen| seen.state != *from).await;
        found.map(|seen| seen.state.clone()).unwrap_or(EnclaveState::Unknown)
    }

    /// Whether the enclave is known to be away.
    pub fn is_down(&self) -> bool {
        matches!(self.seen.borrow().state, EnclaveState::Down { .. })
    }

    /// The answer to `Attest` without a nonce, if it is at hand.
    pub fn document(&self) -> Option<Arc<[u8]>> {
        self.seen.borrow().document.clone()
    }

    /// Asks the enclave itself. An enclave that restarted between two requests may take one of them to its grave: a
    /// harmless one is asked again.
    pub async fn call(
        &self,
        request: &[u8],
        again: Again,
        deadline: Duration,
    ) -> Result<Vec<u8>, EnclaveCallError> {
        let ends = Instant::now() + deadline;
        let first = self.client.call(request, deadline).await;
        match &first {
            Err(error) if error.may_have_run() && again == Again::Harmless && Instant::now() < ends => {
                self.client.call(request, ends.saturating_duration_since(Instant::now())).await
            }
            _ => first,
        }
    }

    /// Watches over one connection until it ends; returns why.
    async fn attend(&self, bounds: &ProxyBounds) -> EnclaveCallError {
        let opened = EnclaveConnection::open(&self.endpoint, None, bounds.answer_deadline).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) => return error.into(),
        };
        let mut document: Option<(Instant, Arc<[u8]>)> = None;
        loop {
            let is_due = |(fetched, _): &(Instant, _)| fetched.elapsed() >= bounds.document_interval;
            let checked = async {
                let health = self.health(&mut connection, bounds).await?;
                if document.as_ref().is_none_or(is_due) {
                    document =
                        self.fetch(&mut connection, bounds).await?.map(|frame| (Instant::now(), frame));
                }
                Ok(health)
            };
            match checked.await {
                Ok(health) => self.see(health, document.as_ref().map(|(_, frame)| frame.clone())),
                Err(error) => return error,
            }
            tokio::select! {
                () = connection.disturbed() => (), // most likely it ended: asking will tell
                () = tokio::time::sleep(bounds.health_interval) => (),
            }
        }
    }

    async fn health(
        &self,
        connection: &mut EnclaveConnection,
        bounds: &ProxyBounds,
    ) -> Result<Option<Health>, EnclaveCallError> {
        let answer = self.ask(connection, &Request::Health, bounds.health_deadline).await?;
        Ok(match self.read(&answer)? {
            Response::Health(health) => Some(health),
            _ => None,
        })
    }

    /// The answer to `Attest`, if it is a document.
    async fn fetch(
        &self,
        connection: &mut EnclaveConnection,
        bounds: &ProxyBounds,
    ) -> Result<Option<Arc<[u8]>>, EnclaveCallError> {
        let request = Request::Attest { nonce: None };
        let answer = self.ask(connection, &request, bounds.answer_deadline).await?;
        let is_document = matches!(self.read(&answer)?, Response::Attestation { .. });
        Ok(is_document.then(|| answer.into()))
    }

    async fn ask(
        &self,
        connection: &mut EnclaveConnection,
        request: &impl Serialize,
        deadline: Duration,
    ) -> Result<Vec<u8>, EnclaveCallError> {
        let lost = |cause| EnclaveCallError::NoAnswer { endpoint: self.endpoint.clone(), cause };
        connection.send(&seal_envelope(request), deadline).await.map_err(lost)?;
        connection.receive(deadline).await.map_err(lost)
    }

    fn read(&self, answer: &[u8]) -> Result<Response, EnclaveCallError> {
        let unreadable = |cause| EnclaveCallError::Unreadable { endpoint: self.endpoint.clone(), cause };
        open_envelope(answer).map_err(unreadable)
    }

    /// Takes note of an enclave that answers; one too busy to say how it does keeps the state it had.
    fn see(&self, health: Option<Health>, document: Option<Arc<[u8]>>) {
        if let Some(health) = health.as_ref().filter(|_| !matches!(self.state(), EnclaveState::Up(_))) {
            tracing::info!(enclave = %health.enclave, version = health.service_version, "the enclave answers");
        }
        self.seen.send_modify(|seen| {
            if let Some(health) = health {
                seen.state = EnclaveState::Up(health);
            }
            seen.document = document;
        });
    }

    /// Takes note that the enclave is away; returns whether that is new.
    fn lose(&self, why: String) -> bool {
        let was_down = self.is_down();
        self.seen.send_replace(Seen { state: EnclaveState::Down { why }, document: None });
        !was_down
    }
}

/// Watches over the enclave for ever.
pub async fn watch_over(shared: Arc<Shared>) {
    let bounds = &shared.bounds;
    loop {
        let began = Instant::now();
        let error = shared.upstream.attend(bounds).await;
        if shared.upstream.lose(error.to_string()) {
            shared.counters.enclave_lost.up();
            tracing::warn!(%error, "the enclave is away: it is tried again every {:?}", bounds.retry);
        }
        tokio::time::sleep(bounds.retry.saturating_sub(began.elapsed())).await;
    }
}
