//! Whole clusters as an operator runs them: this program's processes, real sockets, real signals.
//!
//! Each test looks until what must happen has happened, with patience for a busy machine, and sleeps only where time
//! itself has to pass, such as a lease. The times that are asserted are bounds of the protocol.
#![allow(clippy::unwrap_used)]

mod admin_flooded;
mod audit;
mod demo;
mod disk;
mod enclave;
mod exec;
mod hostile;
mod leader;
mod measures;
mod occasions;
mod open;
mod openapi;
mod operator;
mod orders;
mod proxy;
mod proxy_flooded;
mod starts;
mod supervisor;
mod voters;
mod work;
