//! Leaders are killed around a store, and their code goes on as if nothing had happened: no sequence number is ever
//! written twice.

use nitro_elect::fence::{Admitted, Fence};
use nitro_elect::node::{Handle, Node};
use nitro_elect::simulated::SimulatedCluster;
use nitro_elect::verify::{Accept, Authority};
use nitro_elect_protocol::ids::{NodeId, Term};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const VOTERS: u16 = 4;
const LEASE: Duration = Duration::from_millis(400);
const LATE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);
/// Between reading which number is next and writing under it: where a naive store is doubly written.
const THOUGHT: Duration = Duration::from_millis(20);

/// A line of the store.
#[derive(Clone, Copy, Debug)]
struct Line {
    number: usize,
    term: Term,
    writer: NodeId,
}

/// It writes what it is told under the number that it is told; only the fence keeps writers apart.
struct Store {
    fence: Fence,
    lines: Mutex<Vec<Line>>,
    /// Writes of those who no longer led, turned away.
    refused: AtomicUsize,
}

impl Store {
    fn next(&self, admitted: &Admitted) -> Option<usize> {
        admitted.act(|| self.lines.lock().unwrap().len() + 1).ok()
    }

    fn write(&self, admitted: &Admitted, number: usize) -> bool {
        let line = Line { number, term: admitted.term(), writer: admitted.leader() };
        let written = admitted.act(|| self.lines.lock().unwrap().push(line)).is_ok();
        self.refused.fetch_add(usize::from(!written), Ordering::Relaxed);
        written
    }

    fn last(&self) -> Option<Line> {
        self.lines.lock().unwrap().last().copied()
    }
}

/// Writes whenever its node leads, and never looks whether it still does: it outlives its node, as an orphan.
async fn write_on(node: Handle, me: NodeId, store: Arc<Store>) {
    let mut leadership = node.leadership();
    while leadership.gained().await.is_some() {
        let Ok(proof) = node.proof(store.fence.draw()).await else { continue };
        let Ok(admitted) = store.fence.admit(&proof, me) else { continue };
        while let Some(number) = store.next(&admitted) {
            tokio::time::sleep(THOUGHT).await;
            if !store.write(&admitted, number) {
                break;
            }
        }
    }
}

/// A cluster and the store before which it runs.
struct Scene {
    cluster: SimulatedCluster,
    store: Arc<Store>,
    nodes: Vec<Option<Node>>,
}

impl Scene {
    async fn set() -> Self {
        let cluster = SimulatedCluster::with_lease(VOTERS, LEASE).unwrap();
        let authority = Authority::Manifest(Box::new(cluster.electorate().clone()));
        let accept = Accept { simulated: true, ..Accept::default() };
        let fence = Fence::open(&cluster.directory().join("store"), authority, accept).unwrap();
        let store = Store { fence, lines: Mutex::default(), refused: AtomicUsize::default() };
        let mut scene = Scene { cluster, store: Arc::new(store), nodes: Vec::new() };
        for number in 0..VOTERS {
            let node = scene.start(number).await;
            scene.nodes.push(Some(node));
        }
        scene
    }

    /// Waits for a line of a later term than this one.
    async fn line_after(&self, term: Term) -> Line {
        let last = Instant::now() + LATE;
        loop {
            if let Some(line) = self.store.last().filter(|line| line.term > term) {
                return line;
            }
            assert!(Instant::now() < last, "somebody writes in a term after {term}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Kills a node without a word, and starts it again.
    async fn kill(&mut self, node: NodeId) {
        let of = |number: &u16| self.cluster.config(*number).unwrap().id() == node;
        let number = (0..VOTERS).find(of).unwrap();
        drop(self.nodes[usize::from(number)].take());
        self.nodes[usize::from(number)] = Some(self.start(number).await);
    }

    /// Starts a node and its writer, once its state directory is free: one that was dropped ends soon.
    async fn start(&self, number: u16) -> Node {
        let last = Instant::now() + LATE;
        loop {
            let config = self.cluster.config(number).unwrap();
            let me = config.id();
            if let Ok(node) = Node::start(config).await {
                tokio::spawn(write_on(node.handle().clone(), me, self.store.clone()));
                return node;
            }
            assert!(Instant::now() < last, "the state of node {number} is free again");
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// So many leaders are killed, each after it has written.
async fn kill_leaders(kills: usize) {
    let mut scene = Scene::set().await;
    let mut line = scene.line_after(Term(0)).await;
    for _ in 0..kills {
        scene.kill(line.writer).await;
        line = scene.line_after(line.term).await;
    }
    let lines = scene.store.lines.lock().unwrap().clone();
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line.number, at + 1, "each number once, in order: {line:?}");
    }
    assert!(lines.is_sorted_by_key(|line| line.term), "terms never fall");
    let refused = scene.store.refused.load(Ordering::Relaxed);
    eprintln!("{kills} leaders killed, {} lines written, {refused} late writes refused", lines.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_written_twice_though_leaders_are_killed() {
    kill_leaders(4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a campaign of minutes: make campaign"]
async fn no_number_is_written_twice_in_a_campaign() {
    let kills = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok());
    kill_leaders(kills.unwrap_or(1000)).await;
}
