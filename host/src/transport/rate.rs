//! A rate with a burst, as one point in time (the generic cell rate algorithm of ITU-T I.371).

use std::time::Duration;
use tokio::time::Instant;

/// Lets through `burst` events at once and a number a second in the long run.
#[derive(Debug, Clone)]
pub struct Rate {
    interval: Duration,
    tolerance: Duration,
    /// When the next event would be due, were they evenly spaced; nothing before the first.
    due: Option<Instant>,
}

impl Rate {
    /// A rate of `per_second` (at least 1) after a burst of `burst` (at least 1).
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Rate { interval, tolerance: interval * (burst.max(1) - 1), due: None }
    }

    /// Counts an event that happened and says how long to pause before the next one.
    pub fn pause_after(&mut self, now: Instant) -> Duration {
        let due = self.due.unwrap_or(now).max(now) + self.interval;
        self.due = Some(due);
        due.saturating_duration_since(now + self.tolerance + self.interval)
    }

    /// Counts an event if it may happen now.
    pub fn allows(&mut self, now: Instant) -> bool {
        let due = self.due.unwrap_or(now).max(now);
        let allowed = due <= now + self.tolerance;
        if allowed {
            self.due = Some(due + self.interval);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 3);
        assert_eq!((0..9).filter(|_| rate.allows(start)).count(), 3);
        let later = start + Duration::from_millis(100);
        assert_eq!((0..9).filter(|_| rate.allows(later)).count(), 1);
        let rested = start + Duration::from_secs(60);
        assert_eq!((0..9).filter(|_| rate.allows(rested)).count(), 3);
    }

    #[test]
    fn pauses_keep_the_long_run_at_the_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(100, 5);
        let mut now = start;
        for _ in 0..205 {
            now += rate.pause_after(now);
        }
        assert!(
            (now - start).abs_diff(Duration::from_secs(2)) <= Duration::from_millis(20),
            "{:?}",
            now - start
        );
    }
}
