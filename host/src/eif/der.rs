//! Elements of DER (X.690), as far as to the public key of a certificate (RFC 5280 §4.1).

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// The version of a certificate, which certificates of the first version leave away.
const VERSION: u8 = 0xa0;

/// One element: its tag, what it holds, and all of it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// Takes elements from the front of bytes.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    /// The next element, if there is a whole one with a length of up to four bytes.
    fn next(&mut self) -> Option<Element<'a>> {
        let (tag, length_at) = (*self.0.first()?, 1);
        let first = *self.0.get(length_at)?;
        let digits = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let at = length_at + 1 + digits;
        let len = match digits {
            0 => usize::from(first),
            1..=4 => {
                self.0.get(length_at + 1..at)?.iter().fold(0, |len, digit| len << 8 | usize::from(*digit))
            }
            _ => return None,
        };
        let whole = self.0.get(..at.checked_add(len)?)?;
        self.0 = &self.0[whole.len()..];
        Some(Element { tag, content: &whole[at..], whole })
    }
}

/// The SubjectPublicKeyInfo of a certificate, in DER; nothing else of the certificate is judged.
pub(super) fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let certificate = Elements(certificate).next().filter(|element| element.tag == SEQUENCE)?;
    let signed = Elements(certificate.content).next().filter(|element| element.tag == SEQUENCE)?;
    let mut fields = Elements(signed.content).skip_while(|element| element.tag == VERSION);
    let _serial = fields.next().filter(|element| element.tag == INTEGER)?;
    // Its algorithm, issuer, validity and subject are sequences, and so is the key.
    let is_sequence = |element: &Element<'_>| element.tag == SEQUENCE;
    let sequences: Vec<Element<'_>> = fields.take(5).filter(is_sequence).collect();
    sequences.get(4).map(|info| info.whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> (Vec<u8>, Vec<u8>) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        (certificate.der().to_vec(), rcgen::PublicKeyData::subject_public_key_info(&key))
    }

    #[test]
    fn the_key_of_a_certificate_is_found() {
        let (certificate, info) = certificate();
        assert_eq!(public_key_info(&certificate), Some(&info[..]));
    }

    #[test]
    fn a_certificate_cut_anywhere_before_its_end_has_no_key() {
        let (certificate, _) = certificate();
        for len in 0..certificate.len() {
            assert_eq!(public_key_info(&certificate[..len]), None, "{len}");
        }
    }

    #[test]
    fn absurd_lengths_are_no_elements() {
        for bytes in
            [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x89, 1]]
        {
            assert!(Elements(bytes).next().is_none(), "{bytes:?}");
        }
    }
}
