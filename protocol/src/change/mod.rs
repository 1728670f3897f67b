//! Changing the voters: from one electorate to its successor, in two steps of signed words (DESIGN §3.8).
//!
//! First voters *endorse* a successor, at most one an attempt. Who is shown a quorum of endorsements of one attempt
//! *approves* it. A quorum of approvals lets nodes move, and no second successor can ever have one: two quorums of the
//! old electorate share an honest voter, and that voter keeps the rules of [`ledger`].
//!
//! [`safety`] says which electorates may follow each other at all, [`passage`] when a node may move. Nothing here keeps
//! or sends anything; a voter's ledger must be durable before a word that it allowed leaves.

pub mod ledger;
pub mod passage;
pub mod safety;
pub mod statement;

#[cfg(test)]
mod tests;

pub use ledger::{Ledger, Refused};
pub use passage::{Agreed, Missing, Passage, TooFew, may_pass};
pub use safety::{OverlapAdvice, SafeChange, Unsafe};
pub use statement::{Approve, Change, Endorse, Word};
