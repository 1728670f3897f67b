//! Everything that moves bytes: frames, endpoints, TLS with node keys, and the network of links between nodes.
//!
//! Nothing here knows what a frame means. Whatever arrives is bounded before it is stored and authenticated before
//! it is handed on; a sender never waits for a slow peer, a slow peer never holds up another.

pub mod connect;
pub mod counters;
pub mod endpoint;
pub mod frame;
pub mod links;
pub mod listen;
pub mod rate;
pub mod seats;
pub mod socket;
pub mod stream;
pub mod tls;
