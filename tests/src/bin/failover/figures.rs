//! What many measurements come to.

use std::fmt;
use std::time::Duration;

use crate::millis;

/// Measurements, sorted; at least one.
pub struct Figures(Vec<Duration>);

impl Figures {
    /// # Panics
    /// Without a measurement.
    pub fn of(mut measured: Vec<Duration>) -> Self {
        assert!(!measured.is_empty(), "figures of nothing");
        measured.sort_unstable();
        Figures(measured)
    }

    /// The value that half of them do not exceed.
    pub fn median(&self) -> Duration {
        self.at(50)
    }

    /// The value that so many of a hundred do not exceed.
    fn at(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0[place]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p95, most] = [50, 95, 100].map(|percent| millis(self.at(percent)));
        write!(out, "{median:>8.1} ms median {p95:>8.1} ms p95 {most:>8.1} ms most, of {}", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_95th_of_a_hundred_are_those_places() {
        let figures = Figures::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!([50, 95, 100].map(|percent| figures.at(percent).as_millis()), [50, 95, 100]);
        assert_eq!(Figures::of(vec![Duration::from_millis(7)]).at(95), Duration::from_millis(7));
    }
}
