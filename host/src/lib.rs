//! The untrusted side of nitro-elect as a library: run a node inside your program, learn whether it leads, and fence
//! what only the leader may touch.
//!
//! * [`node::Node::start`] starts a node; [`node::NodeConfig`] says which.
//! * [`node::Leadership`] is to await; the [`node::Lease`] it gives is held while acting. Its [`term`](node::Lease::term)
//!   is refused once it is over, and what [`remains`](node::Lease::remaining) is computed when asked.
//! * [`fence::Fence`] stands before a store: it admits whoever proves to lead now, never again anybody of a lower term,
//!   and lets no two of them work at once.
//! * [`simulated::SimulatedCluster`] is a cluster in this process, to try all of it on.
//!
//! A lease alone does not make a store safe: a program may be paused between looking at its lease and writing. Whoever
//! must exclude that puts a [`fence::Fence`] where the writes arrive, or `nitro-elect gate` before a resource that knows
//! nothing of terms; docs/FENCING.md says which and why.
//!
//! ```
//! use nitro_elect::node::Node;
//! use nitro_elect::simulated::SimulatedCluster;
//!
//! # fn main() -> anyhow::Result<()> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let cluster = SimulatedCluster::make(1)?; // in earnest: NodeConfig::listed(manifest, state, enclaves, ..)
//! let node = Node::start(cluster.config(0)?).await?;
//!
//! let lease = node.leadership().gained().await.expect("the node lives");
//! for step in 0..3 {
//!     let term = lease.term()?; // an error once the lease is over: stop
//!     println!("step {step} in term {term}, {:?} left", lease.remaining());
//! }
//!
//! node.shutdown().await;
//! assert!(lease.term().is_err());
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! `host/examples/fenced_store.rs` is a whole program of four nodes.
//!
//! These, and what they take and give ([`manifest`], [`proof_file`], [`verify`]), are the library. The rest is public for
//! this project's own programs and tests alone: the rules ([`core`]), their shell ([`transport`], [`storage`]), the command
//! line ([`cli`]).

pub mod change_file;
mod check;
pub mod cli;
pub mod clock;
pub mod core;
pub mod demo;
mod descriptors;
mod document_file;
pub mod duration;
pub mod eif;
pub mod enclave_client;
pub mod evidence_file;
mod exec;
pub mod fence;
pub mod gate;
pub mod help;
pub mod http;
pub mod input;
pub mod keys;
pub mod limits;
pub mod local_cluster;
mod logging;
pub mod manifest;
mod metrics;
pub mod node;
pub mod pem_block;
pub mod private_file;
pub mod proof_file;
pub mod proxy;
pub mod run;
pub mod secrecy;
mod shell;
pub mod signals;
pub mod signed_text;
pub mod simulated;
pub mod state_home;
pub mod storage;
pub mod supervisor;
pub mod transport;
pub mod trust_file;
pub mod verify;
mod wall_text;
