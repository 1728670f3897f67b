//! The measurements of an image, as the hypervisor takes them and an attestation document states them.
//!
//! PCR = SHA-384(48 zero bytes ‖ SHA-384(data)), over these data:
//!
//! | register | covers |
//! | --- | --- |
//! | PCR0 | kernel, command line, all ramdisks: the whole image |
//! | PCR1 | kernel, command line, first ramdisk: what boots |
//! | PCR2 | the other ramdisks: the application |
//! | PCR8 | the certificate (DER) whose key signed the image, if one did |

use nitro_elect_protocol::ids::Pcr;
use nitro_elect_protocol::trust::PcrSet;
use ring::digest::{Context, SHA384, digest};

/// The registers of an image, none of them zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurements {
    /// The whole image.
    pub pcr0: Pcr,
    /// What boots.
    pub pcr1: Pcr,
    /// The application.
    pub pcr2: Pcr,
    /// Who signed it.
    pub pcr8: Option<Pcr>,
}

impl Measurements {
    /// Measures the parts of an image; `certificate` is the signer's, in DER.
    pub fn of(kernel: &[u8], cmdline: &[u8], ramdisks: &[&[u8]], certificate: Option<&[u8]>) -> Self {
        let (first, others) = ramdisks.split_at(ramdisks.len().min(1));
        let boot = [&[kernel, cmdline], first].concat();
        Measurements {
            pcr0: register(&[&boot, others].concat()),
            pcr1: register(&boot),
            pcr2: register(others),
            pcr8: certificate.map(|certificate| register(&[certificate])),
        }
    }

    /// The registers with their numbers.
    pub fn pcrs(&self) -> impl Iterator<Item = (u8, Pcr)> {
        let unsigned = [(0, self.pcr0), (1, self.pcr1), (2, self.pcr2)];
        unsigned.into_iter().chain(self.pcr8.map(|pcr| (8, pcr)))
    }

    /// As a trust section accepts them.
    pub fn accepted(&self) -> PcrSet {
        let Measurements { pcr0, pcr1, pcr2, pcr8 } = *self;
        PcrSet { pcr0, pcr1, pcr2, pcr8 }
    }
}

/// A register that was zero, extended once by the digest of these parts.
pub(super) fn register(parts: &[&[u8]]) -> Pcr {
    let mut data = Context::new(&SHA384);
    parts.iter().for_each(|part| data.update(part));
    let extended = [&[0; 48][..], data.finish().as_ref()].concat();
    let register = digest(&SHA384, &extended);
    Pcr(register.as_ref().try_into().expect("SHA-384 has 48 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_application_ramdisk_pcr2_is_the_one_that_nitro_cli_prints_for_none() {
        let empty = "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a";
        let measured = Measurements::of(b"kernel", b"cmdline", &[b"ramdisk"], None);
        assert_eq!(measured.pcr2.to_string(), empty);
        assert_eq!(measured.pcr0, measured.pcr1);
    }

    #[test]
    fn each_part_moves_the_registers_that_cover_it_and_no_other() {
        let of = |kernel: &[u8], cmdline: &[u8], first: &[u8], second: &[u8]| {
            Measurements::of(kernel, cmdline, &[first, second], None)
        };
        let base = of(b"k", b"c", b"1", b"2");
        for boot in [of(b"K", b"c", b"1", b"2"), of(b"k", b"C", b"1", b"2"), of(b"k", b"c", b"!", b"2")] {
            assert_ne!((boot.pcr0, boot.pcr1), (base.pcr0, base.pcr1));
            assert_ne!(boot.pcr1, base.pcr1);
            assert_eq!(boot.pcr2, base.pcr2);
        }
        let application = of(b"k", b"c", b"1", b"!");
        assert_ne!(application.pcr0, base.pcr0);
        assert_eq!(application.pcr1, base.pcr1);
        assert_ne!(application.pcr2, base.pcr2);
    }

    #[test]
    fn a_certificate_is_measured_into_pcr8_alone() {
        let unsigned = Measurements::of(b"k", b"c", &[b"1"], None);
        let signed = Measurements::of(b"k", b"c", &[b"1"], Some(b"certificate"));
        assert_eq!((signed.pcr0, signed.pcr1, signed.pcr2), (unsigned.pcr0, unsigned.pcr1, unsigned.pcr2));
        assert_eq!((unsigned.pcr8, signed.pcr8), (None, Some(register(&[b"certificate"]))));
    }
}
