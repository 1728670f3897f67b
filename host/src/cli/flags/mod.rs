//! Flags that several commands share, each with what it gives the command that has it.

pub mod accept;
pub mod admin;
pub mod check;
pub mod electorate;
pub mod trust;
pub mod work;
