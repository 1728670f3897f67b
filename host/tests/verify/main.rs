//! Proofs, verified: by the library check by check, and by the program as a script would.
#![allow(clippy::unwrap_used)]

mod chain;
mod command;
mod log;
mod steps;
mod vigil;
mod world;
