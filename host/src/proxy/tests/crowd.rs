//! Many clients at once, some of which mean harm: what they hold is bounded, and others are served.

use super::*;
use crate::transport::connect::connect;
use crate::transport::frame::append_frame;
use crate::transport::stream::Stream;
use nitro_elect_protocol::limits::MESSAGE_MAX;
use nitro_elect_protocol::peer::seal_envelope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

async fn raw(seed: u8, proxy: &Proxy) -> Stream {
    connect(proxy.endpoint(), Some(&identity(seed)), LATE).await.unwrap()
}

fn framed(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_frame(&mut bytes, &seal_envelope(request), MESSAGE_MAX).unwrap();
    bytes
}

/// Waits until so many of these clients were hung up on.
async fn hung_up(clients: &mut JoinSet<()>, number: usize) {
    for _ in 0..number {
        tokio::time::timeout(LATE, clients.join_next()).await.expect("it is hung up on").unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_key_that_asks_and_leaves_has_no_more_questions_at_the_enclave_than_there_are_turns() {
    let enclave = Enclave::holding_elections().await;
    let mut config = config(TLS, &enclave, &[ours()]);
    (config.bounds.turns, config.bounds.connections_per_key) = (2, 1);
    (config.bounds.turn_deadline, config.bounds.answer_deadline) = (9 * LATE, 9 * LATE);
    let proxy = proxy(config).await;
    let elections = || enclave.asked().iter().filter(|asked| matches!(asked, Request::Elect(_))).count();
    for number in 1..=6 {
        let mut leaving = raw(1, &proxy).await;
        leaving.write_all(&framed(&elect(ours(), vec![]))).await.unwrap();
        leaving.flush().await.unwrap();
        counted(&proxy.counters().requests, number).await;
    }
    counted(&proxy.counters().connections_closed, 5).await;
    let at_the_enclave = async {
        while elections() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LATE, at_the_enclave).await.unwrap();
    assert_eq!((elections(), proxy.shared.turns.under_way()), (2, 2), "the turns outlive those who asked");
    enclave.script.elections.add_permits(6);
    assert!(matches!(ask(&node(2, &proxy), &Request::Health).await, Response::Health(_)));
    assert!(elections() <= 3, "four left before their turn came");
}

#[tokio::test]
async fn documents_that_are_slow_to_come_hold_up_no_election() {
    let enclave = Enclave::holding_documents().await;
    let mut config = config(TLS, &enclave, &[ours()]);
    (config.bounds.turns, config.bounds.document_turns) = (1, 2);
    let proxy = proxy(config).await;
    let fresh = Request::Attest { nonce: Some(serde_bytes::ByteBuf::from(b"nonce")) };
    let mut greedy = Vec::new();
    for _ in 0..4 {
        let mut connection = raw(1, &proxy).await;
        connection.write_all(&framed(&fresh)).await.unwrap();
        connection.flush().await.unwrap();
        greedy.push(connection);
    }
    counted(&proxy.counters().requests, 4).await;
    let elected = ask(&node(2, &proxy), &elect(ours(), vec![])).await;
    assert!(matches!(elected, Response::Refused(EnclaveRefusal::NoCandidate { .. })), "{elected:?}");
}

#[tokio::test]
async fn those_who_do_not_read_their_answers_make_room_for_others() {
    let enclave = Enclave::start().await;
    let mut config = config(PLAIN, &enclave, &[]);
    (config.bounds.strangers, config.bounds.strangers_per_origin) = (4, 4);
    (config.bounds.frame_deadline, config.bounds.plain_idle) = (9 * LATE, 9 * LATE);
    let proxy = proxy(config).await;
    let echo = framed(&Request::Attest { nonce: Some(vec![7; 500_000].into()) });
    let mut deaf = JoinSet::new();
    for _ in 0..12 {
        let (mut write, echo) = (raw(1, &proxy).await, echo.clone());
        deaf.spawn(async move { while write.write_all(&echo).await.is_ok() {} });
    }
    hung_up(&mut deaf, 8).await;
    assert!(matches!(ask(&node(2, &proxy), &Request::Health).await, Response::Health(_)));
    assert!(proxy.shared.strangers.taken() <= 4);
}

#[tokio::test]
async fn beginnings_of_large_requests_make_room_for_a_whole_one() {
    let enclave = Enclave::start().await;
    let mut config = config(PLAIN, &enclave, &[]);
    (config.bounds.frame_deadline, config.bounds.plain_idle) = (9 * LATE, 9 * LATE);
    let proxy = proxy(config).await;
    let mut slow = JoinSet::new();
    for _ in 0..40 {
        let mut connection = raw(1, &proxy).await;
        connection.write_all(&framed(&large())[..100]).await.unwrap();
        slow.spawn(async move { assert_eq!(connection.read(&mut [0]).await.unwrap_or(0), 0) });
    }
    hung_up(&mut slow, 40 - 12).await;
    let elected = ask(&node(2, &proxy), &large()).await;
    assert!(matches!(elected, Response::Refused(EnclaveRefusal::NoCandidate { .. })), "{elected:?}");
}

#[tokio::test]
async fn connections_never_exceed_what_the_bounds_add_up_to() {
    let enclave = Enclave::start().await;
    let mut config = config(PLAIN, &enclave, &[]);
    (config.bounds.strangers, config.bounds.strangers_per_origin, config.bounds.waiting) = (4, 4, 0);
    let most = config.bounds.turns + config.bounds.document_turns + 4 + 64;
    assert_eq!(config.descriptors_max(), most + config.bounds.turns + config.bounds.document_turns + 1 + 128);
    let proxy = proxy(config).await;
    let mut idle = JoinSet::new();
    for _ in 0..300 {
        let mut connection = raw(1, &proxy).await;
        idle.spawn(async move { assert_eq!(connection.read(&mut [0]).await.unwrap_or(0), 0) });
        let counters = proxy.counters();
        let closed = counters.connections_closed.get();
        assert!(counters.connections.get() - closed <= most as u64);
    }
    hung_up(&mut idle, 296).await;
    assert!(matches!(ask(&node(2, &proxy), &Request::Health).await, Response::Health(_)));
}

#[tokio::test]
async fn a_proxy_that_stops_gives_the_answers_it_owes_and_takes_in_nobody() {
    let enclave = Enclave::holding_elections().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let (owed, idle, late) = (node(1, &proxy), node(2, &proxy), node(3, &proxy));
    assert!(matches!(ask(&idle, &Request::Health).await, Response::Health(_)));
    let requests = proxy.shared.clone();
    let election = elect(ours(), vec![]);
    let mut owed = Box::pin(ask(&owed, &election));
    tokio::select! {
        _ = &mut owed => panic!("nothing is answered yet"),
        () = counted(&requests.counters.requests, 2) => (),
    }
    let mut stopping = Box::pin(proxy.shutdown());
    tokio::select! {
        () = &mut stopping => panic!("an answer is owed"),
        () = counted(&requests.counters.connections_closed, 1) => (),
    }
    assert!(late.ask(&Request::Health, LATE).await.is_err());
    enclave.script.elections.add_permits(1);
    let (answer, ()) = tokio::join!(owed, stopping);
    assert!(matches!(answer, Response::Refused(EnclaveRefusal::NoCandidate { .. })), "{answer:?}");
}
