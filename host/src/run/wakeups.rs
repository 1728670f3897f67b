//! What wakes a process up that waits for several things at once: a moment on `CLOCK_BOOTTIME`, and signals.
//!
//! The usual timeouts stand still while a machine is suspended, and would then come too late by all of that; a timer on
//! the clock that leases are counted on fires as soon as the machine is back.

use nitro_elect_protocol::time::Boot;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// A timer on `CLOCK_BOOTTIME`.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

/// Signals that are read instead of being delivered.
#[derive(Debug)]
pub struct SignalQueue(OwnedFd);

impl Alarm {
    /// One that is not set.
    pub fn new() -> io::Result<Alarm> {
        // SAFETY: timerfd_create takes two numbers.
        let made =
            unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        Ok(Alarm(owned(made)?))
    }

    /// Sets it to this moment, which may have passed, or to none.
    pub fn set(&self, when: Option<Boot>) -> io::Result<()> {
        // All zero would disarm it: a moment before the machine started has passed anyway.
        let nanos = when.map_or(0, |when| when.0.max(1));
        let value = libc::timespec {
            tv_sec: libc::time_t::try_from(nanos / 1_000_000_000).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::try_from(nanos % 1_000_000_000).unwrap_or(0),
        };
        let spec =
            libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        let timer = self.0.as_raw_fd();
        // SAFETY: `spec` is a live itimerspec, and no old value is asked for.
        let set = unsafe {
            libc::timerfd_settime(timer, libc::TFD_TIMER_ABSTIME, &raw const spec, ptr::null_mut())
        };
        if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl SignalQueue {
    /// Takes these signals; from now on they wait here and do nothing else.
    pub fn take(signals: &[i32]) -> io::Result<SignalQueue> {
        let mask = mask_of(signals);
        // SAFETY: `mask` is a live signal set, and the mask before is not asked for.
        let blocked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, ptr::null_mut()) };
        if blocked != 0 {
            return Err(io::Error::from_raw_os_error(blocked));
        }
        // SAFETY: `mask` is a live signal set.
        let made = unsafe { libc::signalfd(-1, &raw const mask, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        Ok(SignalQueue(owned(made)?))
    }

    /// Forgets those that came.
    pub fn drain(&self) {
        let mut bytes = [0_u8; 16 * size_of::<libc::signalfd_siginfo>()];
        // SAFETY: the pointer and the length are those of a live buffer.
        while unsafe { libc::read(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
    }
}

/// Lets every signal through again. Async-signal-safe: for a child between fork and exec.
pub fn unblock_all() -> io::Result<()> {
    let mask = mask_of(&[]);
    // SAFETY: `mask` is a live signal set, and the mask before is not asked for.
    let set = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut()) };
    if set == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(set)) }
}

fn mask_of(signals: &[i32]) -> libc::sigset_t {
    let mut mask = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that it is given, and sigaddset takes one that is.
    unsafe {
        libc::sigemptyset(mask.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(mask.as_mut_ptr(), *signal);
        }
        mask.assume_init()
    }
}

/// Waits until one of these can be read, or was closed; which of them.
pub fn wait(sources: &[RawFd]) -> io::Result<Vec<bool>> {
    let watched = |fd: &RawFd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = sources.iter().map(watched).collect();
    let count = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
    // SAFETY: the pointer and the count are those of a live, writable array.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), count, -1) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted {
            Ok(vec![true; sources.len()])
        } else {
            Err(error)
        };
    }
    Ok(polled.iter().map(|one| one.revents != 0).collect())
}

fn owned(made: RawFd) -> io::Result<OwnedFd> {
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsRawFd for SignalQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;

    #[test]
    fn an_alarm_rings_at_its_moment_and_at_once_for_a_past_one() {
        let alarm = Alarm::new().unwrap();
        let due = clock::boot() + Duration::from_millis(30);
        alarm.set(Some(due)).unwrap();
        assert_eq!(wait(&[alarm.as_raw_fd()]).unwrap(), [true]);
        assert!(clock::boot() >= due);
        alarm.set(Some(Boot(0))).unwrap();
        assert_eq!(wait(&[alarm.as_raw_fd()]).unwrap(), [true]);
    }
}
