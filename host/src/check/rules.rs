//! When failures of a check make a node unhealthy: so many in a row, and one success undoes it.

/// What was seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    threshold: u32,
    failures: u32,
    is_healthy: bool,
}

impl Health {
    /// Healthy until `threshold` failures in a row: a node that has just started may lead.
    pub fn new(threshold: u32) -> Self {
        Health { threshold: threshold.max(1), failures: 0, is_healthy: true }
    }

    /// Whether it counts as healthy now.
    pub fn is_healthy(&self) -> bool {
        self.is_healthy
    }

    /// Takes in what came of a try; whether it is healthy, if that has changed.
    pub fn tried(&mut self, passed: bool) -> Option<bool> {
        self.failures = if passed { 0 } else { self.failures.saturating_add(1) };
        let is_healthy = passed || (self.is_healthy && self.failures < self.threshold);
        let was = std::mem::replace(&mut self.is_healthy, is_healthy);
        (was != is_healthy).then_some(is_healthy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_failures_in_a_row_make_it_unhealthy_and_one_success_healthy() {
        let mut health = Health::new(3);
        let tries = [false, false, true, false, false, false, false, true, true, false];
        let changes: Vec<_> = tries.map(|passed| health.tried(passed)).to_vec();
        let expected = [None, None, None, None, None, Some(false), None, Some(true), None, None];
        assert_eq!(changes, expected);
        assert!(health.is_healthy());
    }

    #[test]
    fn a_threshold_of_nothing_is_one() {
        assert_eq!(Health::new(0).tried(false), Some(false));
    }
}
