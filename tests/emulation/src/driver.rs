//! The kernel's driver of the security module, made to drive the emulated device.
//!
//! QEMU lends a foreign process no virtio device with the module's id (33), but one with that of an entropy source
//! (4). So the driver's table of devices is changed in that one number, and its signature, which no longer fits, is
//! cut off; kernels that do not insist on signatures load it with a taint.

/// What a signed module ends with (Linux, scripts/sign-file.c).
const SIGNED: &[u8] = b"~Module signature appended~\n";
/// `struct module_signature`, which stands before it; its last four bytes are the signature's length, big-endian.
const SIGNATURE_HEADER: usize = 12;
/// The driver's table: device 33, any vendor; u32 each, little-endian.
const NSM_ENTRY: [u8; 8] = [33, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
/// The id of an entropy source.
const ENTROPY_DEVICE: u8 = 4;

/// Why a driver could not be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The signature's length does not fit the file.
    #[error("the module says it is signed, but its signature is longer than itself")]
    Signature,
    /// No table entry, or several.
    #[error("the module names virtio device 33 {found} times, not once: it is not the nsm driver known here")]
    Entries {
        /// How often.
        found: usize,
    },
}

/// The driver for the emulated device.
pub fn for_emulation(module: &[u8]) -> Result<Vec<u8>, DriverError> {
    let mut module = unsigned(module)?.to_vec();
    let places: Vec<usize> = module
        .windows(NSM_ENTRY.len())
        .enumerate()
        .filter(|(_, at)| *at == NSM_ENTRY)
        .map(|(at, _)| at)
        .collect();
    let [place] = places[..] else { return Err(DriverError::Entries { found: places.len() }) };
    module[place] = ENTROPY_DEVICE;
    Ok(module)
}

fn unsigned(module: &[u8]) -> Result<&[u8], DriverError> {
    let Some(signed) = module.strip_suffix(SIGNED) else { return Ok(module) };
    let length = signed.last_chunk::<4>().ok_or(DriverError::Signature)?;
    let length = u32::from_be_bytes(*length) as usize;
    let end = signed.len().checked_sub(SIGNATURE_HEADER).and_then(|end| end.checked_sub(length));
    Ok(&signed[..end.ok_or(DriverError::Signature)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(module: &[u8], length: u32) -> Vec<u8> {
        [module, &[7; 20], &[0; 8], &length.to_be_bytes(), SIGNED].concat()
    }

    #[test]
    fn one_number_changes_and_the_signature_goes() {
        let module = [&b"code"[..], &NSM_ENTRY, b"code"].concat();
        let mut expected = module.clone();
        expected[4] = ENTROPY_DEVICE;
        assert_eq!(for_emulation(&signed(&module, 20)), Ok(expected.clone()));
        assert_eq!(for_emulation(&module), Ok(expected));
    }

    #[test]
    fn a_signature_longer_than_the_module_is_an_error() {
        for length in [u32::MAX, 1000] {
            assert_eq!(for_emulation(&signed(&NSM_ENTRY, length)), Err(DriverError::Signature));
        }
        assert_eq!(for_emulation(SIGNED), Err(DriverError::Signature));
    }

    #[test]
    fn another_module_is_left_alone() {
        assert_eq!(for_emulation(b"virtio"), Err(DriverError::Entries { found: 0 }));
        assert_eq!(for_emulation(&[NSM_ENTRY, NSM_ENTRY].concat()), Err(DriverError::Entries { found: 2 }));
    }
}
