//! What the enclave remembers while it runs: the last certified term of every electorate, and recent
//! certificates for `Latest`.
//!
//! The terms are the safety of this instance (I1), so none is ever forgotten or evicted: at
//! [`ENCLAVE_ELECTORATES_MAX`] electorates new ones are refused. An electorate gets its place with its first
//! certificate. Certificates are a convenience: of each electorate the last, of the [`ENCLAVE_CERTIFICATES_MAX`]
//! electorates that were certified last.
//!
//! A term is used up by [`Memory::reserve`], before its certificate is signed, and whatever happens after.

use nitro_elect_protocol::certificate::SignedCertificate;
use nitro_elect_protocol::enclave_api::EnclaveRefusal;
use nitro_elect_protocol::ids::{ElectorateDigest, Term};
use nitro_elect_protocol::limits::{ENCLAVE_CERTIFICATES_MAX, ENCLAVE_ELECTORATES_MAX};
use std::collections::{BTreeMap, VecDeque};

/// The terms and certificates at hand.
#[derive(Debug, Default)]
pub struct Memory {
    last: BTreeMap<ElectorateDigest, Term>,
    recent: VecDeque<Recent>,
}

/// The last certificate of an electorate, or none while it is being signed.
#[derive(Debug)]
struct Recent {
    electorate: ElectorateDigest,
    term: Term,
    certificate: Option<SignedCertificate>,
}

/// The right to sign one certificate for one electorate and term. There is never a second for the same.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the term is used up; sign its certificate"]
pub struct Reservation {
    electorate: ElectorateDigest,
    term: Term,
}

impl Memory {
    /// Whether a certificate for this term could be reserved now.
    pub fn check(&self, electorate: &ElectorateDigest, term: Term) -> Result<(), EnclaveRefusal> {
        match self.last.get(electorate) {
            Some(last) if term <= *last => Err(EnclaveRefusal::StaleTerm { last: *last }),
            None if self.last.len() >= ENCLAVE_ELECTORATES_MAX => Err(EnclaveRefusal::Full),
            _ => Ok(()),
        }
    }

    /// Uses up a term: the check and the setting are one step.
    pub fn reserve(
        &mut self,
        electorate: ElectorateDigest,
        term: Term,
    ) -> Result<Reservation, EnclaveRefusal> {
        self.check(&electorate, term)?;
        self.last.insert(electorate, term);
        self.recent.retain(|recent| recent.electorate != electorate);
        self.recent.push_back(Recent { electorate, term, certificate: None });
        if self.recent.len() > ENCLAVE_CERTIFICATES_MAX {
            self.recent.pop_front();
        }
        Ok(Reservation { electorate, term })
    }

    /// Keeps the certificate of a reservation, or the fact that there will be none.
    pub fn keep(&mut self, reservation: Reservation, certificate: Option<SignedCertificate>) {
        let Reservation { electorate, term } = reservation;
        let is_its = |recent: &Recent| recent.electorate == electorate && recent.term == term;
        if certificate.is_none() {
            self.recent.retain(|recent| !is_its(recent));
        } else if let Some(recent) = self.recent.iter_mut().find(|recent| is_its(recent)) {
            recent.certificate = certificate;
        }
    }

