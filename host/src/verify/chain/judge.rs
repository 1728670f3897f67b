//! Verifying the certificates of a log, the newest first: one whose document has expired and that has no promises, as its
//! leader was followed before it renewed, is vouched for by the one after it, if that one is believed.

use std::collections::BTreeMap;

use nitro_elect_protocol::certificate::{Certificate, VerifiedCertificate, Vouching};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::CertificateDigest;

use super::{Entry, Group, Standing, Vouched};
use crate::verify::{Accept, Authority, Moment, Question, Report, Status, verify_followed};

/// By what a log is judged.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The electorates whose certificates count, the present one first.
    pub electorates: Vec<Electorate>,
    /// When dates are checked.
    pub moment: Moment,
    /// What is accepted beside `attested`.
    pub accept: Accept,
}

impl Judge {
    /// Verifies whatever was read of one certificate: it stands only if all of that is right.
    pub(super) fn settle(
        &self,
        group: &Group,
        digest: CertificateDigest,
        successors: &mut BTreeMap<CertificateDigest, VerifiedCertificate>,
    ) -> Standing {
        let successor = successors.remove(&digest);
        let mut standing = Standing::Unchecked;
        for entry in &group.entries {
            let report = self.verify(entry, &group.certificate, successor.as_ref());
            let found = standing_of(&report, successor.is_some());
            if standing == Standing::Unchecked || matches!(found, Standing::Invalid { .. }) {
                standing = found;
            }
            if let Some(verified) = report.certificate
                && let Some(previous) = verified.previous
            {
                successors.insert(previous.certificate, verified);
            }
        }
        standing
    }

    fn verify(
        &self,
        entry: &Entry,
        certificate: &Certificate,
        successor: Option<&VerifiedCertificate>,
    ) -> Report {
        let digest = certificate.electorate;
        let named = self.electorates.iter().find(|electorate| electorate.digest() == digest);
        // Any other's fails at check 2 or 3, which says so.
        let electorate = named.or(self.electorates.first()).cloned();
        let authority = Authority::Manifest(Box::new(electorate.expect("a judge has an electorate")));
        let question = Question { moment: self.moment, nonce: None, accept: self.accept };
        verify_followed(&entry.proof, &authority, question, successor)
    }
}

fn standing_of(report: &Report, followed: bool) -> Standing {
    match &report.certificate {
        Some(certificate) => Standing::Valid {
            assurance: certificate.assurance(),
            vouched: match certificate.vouching() {
                Vouching::Live => Vouched::Live,
                Vouching::OwnDisk if followed => Vouched::Successor,
                Vouching::Voters | Vouching::OwnDisk => Vouched::Promises,
            },
        },
        None => {
            let failed = report.lines.iter().find(|line| line.status == Status::Failed);
            let (step, why) = failed.map_or_else(Default::default, |line| {
                (line.step.to_string(), format!("{}: {}", line.step.title(), line.found))
            });
            Standing::Invalid { step, why }
        }
    }
}
