//! Whole clusters from one seed: the product's own state machine and enclave service in a simulated world.
//!
//! A [`world::World`] has machines with clocks, disks and a node's [`nitro_elect::core::Core`] each, a network,
//! enclaves behind proxies, and up to f adversaries. Everything in it follows from its [`scenario::Scenario`], and
//! that from a seed: one queue of happenings, ordered by true time, is worked off one by one. An
//! [`observer::Observer`] that sees everything checks the invariants of DESIGN §4 after each.
//!
//! First a storm of faults rages, then the world is calm, and convergence is demanded.
//!
//! What is stood in for: signatures and sealing in most seeds ([`standin`]), the time that attestation takes
//! ([`identities`]), and TLS and TCP, of which the network keeps connections that come, go and break.

mod adversary;
pub mod campaign;
pub mod clock;
pub mod describe;
pub mod dice;
mod drive;
mod ending;
pub mod fault;
mod hostility;
pub mod hunt;
pub mod identities;
mod leases;
mod links;
pub mod machine;
pub mod observer;
mod outage;
mod proxies;
mod queue;
pub mod recorder;
pub mod scenario;
pub mod script;
pub mod standin;
mod storm;
pub mod succession;
pub mod trace;
pub mod violation;
pub mod wills;
mod work;
pub mod world;
