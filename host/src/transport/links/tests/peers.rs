//! Peers that behave: who reaches whom, by which way, and what the node is told.

use super::*;
use crate::limits::LAST_WILL_MAX;

#[tokio::test]
async fn two_nodes_that_know_each_other_exchange_frames() {
    let (mut first, mut second) = pair().await;
    let large = vec![7; MESSAGE_MAX];
    first.links.send(&id(2), b"to the second".to_vec());
    first.links.send(&id(2), large.clone());
    second.links.send(&id(1), b"to the first".to_vec());
    assert_eq!(second.frame(1).await, b"to the second");
    assert_eq!(second.frame(1).await, large);
    assert_eq!(first.frame(2).await, b"to the first");
}

#[tokio::test]
async fn a_node_answers_over_an_accepted_link_if_it_has_dialled_none() {
    let mut accepting = Node::start(config(1)).await;
    let mut dialling = Node::start(config(2)).await;
    dialling.links.know(voter(1, accepting.address())).unwrap();
    assert!(!accepting.up(2).await);
    assert!(dialling.up(1).await);
    accepting.links.send(&id(2), b"hello".to_vec());
    assert_eq!(dialling.frame(1).await, b"hello");
}

#[tokio::test]
async fn the_address_of_a_dialled_link_is_where_the_peer_was_reached() {
    let accepting = Node::start(config(1)).await;
    let mut dialling = Node::start(config(2)).await;
    dialling.links.know(voter(1, accepting.address())).unwrap();
    let reached = dialling.wait("Up", |event| match event {
        LinkEvent::Up { address, dialled: true, .. } => Some(address),
        _ => None,
    });
    assert_eq!(reached.await, accepting.address());
}

#[tokio::test]
async fn a_peer_that_ends_is_told_at_once_and_reached_again_when_it_is_back() {
    let (mut staying, mut ending) = pair().await;
    let address = ending.address();
    drop(ending.links);
    assert!(staying.down(2).await.is_answer());
    while let Some(event) = ending.events.recv().await {
        drop(event);
    }

    let back = LinksConfig { bind: address.into(), ..config(2) };
    let mut back = Node::start(back).await;
    staying.up_dialled(2).await;
    staying.links.send(&id(2), b"again".to_vec());
    assert_eq!(back.frame(1).await, b"again");
}

#[tokio::test]
async fn a_refused_dial_is_told_and_counts_as_an_answer() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut node = Node::start(config(1)).await;
    node.links.know(voter(2, nobody)).unwrap();
    for _ in 0..3 {
        let reason = node.down(2).await;
        assert_eq!(reason, DownReason::DialRefused);
        assert!(reason.is_answer());
    }
}

#[tokio::test]
async fn a_dial_that_nobody_answers_ends_in_time_and_is_no_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bounds = Bounds { dial_deadline: Duration::from_millis(50), ..Bounds::default() };
    let mut node = Node::start(LinksConfig { bounds, ..config(1) }).await;
    node.links.know(voter(2, silent.local_addr().unwrap())).unwrap();
    let reason = node.down(2).await;
    assert_eq!(reason, DownReason::DialDeadline(bounds.dial_deadline));
    assert!(!reason.is_answer());
}

#[tokio::test]
async fn another_nodes_key_at_a_peers_address_is_refused_by_name() {
    let other = Node::start(config(3)).await;
    let mut node = Node::start(config(1)).await;
    node.links.know(voter(2, other.address())).unwrap();
    assert_eq!(node.down(2).await, DownReason::WrongKey { shown: id(3) });
    assert!(node.links.counters().dials_wrong_key.get() >= 1);
}

#[tokio::test]
async fn a_node_outside_the_policy_is_refused_and_told_so() {
    let mut node = Node::start(config(1)).await;
    let mut stranger = Node::start(config(9)).await;
    stranger.links.know(voter(1, node.address())).unwrap();
    assert_eq!(stranger.down(1).await, DownReason::TurnedAway(Unwelcome::NotAdmitted));
    assert_eq!(node.refused().await, (Some(id(9)), RefusedReason::Unwelcome(Unwelcome::NotAdmitted)));
    assert_eq!(node.links.counters().refused_not_admitted.get(), 1);
}

#[tokio::test]
async fn a_key_is_learnt_where_none_is_known_and_must_be_admitted() {
    let second = Node::start(config(2)).await;
    let stranger = Node::start(config(9)).await;
    let mut node = Node::start(config(1)).await;
    let seed = |address: SocketAddr| Peer { key: None, address: address.into(), class: Class::Other };
    node.links.know(seed(second.address())).unwrap();
    assert!(node.up(2).await);
    node.links.know(seed(stranger.address())).unwrap();
    assert_eq!(node.unreachable().await, DownReason::NotAdmitted(Unwelcome::NotAdmitted));
}

