//! How long it takes from one leader to the next, as one node sees it.
//!
//! It is shown the lease that is known after every event, and keeps when the last one was lost. A lease that its
//! leader resigned from was handed over; any other that ended ran out.

use nitro_elect_protocol::time::Boot;
use std::time::Duration;

use crate::core::known::KnownLease;

/// A lease after one that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succeeded {
    /// How the last one ended, and how long it took from there.
    pub how: How,
    /// How long no lease was known.
    pub leaderless: Duration,
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It ran out: the span is from its last renewal that this node knew of.
    RanOut(Duration),
    /// Its leader resigned: the span is from when this node heard of it.
    HandedOver(Duration),
}

/// What is remembered of the last lease.
#[derive(Clone, Debug, Default)]
pub struct Interregnum {
    last: Option<KnownLease>,
    lost: Option<Lost>,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    lease: KnownLease,
    at: Boot,
    resigned: bool,
}

impl Interregnum {
    /// Takes in the lease that is known now; `resigned` says whether the newest certificate's ended by a `Resign`.
    pub fn see(&mut self, known: Option<KnownLease>, resigned: bool, now: Boot) -> Option<Succeeded> {
        let before = std::mem::replace(&mut self.last, known);
        match (before, known) {
            (Some(lease), None) => self.lost = Some(Lost { lease, at: now, resigned }),
            // Both within one event: a lease that had time left was handed over.
            (Some(lease), Some(next)) if lease.leader != next.leader => {
                self.lost = Some(Lost { lease, at: now, resigned: lease.until > now });
            }
            _ => {}
        }
        known?;
        let lost = self.lost.take()?;
        let leaderless = now.since(lost.at);
        let how = if lost.resigned {
            How::HandedOver(leaderless)
        } else {
            How::RanOut(now.since(lost.lease.as_of))
        };
        Some(Succeeded { how, leaderless })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::known::Basis;
    use nitro_elect_protocol::ids::{NodeId, Term};

    fn at(ms: u64) -> Boot {
        Boot(ms * 1_000_000)
    }

    fn lease(leader: u8, as_of: u64) -> Option<KnownLease> {
        let (leader, term) = (NodeId([leader; 32]), Term(u64::from(leader)));
        Some(KnownLease { leader, term, until: at(as_of + 980), basis: Basis::Promised, as_of: at(as_of) })
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_lease_and_its_renewals_succeed_nobody() {
        let mut interregnum = Interregnum::default();
        assert_eq!(interregnum.see(None, false, at(10)), None);
        assert_eq!(interregnum.see(lease(1, 20), false, at(20)), None);
        assert_eq!(interregnum.see(lease(1, 350), false, at(350)), None);
    }

    #[test]
    fn a_lease_that_ran_out_counts_from_its_last_renewal() {
        let mut interregnum = Interregnum::default();
        interregnum.see(lease(1, 100), false, at(100));
        assert_eq!(interregnum.see(None, false, at(1080)), None);
        assert_eq!(interregnum.see(None, false, at(1100)), None);
        let next = interregnum.see(lease(2, 1180), false, at(1180));
        assert_eq!(next, Some(Succeeded { how: How::RanOut(ms(1080)), leaderless: ms(100) }));
        assert_eq!(interregnum.see(lease(2, 1300), false, at(1300)), None, "once");
    }

    #[test]
    fn a_resigned_lease_counts_from_the_resignation() {
        let mut interregnum = Interregnum::default();
        interregnum.see(lease(1, 100), false, at(100));
        interregnum.see(None, true, at(200));
        let next = interregnum.see(lease(2, 215), false, at(215));
        assert_eq!(next, Some(Succeeded { how: How::HandedOver(ms(15)), leaderless: ms(15) }));
    }

    #[test]
    fn the_same_leader_after_a_gap_is_a_succession_and_a_change_without_one_too() {
        let mut interregnum = Interregnum::default();
        interregnum.see(lease(1, 100), false, at(100));
        interregnum.see(None, false, at(1080));
        let again = interregnum.see(lease(1, 1500), false, at(1500)).unwrap();
        assert_eq!(again.how, How::RanOut(ms(1400)));
        let at_once = interregnum.see(lease(2, 1600), false, at(1600)).unwrap();
        assert_eq!(at_once, Succeeded { how: How::HandedOver(ms(0)), leaderless: ms(0) });
    }
}
