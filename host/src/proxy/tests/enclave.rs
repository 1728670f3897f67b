//! An enclave that says what the test wants.

use crate::transport::endpoint::Endpoint;
use crate::transport::frame::{Deadlines, FrameReader, write_frame};
use crate::transport::listen::{Exposure, Listener};
use crate::transport::stream::Stream;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Health, Request, Response};
use nitro_elect_protocol::ids::EnclaveId;
use nitro_elect_protocol::limits::MESSAGE_MAX;
use nitro_elect_protocol::peer::{open_envelope, seal_envelope};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const LATE: Duration = Duration::from_secs(30);
/// Permits that no test uses up.
const OPEN: usize = Semaphore::MAX_PERMITS;

/// What happened at the enclave, and what holds its answers back.
pub struct Script {
    /// Requests other than `Health`, in the order of their arrival.
    pub asked: Mutex<Vec<Request>>,
    /// One permit is used up by each answer to an election.
    pub elections: Semaphore,
    /// One permit is used up by each document over a nonce.
    documents: Semaphore,
    /// Which boot this is: in its id and its document.
    boot: u8,
}

/// A running enclave; it ends when dropped, with all its connections.
pub struct Enclave {
    pub script: Arc<Script>,
    directory: Arc<tempfile::TempDir>,
    _tasks: JoinSet<()>,
}

impl Enclave {
    /// The first boot, which answers everything.
    pub async fn start() -> Self {
        Self::boot(Arc::new(tempfile::tempdir().unwrap()), 1, OPEN, OPEN).await
    }

    /// The first boot; elections wait for permits.
    pub async fn holding_elections() -> Self {
        Self::boot(Arc::new(tempfile::tempdir().unwrap()), 1, 0, OPEN).await
    }

    /// The first boot; documents over a nonce never come.
    pub async fn holding_documents() -> Self {
        Self::boot(Arc::new(tempfile::tempdir().unwrap()), 1, OPEN, 0).await
    }

    async fn boot(directory: Arc<tempfile::TempDir>, boot: u8, elections: usize, documents: usize) -> Self {
        let (elections, documents) = (Semaphore::new(elections), Semaphore::new(documents));
        let script = Arc::new(Script { asked: Mutex::default(), elections, documents, boot });
        let endpoint = endpoint_in(&directory);
        let listener = Listener::bind(&endpoint, Exposure::LoopbackOnly).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, script.clone()));
        Enclave { script, directory, _tasks: tasks }
    }

    pub fn endpoint(&self) -> Endpoint {
        endpoint_in(&self.directory)
    }

    /// Ends; what is returned can start the next boot at the same place.
    pub async fn stop(mut self) -> Stopped {
        self._tasks.shutdown().await;
        Stopped { directory: self.directory, boot: self.script.boot }
    }

    /// What was asked, `Health` apart.
    pub fn asked(&self) -> Vec<Request> {
        self.script.asked.lock().unwrap().clone()
    }

    pub fn document(&self) -> Response {
        Response::Attestation { document: vec![self.script.boot; 100] }
    }
}

/// Where an enclave was.
pub struct Stopped {
    directory: Arc<tempfile::TempDir>,
    boot: u8,
}

impl Stopped {
    pub fn endpoint(&self) -> Endpoint {
        endpoint_in(&self.directory)
    }

    /// The next boot, with other keys.
    pub async fn start(self) -> Enclave {
        Enclave::boot(self.directory, self.boot + 1, OPEN, OPEN).await
    }
}

fn endpoint_in(directory: &tempfile::TempDir) -> Endpoint {
    Endpoint::Unix(directory.path().join("enclave.sock"))
}

async fn serve(listener: Listener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(converse(stream, script.clone()));
    }
}

async fn converse(stream: Stream, script: Arc<Script>) {
    let mut reader = FrameReader::new(stream);
    let deadlines = Deadlines { idle: LATE, frame: LATE };
    while let Ok(frame) = reader.read(MESSAGE_MAX, deadlines).await {
        let answer = answer(&script, open_envelope(&frame).unwrap()).await;
        if write_frame(reader.stream_mut(), &seal_envelope(&answer), MESSAGE_MAX, LATE).await.is_err() {
            return;
        }
    }
}

async fn answer(script: &Script, request: Request) -> Response {
    let boot = script.boot;
    if request != Request::Health {
        script.asked.lock().unwrap().push(request.clone());
    }
    match request {
        Request::Health => {
            Response::Health(Health { enclave: EnclaveId([boot; 32]), service_version: "test".into() })
        }
        Request::Attest { nonce: None } => Response::Attestation { document: vec![boot; 100] },
        Request::Attest { nonce: Some(nonce) } => {
            script.documents.acquire().await.unwrap().forget();
            Response::Attestation { document: nonce.into_vec() }
        }
        Request::Latest { .. } => Response::Refused(EnclaveRefusal::NothingCertified),
        Request::Elect(_) => {
            script.elections.acquire().await.unwrap().forget();
            Response::Refused(EnclaveRefusal::NoCandidate { evidence: vec![] })
        }
    }
}