#[tokio::test]
async fn a_node_that_finds_itself_says_so() {
    let mut node = Node::start(config(1)).await;
    let itself = Peer { key: None, address: node.address().into(), class: Class::Other };
    node.links.know(itself).unwrap();
    assert_eq!(node.unreachable().await, DownReason::NotAdmitted(Unwelcome::SameKey));
}

#[tokio::test]
async fn two_addresses_of_one_peer_give_one_dialled_link() {
    let second = Node::start(config(2)).await;
    let mut node = Node::start(config(1)).await;
    node.links.know(voter(2, second.address())).unwrap();
    node.up_dialled(2).await;
    node.links.know(Peer { key: None, address: second.address().into(), class: Class::Voter }).unwrap();
    node.counted(|counters| &counters.dials, 2).await;
    second.counted(|counters| &counters.links_accepted, 1).await;
    assert_eq!(node.links.counters().links_dialled.get(), 1);
}

#[tokio::test]
async fn voters_find_a_place_when_all_places_for_others_are_taken() {
    let admission = Admission { voters: BTreeSet::from([id(2)]), others: Others::Open(1) };
    let mut node = Node::start(LinksConfig { admission, ..config(1) }).await;
    let _observer = welcome_by_hand(7, &node).await;
    node.up(7).await;
    let (_, greeting) = by_hand(8, &node).await;
    assert_eq!(greeting, Greeting::Unwelcome(Unwelcome::Full));
    welcome_by_hand(2, &node).await;
    assert_eq!(node.links.counters().refused_full.get(), 1);
}

#[tokio::test]
async fn a_peer_that_connects_anew_takes_the_place_of_its_old_link() {
    let mut node = Node::start(config(1)).await;
    let mut old = welcome_by_hand(2, &node).await;
    node.up(2).await;
    let mut new = welcome_by_hand(2, &node).await;
    assert_eq!(node.down(2).await, DownReason::Replaced);
    node.up(2).await;
    let ended = FrameReader::new(&mut old).read(16, DEADLINES).await;
    assert!(matches!(ended, Err(FrameError::Closed | FrameError::Io(_))), "{ended:?}");
    node.links.send(&id(2), b"to the new one".to_vec());
    assert_eq!(FrameReader::new(&mut new).read(16, DEADLINES).await.unwrap(), b"to the new one");
}

#[tokio::test]
async fn a_forgotten_peer_is_left_and_not_dialled_again() {
    let mut second = Node::start(config(2)).await;
    let mut node = Node::start(config(1)).await;
    node.links.know(voter(2, second.address())).unwrap();
    node.up_dialled(2).await;
    second.up(1).await;
    node.links.forget(&id(2));
    assert_eq!(node.down(2).await, DownReason::Forgotten);
    assert!(second.down(1).await.is_answer());
    assert_eq!(node.links.counters().dials.get(), 1);
}

#[tokio::test]
async fn a_peer_that_was_hung_up_on_loses_both_links_and_comes_back() {
    let (mut first, mut second) = pair().await;
    first.links.hang_up(&id(2));
    assert_eq!(first.down(2).await, DownReason::BadFrame);
    assert!(second.down(1).await.is_answer());
    first.up_dialled(2).await;
    second.up_dialled(1).await;
}

#[tokio::test]
async fn a_peer_is_dialled_at_its_new_address() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let second = Node::start(config(2)).await;
    let mut node = Node::start(config(1)).await;
    node.links.know(voter(2, nobody)).unwrap();
    assert_eq!(node.down(2).await, DownReason::DialRefused);
    node.links.know(voter(2, second.address())).unwrap();
    node.up_dialled(2).await;
}

#[tokio::test]
async fn peers_that_a_new_policy_does_not_admit_are_cut_off() {
    let mut node = Node::start(config(1)).await;
    let _second = welcome_by_hand(2, &node).await;
    let _third = welcome_by_hand(3, &node).await;
    node.up(2).await;
    let voters = BTreeSet::from([id(1), id(3)]);
    node.links.set_admission(Admission { voters, others: Others::Off });
    assert_eq!(node.down(2).await, DownReason::NotAdmitted(Unwelcome::NotAdmitted));
    let (_, greeting) = by_hand(2, &node).await;
    assert_eq!(greeting, Greeting::Unwelcome(Unwelcome::NotAdmitted));
    assert!(node.links.shared.sending(&id(3)).is_some());
}

