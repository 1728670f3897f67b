//! The node's rules, without sockets, clocks or threads: gossip, election and lease as one state machine that
//! takes events and the time and returns actions (DESIGN §3).
//!
//! The product's node and the simulator drive the same code.

pub mod config;
pub mod durable;
pub mod event;
pub mod timing;
