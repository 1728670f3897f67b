//! The listener under good and bad clients. Time is paused where deadlines are at stake.

use nitro_elect_enclave::attestor::{Attestor, ModuleError};
use nitro_elect_enclave::keys::SigningError;
use nitro_elect_enclave::limits::{ATTEST_QUEUE_MAX, FRAME_TIMEOUT, IDLE_TIMEOUT, READ_STEP, REFUSALS_MAX};
use nitro_elect_enclave::server::{Accept, serve};
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::Ring;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use nitro_elect_protocol::ids::EnclaveId;
use nitro_elect_protocol::limits::{ENCLAVE_CONNECTIONS_MAX, ENCLAVE_IN_FLIGHT_MAX, MESSAGE_MAX};
use nitro_elect_protocol::peer::{Envelope, open_envelope, seal_envelope};
use nitro_elect_protocol::seal::{OpenError, SealedView};
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::cluster::Cluster;
use crate::module::{TestClock, TestModule, Watch, attestor, service};
use nitro_elect_enclave::attestor::ModuleAttestor;

/// A listener in memory.
struct Memory(tokio::sync::Mutex<UnboundedReceiver<DuplexStream>>);

impl Accept for Memory {
    type Stream = DuplexStream;

    async fn accept(&self) -> io::Result<DuplexStream> {
        self.0.lock().await.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// A server in memory, and the way to it.
struct Host {
    streams: UnboundedSender<DuplexStream>,
    server: JoinHandle<()>,
}

impl Host {
    fn start<A: Attestor + 'static>(service: Service<A>) -> Host {
        let (streams, listener) = unbounded_channel();
        let listener = Memory(tokio::sync::Mutex::new(listener));
        let server = tokio::spawn(async move { match serve(listener, Arc::new(service)).await {} });
        Host { streams, server }
    }

    fn connect(&self) -> DuplexStream {
        let (here, there) = duplex(64 << 10);
        self.streams.send(there).unwrap();
        here
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8]) {
    stream.write_all(&(message.len() as u32).to_be_bytes()).await.unwrap();
    stream.write_all(message).await.unwrap();
}

async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Response> {
    let length = stream.read_u32().await.ok()?;
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(open_envelope(&bytes).expect("an answer is a message"))
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &Request) -> Option<Response> {
    send(stream, &seal_envelope(request)).await;
    receive(stream).await
}

fn is_health(answer: &Option<Response>) -> bool {
    matches!(answer, Some(Response::Health(_)))
}

const BUSY: Option<Response> = Some(Response::Refused(EnclaveRefusal::Busy));
const MALFORMED: Option<Response> = Some(Response::Refused(EnclaveRefusal::Malformed));
const TOO_LONG: Option<Response> = Some(Response::Refused(EnclaveRefusal::TooLong));

#[tokio::test]
async fn requests_of_one_connection_are_answered_in_turn() {
    let (host, cluster) = (Host::start(service()), Cluster::new(4, 1));
    let mut stream = host.connect();
    assert!(is_health(&ask(&mut stream, &Request::Health).await));
    let elected = ask(&mut stream, &cluster.request(1, cluster.views(1, 0..3))).await;
    let Some(Response::Elected { certificate, .. }) = elected else { panic!("{elected:?}") };
    let latest = Request::Latest { electorate: cluster.electorate.digest() };
    assert_eq!(ask(&mut stream, &latest).await, Some(Response::Latest { certificate }));
    let attested = ask(&mut stream, &Request::Attest { nonce: None }).await;
    assert!(matches!(attested, Some(Response::Attestation { .. })));
}

#[tokio::test]
async fn a_certificate_can_be_had_over_tcp_and_over_a_unix_socket() {
    let cluster = Cluster::new(4, 1);
    let request = |term| cluster.request(term, cluster.views(term, 0..3));
    let service = Arc::new(service());

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    tokio::spawn(serve(tcp, Arc::clone(&service)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(matches!(ask(&mut stream, &request(1)).await, Some(Response::Elected { .. })));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("enclave");
    tokio::spawn(serve(UnixListener::bind(&path).unwrap(), service));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    assert!(matches!(ask(&mut stream, &request(2)).await, Some(Response::Elected { .. })));
}

#[tokio::test]
async fn garbage_in_a_whole_frame_is_answered_and_the_connection_goes_on() {
    let host = Host::start(service());
    let mut stream = host.connect();
    for garbage in [&[][..], &[0xff; 10], &[0x81; 200_000]] {
        send(&mut stream, garbage).await;
        assert_eq!(receive(&mut stream).await, MALFORMED);
    }
    send(&mut stream, &codec::encode(&Envelope { v: 9, body: vec![1] })).await;
    let unknown = Some(Response::Refused(EnclaveRefusal::UnknownVersion(9)));
    assert_eq!(receive(&mut stream).await, unknown);
    assert!(is_health(&ask(&mut stream, &Request::Health).await));
}

#[tokio::test]
async fn a_frame_longer_than_any_message_ends_the_connection_with_a_word() {
    let host = Host::start(service());
    for length in [MESSAGE_MAX as u32 + 1, u32::MAX] {
        let mut stream = host.connect();
        stream.write_u32(length).await.unwrap();
        assert_eq!(receive(&mut stream).await, TOO_LONG);
        assert_eq!(receive(&mut stream).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_after_the_idle_time() {
    let host = Host::start(service());
    for half_a_length in [&[][..], &[0, 0]] {
        let mut stream = host.connect();
        let start = Instant::now();
        stream.write_all(half_a_length).await.unwrap();
        assert_eq!(receive(&mut stream).await, None);
        assert!((IDLE_TIMEOUT..IDLE_TIMEOUT + Duration::from_millis(10)).contains(&start.elapsed()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_sent_frame_is_closed_after_the_frames_time_and_others_are_served_meanwhile() {
    let host = Host::start(service());
    let mut half = host.connect();
    half.write_all(&[0, 0, 0, 9, 1, 2]).await.unwrap();
    assert!(is_health(&ask(&mut host.connect(), &Request::Health).await));
    let start = Instant::now();
    assert_eq!(receive(&mut half).await, None);
    assert!(start.elapsed() <= FRAME_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answers_is_closed() {
    let host = Host::start(service());
    let mut stream = host.connect();
    let request = seal_envelope(&Request::Health);
    let start = Instant::now();
    let talk = async {
        loop {
            let length = (request.len() as u32).to_be_bytes();
            stream.write_all(&[&length[..], &request].concat()).await?;
        }
    };
    let end: io::Result<()> = talk.await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(start.elapsed() <= FRAME_TIMEOUT + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_are_told_so_and_a_closed_one_makes_room() {
    let host = Host::start(service());
    let mut open: Vec<_> = (0..ENCLAVE_CONNECTIONS_MAX).map(|_| host.connect()).collect();
    for stream in &mut open {
        assert!(is_health(&ask(stream, &Request::Health).await));
    }
    let mut beyond = host.connect();
    assert_eq!(receive(&mut beyond).await, BUSY);
    assert_eq!(receive(&mut beyond).await, None);
    assert!(is_health(&ask(&mut open[0], &Request::Health).await), "those inside are not disturbed");
    drop(open.pop());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(is_health(&ask(&mut host.connect(), &Request::Health).await));
}

#[tokio::test]
async fn a_client_that_is_turned_away_while_it_sends_can_read_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(service())));
    let mut open = Vec::new();
    for _ in 0..ENCLAVE_CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(is_health(&ask(&mut stream, &Request::Health).await));
        open.push(stream);
    }
    let mut beyond = TcpStream::connect(address).await.unwrap();
    send(&mut beyond, &vec![0; MESSAGE_MAX]).await;
    assert_eq!(receive(&mut beyond).await, BUSY);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_connections_is_dropped_and_the_rest_served() {
    let host = Host::start(service());
    let mut served = host.connect();
    assert!(is_health(&ask(&mut served, &Request::Health).await));
    let mut flood: Vec<_> = (0..10_000).map(|_| host.connect()).collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut told = 0;
    for stream in &mut flood[ENCLAVE_CONNECTIONS_MAX - 1..] {
        told += usize::from(receive(stream).await == BUSY);
    }
    assert_eq!(told, REFUSALS_MAX);
    assert!(is_health(&ask(&mut served, &Request::Health).await));
}

#[tokio::test(start_paused = true)]
async fn bytes_in_flight_are_bounded_over_all_connections() {
    let host = Host::start(service());
    let whole = ENCLAVE_IN_FLIGHT_MAX / (MESSAGE_MAX - READ_STEP);
    let mut hoarders: Vec<_> = (0..whole).map(|_| host.connect()).collect();
    for stream in &mut hoarders {
        stream.write_u32(MESSAGE_MAX as u32).await.unwrap();
        stream.write_all(&vec![0; MESSAGE_MAX - 1]).await.unwrap();
    }
    let mut beyond = host.connect();
    send(&mut beyond, &vec![0; MESSAGE_MAX]).await;
    assert_eq!(receive(&mut beyond).await, BUSY);
    assert!(is_health(&ask(&mut host.connect(), &Request::Health).await), "small requests need no room");
    hoarders[0].write_all(&[0]).await.unwrap();
    assert_eq!(receive(&mut hoarders[0]).await, MALFORMED);
    let mut next = host.connect();
    send(&mut next, &vec![0; MESSAGE_MAX]).await;
    assert_eq!(receive(&mut next).await, MALFORMED, "an answered frame makes room");
}

#[tokio::test(start_paused = true)]
async fn a_length_alone_reserves_little() {
    let host = Host::start(service());
    let mut claims: Vec<_> = (0..ENCLAVE_CONNECTIONS_MAX - 1).map(|_| host.connect()).collect();
    for stream in &mut claims {
        stream.write_u32(MESSAGE_MAX as u32).await.unwrap();
    }
    assert!(is_health(&ask(&mut host.connect(), &Request::Health).await));
}

/// An attestor whose documents are held back until the test lets go.
struct Stuck {
    inner: ModuleAttestor<TestModule>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Attestor for Stuck {
    fn attest(&self, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        let (open, changed) = &*self.gate;
        let guard = changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap();
        drop(guard);
        self.inner.attest(nonce)
    }

    fn random(&self) -> Result<[u8; 16], ModuleError> {
        self.inner.random()
    }

    fn enclave(&self) -> EnclaveId {
        self.inner.enclave()
    }

    fn open(&self, context: &[u8], sealed: &SealedView) -> Result<Vec<u8>, OpenError> {
        self.inner.open(context, sealed)
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.inner.sign(input)
    }
}

#[tokio::test]
async fn a_flood_of_attestations_does_not_hold_up_elections() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let inner = attestor(&Watch::default(), &TestClock::default());
    let stuck = Stuck { inner, gate: Arc::clone(&gate) };
    let (host, cluster) = (Host::start(Service::new(stuck, Arc::new(Ring))), Cluster::new(4, 1));
    let attest = seal_envelope(&Request::Attest { nonce: None });
    let (report, mut answers) = unbounded_channel();
    for _ in 0..ATTEST_QUEUE_MAX + 4 {
        let (mut stream, attest, report) = (host.connect(), attest.clone(), report.clone());
        tokio::spawn(async move {
            send(&mut stream, &attest).await;
            report.send(receive(&mut stream).await).unwrap();
        });
    }
    for _ in 0..4 {
        assert_eq!(answers.recv().await, Some(BUSY), "beyond the places of the queue");
    }
    let request = cluster.request(1, cluster.views(1, 0..3));
    let elected = ask(&mut host.connect(), &request).await;
    assert!(matches!(elected, Some(Response::Elected { .. })), "{elected:?}");
    assert!(is_health(&ask(&mut host.connect(), &Request::Health).await));

    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for _ in 0..ATTEST_QUEUE_MAX {
        let answer = answers.recv().await;
        assert!(matches!(answer, Some(Some(Response::Attestation { .. }))), "{answer:?}");
    }
}

#[tokio::test]
async fn when_the_server_ends_its_connections_end() {
    let host = Host::start(service());
    let mut stream = host.connect();
    assert!(is_health(&ask(&mut stream, &Request::Health).await));
    host.server.abort();
    assert_eq!(timeout(Duration::from_secs(5), receive(&mut stream)).await, Ok(None));
}
