//! The untrusted side of nitro-elect: the node, its gossip and transport, the proxy, the command line.

pub mod core;
pub mod enclave_client;
pub mod limits;
pub mod proxy;
pub mod simulated;
pub mod transport;
