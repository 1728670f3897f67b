//! How a test says that it cannot run on this machine: in plain sight, with the line that cures it.
//!
//! A skip that nobody sees is a test that cannot fail. So the line goes past the test runner's capture to standard
//! error, and where `NITRO_ELECT_NO_SKIP` is set (CI sets it after `make deps`) a skip is a failure.

use std::env;
use std::io::{self, Write};

/// Says that what `missing` names is not on this machine and that the command `cure` installs it; the caller
/// returns from its test next.
///
/// # Panics
/// Where `NITRO_ELECT_NO_SKIP` is set: there, everything that can be installed has been.
pub fn skip(missing: &str, cure: &str) {
    say(missing, cure, env::var_os("NITRO_ELECT_NO_SKIP").is_some(), &mut io::stderr());
}

fn say(missing: &str, cure: &str, forbidden: bool, out: &mut impl Write) {
    let line = format!("SKIPPED: {missing} is missing; install it with: {cure}");
    assert!(!forbidden, "{line}");
    writeln!(out, "{line}").expect("standard error takes a line");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_says_what_is_missing_and_what_cures_it() {
        let mut out = Vec::new();
        say("QEMU", "make deps", false, &mut out);
        assert_eq!(out, b"SKIPPED: QEMU is missing; install it with: make deps\n");
    }

    #[test]
    #[should_panic(expected = "SKIPPED: QEMU is missing")]
    fn a_skip_fails_where_skips_are_forbidden() {
        say("QEMU", "make deps", true, &mut Vec::new());
    }
}
