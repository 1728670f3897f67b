//! `nitro-elect demo`: a whole cluster on this machine, in its own processes, to look at.
//!
//! It starts a simulated enclave, a proxy and nodes as an operator would, by this very program's commands; follows them
//! through their admin addresses alone; verifies what they serve from files; kills the leader, and brings it back.
//! What it shows is what it checked: each act waits for what must happen, and fails if it does not.
//!
//! Nothing is left behind: processes die with the demo, however it dies, and all files are in one temporary directory.

mod act;
mod aftermath;
mod cluster;
mod error;
mod eyes;
mod fleet;
pub mod ports;
mod scene;
mod show;
mod text;

pub use act::{Demo, Options};
pub use error::DemoError;
