//! The enclave's service as its hosts meet it: elections, attestation, and the listener.
#![allow(clippy::unwrap_used)]

mod attestation;
mod cluster;
mod elections;
mod flood;
mod hostile;
mod listener;
mod module;
