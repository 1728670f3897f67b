//! A gate in this process, and presenters of whatever proofs a test signs for them: no nodes, no waiting for elections.

use nitro_elect::clock;
use nitro_elect::gate::wire::{DEADLINES, FromGate, Purpose, ToGate, read_from_gate, send};
use nitro_elect::gate::{Gate, GateConfig, GateError};
use nitro_elect::proof_file::ProofFile;
use nitro_elect::transport::frame::FrameReader;
use nitro_elect::transport::tls::{ExpectedKey, Service, TlsClient, TlsIdentity};
use nitro_elect::verify::{Accept, Authority};
use nitro_elect_protocol::certificate::Certificate;
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::ids::{Nonce, Term};
use serde_bytes::ByteBuf;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::resource::Resource;
use crate::world::{World, shared};

pub const LATE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(5);

/// A gate before a resource, as a test wants it.
pub fn config(state: &Path, resource: &Resource) -> GateConfig {
    GateConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        upstream: resource.address.to_string().parse().unwrap(),
        authorities: vec![Authority::Manifest(Box::new(shared().electorate.clone()))],
        accept: Accept { simulated: true, ..Accept::default() },
        state: state.to_path_buf(),
        nodes: Vec::new(),
        token: None,
        drain: Duration::from_secs(30),
        fence_command: None,
        is_http: false,
    }
}

/// A gate, its resource and its state.
pub struct Scene {
    pub home: tempfile::TempDir,
    pub resource: Resource,
    pub gate: Gate,
}

impl Scene {
    pub async fn set() -> Self {
        Scene::with(|_| {}).await
    }

    /// With something changed in the configuration.
    pub async fn with(change: impl FnOnce(&mut GateConfig)) -> Self {
        let (home, resource) = (tempfile::tempdir().unwrap(), Resource::start());
        let mut config = config(&home.path().join("gate"), &resource);
        change(&mut config);
        let gate = Gate::start(config).await.unwrap();
        Scene { home, resource, gate }
    }

    /// Ends the gate at once, as a kill does, and starts the next one on the same state.
    pub async fn replaced(self, change: impl FnOnce(&mut GateConfig)) -> Self {
        let Scene { home, resource, gate } = self;
        drop(gate);
        let mut config = config(&home.path().join("gate"), &resource);
        change(&mut config);
        let last = Instant::now() + LATE;
        let gate = loop {
            match Gate::start(config.clone()).await {
                Ok(gate) => break gate,
                Err(GateError::State(error)) => assert!(Instant::now() < last, "{error}"),
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(LOOK).await;
        };
        Scene { home, resource, gate }
    }

    /// The first voter as leader of a term.
    pub fn leader(&self, voter: usize, term: u64) -> Presenter {
        let (gate, key) = (self.gate.address().to_string(), self.gate.key());
        Presenter { world: shared(), gate, expected: ExpectedKey::Exactly(key), voter, shown: voter, term }
    }

    /// Why the gate is closed.
    pub fn why(&self) -> String {
        self.gate.situation().closed.map(|(_, why)| why).unwrap_or_default()
    }
}

/// Waits until it is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let last = Instant::now() + LATE;
    while !is_so() {
        assert!(Instant::now() < last, "{what} comes in time");
        tokio::time::sleep(LOOK).await;
    }
}

/// Somebody with a voter's key, and proofs of a term.
#[derive(Clone)]
pub struct Presenter {
    /// Whose voters and enclave these are.
    pub world: &'static World,
    pub gate: String,
    pub expected: ExpectedKey,
    /// Whose key it holds.
    pub voter: usize,
    /// Whom its proofs name as leader.
    pub shown: usize,
    pub term: u64,
}

pub type Connection = TlsStream<TcpStream>;

