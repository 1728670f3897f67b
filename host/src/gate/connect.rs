//! The other end of a gate: a local port for a program that knows nothing of it.
//!
//! It runs beside a node, as the node's user, and reads the node's key to authenticate by it; the key goes nowhere. The
//! proofs are the node's, asked for at its admin address under the gate's nonces. While the node leads, one connection to
//! the gate carries proofs; each program's connection has one of its own, so that neither holds the other up. A program
//! that connects while the gate is closed waits a while, and is then hung up on.
//!
//! Whoever reaches the local port acts as the leader: it is on loopback, or a Unix socket, unless told otherwise.

use serde_bytes::ByteBuf;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use nitro_elect_protocol::ids::{NodeId, Nonce, Term};

use super::limits::{COPY_CHUNK, DIAL_DEADLINE, LEADER_LOOK, LOCAL_MAX, MESSAGE_DEADLINE, RETRY};
use super::wire::{DEADLINES, FromGate, Purpose, ToGate, WireError, read_from_gate, send};
use crate::http::answers::Leader;
use crate::http::client::{AskError, Client};
use crate::http::token::Token;
use crate::limits::FAREWELL_DEADLINE;
use crate::proof_file::ProofFile;
use crate::transport::connect::{ConnectError, connect_tcp};
use crate::transport::endpoint::HostPort;
use crate::transport::frame::{Deadlines, FrameReader};
use crate::transport::listen::{Listener, pause_after};
use crate::transport::stream::Stream;
use crate::transport::tls::{ExpectedKey, Service, TlsClient, TlsError, TlsIdentity};

/// How long a gate may be silent between two nonces: a third of the longest lease, and patience.
const GATE_SILENCE: Duration = Duration::from_secs(60);

/// Which gate, and by what right.
#[derive(Clone, Debug)]
pub struct ConnectConfig {
    /// The gate.
    pub gate: HostPort,
    /// Its key; any, if that is not known.
    pub gate_key: ExpectedKey,
    /// The node's key.
    pub identity: TlsIdentity,
    /// The node's admin address, and its token if it wants one.
    pub admin: (SocketAddr, Option<Token>),
    /// How long a program's connection waits for the gate to open.
    pub wait: Duration,
}

/// Why the gate was not passed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// No connection to it.
    #[error("the gate: {0}")]
    Dial(#[from] ConnectError),
    /// It is somebody else.
    #[error(
        "what answers at {gate} is not the gate: it shows the key {shown}, and --gate-key says {expected}"
    )]
    WrongGate {
        /// Where it was looked for.
        gate: HostPort,
        /// Whose key it shows.
        shown: NodeId,
        /// The gate's.
        expected: NodeId,
    },
    /// It speaks something else.
    #[error("what answers at {gate} is no gate: {error}")]
    NoGate {
        /// Where it was looked for.
        gate: HostPort,
        /// What went wrong.
        error: TlsError,
    },
    /// It stopped speaking.
    #[error("the gate: {0}")]
    Wire(#[from] WireError),
    /// The node does not answer.
    #[error("the node: {0}")]
    Node(#[from] AskError),
    /// It is closed.
    #[error("the gate is closed: {0}")]
    Closed(String),
    /// It never opened.
    #[error("the gate did not open within {0:?}: {1}")]
    Late(Duration, String),
}

/// Whether the gate is open for this node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Admission {
    Open(Term),
    /// The node does not lead: there is nothing to ask for.
    Follows,
    Closed(String),
}

