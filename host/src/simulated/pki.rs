//! The simulated module's certificates: a root that can be kept in a file, and chains of AWS's shape below
//! it.
//!
//! Only the root lasts. Everything below it is issued anew together with each leaf, so that a simulated
//! enclave can run for longer than AWS's shortest authority lives.

use nitro_elect_protocol::attestation::{
    AttestationError, DocumentPolicy, Measurements, NonceCheck, Root, When, verify_document,
};
use nitro_elect_protocol::time::Wall;
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, date_time_ymd,
};
use std::fmt;
use std::time::Duration;

use super::nsm::{SimulatedNsmError, Statement, document, measurements};

/// How long AWS's own regional, zonal and instance authorities and leaves live.
const REGIONAL_LIFE: Duration = Duration::from_secs(20 * 24 * 3600);
const ZONAL_LIFE: Duration = Duration::from_secs(132 * 3600);
const INSTANCE_LIFE: Duration = Duration::from_secs(24 * 3600);
const LEAF_LIFE: Duration = Duration::from_secs(3 * 3600);
/// A leaf is renewed while it still has the usual `max_age` of an hour to live.
const RENEW_AFTER: Duration = Duration::from_secs(2 * 3600);
/// How far certificates are dated back, for verifiers whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(60);
/// The last year of the root; dates up to here have one form in certificates.
const ROOT_LAST_YEAR: i32 = 2049;
/// The start of that year: nothing is issued after it.
const LAST_ISSUE: Wall = Wall(2_493_072_000_000);

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Why the simulated module's certificates could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedPkiError {
    /// Key or certificate generation failed.
    #[error("a simulated certificate could not be made: {0}")]
    Issue(#[from] rcgen::Error),
    /// The text is not PEM.
    #[error("the PKI file is not PEM: {0}")]
    Pem(#[from] pem::PemError),
    /// A block is missing, doubled or unknown.
    #[error("the PKI file must hold one CERTIFICATE and one PRIVATE KEY, found {found:?}")]
    Blocks {
        /// The labels found, in order.
        found: Vec<String>,
    },
    /// The private key is not a P-384 key.
    #[error("the PKI file's private key is not a P-384 key in PKCS#8: {0}")]
    Key(rcgen::Error),
    /// Documents made with the key do not verify under the certificate.
    #[error(
        "the PKI file's certificate is not the simulated root of its key: {0}; delete the file to start anew"
    )]
    Mismatch(AttestationError),
    /// The test could not make a document.
    #[error("the PKI file could not be tested: {0}")]
    Test(#[from] SimulatedNsmError),
}

/// A simulated module's root, with its key.
pub struct SimulatedPki {
    key: KeyPair,
    root: Vec<u8>,
}

/// A leaf with its key, and the authorities above it.
pub(super) struct SimulatedChain {
    /// Root to issuer, DER.
    pub(super) bundle: Vec<Vec<u8>>,
    /// The leaf, DER.
    pub(super) leaf: Vec<u8>,
    /// The leaf's key.
    pub(super) key: KeyPair,
    issued: Wall,
}

impl SimulatedPki {
    /// A new root, valid from 1970 to 2049: simulations also run on clocks of their own.
    pub fn generate() -> Result<Self, SimulatedPkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let root = root_params().self_signed(&key)?.der().to_vec();
        Ok(SimulatedPki { key, root })
    }

    /// The root's certificate and private key, for a file that only its owner can read.
    pub fn to_pem(&self) -> String {
        self.root_pem() + &encode(PRIVATE_KEY, self.key.serialized_der())
    }

    /// Reads what [`SimulatedPki::to_pem`] wrote, and tests that the two parts belong together.
    pub fn from_pem(text: &str) -> Result<Self, SimulatedPkiError> {
        let blocks = pem::parse_many(text)?;
        let (root, key) = match blocks.as_slice() {
            [root, key] if root.tag() == CERTIFICATE && key.tag() == PRIVATE_KEY => (root, key),
            others => {
                let found = others.iter().map(|block| block.tag().to_owned()).collect();
                return Err(SimulatedPkiError::Blocks { found });
            }
        };
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key.contents().into(), &PKCS_ECDSA_P384_SHA384)
            .map_err(SimulatedPkiError::Key)?;
        let pki = SimulatedPki { key, root: root.contents().to_vec() };
        pki.test()?;
        Ok(pki)
    }

    /// Tests that a document made with the key verifies under the certificate.
    fn test(&self) -> Result<(), SimulatedPkiError> {
        let (now, measurements) = (LAST_ISSUE, measurements());
        let statement = Statement { public_key: &[0], user_data: &[], nonce: None };
        let document = document(&self.issue(now)?, &measurements, now, &statement)?;
        let verified =
            Measurements::try_from(&measurements).map_err(AttestationError::from).and_then(|set| {
                let policy = DocumentPolicy {
                    root: &self.root(),
                    accepted: &[set],
                    allow_debug: false,
                    max_age: None,
                    nonce: NonceCheck::NotAsked,
                    when: When::Live { now },
                };
                verify_document(&document, &policy)
            });
        verified.map(|_| ()).map_err(SimulatedPkiError::Mismatch)
    }

    /// The root's certificate, DER.
    pub fn root_der(&self) -> &[u8] {
        &self.root
    }

    /// The root's certificate, PEM.
    pub fn root_pem(&self) -> String {
        encode(CERTIFICATE, self.root_der())
    }

    /// The root as a trust section names it.
    pub fn root(&self) -> Root {
        Root::Certificate(self.root.clone())
    }

    /// Issues a leaf and all authorities between it and the root.
    pub(super) fn issue(&self, now: Wall) -> Result<SimulatedChain, rcgen::Error> {
        let issued = now.min(LAST_ISSUE);
        let root = Issuer::new(root_params(), &self.key);
        let (regional_der, regional) = authority(&root, "regional", 2, (issued, REGIONAL_LIFE))?;
        let (zonal_der, zonal) = authority(&regional, "zonal", 1, (issued, ZONAL_LIFE))?;
        let (instance_der, instance) = authority(&zonal, "instance", 0, (issued, INSTANCE_LIFE))?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let leaf = leaf_params((issued, LEAF_LIFE)).signed_by(&key, &instance)?.der().to_vec();
        let bundle = vec![self.root.clone(), regional_der, zonal_der, instance_der];
        Ok(SimulatedChain { bundle, leaf, key, issued })
    }
}

