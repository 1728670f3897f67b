//! The machine's clocks, read in one place.
//!
//! Rules take time as an input; this is where a shell gets it. Leases are counted on `CLOCK_BOOTTIME`, which goes on
//! while the machine is suspended; the wall clock is advice.

use nitro_elect_protocol::time::{Boot, Now, Wall};
use std::time::{Duration, SystemTime};

/// Both clocks.
pub fn now() -> Now {
    Now { boot: boot(), wall: wall() }
}

/// `CLOCK_BOOTTIME` of this machine, at this moment.
pub fn boot() -> Boot {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live `timespec` that nobody else holds, and the call keeps it for no longer.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    assert_eq!(status, 0, "every Linux since 2.6.39 has CLOCK_BOOTTIME");
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    let whole = seconds.unwrap_or_default().saturating_mul(1_000_000_000);
    Boot(whole.saturating_add(nanos.unwrap_or_default()))
}

/// The wall clock; 1970 if it is set to before that.
pub fn wall() -> Wall {
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Wall(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

/// How long it is until `then`; zero if it has passed.
pub fn until(then: Boot) -> Duration {
    then.since(boot())
}

/// Waits until `then`. Timers stand still while the machine is suspended, so the clock is looked at again.
pub async fn sleep_until(then: Boot) {
    while !until(then).is_zero() {
        tokio::time::sleep(until(then)).await;
    }
}

/// Waits until `then`; for ever, without one.
pub async fn at(then: Option<Boot>) {
    let Some(then) = then else { return std::future::pending().await };
    sleep_until(then).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_never_goes_back_and_moves_on() {
        let first = boot();
        let second = boot();
        assert!(second >= first && first > Boot(0));
        while boot() == first {}
        assert!(boot().since(first) < Duration::from_secs(60));
    }

    #[test]
    fn the_time_until_a_past_moment_is_zero() {
        assert_eq!(until(boot()), Duration::ZERO);
        assert!(until(boot() + Duration::from_secs(60)) > Duration::from_secs(50));
    }

    #[test]
    fn the_wall_clock_counts_milliseconds_since_1970() {
        let year_2020 = Wall(1_577_836_800_000);
        assert!(wall() > year_2020);
    }
}
