//! A command that runs only while a node leads that was started on its own: `nitro-elect exec` (DESIGN §7).
//!
//! It talks to the node over a Unix socket in the node's state directory, and believes nothing that it is told there: the
//! command starts only on a lease proof with a nonce drawn here, which names the node key it was given and is verified
//! here, and runs until the lease of the last such proof ends, counted here from when its nonce was drawn. What the node
//! says beside proofs (it leads, the work is to end) can end the command early, and never prolong it.
//!
//! The node counts whoever has begun as at work until it says that nothing is left, or the lease of the last proof that
//! it was handed is over: until then no hand-over, and no last will.
//!
//! ```text
//! exec -> node: Attach, Begin, Prove(nonce), Ended, HandOver     node -> exec: Attached, State, May, Proof
//! ```

pub mod client;
pub mod config;
pub mod limits;
pub mod message;
pub mod place;
pub mod server;

mod connection;
mod ledger;
