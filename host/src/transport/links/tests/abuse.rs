//! Peers and strangers that do not behave: whatever they do, the others are served.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Passes a frame each way, to show that the pair works.
async fn assert_works(first: &mut Node, second: &mut Node) {
    first.links.send(&id(2), b"ping".to_vec());
    assert_eq!(second.frame(1).await, b"ping");
    second.links.send(&id(1), b"pong".to_vec());
    assert_eq!(first.frame(2).await, b"pong");
}

#[tokio::test]
async fn random_bytes_are_dropped_and_counted() {
    let (mut first, mut second) = pair().await;
    let noises: [&[u8]; 4] =
        [b"GET / HTTP/1.0\r\n\r\n", &[0xff; 4096], &[0; 4096], &[0x16, 3, 1, 0xff, 0xff, 1]];
    for noise in noises {
        let mut stranger = TcpStream::connect(first.address()).await.unwrap();
        let _refused_meanwhile = stranger.write_all(noise).await;
        let _no_more = stranger.shutdown().await;
        let _whatever_it_says = stranger.read_to_end(&mut Vec::new()).await;
    }
    let refused = |counters: &Counters| counters.refused_not_a_node.get() + counters.refused_left.get();
    while refused(first.links.counters()) < 4 {
        tokio::task::yield_now().await;
    }
    assert!(first.links.counters().refused_not_a_node.get() >= 3);
    assert_works(&mut first, &mut second).await;
}

#[tokio::test]
async fn a_stranger_that_says_nothing_is_dropped_in_time() {
    let bounds = Bounds { handshake_deadline: Duration::from_millis(50), ..Bounds::default() };
    let mut node = Node::start(LinksConfig { bounds, ..config(1) }).await;
    let mut stranger = TcpStream::connect(node.address()).await.unwrap();
    assert_eq!(node.refused().await, (None, RefusedReason::TooSlow));
    assert_eq!(stranger.read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(node.links.counters().refused_too_slow.get(), 1);
}

#[tokio::test]
async fn strangers_that_hold_every_place_do_not_keep_a_voter_out() {
    let bounds =
        Bounds { strangers: 8, strangers_per_ip: 4, handshake_deadline: 9 * LATE, ..Bounds::default() };
    let mut node = Node::start(LinksConfig { bounds, ..config(1) }).await;
    let mut idle = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut stranger = TcpStream::connect(node.address()).await.unwrap();
        idle.spawn(async move { stranger.read(&mut [0]).await.unwrap_or(0) });
    }
    for _ in 0..36 {
        let ended = tokio::time::timeout(LATE, idle.join_next()).await.expect("it is hung up on");
        assert_eq!(ended.unwrap().unwrap(), 0);
    }
    assert_eq!(node.links.counters().strangers_pushed_out.get(), 36);
    let mut voter_node = Node::start(config(2)).await;
    voter_node.links.know(voter(1, node.address())).unwrap();
    voter_node.up_dialled(1).await;
    node.up(2).await;
}

#[tokio::test]
async fn a_claim_of_an_oversized_frame_ends_that_link_only() {
    let (mut first, mut second) = pair().await;
    let mut liar = welcome_by_hand(3, &first).await;
    liar.write_all(&(MESSAGE_MAX as u32 + 1).to_be_bytes()).await.unwrap();
    liar.flush().await.unwrap();
    assert_eq!(first.down(3).await, DownReason::BadFrame);
    assert_eq!(first.links.counters().links_bad_frame.get(), 1);
    assert_works(&mut first, &mut second).await;
}

#[tokio::test]
async fn a_frame_that_does_not_end_ends_that_link_only() {
    let bounds = Bounds { frame_deadline: Duration::from_millis(50), ..Bounds::default() };
    let (mut first, mut second) = pair_of(LinksConfig { bounds, ..config(1) }, config(2)).await;
    let mut slow = welcome_by_hand(3, &first).await;
    slow.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
    slow.flush().await.unwrap();
    assert_eq!(first.down(3).await, DownReason::Stalled);
    assert_works(&mut first, &mut second).await;
}

