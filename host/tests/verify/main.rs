//! Proofs, verified: by the library check by check, and by the program as a script would.
#![allow(clippy::unwrap_used)]

mod command;
mod steps;
mod world;
