//! True time, and what the clocks of machines make of it.

use nitro_elect_protocol::time::{Boot, Now, Wall};
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Where all wall clocks stand at the start: the time of the attestation documents at hand.
pub const EPOCH: Wall = Wall(1_767_225_600_000);

/// A point in true time: nanoseconds since the simulation began. No node ever sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub u64);

impl At {
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: At) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for At {
    type Output = At;
    fn add(self, span: Duration) -> At {
        At(self.0.saturating_add(span.as_nanos() as u64))
    }
}

impl Sub<Duration> for At {
    type Output = At;
    fn sub(self, span: Duration) -> At {
        At(self.0.saturating_sub(span.as_nanos() as u64))
    }
}

impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:4}.{:06} s", self.0 / 1_000_000_000, self.0 / 1000 % 1_000_000)
    }
}

/// One machine's clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Nanoseconds that BOOTTIME gains on true time in every million; a true clock has 0.
    rate_ppm: i64,
    /// BOOTTIME at `since`.
    base: Boot,
    since: At,
    /// Milliseconds that the wall clock is ahead.
    pub wall_ahead_ms: i64,
}

impl Clock {
    /// A clock of this rate that reads `base` at the start.
    pub fn new(rate_ppm: i64, base: Boot, wall_ahead_ms: i64) -> Self {
        Clock { rate_ppm, base, since: At(0), wall_ahead_ms }
    }

    /// The machine boots: BOOTTIME begins anew.
    pub fn reboot(&mut self, at: At) {
        (self.base, self.since) = (Boot(3_000_000_000), at);
    }

    /// BOOTTIME goes on at another rate.
    pub fn set_rate(&mut self, at: At, rate_ppm: i64) {
        (self.base, self.since, self.rate_ppm) = (self.read(at).boot, at, rate_ppm);
    }

    /// Both clocks at a point in true time.
    pub fn read(&self, at: At) -> Now {
        let passed = i128::from(at.0 - self.since.0.min(at.0));
        let own = passed * i128::from(1_000_000 + self.rate_ppm) / 1_000_000;
        let wall = EPOCH.0 as i64 + (at.0 / 1_000_000) as i64 + self.wall_ahead_ms;
        Now { boot: Boot(self.base.0 + own as u64), wall: Wall(wall.max(0) as u64) }
    }

    /// The first point in true time at which BOOTTIME reads `boot` or more.
    pub fn when(&self, boot: Boot) -> At {
        let own = i128::from(boot.0.saturating_sub(self.base.0)) * 1_000_000;
        let rate = i128::from(1_000_000 + self.rate_ppm);
        At(self.since.0.saturating_add(((own + rate - 1) / rate) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reads_a_time_when_it_says_it_will_and_not_before() {
        for rate in [-10_000, -1, 0, 7, 10_000] {
            let clock = Clock::new(rate, Boot(12_345), 0);
            for boot in [12_345, 12_346, 1_000_000_007, 987_654_321_012] {
                let when = clock.when(Boot(boot));
                assert!(clock.read(when).boot >= Boot(boot), "{rate} {boot}");
                assert!(when.0 == 0 || clock.read(At(when.0 - 1)).boot < Boot(boot), "{rate} {boot}");
            }
        }
    }
}