impl Presenter {
    /// A proof of the present day, under this nonce.
    pub fn proof(&self, nonce: Nonce) -> ProofFile {
        let world = self.world;
        let leader = world.voters[self.shown].id();
        let certificate = Certificate { term: Term(self.term), leader, ..world.certificate() };
        let quorum = if world.electorate.is_open() { world.voters.len() } else { 3 };
        let mut proof = world.lease_proof_of(&certificate, quorum, vec![nonce]);
        proof.bundle.document = world.proof_made(clock::wall(), 0).bundle.document;
        proof
    }

    fn key(&self) -> &'static NodeKey {
        &self.world.voters[self.voter]
    }

    /// A connection that has said what it is for.
    pub async fn hello(&self, purpose: Purpose) -> Connection {
        let identity = TlsIdentity::of(self.key());
        let mut stream = self.dial(identity).await;
        send(&mut stream, &ToGate::Hello(purpose)).await.unwrap();
        stream
    }

    pub async fn dial(&self, identity: TlsIdentity) -> Connection {
        let stream = TcpStream::connect(&self.gate).await.unwrap();
        let client = TlsClient::new(Service::Gate, identity);
        client.connect(stream, self.expected, LATE).await.unwrap().0
    }

    /// Answers one nonce with a proof; what the gate says.
    pub async fn answer(&self, stream: &mut Connection, proof: impl FnOnce(Nonce) -> ProofFile) -> FromGate {
        let FromGate::Nonce(nonce) = said(stream).await else { panic!("a nonce comes first") };
        let text = proof(nonce).to_text().into_bytes();
        send(stream, &ToGate::Proof(ByteBuf::from(text))).await.unwrap();
        said(stream).await
    }

    /// One connection to the resource, as far as the gate lets it.
    pub async fn data(&self) -> Result<Connection, String> {
        let mut stream = self.hello(Purpose::Data).await;
        let mut answer = said(&mut stream).await;
        if let FromGate::Nonce(nonce) = answer {
            let text = self.proof(nonce).to_text().into_bytes();
            send(&mut stream, &ToGate::Proof(ByteBuf::from(text))).await.unwrap();
            answer = said(&mut stream).await;
        }
        match answer {
            FromGate::Open { .. } => Ok(stream),
            FromGate::Closed { why } => Err(why),
            FromGate::Nonce(_) => Err("a second nonce".into()),
        }
    }

    /// Keeps proving until dropped, and says what the gate answered last.
    pub fn keep_proving(&self) -> Proving {
        let (tell, last) = tokio::sync::watch::channel(None);
        let presenter = self.clone();
        let task = tokio::spawn(async move {
            let mut stream = presenter.hello(Purpose::Prove).await;
            loop {
                let answer = presenter.answer(&mut stream, |nonce| presenter.proof(nonce)).await;
                tell.send_replace(Some(answer));
            }
        });
        Proving { task, last }
    }
}

/// A presenter that goes on proving. It stops when dropped.
pub struct Proving {
    task: tokio::task::JoinHandle<()>,
    last: tokio::sync::watch::Receiver<Option<FromGate>>,
}

impl Drop for Proving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proving {
    /// Waits until the gate has opened for it.
    pub async fn opened(&mut self) {
        let is_open = |answer: &Option<FromGate>| matches!(answer, Some(FromGate::Open { .. }));
        tokio::time::timeout(LATE, self.last.wait_for(is_open))
            .await
            .expect("the gate opens in time")
            .unwrap();
    }

    /// Waits until it was told that the gate is closed, for this reason.
    pub async fn refused(&mut self, reason: &str) {
        let is_it = |answer: &Option<FromGate>| match answer {
            Some(FromGate::Closed { why }) => why.contains(reason),
            _ => false,
        };
        let told = tokio::time::timeout(LATE, self.last.wait_for(is_it)).await.is_ok();
        assert!(told, "{reason}: {:?}", self.last.borrow());
    }
}

pub async fn said(stream: &mut Connection) -> FromGate {
    read_from_gate(&mut FrameReader::new(stream), DEADLINES).await.unwrap()
}

/// Writes a line and reads the resource's answer.
pub async fn line(stream: &mut Connection, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{text}\n").as_bytes()).await?;
    stream.flush().await?;
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"ok\n");
    Ok(())
}
