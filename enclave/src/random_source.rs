//! Where the kernel takes its random bytes from: inside an enclave, the security module.
//!
//! The keys are made from the kernel's random bytes, and in a virtual machine without another source those could be
//! the host's to know. So the service starts only where the kernel says that its hardware source is the module.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Where the kernel names its present hardware source (Linux, Documentation/admin-guide/hw_random.rst).
pub const CURRENT: &str = "/sys/class/misc/hw_random/rng_current";
/// What the driver of the security module calls itself there.
const MODULE: &str = "nsm-hwrng";
/// More than the longest name of a source.
const NAME_MAX: u64 = 128;

/// Why the random source is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum RandomSourceError {
    /// The kernel does not tell.
    #[error("cannot read {CURRENT}: {0}; the keys must come from the security module's random bytes")]
    Unknown(io::Error),
    /// It is another one.
    #[error("the kernel's random source is {found:?}, not the security module's ({MODULE})")]
    Other {
        /// What the kernel says.
        found: String,
    },
}

/// Checks that the kernel's hardware source, named in this file, is the security module.
pub fn check(current: &Path) -> Result<(), RandomSourceError> {
    let mut found = String::new();
    let read = File::open(current).and_then(|file| file.take(NAME_MAX).read_to_string(&mut found));
    read.map_err(RandomSourceError::Unknown)?;
    match found.strip_suffix('\n').unwrap_or(&found) {
        MODULE => Ok(()),
        other => Err(RandomSourceError::Other { found: other.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(contents: &str) -> Result<(), RandomSourceError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), contents).unwrap();
        check(file.path())
    }

    #[test]
    fn the_security_module_is_trusted() {
        assert!(named("nsm-hwrng\n").is_ok());
    }

    #[test]
    fn every_other_source_is_refused_by_name() {
        for other in ["virtio_rng.0", "none", "", "nsm-hwrng2", "tpm-rng-0", "nsm-hwrng\n\n"] {
            let refused = named(&format!("{other}\n"));
            assert!(
                matches!(refused, Err(RandomSourceError::Other { found }) if found == other),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_kernel_that_does_not_tell_is_refused() {
        assert!(matches!(check(Path::new("/no/such/file")), Err(RandomSourceError::Unknown(_))));
    }
}
