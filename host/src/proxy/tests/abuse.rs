//! Clients that do not behave: whatever they do, the others are served.

use super::*;
use crate::transport::connect::connect;
use crate::transport::frame::{Deadlines, FrameReader};
use crate::transport::stream::Stream;
use nitro_elect_protocol::limits::MESSAGE_MAX;
use nitro_elect_protocol::peer::{Envelope, open_envelope, seal_envelope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DEADLINES: Deadlines = Deadlines { idle: LATE, frame: LATE };

async fn raw(seed: u8, proxy: &Proxy) -> Stream {
    connect(proxy.endpoint(), Some(&identity(seed)), LATE).await.unwrap()
}

async fn read_refusal(stream: &mut Stream) -> EnclaveRefusal {
    let frame = FrameReader::new(stream).read(MESSAGE_MAX, DEADLINES).await.unwrap();
    match open_envelope(&frame).unwrap() {
        Response::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

async fn assert_serves(seed: u8, proxy: &Proxy) {
    assert!(matches!(ask(&node(seed, proxy), &Request::Health).await, Response::Health(_)));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_the_connection_goes_on() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let node = node(1, &proxy);
    let later = nitro_elect_protocol::codec::encode(&Envelope { v: 2, body: vec![1] });
    let unreadable = [
        (b"hello".to_vec(), EnclaveRefusal::Malformed),
        (seal_envelope(&"hello"), EnclaveRefusal::Malformed),
        (later, EnclaveRefusal::UnknownVersion(2)),
    ];
    for (frame, refusal) in unreadable {
        let answer = node.call(&frame, LATE).await.unwrap();
        assert_eq!(open_envelope::<Response>(&answer).unwrap(), Response::Refused(refusal));
    }
    assert_eq!(proxy.counters().refused_unreadable.get(), 3);
    assert_eq!(proxy.counters().connections.get(), 1);
}

#[tokio::test]
async fn an_oversized_claim_is_refused_and_ends_the_connection() {
    let enclave = Enclave::start().await;
    for listen in [TLS, PLAIN] {
        let proxy = proxy(config(listen, &enclave, &[ours()])).await;
        let mut liar = raw(1, &proxy).await;
        liar.write_all(&(MESSAGE_MAX as u32 + 1).to_be_bytes()).await.unwrap();
        liar.write_all(&[0; 100]).await.unwrap();
        liar.flush().await.unwrap();
        assert_eq!(read_refusal(&mut liar).await, EnclaveRefusal::TooLong);
        assert_eq!(liar.read(&mut [0]).await.unwrap_or(0), 0);
        assert_eq!(proxy.counters().bad_frames.get(), 1);
        assert_serves(2, &proxy).await;
    }
}

#[tokio::test]
async fn half_a_frame_ends_its_connection_in_time() {
    let enclave = Enclave::start().await;
    let mut config = config(TLS, &enclave, &[ours()]);
    config.bounds.frame_deadline = Duration::from_millis(50);
    let proxy = proxy(config).await;
    let mut slow = raw(1, &proxy).await;
    slow.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
    slow.flush().await.unwrap();
    assert_eq!(slow.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!(proxy.counters().stalled.get(), 1);
}

#[tokio::test]
async fn random_bytes_at_a_tls_port_are_counted_and_others_served() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let Endpoint::Tls(address) = proxy.endpoint() else { panic!("{}", proxy.endpoint()) };
    let mut stranger = connect(&Endpoint::Tcp(address.clone()), None, LATE).await.unwrap();
    stranger.write_all(&[0xff; 1000]).await.unwrap();
    counted(&proxy.counters().handshakes_failed, 1).await;
    assert_serves(1, &proxy).await;
}

#[tokio::test]
async fn strangers_that_hold_every_place_do_not_keep_a_voter_out() {
    let enclave = Enclave::start().await;
    let mut config = config(TLS, &enclave, &[ours()]);
    config.bounds.strangers = 8;
    config.bounds.strangers_per_origin = 4;
    config.bounds.handshake_deadline = 9 * LATE;
    let proxy = proxy(config).await;
    let Endpoint::Tls(address) = proxy.endpoint() else { panic!("{}", proxy.endpoint()) };
    let mut idle = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut stranger = connect(&Endpoint::Tcp(address.clone()), None, LATE).await.unwrap();
        idle.spawn(async move { stranger.read(&mut [0]).await.unwrap_or(0) });
    }
    for _ in 0..36 {
        let ended = tokio::time::timeout(LATE, idle.join_next()).await.expect("it is hung up on");
        assert_eq!(ended.unwrap().unwrap(), 0);
    }
    assert_eq!(proxy.counters().pushed_out.get(), 36);
    assert_serves(1, &proxy).await;
}

#[tokio::test]
async fn idle_clients_of_a_plain_port_make_room_for_newer_ones() {
    let enclave = Enclave::start().await;
    let mut config = config(PLAIN, &enclave, &[]);
    config.bounds.strangers = 4;
    config.bounds.strangers_per_origin = 4;
    let proxy = proxy(config).await;
    let mut idle = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut connection = raw(1, &proxy).await;
        idle.spawn(async move { connection.read(&mut [0]).await.unwrap_or(0) });
        assert_serves(1, &proxy).await;
    }
    for _ in 0..16 {
        let ended = tokio::time::timeout(LATE, idle.join_next()).await.expect("it is hung up on");
        assert_eq!(ended.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn a_key_that_opens_more_connections_than_it_may_loses_its_own() {
    let enclave = Enclave::start().await;
    let mut config = config(TLS, &enclave, &[ours()]);
    config.bounds.connections_per_key = 2;
    let proxy = proxy(config).await;
    let other = node(2, &proxy);
    assert!(matches!(ask(&other, &Request::Health).await, Response::Health(_)));
    let mut greedy = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let mut connection = raw(1, &proxy).await;
        greedy.spawn(async move { connection.read(&mut [0]).await.unwrap_or(0) });
    }
    for _ in 0..8 {
        let ended = tokio::time::timeout(LATE, greedy.join_next()).await.expect("it is hung up on");
        assert_eq!(ended.unwrap().unwrap(), 0);
    }
    assert_eq!(proxy.counters().replaced.get(), 8);
    assert!(matches!(ask(&other, &Request::Health).await, Response::Health(_)));
    assert_eq!(proxy.counters().connections.get(), 11, "the other key still has its connection");
}

#[tokio::test]
async fn large_requests_of_one_key_are_taken_one_at_a_time() {
    let enclave = Enclave::holding_elections().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let (first, second, other) = (node(1, &proxy), node(1, &proxy), node(2, &proxy));
    let large = large();
    let (mut first, mut second) = (Box::pin(ask(&first, &large)), Box::pin(ask(&second, &large)));
    let mut other = Box::pin(ask(&other, &large));
    let both_keys = async {
        let elections = || enclave.asked().iter().filter(|asked| matches!(asked, Request::Elect(_))).count();
        while elections() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = &mut first => panic!("nothing is answered yet"),
        _ = &mut second => panic!("nothing is answered yet"),
        _ = &mut other => panic!("nothing is answered yet"),
        () = both_keys => (),
    }
    assert_eq!(proxy.counters().requests.get(), 2, "one of each key was read");
    enclave.script.elections.add_permits(3);
    tokio::join!(first, second, other);
}

#[tokio::test]
async fn more_requests_than_may_wait_are_told_that_the_enclave_is_busy() {
    let enclave = Enclave::holding_elections().await;
    let mut config = config(TLS, &enclave, &[ours()]);
    (config.bounds.turns, config.bounds.waiting) = (1, 0);
    let proxy = proxy(config).await;
    let (first, second) = (node(1, &proxy), node(2, &proxy));
    let election = elect(ours(), vec![]);
    let mut at_the_enclave = Box::pin(ask(&first, &election));
    tokio::select! {
        _ = &mut at_the_enclave => panic!("nothing is answered yet"),
        () = counted(&proxy.counters().requests, 1) => (),
    }
    let busy = tokio::select! {
        _ = &mut at_the_enclave => panic!("nothing is answered yet"),
        busy = ask(&second, &Request::Health) => busy,
    };
    assert_eq!(busy, Response::Refused(EnclaveRefusal::Busy));
    assert_eq!(proxy.counters().refused_busy.get(), 1);
    enclave.script.elections.add_permits(1);
    at_the_enclave.await;
    assert_serves(2, &proxy).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_holds_up_nobody() {
    let enclave = Enclave::start().await;
    let mut config = config(PLAIN, &enclave, &[]);
    config.bounds.frame_deadline = Duration::from_millis(200);
    let proxy = proxy(config).await;
    let deaf = raw(1, &proxy).await;
    let with_nonce = seal_envelope(&Request::Attest { nonce: Some(vec![7; 500_000].into()) });
    let mut bytes = Vec::new();
    crate::transport::frame::append_frame(&mut bytes, &with_nonce, MESSAGE_MAX).unwrap();
    let (_unread, mut write) = tokio::io::split(deaf);
    let asking = tokio::spawn(async move { while write.write_all(&bytes).await.is_ok() {} });
    counted(&proxy.counters().stalled, 1).await;
    assert_serves(2, &proxy).await;
    asking.abort();
}
