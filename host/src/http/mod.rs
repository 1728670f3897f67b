//! The admin address of a node or a proxy: what it knows and does, over HTTP.
//!
//! Every answer about leadership is the node's own at the moment of the request; while the node cannot answer, no
//! leader is named. Whatever connects is bounded ([`listener`]) and must mean this address ([`guard`]), so that a
//! web page whose name was pointed at this machine reads nothing.

pub mod answers;
pub mod checks;
pub mod client;
pub mod counters;
pub mod events;
pub mod follower;
pub mod guard;
pub mod json;
pub mod limits;
pub mod listener;
pub mod log;
pub mod orders;
pub mod page;
pub mod places;
pub mod routes;
pub mod token;

pub use listener::{Admin, BindError, Bounds, bind, serve, serve_routes};

#[cfg(test)]
mod tests;
