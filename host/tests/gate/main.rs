//! The gate: what gets through it and what never does, with a resource that writes down whatever reaches it.
#![allow(clippy::unwrap_used)]

mod beside;
mod database;
mod drained;
mod fleet;
mod frozen;
mod hostile;
mod kills;
mod numbers;
mod open;
#[allow(dead_code)] // the operator of the cluster's tests can do more than is needed here
#[path = "../cluster/operator.rs"]
mod operator;
mod passing;
mod presenter;
mod requests;
mod resource;
mod service;
#[allow(dead_code)]
#[path = "../../../tests/src/skip.rs"]
mod skip;
mod smuggling;
#[allow(dead_code)]
#[path = "../verify/world.rs"]
mod world;
