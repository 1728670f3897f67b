//! Four nodes; whoever leads writes into a store behind a fence. Run: `cargo run --example fenced_store`
//!
//! All of it is one process here, to be read at one sitting. In earnest each node is a process of its own, and the fence
//! is where the store is: proof and key travel there over mutual TLS.

use nitro_elect::fence::{Admitted, Fence};
use nitro_elect::node::{Node, NodeConfig};
use nitro_elect::simulated::SimulatedCluster;
use nitro_elect::verify::{Accept, Authority};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Lines that the leader alone may write: which node wrote each, and in which term.
struct Store {
    fence: Fence,
    lines: Mutex<Vec<(u16, u64)>>,
}

impl Store {
    fn append(&self, writer: u16, admitted: &Admitted) -> anyhow::Result<usize> {
        let mut lines = self.lines.lock().expect("nobody panics while writing");
        // The work runs only if whoever was admitted still leads at this moment.
        admitted.act(|| lines.push((writer, admitted.term().0)))?;
        Ok(lines.len())
    }
}

/// A node, and what it does while it leads.
async fn work(number: u16, config: NodeConfig, store: Arc<Store>) -> anyhow::Result<()> {
    let me = config.id();
    let node = Node::start(config).await?;
    while let Some(lease) = node.leadership().gained().await {
        // The fence draws the nonce, so it knows how fresh a proof is that answers it.
        let Ok(proof) = node.proof(store.fence.draw()).await else { continue };
        let Ok(admitted) = store.fence.admit(&proof, me) else { continue };
        let line = store.append(number, &admitted)?;
        println!("node {number}: line {line} in term {}, {:?} left", lease.term()?, lease.remaining());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cluster = SimulatedCluster::make(4)?;
    let authority = Authority::Manifest(Box::new(cluster.electorate().clone()));
    let accept = Accept { simulated: true, ..Accept::default() };
    let fence = Fence::open(&cluster.directory().join("store"), authority, accept)?;
    let store = Arc::new(Store { fence, lines: Mutex::default() });
    let mut nodes = Vec::new();
    for number in 0..4 {
        nodes.push(tokio::spawn(work(number, cluster.config(number)?, store.clone())));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let leader = store.lines.lock().expect("nobody panics").last().map(|line| line.0).unwrap_or_default();
    println!("killing node {leader}");
    nodes[usize::from(leader)].abort();
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(())
}
