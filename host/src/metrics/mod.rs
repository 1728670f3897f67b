//! Numbers for Prometheus: what a process counts and measures, as text that a scraper reads.
//!
//! The code that has the numbers keeps them as counters, gauges and [`Histogram`]s; whoever answers `/metrics` puts
//! them into an [`Exposition`], which knows the format and nothing else. The format is the text format 0.0.4, which
//! every Prometheus reads and `promtool check metrics` checks; why it is written here and not by a library is in
//! docs/decisions.

pub mod exposition;
pub mod histogram;
pub mod process;

pub use exposition::{CONTENT_TYPE, Exposition};
pub use histogram::Histogram;