#[tokio::test]
async fn a_peer_that_reads_nothing_loses_frames_and_then_its_link() {
    let bounds = Bounds { frame_deadline: Duration::from_millis(200), ..Bounds::default() };
    let (mut first, mut second) = pair_of(LinksConfig { bounds, ..config(1) }, config(2)).await;
    let _deaf = welcome_by_hand(3, &first).await;
    first.up(3).await;
    while first.links.counters().dropped_queue_full.get() == 0 {
        first.links.send(&id(3), vec![0; 1 << 16]);
        tokio::task::yield_now().await;
    }
    assert_works(&mut first, &mut second).await;
    assert_eq!(first.down(3).await, DownReason::Stalled);
    assert!(first.links.counters().dropped_link_ended.get() > 0);
    assert_works(&mut first, &mut second).await;
}

#[tokio::test]
async fn a_peer_whose_frames_wait_for_the_node_is_read_no_further_and_others_are() {
    let bounds = Bounds { inbox_bytes_per_peer: MESSAGE_MAX, ..Bounds::default() };
    let (mut first, mut second) = pair_of(LinksConfig { bounds, ..config(1) }, config(2)).await;
    let mut flooding = welcome_by_hand(3, &first).await;
    let flood = tokio::spawn(async move {
        while write_frame(&mut flooding, &[0; 1 << 18], MESSAGE_MAX, LATE).await.is_ok() {}
    });
    let mut kept = Vec::new();
    for _ in 0..MESSAGE_MAX >> 18 {
        let room = first.wait("Frame", |event| match event {
            LinkEvent::Frame { from, room, .. } if from == id(3) => Some(room),
            _ => None,
        });
        kept.push(room.await);
    }
    first.counted(|counters| &counters.pauses_inbox, 1).await;
    assert_works(&mut first, &mut second).await;
    let of_the_pair = 1;
    let read = first.links.counters().frames_received.get() - of_the_pair;
    assert_eq!(read, kept.len() as u64 + 1, "one more was read, and waits for its place");
    kept.clear();
    first.frame(3).await;
    flood.abort();
}

#[tokio::test]
async fn a_peer_that_sends_too_many_frames_is_read_at_the_bounds_rate() {
    let bounds = Bounds { frames_per_second: 100, frames_burst: 10, ..Bounds::default() };
    let mut node = Node::start(LinksConfig { bounds, ..config(1) }).await;
    let mut flooding = welcome_by_hand(3, &node).await;
    let began = std::time::Instant::now();
    let flood = tokio::spawn(async move {
        while write_frame(&mut flooding, &[0; 16], MESSAGE_MAX, LATE).await.is_ok() {}
    });
    for _ in 0..40 {
        node.frame(3).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(280), "{:?}", began.elapsed());
    assert!(node.links.counters().pauses_rate.get() > 0);
    flood.abort();
}

#[tokio::test]
async fn a_link_on_which_nothing_passes_is_closed() {
    let bounds = Bounds { silence: Duration::from_millis(50), ..Bounds::default() };
    let mut node = Node::start(LinksConfig { bounds, ..config(1) }).await;
    let _silent = welcome_by_hand(2, &node).await;
    assert_eq!(node.down(2).await, DownReason::Silent(2 * config(1).lease));
    assert_eq!(node.links.counters().links_silent.get(), 1);
}

#[tokio::test]
async fn a_link_that_is_used_in_one_direction_only_is_not_silent() {
    let silence = 2 * config(1).lease;
    let bounds = Bounds { silence, ..Bounds::default() };
    let mut node = Node::start(LinksConfig { bounds, ..config(1) }).await;
    let mut reading = welcome_by_hand(2, &node).await;
    node.up(2).await;
    let began = std::time::Instant::now();
    while began.elapsed() < 2 * silence {
        node.links.send(&id(2), b"tick".to_vec());
        assert_eq!(FrameReader::new(&mut reading).read(16, DEADLINES).await.unwrap(), b"tick");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.down(2).await, DownReason::Silent(silence), "only once nothing is sent any more");
}

#[tokio::test]
async fn a_service_that_greets_in_another_way_is_no_node() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut node = Node::start(config(1)).await;
    node.links.know(voter(2, listener.local_addr().unwrap())).unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let server = TlsServer::of_node(&identity(2));
    let (mut stream, ..) = server.accept(stream, LATE).await.unwrap();
    write_frame(&mut stream, b"hello", GREETING_MAX, LATE).await.unwrap();
    assert_eq!(node.down(2).await, DownReason::NotANode);
}
