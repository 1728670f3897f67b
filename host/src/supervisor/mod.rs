//! The supervisor: the small process that the user starts, whose one child is the node, and which sends the node's last
//! will when the node is gone (DESIGN §3.4).

pub mod limits;
pub mod link;
pub mod message;

pub use link::{Link, RunnerId, Unsupervised};