    /// The certificate of the electorate's last certified term: never an older one. While it is being signed the
    /// answer is [`EnclaveRefusal::Busy`].
    pub fn latest(&self, electorate: &ElectorateDigest) -> Result<SignedCertificate, EnclaveRefusal> {
        let term = *self.last.get(electorate).ok_or(EnclaveRefusal::NothingCertified)?;
        let recent = self.recent.iter().find(|recent| recent.electorate == *electorate);
        let recent = recent.ok_or(EnclaveRefusal::Forgotten { term })?;
        recent.certificate.clone().ok_or(EnclaveRefusal::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn electorate(number: usize) -> ElectorateDigest {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        ElectorateDigest(bytes)
    }

    fn certificate(text: &str) -> SignedCertificate {
        SignedCertificate { bytes: text.into(), signature: vec![] }
    }

    fn certify(memory: &mut Memory, electorate: ElectorateDigest, term: u64) -> SignedCertificate {
        let certificate = certificate(&format!("{electorate} {term}"));
        let reservation = memory.reserve(electorate, Term(term)).unwrap();
        memory.keep(reservation, Some(certificate.clone()));
        certificate
    }

    /// PROTOCOL T7
    #[test]
    fn a_term_is_reserved_once_and_no_lower_one_after_it() {
        let mut memory = Memory::default();
        certify(&mut memory, electorate(1), 5);
        for term in [0, 1, 4, 5] {
            let refusal = memory.reserve(electorate(1), Term(term));
            assert_eq!(refusal, Err(EnclaveRefusal::StaleTerm { last: Term(5) }), "term {term}");
        }
        certify(&mut memory, electorate(1), 6);
        certify(&mut memory, electorate(2), 1);
    }

    #[test]
    fn a_failure_after_the_reservation_does_not_free_the_term() {
        let mut memory = Memory::default();
        let reservation = memory.reserve(electorate(1), Term(3)).unwrap();
        assert_eq!(memory.latest(&electorate(1)), Err(EnclaveRefusal::Busy));
        memory.keep(reservation, None);
        assert_eq!(memory.latest(&electorate(1)), Err(EnclaveRefusal::Forgotten { term: Term(3) }));
        let again = memory.reserve(electorate(1), Term(3));
        assert_eq!(again, Err(EnclaveRefusal::StaleTerm { last: Term(3) }));
    }

    #[test]
    fn latest_never_gives_an_older_certificate_than_the_last_certified_term() {
        let mut memory = Memory::default();
        let slow = memory.reserve(electorate(1), Term(1)).unwrap();
        let second = certify(&mut memory, electorate(1), 2);
        memory.keep(slow, Some(certificate("late")));
        assert_eq!(memory.latest(&electorate(1)), Ok(second));
        let pending = memory.reserve(electorate(1), Term(3)).unwrap();
        assert_eq!(memory.latest(&electorate(1)), Err(EnclaveRefusal::Busy));
        memory.keep(pending, None);
        assert_eq!(memory.latest(&electorate(1)), Err(EnclaveRefusal::Forgotten { term: Term(3) }));
    }

    #[test]
    fn an_electorate_never_certified_has_nothing_to_give() {
        assert_eq!(Memory::default().latest(&electorate(1)), Err(EnclaveRefusal::NothingCertified));
    }

    /// PROTOCOL T7
    #[test]
    fn certificates_of_the_electorates_certified_last_are_kept_and_terms_of_all() {
        let mut memory = Memory::default();
        let first = certify(&mut memory, electorate(0), 9);
        certify(&mut memory, electorate(1), 7);
        (2..ENCLAVE_CERTIFICATES_MAX).for_each(|number| drop(certify(&mut memory, electorate(number), 1)));
        assert_eq!(memory.latest(&electorate(0)), Ok(first));
        let renewed = certify(&mut memory, electorate(0), 10);
        certify(&mut memory, electorate(ENCLAVE_CERTIFICATES_MAX), 1);
        assert_eq!(memory.latest(&electorate(0)), Ok(renewed), "it was certified again since");
        assert_eq!(memory.latest(&electorate(1)), Err(EnclaveRefusal::Forgotten { term: Term(7) }));
        let stale = memory.reserve(electorate(1), Term(7));
        assert_eq!(stale, Err(EnclaveRefusal::StaleTerm { last: Term(7) }));
    }

    #[test]
    fn a_full_memory_serves_the_electorates_it_knows_and_refuses_new_ones() {
        let mut memory = Memory::default();
        for number in 0..ENCLAVE_ELECTORATES_MAX {
            let reservation = memory.reserve(electorate(number), Term(1)).unwrap();
            memory.keep(reservation, None);
        }
        let stranger = electorate(ENCLAVE_ELECTORATES_MAX);
        assert_eq!(memory.check(&stranger, Term(1)), Err(EnclaveRefusal::Full));
        assert_eq!(memory.reserve(stranger, Term(1)), Err(EnclaveRefusal::Full));
        assert_eq!(memory.reserve(electorate(0), Term(1)), Err(EnclaveRefusal::StaleTerm { last: Term(1) }));
        certify(&mut memory, electorate(0), 2);
    }
}
