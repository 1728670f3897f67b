//! The proxy under attack. While the attack runs, another client asks again and again on fresh connections, and every
//! answer must come within [`BOUND`]; the memory that the attack can cost is bounded too.
//!
//! The attackers share two cores with the proxy and with the client, so the bound is of seconds where milliseconds
//! are usual. What it shows is that nobody waits for an attacker: their connections would last for a minute or more.

use crate::operator::LATE;
use crate::proxy::Fronted;
use nitro_elect::enclave_client::EnclaveClient;
use nitro_elect::transport::connect::connect;
use nitro_elect::transport::endpoint::Endpoint;
use nitro_elect::transport::frame::append_frame;
use nitro_elect::transport::tls::TlsIdentity;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use nitro_elect_protocol::limits::MESSAGE_MAX;
use nitro_elect_protocol::peer::seal_envelope;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long another client's request may take, its connection and handshake included.
const BOUND: Duration = Duration::from_secs(5);
/// What an attack may cost the proxy, in KiB.
const MEMORY: u64 = 64 << 10;
/// Questions of the other client while an attack runs, at least.
const QUESTIONS: usize = 20;
/// Connections that the test itself has open at once.
const AT_ONCE: usize = 400;

fn address(endpoint: &Endpoint) -> SocketAddr {
    let text = endpoint.to_string();
    text.split_once("://").unwrap().1.parse().unwrap()
}

/// A connection from an address that is not the other client's.
async fn from_elsewhere(to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse().unwrap())?;
    socket.connect(to).await
}

fn framed(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, &seal_envelope(request), MESSAGE_MAX).unwrap();
    bytes
}

/// Asks on fresh connections for as long as the attack runs, and checks every answer and its time.
async fn served_throughout(fronted: &Fronted, client: impl Fn() -> EnclaveClient, attack: impl Future) {
    let before = fronted.memory_peak();
    let latest = fronted.latest();
    let (mut asked, mut worst) = (0, Duration::ZERO);
    let asking = async {
        loop {
            let began = Instant::now();
            let health = client().ask(&Request::Health, BOUND).await;
            assert!(matches!(health, Ok(Response::Health(_))), "after {:?}: {health:?}", began.elapsed());
            let none = client().ask(&latest, BOUND).await.unwrap();
            assert_eq!(none, Response::Refused(EnclaveRefusal::NothingCertified));
            (asked, worst) = (asked + 1, worst.max(began.elapsed()));
            assert!(worst < BOUND, "{worst:?}");
        }
    };
    let attacking = tokio::time::timeout(3 * LATE, attack);
    tokio::select! {
        attacked = attacking => drop(attacked.expect("the attack comes to its end")),
        () = asking => unreachable!("it asks for as long as it is attacked"),
    }
    assert!(asked >= QUESTIONS, "only {asked} questions while the attack ran: it was over too soon to tell");
    let cost = fronted.memory_peak() - before;
    eprintln!("{asked} pairs of questions while it ran, the slowest {worst:?}; it cost {cost} KiB");
    assert!(cost < MEMORY, "the attack cost {cost} KiB");
    let answer = client().ask(&Request::Health, LATE).await;
    assert!(matches!(answer, Ok(Response::Health(_))), "{answer:?}");
}

/// So many connections from elsewhere, each of which does something and then waits to be hung up on.
async fn crowd<F>(to: SocketAddr, number: usize, does: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (places, mut attackers) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for _ in 0..number {
        let place = places.clone().acquire_owned().await.unwrap();
        let attack = does(from_elsewhere(to).await.unwrap());
        attackers.spawn(async move {
            attack.await;
            drop(place);
        });
        while attackers.try_join_next().is_some() {}
    }
    // Those that still sit are let go: there is nobody left to push them out.
}

