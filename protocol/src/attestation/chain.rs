//! Checks 5 to 10: from the pinned root through the bundle to the leaf that signed.
//!
//! The order of the bundle, curves, constraints, key usage and dates are checked here, each with its own
//! error. Signatures and everything else of RFC 5280 §6 are rustls-webpki's, and the path that it found must
//! be exactly the bundle. There are no revocation lists, as AWS's process asks: leaves live three hours.

use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::ring::ECDSA_P384_SHA384;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::certificate::{Certificate, CertificateSummary, Place, Validity};
use super::document::UntrustedDocument;
use super::root::Root;
use super::when::When;
use crate::hash::{sha256, to_hex};
use crate::time::Wall;

/// Why the certificates do not lead from the pinned root to the leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Check 5: the bundle begins with another certificate than the pinned root.
    #[error("the bundle's root is {}, not the pinned {}", to_hex(.found), to_hex(.pinned))]
    RootNotPinned {
        /// SHA-256 of the first certificate of the bundle.
        found: [u8; 32],
        /// SHA-256 of the pinned root.
        pinned: [u8; 32],
    },
    /// Check 6: a key that is not on P-384.
    #[error("the key of {place} is not on P-384")]
    Curve {
        /// The certificate.
        place: Place,
    },
    /// Check 9: a certificate that was signed with another algorithm.
    #[error("a certificate is not signed with ECDSA on P-384 and SHA-384")]
    SignatureAlgorithm,
    /// Check 6: not an X.509 certificate of version 3.
    #[error("{place} is not an X.509 certificate")]
    NotACertificate {
        /// The certificate.
        place: Place,
    },
    /// Check 7: not issued by the certificate before it.
    #[error(
        "{place} is not issued by the certificate before it: the bundle goes from the root to the issuer"
    )]
    Order {
        /// The certificate.
        place: Place,
    },
    /// Check 9: a signature of the chain does not verify.
    #[error("the signature of a certificate does not verify")]
    CertificateSignature,
    /// Check 9: a certificate of the bundle that the path does not need.
    #[error("the bundle is not the path: one of its certificates is doubled or not needed")]
    NotThePath,
    /// Check 9: the certificates were never valid at the same time.
    #[error("the certificates were at no time all valid")]
    NeverValid,
    /// Check 9: refused by path validation (RFC 5280 §6) for another reason.
    #[error("the path is not valid: {reason}")]
    Path {
        /// The reason.
        reason: String,
    },
    /// Check 8: a certificate of the bundle that is no authority.
    #[error("{place} is not a certificate authority")]
    NotAnAuthority {
        /// The certificate.
        place: Place,
    },
    /// Check 8: a leaf that is an authority.
    #[error("the leaf certificate is a certificate authority or limits a path")]
    LeafIsAuthority,
    /// Check 8: more authorities follow than allowed.
    #[error("{place} allows {allowed} authorities below it, and {found} follow")]
    PathLength {
        /// The certificate.
        place: Place,
        /// What it allows.
        allowed: u64,
        /// How many follow.
        found: usize,
    },
    /// Check 8: a key used for what it is not meant for.
    #[error("{place} lacks the key usage {needed}")]
    KeyUsage {
        /// The certificate.
        place: Place,
        /// The usage that it needs.
        needed: &'static str,
    },
    /// Check 10: a certificate whose time has not come.
    #[error("{place} is valid from {not_before} on, and it is {at}: compare the clocks")]
    NotYetValid {
        /// The certificate.
        place: Place,
        /// Its first moment.
        not_before: Wall,
        /// The time of the check.
        at: Wall,
    },
    /// Check 10: a certificate whose time is over.
    #[error("{place} was valid until {not_after}, and it is {at}: ask the enclave for a new document")]
    Expired {
        /// The certificate.
        place: Place,
        /// Its last moment.
        not_after: Wall,
        /// The time of the check.
        at: Wall,
    },
}

/// A chain that leads from the pinned root to the leaf.
pub(super) struct VerifiedChain<'a> {
    /// The leaf's P-384 key, an uncompressed point.
    pub(super) leaf_point: &'a [u8],
    /// What each certificate says, from the root to the leaf.
    pub(super) certificates: Vec<CertificateSummary>,
    /// The last moment at which all of them are valid.
    pub(super) not_after: Wall,
}

impl<'a> VerifiedChain<'a> {
    /// Checks 5 to 10.
    pub(super) fn verify(
        document: &UntrustedDocument<'a>,
        root: &Root,
        when: When,
    ) -> Result<Self, ChainError> {
        check_root(document, root)?;
        let chain = Chain::read(document)?;
        let leaf_point = chain.check_curves()?;
        chain.check_order()?;
        chain.check_constraints()?;
        let Validity { not_before, not_after } = chain.common_validity()?;
        let asked_at = when.instant();
        chain.check_path(root, asked_at.unwrap_or(not_before).clamp(not_before, not_after))?;
        asked_at.map_or(Ok(()), |at| chain.check_dates(at))?;
        let certificates = chain.placed().map(|(place, certificate)| certificate.summary(place)).collect();
        Ok(VerifiedChain { leaf_point, certificates, not_after })
    }
}

/// Check 5: the root is ours, byte for byte, and not whatever the document brings.
fn check_root(document: &UntrustedDocument<'_>, root: &Root) -> Result<(), ChainError> {
    let first = document.cabundle.first().copied().unwrap_or_default();
    if first == root.der() {
        return Ok(());
    }
    Err(ChainError::RootNotPinned { found: sha256(first), pinned: root.fingerprint() })
}

