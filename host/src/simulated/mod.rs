//! A Nitro Secure Module for machines that have none.
//!
//! It signs documents of exactly the real one's format under a root of its own, so that every check of
//! `docs/ATTESTATION.md` runs on them. What they prove is nothing: anybody who holds the root's key can sign
//! anything. A node accepts them only by a trust section that names this root, and whatever is verified that
//! way is worth `simulated` and says so.
//!
//! All of the simulation is in this crate; the enclave's own program has no switch that leads here.

pub mod cluster;
pub mod enclave;
pub mod nsm;
pub mod pki;
pub mod pki_file;

pub use cluster::{SimulatedCluster, SimulatedClusterError};
pub use enclave::SimulatedEnclave;
pub use nsm::{SimulatedNsm, SimulatedNsmError};
pub use pki::{SimulatedPki, SimulatedPkiError};
