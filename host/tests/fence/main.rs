//! The fence: its rules on a clock of the test's own, and as code uses it while leaders die around it.
#![allow(clippy::unwrap_used)]

mod killed;
mod library;
mod rules;
#[allow(dead_code)] // the world of the verifier's tests has more in it than is needed here
#[path = "../verify/world.rs"]
mod world;
