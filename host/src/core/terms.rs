//! Which terms a voter believes (DESIGN §3.2, step 2). The bound is for liveness only.
//!
//! Its base is the certificate or the cluster clock, never the voter's own record: a caller that resigns at once
//! could otherwise drive one voter's record beyond everybody else's.

use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::limits::{TERM_MAX, TERM_WINDOW};
use nitro_elect_protocol::time::Wall;
use std::time::Duration;

/// The highest term that is believed now, apart from the record's own successor.
///
/// `leaderless` is how long ago the lease known here ran out.
pub fn highest_believable(certified: Term, cluster_clock: Wall, leaderless: Duration) -> Term {
    let base = certified.0.max(cluster_clock.0);
    let elapsed = u64::try_from(leaderless.as_millis()).unwrap_or(u64::MAX);
    Term(base.saturating_add(TERM_WINDOW).saturating_add(elapsed).min(TERM_MAX))
}

/// The lower median of wall clocks, or none of none.
pub fn lower_median(mut clocks: Vec<Wall>) -> Option<Wall> {
    clocks.sort_unstable();
    let middle = clocks.len().checked_sub(1)? / 2;
    clocks.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_follows_certificate_clock_and_time_without_a_leader() {
        assert_eq!(highest_believable(Term(5), Wall(3), Duration::ZERO), Term(5 + 1024));
        assert_eq!(highest_believable(Term(5), Wall(10), Duration::from_millis(7)), Term(10 + 1024 + 7));
        assert_eq!(highest_believable(Term(TERM_MAX), Wall(10), Duration::MAX), Term(TERM_MAX));
    }

    #[test]
    fn one_liar_among_four_does_not_move_the_lower_median_beyond_honest_clocks() {
        let clock = |liar| lower_median(vec![Wall(100), Wall(101), Wall(102), Wall(liar)]);
        assert_eq!(clock(0), Some(Wall(100)));
        assert_eq!(clock(u64::MAX), Some(Wall(101)));
        assert_eq!(lower_median(Vec::new()), None);
    }
}
