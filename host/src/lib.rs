//! The untrusted side of nitro-elect: the node, its gossip and transport, the proxy, the command line.

pub mod cli;
pub mod clock;
pub mod core;
pub mod duration;
pub mod enclave_client;
pub mod help;
pub mod http;
pub mod input;
pub mod keys;
pub mod limits;
pub mod local_cluster;
pub mod logging;
pub mod manifest;
pub mod node;
pub mod pem_block;
pub mod private_file;
pub mod proof_file;
pub mod proxy;
pub mod signals;
pub mod simulated;
pub mod state_home;
pub mod storage;
pub mod transport;
pub mod trust_file;
pub mod verify;
pub mod wall_text;
