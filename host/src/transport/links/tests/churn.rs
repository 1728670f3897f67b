//! Many nodes that come and go, on several threads.

use super::*;
use std::collections::BTreeMap;

const NODES: u8 = 5;

/// A node whose events are read all the time: it knows who is up, and who greeted it with which words.
struct Member {
    links: Links,
    seen: tokio::sync::watch::Receiver<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    up: BTreeMap<NodeId, bool>,
    words: BTreeMap<NodeId, Vec<u8>>,
}

impl Member {
    async fn start(seed: u8, bind: HostPort, addresses: &[SocketAddr]) -> Member {
        let admission = Admission { voters: (1..=NODES).map(id).collect(), others: Others::Off };
        let others = (1..=NODES).zip(addresses).filter(|(other, _)| *other != seed);
        let peers = others.map(|(other, address)| voter(other, *address)).collect();
        let config = LinksConfig { bind, peers, admission, ..config(seed) };
        let (links, mut events) = Links::start(config).await.unwrap();
        let (see, seen) = tokio::sync::watch::channel(Seen::default());
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                see.send_modify(|seen| match event {
                    LinkEvent::Up { peer, .. } => drop(seen.up.insert(peer, true)),
                    LinkEvent::Down { peer, .. } => drop(seen.up.insert(peer, false)),
                    LinkEvent::Frame { from, bytes, .. } => {
                        assert_eq!(seen.up.get(&from), Some(&true), "a frame of a peer that is not up");
                        seen.words.insert(from, bytes);
                    }
                    LinkEvent::Refused { .. } | LinkEvent::Unreachable { .. } | LinkEvent::Will { .. } => (),
                });
            }
        });
        Member { links, seen }
    }

    async fn sees(&mut self, what: &str, is_seen: impl Fn(&Seen) -> bool) {
        let seen = tokio::time::timeout(LATE, self.seen.wait_for(|seen| is_seen(seen)));
        let seen = seen.await.map(|found| found.is_ok());
        assert_eq!(seen, Ok(true), "{what}: {:?}", self.seen.borrow());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_come_and_go_all_reach_each_other_in_the_end() {
    let mut members = Vec::new();
    for seed in 1..=NODES {
        members.push(Member::start(seed, loopback(0), &[]).await);
    }
    let addresses: Vec<_> = members.iter().map(|member| member.links.local_addr()).collect();
    for (at, address) in addresses.iter().enumerate().cycle().take(4 * usize::from(NODES)) {
        let seed = at as u8 + 1;
        members.remove(at).links.close(LATE).await;
        members.insert(at, Member::start(seed, (*address).into(), &addresses).await);
        for member in &members {
            (1..=NODES).for_each(|to| member.links.send(&id(to), vec![0; 1000]));
        }
    }
    for (at, member) in members.iter_mut().enumerate() {
        let others = || (1..=NODES).filter(|seed| usize::from(*seed) != at + 1).map(id);
        member.sees("everybody up", |seen| others().all(|other| seen.up.get(&other) == Some(&true))).await;
    }
    let farewell = b"all of us".to_vec();
    let all_heard = async {
        for (at, member) in members.iter().enumerate() {
            let mut seen = member.seen.clone();
            let heard = |seen: &Seen| {
                let others = (1..=NODES).filter(|seed| usize::from(*seed) != at + 1);
                others.map(id).all(|other| seen.words.get(&other) == Some(&farewell))
            };
            seen.wait_for(heard).await.expect("the member lives");
        }
    };
    let say = async {
        loop {
            for member in &members {
                (1..=NODES).for_each(|to| member.links.send(&id(to), farewell.clone()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = all_heard => (),
        () = say => (),
        () = tokio::time::sleep(LATE) => panic!("somebody hears nothing"),
    }
}
