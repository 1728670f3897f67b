//! The listener: frames in, frames out, bounds and deadlines on everything, no rule of the election.
//!
//! A connection carries one request at a time. Every whole frame gets an answer, garbage and unknown versions
//! included. Work runs on blocking threads, so that no computation holds up the reactor, in three queues of their
//! own: reading requests (which bounds the memory that decoding takes), elections, and attestation. So neither of
//! the last two can starve the other; `Latest` and `Health` take no turn.
//!
//! Beyond [`ENCLAVE_CONNECTIONS_MAX`] connections, [`ENCLAVE_IN_FLIGHT_MAX`] bytes of large requests or the places of
//! a queue, the answer is `Busy`. Nothing is ever printed: the console belongs to the host.

mod accept;
mod frame;
mod queue;

pub use accept::Accept;

use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use nitro_elect_protocol::limits::{ENCLAVE_CONNECTIONS_MAX, ENCLAVE_IN_FLIGHT_MAX};
use nitro_elect_protocol::peer::seal_envelope;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::attestor::Attestor;
use crate::limits::{ACCEPT_PAUSE, ATTEST_QUEUE_MAX, ELECT_QUEUE_MAX, REFUSALS_MAX};
use crate::service::{Service, read};
use frame::{Frame, ReadError, farewell, read_frame, write_frame};
use queue::{Lost, Queue};

/// Serves every stream that the listener accepts. Ends only by being dropped, and its connections with it.
pub async fn serve<L: Accept, A: Attestor + 'static>(listener: L, service: Arc<Service<A>>) -> Infallible {
    let server = Arc::new(Server::new(service));
    let connections = Arc::new(Semaphore::new(ENCLAVE_CONNECTIONS_MAX));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                // Most likely out of descriptors: some will be free again.
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while tasks.try_join_next().is_some() {}
        if let Ok(place) = Arc::clone(&connections).try_acquire_owned() {
            tasks.spawn(converse(Arc::clone(&server), stream, place));
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            tasks.spawn(turn_away(stream, place));
        }
    }
}

/// What a server runs on: one thread for all connections, and one for each turn in the queues.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(2 * workers() + 1).build()
}

/// How many computations run at once.
fn workers() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

struct Server<A> {
    service: Arc<Service<A>>,
    room: Arc<Semaphore>,
    readings: Queue,
    elections: Queue,
    attestations: Queue,
}

async fn converse<S, A>(server: Arc<Server<A>>, mut stream: S, _place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Attestor + 'static,
{
    loop {
        let answer = match read_frame(&mut stream, &server.room).await {
            Ok(frame) => server.answer(frame).await,
            Err(ReadError::Closed) => return,
            Err(ReadError::TooLong) => return farewell(stream, &refused(EnclaveRefusal::TooLong)).await,
            Err(ReadError::NoRoom) => return farewell(stream, &refused(EnclaveRefusal::Busy)).await,
        };
        let Ok(answer) = answer else { return };
        if write_frame(&mut stream, &answer).await.is_err() {
            return;
        }
    }
}

async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(stream: S, _place: OwnedSemaphorePermit) {
    farewell(stream, &refused(EnclaveRefusal::Busy)).await;
}

fn refused(refusal: EnclaveRefusal) -> Vec<u8> {
    seal_envelope(&Response::Refused(refusal))
}

impl<A: Attestor + 'static> Server<A> {
    fn new(service: Arc<Service<A>>) -> Self {
        Server {
            service,
            room: Arc::new(Semaphore::new(ENCLAVE_IN_FLIGHT_MAX)),
            readings: Queue::new(ENCLAVE_CONNECTIONS_MAX, workers()),
            elections: Queue::new(ELECT_QUEUE_MAX, workers()),
            attestations: Queue::new(ATTEST_QUEUE_MAX, 1),
        }
    }

    /// Answers a frame; its bytes count as in flight until then.
    async fn answer(&self, untrusted_frame: Frame) -> Result<Vec<u8>, Lost> {
        let Frame { bytes, room: _room } = untrusted_frame;
        match self.readings.run(move || read(&bytes)).await {
            Ok(Ok(request)) => self.take_turn(request).await,
            Ok(Err(refusal)) => Ok(refused(refusal)),
            Err(lost) => or_busy(lost),
        }
    }

    async fn take_turn(&self, untrusted_request: Request) -> Result<Vec<u8>, Lost> {
        let queue = match &untrusted_request {
            Request::Elect(_) => &self.elections,
            Request::Attest { .. } => &self.attestations,
            Request::Latest { .. } | Request::Health => {
                return Ok(seal_envelope(&self.service.answer(untrusted_request)));
            }
        };
        let service = Arc::clone(&self.service);
        let answer = queue.run(move || seal_envelope(&service.answer(untrusted_request))).await;
        answer.or_else(or_busy)
    }
}

fn or_busy(lost: Lost) -> Result<Vec<u8>, Lost> {
    match lost {
        Lost::Busy => Ok(refused(EnclaveRefusal::Busy)),
        Lost::Panicked => Err(lost),
    }
}
