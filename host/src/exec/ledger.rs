//! Whether anything of an exec's command may be left, by what its runner was ordered and what it said.
//!
//! The node is told that the work has ended only by the word of the runner, or if nothing was ordered to run since that
//! word: with it, the node may free its voters for the next leader at once.

use crate::run::rules::Lease;

/// What the runner was ordered since it last said that nothing runs.
#[derive(Debug, Default)]
pub struct Ledger {
    may_run: bool,
}

impl Ledger {
    /// An order with this lease is about to be given. Whether there is none to give, as it is to run nothing and was
    /// ordered to run nothing: then the work has ended.
    pub fn is_over_with(&mut self, lease: Option<Lease>) -> bool {
        self.may_run |= lease.is_some();
        !self.may_run
    }

    /// The runner answered the last order: nothing runs.
    pub fn clear(&mut self) {
        self.may_run = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::ids::Term;
    use nitro_elect_protocol::time::Boot;
    use std::time::Duration;

    fn lease() -> Option<Lease> {
        Some(Lease { term: Term(5), until: Boot(1_000), length: Duration::from_secs(1) })
    }

    #[test]
    fn work_that_was_never_ordered_to_run_is_over_when_the_lease_is_lost() {
        assert!(Ledger::default().is_over_with(None));
    }

    /// A leader that another's certificate supersedes, and that is then told to stop, orders the end twice. After the
    /// second time the node heard that nothing runs, and freed its voters beside a command that ignores SIGTERM.
    #[test]
    fn work_that_was_asked_to_end_is_not_over_however_often_it_is_asked() {
        let mut ledger = Ledger::default();
        assert!(!ledger.is_over_with(lease()));
        assert!(!ledger.is_over_with(None));
        assert!(!ledger.is_over_with(None), "the runner has not said so");
        ledger.clear();
        assert!(ledger.is_over_with(None));
    }
}
