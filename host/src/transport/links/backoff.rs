//! How long to wait before dialling again: twice as long each time, up to a bound, with jitter, so that nodes that
//! lost each other together do not come back together.

use super::config::Class;
use crate::limits::{REDIAL_FIRST_PART, REDIAL_OTHERS_MAX};
use std::time::Duration;

/// The waits of one peer.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// The waits of a peer of this class, under this lease.
    pub fn new(class: Class, lease: Duration) -> Self {
        let longest = match class {
            Class::Voter => lease / 2,
            Class::Other => REDIAL_OTHERS_MAX,
        };
        let first = (lease / 2).min(longest) / REDIAL_FIRST_PART;
        Backoff { first, longest, next: first }
    }

    /// The shortest wait, jitter apart.
    pub fn first(&self) -> Duration {
        self.first
    }

    /// How long to wait now; the next wait is longer. `roll` is a random number.
    pub fn wait(&mut self, roll: u64) -> Duration {
        let wait = jittered(self.next, roll);
        self.next = (self.next * 2).min(self.longest);
        wait
    }

    /// Waits as long as for anybody next time: only a person can change what makes this dial fail.
    pub fn despair(&mut self) {
        self.next = REDIAL_OTHERS_MAX;
    }

    /// Takes note of a connection that lasted; one that outlived the longest wait ends the back-off.
    pub fn lasted(&mut self, lasted: Duration) {
        if lasted >= self.longest {
            self.next = self.first;
        }
    }
}

/// Between half of `wait` and all of it.
fn jittered(wait: Duration, roll: u64) -> Duration {
    let half = wait / 2;
    let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
    half + Duration::from_nanos(roll % nanos.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_half_a_lease_for_voters_and_30_s_for_others() {
        for (class, longest) in [(Class::Voter, LEASE / 2), (Class::Other, Duration::from_secs(30))] {
            let mut backoff = Backoff::new(class, LEASE);
            assert_eq!(backoff.wait(0), LEASE / 80, "half of the first wait");
            let last = (0..20).map(|_| backoff.wait(u64::MAX)).last().unwrap();
            assert!(last > longest / 2 && last <= longest, "{last:?}");
        }
    }

    #[test]
    fn jitter_stays_within_half_of_the_wait() {
        for roll in [0, 1, 12_345_678_901, u64::MAX / 2, u64::MAX] {
            let wait = jittered(LEASE, roll);
            assert!((LEASE / 2..=LEASE).contains(&wait), "{wait:?}");
        }
        assert_eq!(jittered(Duration::ZERO, 7), Duration::ZERO);
    }

    #[test]
    fn only_a_connection_that_lasted_ends_the_back_off() {
        let mut backoff = Backoff::new(Class::Voter, LEASE);
        let _longer_each_time: Vec<_> = (0..20).map(|roll| backoff.wait(roll)).collect();
        backoff.lasted(Duration::from_millis(10));
        assert_eq!(backoff.wait(0), LEASE / 4);
        backoff.lasted(LEASE);
        assert_eq!(backoff.wait(0), LEASE / 80);
    }

    #[test]
    fn despair_waits_long_once() {
        let mut backoff = Backoff::new(Class::Voter, LEASE);
        backoff.despair();
        assert_eq!(backoff.wait(0), Duration::from_secs(15));
        assert_eq!(backoff.wait(0), LEASE / 4);
    }
}