/// All certificates of a document, from the root to the leaf.
struct Chain<'a> {
    certificates: Vec<Certificate<'a>>,
}

impl<'a> Chain<'a> {
    /// Check 6, form: every certificate can be read.
    fn read(document: &UntrustedDocument<'a>) -> Result<Self, ChainError> {
        let authorities = document.cabundle.len();
        let ders = document.cabundle.iter().chain([&document.certificate]);
        let certificates = ders.enumerate().map(|(index, der)| {
            let place = Place::of(index, authorities);
            Certificate::read(der).ok_or(ChainError::NotACertificate { place })
        });
        Ok(Chain { certificates: certificates.collect::<Result<_, _>>()? })
    }

    fn placed(&self) -> impl Iterator<Item = (Place, &Certificate<'a>)> {
        let authorities = self.certificates.len() - 1;
        self.certificates.iter().enumerate().map(move |(index, each)| (Place::of(index, authorities), each))
    }

    fn leaf(&self) -> &Certificate<'a> {
        self.certificates.last().expect("a chain is read with its leaf")
    }

    /// Check 6, keys: every one is on P-384; gives the leaf's.
    fn check_curves(&self) -> Result<&'a [u8], ChainError> {
        for (place, certificate) in self.placed() {
            certificate.p384_point().ok_or(ChainError::Curve { place })?;
        }
        self.leaf().p384_point().ok_or(ChainError::Curve { place: Place::Leaf })
    }

    /// Check 7: each certificate is issued by the one before it.
    fn check_order(&self) -> Result<(), ChainError> {
        let pairs = self.certificates.iter().zip(self.placed().skip(1));
        for (issuer, (place, certificate)) in pairs {
            if certificate.issuer != issuer.subject {
                return Err(ChainError::Order { place });
            }
        }
        Ok(())
    }

    /// Check 8: what each certificate may be used for.
    fn check_constraints(&self) -> Result<(), ChainError> {
        let count = self.certificates.len() - 1;
        let authorities = || self.placed().take(count);
        for (place, authority) in authorities() {
            if !authority.constraints.is_ca {
                return Err(ChainError::NotAnAuthority { place });
            }
            if !authority.key_usage.key_cert_sign {
                return Err(ChainError::KeyUsage { place, needed: "keyCertSign" });
            }
        }
        for (found, (place, authority)) in (0..count).rev().zip(authorities()) {
            match authority.constraints.path_length {
                Some(allowed) if found as u64 > allowed => {
                    return Err(ChainError::PathLength { place, allowed, found });
                }
                _ => {}
            }
        }
        self.check_leaf()
    }

    fn check_leaf(&self) -> Result<(), ChainError> {
        let leaf = self.leaf();
        if leaf.constraints.is_ca || leaf.constraints.path_length.is_some() {
            return Err(ChainError::LeafIsAuthority);
        }
        if !leaf.key_usage.digital_signature {
            return Err(ChainError::KeyUsage { place: Place::Leaf, needed: "digitalSignature" });
        }
        Ok(())
    }

    /// The time during which all certificates are valid.
    fn common_validity(&self) -> Result<Validity, ChainError> {
        let validities = || self.certificates.iter().map(|certificate| certificate.validity);
        let not_before = validities().map(|validity| validity.not_before).max();
        let not_after = validities().map(|validity| validity.not_after).min();
        match (not_before, not_after) {
            (Some(not_before), Some(not_after)) if not_before <= not_after => {
                Ok(Validity { not_before, not_after })
            }
            _ => Err(ChainError::NeverValid),
        }
    }

    /// Check 9: signatures and the rest of RFC 5280 §6, at a moment when all dates are in order; the dates
    /// themselves are check 10.
    fn check_path(&self, root: &Root, at: Wall) -> Result<(), ChainError> {
        let root = CertificateDer::from(root.der());
        let anchors = [anchor_from_trusted_cert(&root).map_err(path_error)?];
        let between = &self.certificates[1..self.certificates.len() - 1];
        let issuers: Vec<_> = between.iter().rev().map(|each| CertificateDer::from(each.der)).collect();
        let leaf = CertificateDer::from(self.leaf().der);
        let leaf = EndEntityCert::try_from(&leaf).map_err(path_error)?;
        let at = UnixTime::since_unix_epoch(Duration::from_millis(at.0));
        let path = leaf
            .verify_for_usage(
                &[ECDSA_P384_SHA384],
                &anchors,
                &issuers,
                at,
                KeyUsage::client_auth(),
                None,
                None,
            )
            .map_err(path_error)?;
        let found = path.intermediate_certificates().map(|certificate| certificate.der());
        if found.eq(issuers.iter().cloned()) { Ok(()) } else { Err(ChainError::NotThePath) }
    }

    /// Check 10: every certificate, the root included, is valid at this time.
    fn check_dates(&self, at: Wall) -> Result<(), ChainError> {
        for (place, Certificate { validity: Validity { not_before, not_after }, .. }) in self.placed() {
            if at < *not_before {
                return Err(ChainError::NotYetValid { place, not_before: *not_before, at });
            }
            if at > *not_after {
                return Err(ChainError::Expired { place, not_after: *not_after, at });
            }
        }
        Ok(())
    }
}

fn path_error(error: webpki::Error) -> ChainError {
    use webpki::Error;
    match error {
        Error::InvalidSignatureForPublicKey => ChainError::CertificateSignature,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => ChainError::SignatureAlgorithm,
        other => ChainError::Path { reason: other.to_string() },
    }
}
