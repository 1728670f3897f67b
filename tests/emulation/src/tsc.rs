//! The rate of this machine's time-stamp counter, which the emulated processor passes on.
//!
//! A guest that has to find it out by itself, against timers that a busy host serves late, gets it wrong and hangs.
//! So it is told on its command line.

use std::arch::x86_64::_rdtsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough to be right to a thousandth.
const MEASURED: Duration = Duration::from_millis(200);

/// Ticks in a millisecond.
pub fn kilohertz() -> u64 {
    let (start, first) = (Instant::now(), ticks());
    sleep(MEASURED);
    let (elapsed, ticks) = (start.elapsed(), ticks() - first);
    let kilohertz = u128::from(ticks) * 1_000_000 / elapsed.as_nanos();
    u64::try_from(kilohertz).expect("no counter makes 2^64 ticks in a millisecond")
}

fn ticks() -> u64 {
    // SAFETY: it reads a register that every x86-64 processor has and that Linux leaves readable.
    unsafe { _rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_a_processor() {
        assert!((200_000..20_000_000).contains(&kilohertz()));
    }
}
