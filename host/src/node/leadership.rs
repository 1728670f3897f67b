//! Whether this node leads, for code that acts on it.
//!
//! There is no flag that a timer sets. What a lease has left is computed on `CLOCK_BOOTTIME` at the moment of asking,
//! from when its support was asked for (DESIGN §3.4), so that a process that was paused, or whose node hangs, finds
//! its lease over.

use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::time::Boot;
use std::time::Duration;
use tokio::sync::watch;

use crate::clock;

/// A lease as the node last reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The term it is held in.
    pub term: Term,
    /// When it ends unless it is prolonged.
    pub until: Boot,
}

/// Whether this node leads, to ask and to await.
#[derive(Clone, Debug)]
pub struct Leadership {
    held: watch::Receiver<Option<Held>>,
}

/// One lease of this node, prolonged while the node renews it. Hold it while acting, and ask before each step.
#[derive(Clone, Debug)]
pub struct Lease {
    term: Term,
    held: watch::Receiver<Option<Held>>,
}

/// The lease is over: it ran out, was given up, or a new one began in another term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node's lease of term {term} is over")]
pub struct LeaseOver {
    /// The term that is over.
    pub term: Term,
}

impl Leadership {
    pub(crate) fn new(held: watch::Receiver<Option<Held>>) -> Self {
        Leadership { held }
    }

    /// The lease that this node holds at this moment, if any.
    pub fn current(&self) -> Option<Lease> {
        let held = (*self.held.borrow())?;
        let lease = Lease { term: held.term, held: self.held.clone() };
        (!lease.remaining().is_zero()).then_some(lease)
    }

    /// Waits until this node holds a lease; nothing once the node has ended.
    pub async fn gained(&mut self) -> Option<Lease> {
        loop {
            self.held.mark_unchanged();
            if let Some(lease) = self.current() {
                return Some(lease);
            }
            self.held.changed().await.ok()?;
        }
    }
}

impl Lease {
    /// The term, while the lease is held: the fencing token to hand to whatever is acted on. Ask for it anew before
    /// each step, and stop at the first refusal.
    ///
    /// # Errors
    /// [`LeaseOver`] from the moment that it has run out or was given up, by `CLOCK_BOOTTIME` (DESIGN §3.4).
    pub fn term(&self) -> Result<Term, LeaseOver> {
        match self.remaining().is_zero() {
            true => Err(LeaseOver { term: self.term }),
            false => Ok(self.term),
        }
    }

    /// What is left of it at this moment; zero when it is over, for whatever reason.
    pub fn remaining(&self) -> Duration {
        match *self.held.borrow() {
            Some(held) if held.term == self.term => clock::until(held.until),
            _ => Duration::ZERO,
        }
    }

    /// Waits until it is over. To stop acting in time, watch [`Lease::remaining`] instead.
    pub async fn ended(&mut self) {
        loop {
            let left = self.remaining();
            if left.is_zero() {
                return;
            }
            let news = tokio::time::timeout(left, self.held.changed()).await;
            if matches!(news, Ok(Err(_))) {
                tokio::time::sleep(self.remaining()).await;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(term: u64, left: Duration) -> Option<Held> {
        Some(Held { term: Term(term), until: clock::boot() + left })
    }

    #[test]
    fn a_lease_that_ran_out_is_over_though_nobody_said_so() {
        let (_node, reports) = watch::channel(held(7, Duration::ZERO));
        assert!(Leadership::new(reports).current().is_none());
    }

    #[tokio::test]
    async fn a_lease_is_prolonged_in_place_and_ends_with_its_term() {
        let (node, reports) = watch::channel(None);
        let mut leadership = Leadership::new(reports);
        assert!(leadership.current().is_none());
        node.send_replace(held(7, Duration::from_secs(60)));
        let mut lease = leadership.gained().await.unwrap();
        assert_eq!(lease.term(), Ok(Term(7)));
        assert!(lease.remaining() > Duration::from_secs(50));
        node.send_replace(held(7, Duration::from_secs(600)));
        assert!(lease.remaining() > Duration::from_secs(500));
        node.send_replace(held(8, Duration::from_secs(60)));
        assert_eq!(lease.remaining(), Duration::ZERO);
        lease.ended().await;
        assert_eq!(lease.term(), Err(LeaseOver { term: Term(7) }));
        assert_eq!(leadership.current().map(|lease| lease.term()), Some(Ok(Term(8))));
    }

    #[tokio::test]
    async fn waiting_ends_with_the_node() {
        let (node, reports) = watch::channel(None);
        drop(node);
        assert!(Leadership::new(reports).gained().await.is_none());
    }

    #[tokio::test]
    async fn a_lease_outlives_its_node_by_no_more_than_its_time() {
        let (node, reports) = watch::channel(held(7, Duration::from_millis(20)));
        let mut lease = Leadership::new(reports).current().unwrap();
        drop(node);
        lease.ended().await;
        assert_eq!(lease.remaining(), Duration::ZERO);
    }
}
