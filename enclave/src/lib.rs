//! The election service that runs inside the enclave: the trusted computing base of nitro-elect.
//!
//! ```text
//! frame -> server -> Service -> Tally -> decide -> Memory -> signed Certificate -> frame
//!                       \___________ Attestor: keys and the security module ___________/
//! ```
//!
//! [`service::Service`] is one synchronous function from an untrusted request to an answer. It believes nothing
//! in a request: the electorate is the host's word, and counts only because every view carries the digest that
//! its signer trusts. It keeps nothing on disk, reads no configuration, and has no clock in its decisions.
//!
//! **Promised**, as long as this code runs as measured and its memory is private: at most one certificate per
//! electorate and term by this enclave, made only from a quorum of views that their voters signed for this
//! enclave, term and call; nothing in a request makes it panic, hang or grow without bound.
//!
//! **Not promised**: that a host lets requests or answers through; that no second instance runs (the terms that
//! voters carry make that harmless); that strangers leave room when they may reach it directly, which is why a
//! proxy with manifests stands before it.
#![deny(unsafe_code)]

pub mod attestor;
pub mod decision;
pub mod init;
pub mod keys;
pub mod limits;
pub mod memory;
pub mod nsm;
pub mod parameters;
pub mod parent;
pub mod random_source;
pub mod server;
pub mod service;
pub mod tally;
