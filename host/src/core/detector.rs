//! Who is alive: an accrual failure detector on this node's own clock (DESIGN §3.1).
//!
//! Silence alone speaks: nobody's word makes a node dead. A heartbeat counts as life only if it is fresh: its lag
//! over the smallest lag seen in its generation, less 2 % of the time since for drift, is under the detection
//! time. So a relay that hoards heartbeats and drips them out keeps nobody alive.

use nitro_elect_protocol::ids::Generation;
use nitro_elect_protocol::time::Boot;
use std::collections::VecDeque;
use std::time::Duration;

use super::timing::Timing;

/// Intervals remembered: a little over three leases' worth at the default rate.
const WINDOW: usize = 16;

/// What is known of one node's life.
#[derive(Clone, Debug, Default, Hash)]
pub struct Pulse {
    last_life: Option<Boot>,
    intervals: VecDeque<Duration>,
    /// The mean and four deviations of the intervals, once there are enough.
    usual: Option<Duration>,
    lag: Option<Lag>,
}

/// The smallest lag seen in a generation: nanoseconds of the receiver's clock less the sender's.
#[derive(Clone, Copy, Debug, Hash)]
struct Lag {
    generation: Generation,
    least: i128,
    at: Boot,
}

impl Pulse {
    /// A newer heartbeat arrived. Says whether it counts as life.
    pub fn beat(&mut self, generation: Generation, sent: Boot, arrived: Boot, timing: Timing) -> bool {
        if !self.is_fresh(generation, sent, arrived, timing) {
            return false;
        }
        if let Some(last) = self.last_life.replace(arrived) {
            self.intervals.push_back(arrived.since(last));
            if self.intervals.len() > WINDOW {
                self.intervals.pop_front();
            }
            self.usual = self.usual_silence();
        }
        true
    }

    fn is_fresh(&mut self, generation: Generation, sent: Boot, arrived: Boot, timing: Timing) -> bool {
        let lag = i128::from(arrived.0) - i128::from(sent.0);
        let known = self.lag.filter(|known| known.generation == generation);
        let Some(known) = known else {
            self.lag = Some(Lag { generation, least: lag, at: arrived });
            return true;
        };
        let drift = i128::from(arrived.0.saturating_sub(known.at.0) / 50);
        if lag <= known.least + drift {
            self.lag = Some(Lag { generation, least: lag, at: arrived });
            return true;
        }
        lag - known.least - drift < timing.detection().as_nanos() as i128
    }

    /// Whether the node is alive, as far as silence tells. `lateness` is how late this node itself runs: it
    /// stretches the time given to others.
    pub fn is_alive(&self, now: Boot, lateness: Duration, timing: Timing) -> bool {
        self.last_life.is_some_and(|last| now.since(last) < self.patience(timing) + lateness)
    }

    /// When silence will have lasted too long.
    pub fn silent_from(&self, lateness: Duration, timing: Timing) -> Option<Boot> {
        self.last_life.map(|last| last + self.patience(timing) + lateness)
    }

    /// How long ago it showed life.
    pub fn silent_for(&self, now: Boot) -> Option<Duration> {
        self.last_life.map(|last| now.since(last))
    }

    /// How long a silence is borne: three intervals, or the mean and four deviations of those seen, up to a lease.
    fn patience(&self, timing: Timing) -> Duration {
        let least = timing.detection();
        self.usual.map_or(least, |usual| usual.clamp(least, timing.lease.max(least)))
    }

    fn usual_silence(&self) -> Option<Duration> {
        if self.intervals.len() < WINDOW / 2 {
            return None;
        }
        let seconds: Vec<f64> = self.intervals.iter().map(Duration::as_secs_f64).collect();
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let variance = seconds.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / seconds.len() as f64;
        Some(Duration::from_secs_f64(mean + 4.0 * variance.sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { lease: Duration::from_secs(1) };

    fn at(ms: u64) -> Boot {
        Boot(ms * 1_000_000)
    }

    fn beaten(until: u64) -> Pulse {
        let mut pulse = Pulse::default();
        for ms in (0..=until).step_by(200) {
            assert!(pulse.beat(Generation(1), at(50_000 + ms), at(ms), TIMING));
        }
        pulse
    }

    #[test]
    fn silence_of_three_intervals_ends_a_steady_life() {
        let pulse = beaten(4000);
        assert!(pulse.is_alive(at(4599), Duration::ZERO, TIMING));
        assert!(!pulse.is_alive(at(4600), Duration::ZERO, TIMING));
        assert!(pulse.is_alive(at(4600), Duration::from_millis(100), TIMING), "slower when late oneself");
    }

    #[test]
    fn a_node_never_heard_is_not_alive() {
        assert!(!Pulse::default().is_alive(at(0), Duration::ZERO, TIMING));
    }

    #[test]
    fn hoarded_heartbeats_dripped_out_are_no_life() {
        let mut pulse = beaten(1000);
        let hoarded = |k: u64| at(50_000 + 1000 + 200 * k);
        assert!(pulse.beat(Generation(1), hoarded(1), at(1700), TIMING), "500 ms late: slow, but life");
        assert!(!pulse.beat(Generation(1), hoarded(2), at(2100), TIMING), "700 ms late");
        assert!(!pulse.beat(Generation(1), hoarded(3), at(2500), TIMING), "900 ms late");
        assert!(!pulse.is_alive(at(2500), Duration::ZERO, TIMING));
    }

    #[test]
    fn clocks_that_drift_apart_by_two_percent_stay_alive() {
        let mut pulse = Pulse::default();
        for beat in 0..10_000u64 {
            assert!(pulse.beat(Generation(1), at(beat * 200), at(beat * 204), TIMING), "beat {beat}");
        }
    }

    #[test]
    fn a_new_life_starts_afresh() {
        let mut pulse = beaten(1000);
        assert!(pulse.beat(Generation(2), at(3), at(1200), TIMING));
    }
}