#[tokio::test]
async fn more_peers_than_the_bound_are_not_dialled() {
    let bounds = Bounds { dials: 1, ..Bounds::default() };
    let node = Node::start(LinksConfig { bounds, ..config(1) }).await;
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    assert_eq!(node.links.know(voter(2, nowhere)), Ok(()));
    assert_eq!(node.links.know(voter(2, nowhere)), Ok(()), "the same peer again is no other peer");
    assert_eq!(node.links.know(voter(3, nowhere)), Err(TooManyPeers { max: 1 }));
}

#[tokio::test]
async fn a_node_that_closes_sends_its_last_words_first() {
    let (first, mut second) = pair().await;
    let words: Vec<Vec<u8>> = (0..200).map(|number| vec![number; 3000]).collect();
    words.iter().for_each(|word| first.links.send(&id(2), word.clone()));
    let Node { links, events } = first;
    drop(events);
    links.close(LATE).await;
    for word in words {
        assert_eq!(second.frame(1).await, word);
    }
    assert!(second.down(1).await.is_answer());
}

#[tokio::test]
async fn a_frame_for_nobody_or_of_no_size_is_dropped_and_counted() {
    let (first, _second) = pair().await;
    first.links.send(&id(3), b"hello".to_vec());
    first.links.send(&id(2), vec![]);
    first.links.send(&id(2), vec![0; MESSAGE_MAX + 1]);
    let counters = first.links.counters();
    assert_eq!((counters.dropped_no_link.get(), counters.dropped_too_long.get()), (1, 2));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let node = Node::start(config(1)).await;
    let second = Links::start(LinksConfig { bind: node.address().into(), ..config(2) }).await;
    match second {
        Err(StartError::Bind(BindError::InUse { place })) => assert_eq!(place, node.address().to_string()),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two nodes listen at one port"),
    }
}

#[tokio::test]
async fn a_dial_that_fails_is_nobodys_business_while_the_peer_is_connected_otherwise() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut node = Node::start(config(1)).await;
    let mut second = welcome_by_hand(2, &node).await;
    assert!(!node.up(2).await);
    node.links.know(voter(2, nobody)).unwrap();
    node.counted(|counters| &counters.dials_failed, 3).await;
    write_frame(&mut second, b"still here", MESSAGE_MAX, LATE).await.unwrap();
    let next = node.wait("Frame", |event| match event {
        LinkEvent::Frame { bytes, .. } => Some(Ok(bytes)),
        LinkEvent::Down { reason, .. } => Some(Err(reason)),
        _ => None,
    });
    assert_eq!(next.await, Ok(b"still here".to_vec()));
}

/// PROTOCOL R11
#[tokio::test]
async fn a_last_will_is_one_frame_of_its_own_and_ends_no_link_of_its_node() {
    let (mut first, second) = pair().await;
    let deliver = async |seed: u8, frame: &[u8]| {
        let (stream, _) = connect_tcp(&first.address().into(), LATE).await.unwrap();
        let client = TlsClient::new(Service::Will, identity(seed));
        let (mut stream, _) = client.connect(stream, ExpectedKey::Exactly(id(1)), LATE).await.unwrap();
        write_frame(&mut stream, frame, MESSAGE_MAX, LATE).await.unwrap();
        let mut answers = FrameReader::new(stream);
        let greeting = answers.read(GREETING_MAX, DEADLINES).await.unwrap();
        assert!(answers.read(GREETING_MAX, DEADLINES).await.is_err(), "it hangs up");
        Greeting::decode(&greeting).unwrap()
    };
    assert_eq!(deliver(2, b"a will").await, Greeting::Welcome);
    assert_eq!(
        deliver(2, &[0; LAST_WILL_MAX + 1]).await,
        Greeting::Welcome,
        "one that is too long is not taken"
    );
    assert_eq!(deliver(9, b"a stranger's").await, Greeting::Unwelcome(Unwelcome::NotAdmitted));
    second.links.send(&id(1), b"the link is as it was".to_vec());
    let mut wills = Vec::new();
    let last = first.wait("frame", |event| match event {
        LinkEvent::Will { from, bytes } => {
            wills.push((from, bytes));
            None
        }
        LinkEvent::Frame { from, bytes, .. } => Some((from, bytes)),
        LinkEvent::Down { .. } => panic!("a link ended"),
        _ => None,
    });
    assert_eq!(last.await, (id(2), b"the link is as it was".to_vec()));
    assert_eq!(wills, [(id(2), b"a will".to_vec())]);
    first.counted(|counters| &counters.wills_heard, 1).await;
}