impl fmt::Debug for SimulatedPki {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SimulatedPki({:?})", self.root())
    }
}

impl SimulatedChain {
    /// Whether the chain still serves at this time; a clock that was set back needs a new one too.
    pub(super) fn serves(&self, now: Wall) -> bool {
        let now = now.min(LAST_ISSUE);
        self.issued <= now && now < self.issued + RENEW_AFTER
    }
}

fn encode(label: &str, contents: &[u8]) -> String {
    pem::encode_config(&Pem::new(label, contents), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

fn authority(
    issuer: &Issuer<'_, impl rcgen::SigningKey>,
    level: &str,
    path_length: u8,
    life: (Wall, Duration),
) -> Result<(Vec<u8>, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = params(&format!("{level}.simulated.nitro-enclaves"), life);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
    let der = params.signed_by(&key, issuer)?.der().to_vec();
    Ok((der, Issuer::new(params, key)))
}

fn root_params() -> CertificateParams {
    let mut params = params("simulated.nitro-enclaves", (Wall(0), Duration::ZERO));
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(ROOT_LAST_YEAR, 12, 31);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf_params(life: (Wall, Duration)) -> CertificateParams {
    let mut params = params("simulated-enclave", life);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
    params
}

/// A certificate of this name, issued at a time and living for a while.
fn params(name: &str, (issued, life): (Wall, Duration)) -> CertificateParams {
    let at = |wall: Wall| date_time_ymd(1970, 1, 1) + Duration::from_millis(wall.0);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "nitro-elect");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "SIMULATED");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(issued - BACKDATED);
    params.not_after = at(issued + life);
    params
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_root_is_the_same_root() {
        let pki = SimulatedPki::generate().unwrap();
        let again = SimulatedPki::from_pem(&pki.to_pem()).unwrap();
        assert_eq!(again.root_der(), pki.root_der());
        assert_eq!(again.to_pem(), pki.to_pem());
        assert_eq!(Root::from_der(pki.root_der()), Ok(pki.root()));
    }

    #[test]
    fn a_key_of_another_root_is_refused() {
        let (a, b) = (SimulatedPki::generate().unwrap(), SimulatedPki::generate().unwrap());
        let mixed = a.root_pem() + &encode(PRIVATE_KEY, b.key.serialized_der());
        assert!(matches!(SimulatedPki::from_pem(&mixed), Err(SimulatedPkiError::Mismatch(_))));
    }

    #[test]
    fn a_file_of_other_blocks_is_refused() {
        let pki = SimulatedPki::generate().unwrap();
        let blocks = |text: &str| match SimulatedPki::from_pem(text) {
            Err(SimulatedPkiError::Blocks { found }) => found.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(blocks(""), 0);
        assert_eq!(blocks(&pki.root_pem()), 1);
        assert_eq!(blocks(&(pki.to_pem() + &pki.to_pem())), 4);
        let not_a_key = pki.root_pem() + &encode(PRIVATE_KEY, b"key");
        assert!(matches!(SimulatedPki::from_pem(&not_a_key), Err(SimulatedPkiError::Key(_))));
    }

    #[test]
    fn the_root_outlives_every_chain() {
        let last_day = date_time_ymd(ROOT_LAST_YEAR, 1, 1) + REGIONAL_LIFE;
        assert!(last_day < date_time_ymd(ROOT_LAST_YEAR, 12, 31));
        let issued = date_time_ymd(1970, 1, 1) + Duration::from_millis(LAST_ISSUE.0);
        assert_eq!(issued, date_time_ymd(ROOT_LAST_YEAR, 1, 1));
    }

    #[test]
    fn a_key_is_not_printed() {
        let pki = SimulatedPki::generate().unwrap();
        assert!(format!("{pki:?}").len() < 60);
    }
}
