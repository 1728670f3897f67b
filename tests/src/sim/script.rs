//! What a scenario written by hand does to a world.

use std::time::Duration;

use super::violation::Violation;
use super::wills::Remains;
use super::world::World;

/// How finely a script looks for what it waits for.
const GRAIN: Duration = Duration::from_micros(50);

impl World {
    /// Lets everything happen until `seen`, for a span at most. Says whether it was seen.
    pub fn wait_for(&mut self, most: Duration, seen: impl Fn(&World) -> bool) -> Result<bool, Violation> {
        let end = self.at + most;
        while self.at < end {
            if seen(self) {
                return Ok(true);
            }
            self.run_until(self.at + GRAIN)?;
        }
        Ok(seen(self))
    }

    /// Lets a span of time pass.
    pub fn pass(&mut self, span: Duration) -> Result<(), Violation> {
        self.run_until(self.at + span)
    }

    /// The process of a machine stands still for a span.
    pub fn stand_still(&mut self, machine: usize, span: Duration) {
        self.pause(machine, span);
    }

    /// The process of a machine ends, and starts again after a span.
    pub fn restart(&mut self, machine: usize, down: Duration) {
        self.crash_for(machine, false, down);
    }

    /// The process of a machine ends, leaves this behind, and starts again after a span. Its supervisor lives.
    pub fn die(&mut self, machine: usize, remains: Remains, down: Duration) {
        self.scenario.last_wills = 1000;
        self.crash_leaving(machine, false, down, remains);
    }

    /// Every enclave ends, and another starts in its place.
    pub fn restart_enclaves(&mut self) {
        for host in 0..self.hosts.len() {
            if self.can_boot() {
                self.hosts[host].service = None;
                self.boot(host);
            }
        }
    }

    /// One machine loses its connections to all others, and gets none for a span.
    pub fn strand(&mut self, machine: usize, span: Duration) {
        for other in (0..self.machines.len()).filter(|other| *other != machine) {
            self.sever(machine, other, span);
        }
    }

    /// Two machines lose their connection at once, with all that is under way on it, and get none for a span.
    pub fn sever(&mut self, a: usize, b: usize, span: Duration) {
        self.disconnect(a, b);
        self.cut(a, b, span);
        self.cut(b, a, span);
    }

    /// A machine's wall clock runs ahead, or behind.
    pub fn set_wall(&mut self, machine: usize, ahead_ms: i64) {
        self.machines[machine].clock.wall_ahead_ms = ahead_ms;
    }

    /// Whether this node holds the lease now.
    pub fn holds(&self, node: usize) -> bool {
        self.observer.lease_of(node, self.at).is_some()
    }
}