async fn read_to_end(mut stream: TcpStream) {
    let _reset = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_keep_no_voter_out() {
    let fronted = Fronted::new("tls", &[]).await;
    let attack = crowd(address(&fronted.listen), 10_000, read_to_end);
    served_throughout(&fronted, || fronted.client("node-1"), attack).await;
    assert!(fronted.metric("nitro_elect_proxy_connections_total").await >= 10_000.0);
    assert!(fronted.metric("nitro_elect_proxy_open_connections").await < 300.0);
    assert_eq!(fronted.metric("nitro_elect_proxy_accept_failures_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_handshakes_of_strangers_keep_no_voter_out() {
    let fronted = Fronted::new("tls", &[]).await;
    let garbage = crowd(address(&fronted.listen), 3_000, async |mut stream: TcpStream| {
        let _reset = stream.write_all(&[0x16, 3, 1, 0xff, 0xff, 1, 2, 3]).await;
        read_to_end(stream).await;
    });
    let strangers = async {
        for _ in 0..200 {
            let identity = TlsIdentity::throw_away();
            let stranger = EnclaveClient::new(fronted.listen.clone(), Some(identity));
            let refused = stranger.ask(&Request::Health, LATE).await;
            assert!(!matches!(refused, Ok(Response::Health(_))));
        }
    };
    let attack = async { tokio::join!(garbage, strangers) };
    served_throughout(&fronted, || fronted.client("node-1"), attack).await;
}

/// Half of a large request, from a node of the manifest.
async fn begins(fronted: &Fronted, node: &str) {
    let identity = fronted.identity(node);
    let mut stream = connect(&fronted.listen, Some(&identity), LATE).await.unwrap();
    let _ended = stream.write_all(&(MESSAGE_MAX as u32).to_be_bytes()).await;
    let _ended = stream.write_all(&vec![7; MESSAGE_MAX / 2]).await;
    let _ended = stream.flush().await;
    let _ended = stream.read(&mut [0]).await;
}

/// Questions without end whose answers nobody reads, from a node of the manifest.
async fn asks_and_does_not_read(fronted: &Fronted, node: &str) {
    let identity = fronted.identity(node);
    let fresh = Request::Attest { nonce: Some(vec![7; 64].into()) };
    let questions = [framed(&fresh), framed(&fronted.latest()), framed(&Request::Health)].concat();
    let mut stream = connect(&fronted.listen, Some(&identity), LATE).await.unwrap();
    while stream.write_all(&questions).await.is_ok() && stream.flush().await.is_ok() {}
}

/// Questions from connections that are gone before the answer, from a node of the manifest.
async fn asks_and_leaves(fronted: &Fronted, node: &str) {
    let identity = fronted.identity(node);
    let question = framed(&fronted.latest());
    if let Ok(mut stream) = connect(&fronted.listen, Some(&identity), LATE).await {
        let _gone = stream.write_all(&question).await;
        let _gone = stream.flush().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voters_that_flood_their_own_share_do_not_touch_anothers() {
    let fronted = Fronted::new("tls", &[]).await;
    let attack = async {
        let each = async |node: &str| {
            for _ in 0..4 {
                let begin =
                    async { tokio::time::timeout(Duration::from_secs(2), begins(&fronted, node)).await };
                let deaf = async {
                    tokio::time::timeout(Duration::from_secs(2), asks_and_does_not_read(&fronted, node)).await
                };
                let leave = async {
                    for _ in 0..50 {
                        asks_and_leaves(&fronted, node).await;
                    }
                };
                let _ends = tokio::join!(begin, deaf, leave);
            }
        };
        tokio::join!(each("node-2"), each("node-3"), each("node-4"))
    };
    served_throughout(&fronted, || fronted.client("node-1"), attack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_port_serves_one_address_while_another_floods_it() {
    let fronted = Fronted::new("tcp", &[]).await;
    let (to, question) = (address(&fronted.listen), framed(&Request::Health));
    let flood = crowd(to, 2_000, move |mut stream: TcpStream| {
        let question = question.clone();
        async move {
            for _ in 0..20 {
                if stream.write_all(&question).await.is_err() {
                    return;
                }
            }
            let halves = [&[0, 0, 4, 0][..], &[1; 100]].concat();
            let _ended = stream.write_all(&halves).await;
            read_to_end(stream).await;
        }
    });
    let client = || EnclaveClient::new(fronted.listen.clone(), None);
    served_throughout(&fronted, client, flood).await;
}