/// Serves a local port until dropped.
pub async fn serve(config: ConnectConfig, local: Listener) {
    let config = Arc::new(config);
    let (tell, admission) = watch::channel(Admission::Closed("the node was not asked yet".into()));
    let places = Arc::new(Semaphore::new(LOCAL_MAX));
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_proving(config.clone(), tell));
    loop {
        while tasks.try_join_next().is_some() {}
        match local.accept().await {
            Ok((stream, _)) => {
                let Ok(place) = places.clone().try_acquire_owned() else {
                    tracing::warn!("{LOCAL_MAX} programs are connected: one more was hung up on");
                    continue;
                };
                let (config, admission) = (config.clone(), admission.clone());
                tasks.spawn(async move {
                    if let Err(error) = carry(&config, admission, stream).await {
                        tracing::warn!("a program was hung up on: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                if let Some(pause) = pause_after(&error) {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// Proves to the gate that this node leads, whenever it does.
async fn keep_proving(config: Arc<ConnectConfig>, tell: watch::Sender<Admission>) {
    let mut node = Node::of(&config);
    loop {
        let proven = match node.leads().await {
            Ok(false) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(true) => prove(&config, &mut node, &tell).await,
        };
        let (now, pause) = match proven {
            Ok(()) => (Admission::Follows, LEADER_LOOK),
            Err(ConnectFailure::Closed(why)) => (Admission::Closed(why), RETRY),
            Err(error) => (Admission::Closed(error.to_string()), RETRY),
        };
        told(&tell, now);
        tokio::time::sleep(pause).await;
    }
}

/// Tells of a change, and logs it.
fn told(tell: &watch::Sender<Admission>, now: Admission) {
    tell.send_if_modified(|before| {
        let changed = *before != now;
        match (&*before, &now) {
            (Admission::Open(term), Admission::Open(next)) if term == next => {}
            (_, Admission::Open(term)) => tracing::info!("the gate is open for this node in term {term}"),
            (_, Admission::Follows) if changed => tracing::info!("closed: this node does not lead"),
            (_, Admission::Closed(why)) if changed => tracing::warn!("closed: {why}"),
            (_, Admission::Follows | Admission::Closed(_)) => {}
        }
        *before = now;
        changed
    });
}

/// Answers the gate's nonces for as long as the node leads.
async fn prove(
    config: &ConnectConfig,
    node: &mut Node,
    tell: &watch::Sender<Admission>,
) -> Result<(), ConnectFailure> {
    let mut gate = dial(config, Purpose::Prove).await?;
    let patience = Deadlines { idle: GATE_SILENCE, frame: MESSAGE_DEADLINE };
    let mut refused = None;
    loop {
        let said = read_from_gate(&mut FrameReader::new(&mut gate), patience).await;
        // A gate that hangs up after its reason has said why.
        let said = said.map_err(|error| refused.take().map_or(error.into(), ConnectFailure::Closed))?;
        match said {
            FromGate::Nonce(nonce) => {
                refused = None;
                if !answer(&mut gate, node, nonce).await? && !node.leads().await? {
                    return Ok(());
                }
            }
            FromGate::Open { term, .. } => told(tell, Admission::Open(term)),
            FromGate::Closed { why } => {
                told(tell, Admission::Closed(why.clone()));
                refused = Some(why);
            }
        }
    }
}

/// Answers a nonce, with a proof if there is one; whether there was. A node that does not lead is not asked for one: while
/// nobody leads it would wait for whoever is next, and the program with it.
async fn answer(
    gate: &mut TlsStream<TcpStream>,
    node: &mut Node,
    nonce: Nonce,
) -> Result<bool, ConnectFailure> {
    let proof = if node.leads().await? { node.proof(nonce).await? } else { None };
    let (shown, message) = match proof {
        Some(text) => (true, ToGate::Proof(ByteBuf::from(text))),
        None => (false, ToGate::NoProof),
    };
    send(gate, &message).await?;
    Ok(shown)
}

async fn dial(config: &ConnectConfig, purpose: Purpose) -> Result<TlsStream<TcpStream>, ConnectFailure> {
    let (stream, _) = connect_tcp(&config.gate, DIAL_DEADLINE).await?;
    let client = TlsClient::new(Service::Gate, config.identity.clone());
    let shaken = client.connect(stream, config.gate_key, DIAL_DEADLINE).await;
    let (mut stream, key) = shaken.map_err(|error| {
        let gate = config.gate.clone();
        match error {
            TlsError::WrongKey { expected, shown } => ConnectFailure::WrongGate { gate, shown, expected },
            error => ConnectFailure::NoGate { gate, error },
        }
    })?;
    tracing::debug!(gate = %key, ?purpose, "connected");
    send(&mut stream, &ToGate::Hello(purpose)).await?;
    Ok(stream)
}

/// Carries a program's connection through the gate, once that is open.
async fn carry(
    config: &ConnectConfig,
    mut admission: watch::Receiver<Admission>,
    mut program: Stream,
) -> Result<(), ConnectFailure> {
    let last = Instant::now() + config.wait;
    let mut gate = loop {
        // When time is up it is tried all the same: a gate in HTTP mode answers requests with its reason.
        let _in_time = timeout_at(last, opened(&mut admission)).await;
        match pass(config).await {
            Ok(gate) => break gate,
            Err(error) if Instant::now() + RETRY < last => {
                tracing::debug!("not yet through the gate: {error}");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(ConnectFailure::Late(config.wait, error.to_string())),
        }
    };
    if let Err(error) = copy_bidirectional_with_sizes(&mut program, &mut gate, COPY_CHUNK, COPY_CHUNK).await {
        tracing::debug!("a connection broke: {error}");
    }
    let _may_be_gone = tokio::time::timeout(FAREWELL_DEADLINE, gate.shutdown()).await;
    Ok(())
}

/// Waits until the gate is open for this node.
async fn opened(admission: &mut watch::Receiver<Admission>) {
    // Without a sender the port is closing, and its connections with it.
    let _open = admission.wait_for(|admission| matches!(admission, Admission::Open(_))).await;
}

/// One connection that the gate has opened.
async fn pass(config: &ConnectConfig) -> Result<TlsStream<TcpStream>, ConnectFailure> {
    let mut gate = dial(config, Purpose::Data).await?;
    loop {
        match read_from_gate(&mut FrameReader::new(&mut gate), DEADLINES).await? {
            FromGate::Nonce(nonce) => {
                answer(&mut gate, &mut Node::of(config), nonce).await?;
            }
            FromGate::Open { .. } => return Ok(gate),
            FromGate::Closed { why } => return Err(ConnectFailure::Closed(why)),
        }
    }
}

/// The node, as its admin address answers.
struct Node {
    client: Client,
    me: NodeId,
}

impl Node {
    fn of(config: &ConnectConfig) -> Self {
        let (address, token) = config.admin.clone();
        Node { client: Client::new(address, MESSAGE_DEADLINE).with_token(token), me: config.identity.id() }
    }

    /// Whether the node of this key leads, as far as it knows.
    async fn leads(&mut self) -> Result<bool, AskError> {
        let leader: Leader = self.client.get_json("/v1/leader").await?;
        Ok(leader.leader.is_some_and(|leader| leader.key == self.me.to_string()))
    }

    /// The text of the proof that answers a nonce, if this node leads.
    async fn proof(&mut self, nonce: Nonce) -> Result<Option<Vec<u8>>, AskError> {
        let answer = self.client.get(&format!("/v1/proof?nonce={nonce}")).await?;
        let is_own = answer.code.as_u16() == 200 && leader_of(&answer.body) == Some(self.me);
        Ok(is_own.then(|| answer.body.to_vec()))
    }
}

/// Whom a proof names, unchecked: the gate judges it, and need not see those of others.
fn leader_of(text: &[u8]) -> Option<NodeId> {
    let proof = ProofFile::parse(std::str::from_utf8(text).ok()?).ok()?;
    Some(proof.bundle.certificate.peek().ok()?.leader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tls::TlsServer;
    use tokio::net::TcpListener;

    const LATE: Duration = Duration::from_secs(30);

    /// A gate that says this to whoever comes, and hangs up.
    async fn hanging_up(reason: &'static str, expected: impl Fn(NodeId) -> ExpectedKey) -> ConnectConfig {
        let (listener, gate) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TlsIdentity::throw_away());
        let (address, gate_key) = (listener.local_addr().unwrap(), expected(gate.id()));
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut stream, _, _) = TlsServer::of_gate(&gate).accept(stream, LATE).await.ok()?;
            send(&mut stream, &FromGate::closed(&reason)).await.ok()?;
            stream.shutdown().await.ok()
        });
        let (identity, admin) = (TlsIdentity::throw_away(), (address, None));
        ConnectConfig { gate: address.into(), gate_key, identity, admin, wait: LATE }
    }

    async fn proven(config: &ConnectConfig) -> ConnectFailure {
        let (tell, _told) = watch::channel(Admission::Follows);
        prove(config, &mut Node::of(config), &tell).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_gate_that_hangs_up_after_its_reason_has_said_why() {
        let config = hanging_up("no voter", ExpectedKey::Exactly).await;
        let failed = proven(&config).await;
        assert!(matches!(&failed, ConnectFailure::Closed(why) if why == "no voter"), "{failed}");
    }

    #[tokio::test]
    async fn somebody_else_at_the_gates_address_is_named_with_the_flag_that_says_who_it_should_be() {
        let other = NodeId([9; 32]);
        let config = hanging_up("", |_| ExpectedKey::Exactly(other)).await;
        let failed = proven(&config).await.to_string();
        assert!(failed.contains(&format!("--gate-key says {other}")), "{failed}");
        assert!(failed.contains(&config.gate.to_string()), "{failed}");
    }
}
