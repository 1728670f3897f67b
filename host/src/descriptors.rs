//! How many descriptors this process may have open.
//!
//! Systems start processes with a soft limit of 1,024 for the sake of programs that use `select`; what they really
//! allow is the hard limit. A process that serves many connections takes what it can come to need.

use std::io;

/// Raises the soft limit to `needed`, or as near to it as the hard limit allows; returns what it is then. A limit that
/// is higher already stays.
pub fn allow(needed: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live, writable rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= needed {
        return Ok(limit.rlim_cur);
    }
    limit.rlim_cur = needed.min(limit.rlim_max);
    // SAFETY: `limit` is a live rlimit, its soft limit not above its hard one.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// The same, with a warning in the log where it is not enough.
pub fn allow_or_warn(needed: usize) {
    match allow(needed as u64) {
        Ok(allowed) if allowed < needed as u64 => tracing::warn!(
            "this process may open {allowed} files, and could come to need {needed}: raise its limit (ulimit -n, or \
             LimitNOFILE= of systemd)"
        ),
        Ok(_) => (),
        Err(error) => tracing::warn!(%error, "how many files this process may open is not known"),
    }
}
