//! One test or more for each clause of docs/PROTOCOL.md, over the product's own cores and enclave service.
//!
//! Each test cites its clause as `/// PROTOCOL V2`; the style tests report a clause that nobody cites, and a
//! citation of no clause. A test is a scenario that fails when the guard it speaks of is taken away.

mod calling;
mod certificates;
mod delays;
mod forgery;
mod giving_up;
mod gossip;
mod lease;
mod members;
mod occasions;
mod open;
mod plan;
mod prevote;
mod refusals;
mod restart;
mod rig;
mod succession;
mod tally;
mod traces;
mod views;
mod voters;
mod wills;
mod work;
