//! Certificates as AWS issues them, and every deviation from that.

use nitro_elect_protocol::time::Wall;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use std::time::Duration;

use crate::world::NOW;

pub const HOUR: Duration = Duration::from_secs(3600);

/// What a certificate is to say.
#[derive(Clone)]
pub struct Plan {
    pub name: &'static str,
    pub algorithm: &'static SignatureAlgorithm,
    pub authority: IsCa,
    pub usages: Vec<KeyUsagePurpose>,
    pub from: Wall,
    pub until: Wall,
    pub extensions: Vec<CustomExtension>,
}

impl Plan {
    pub fn root() -> Plan {
        let until = NOW + HOUR * 24 * 365 * 20;
        Plan { from: NOW - HOUR * 24 * 365, until, ..Plan::authority("root", None) }
    }

    pub fn authority(name: &'static str, path_length: Option<u8>) -> Plan {
        let constraints = path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained);
        Plan {
            name,
            algorithm: &PKCS_ECDSA_P384_SHA384,
            authority: IsCa::Ca(constraints),
            usages: vec![KeyUsagePurpose::KeyCertSign],
            from: NOW - HOUR * 24,
            until: NOW + HOUR * 24,
            extensions: Vec::new(),
        }
    }

    pub fn leaf() -> Plan {
        Plan {
            authority: IsCa::ExplicitNoCa,
            usages: vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment],
            from: NOW - HOUR,
            until: NOW + HOUR * 2,
            ..Plan::authority("leaf", None)
        }
    }

    /// Below the root: regional, zonal, instance and leaf.
    pub fn aws() -> Vec<Plan> {
        vec![
            Plan::authority("regional", Some(2)),
            Plan::authority("zonal", Some(1)),
            Plan::authority("instance", Some(0)),
            Plan::leaf(),
        ]
    }

    fn params(&self) -> CertificateParams {
        let at = |wall: Wall| date_time_ymd(1970, 1, 1) + Duration::from_millis(wall.0);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name);
        (params.not_before, params.not_after) = (at(self.from), at(self.until));
        params.is_ca = self.authority;
        params.key_usages = self.usages.clone();
        params.custom_extensions = self.extensions.clone();
        params
    }
}

/// A certificate with its key.
pub struct Issued {
    pub der: Vec<u8>,
    pub key: KeyPair,
    params: CertificateParams,
}

impl Issued {
    pub fn self_signed(plan: &Plan) -> Issued {
        let (key, params) = (KeyPair::generate_for(plan.algorithm).unwrap(), plan.params());
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Issued { der, key, params }
    }

    pub fn issue(&self, plan: &Plan) -> Issued {
        let (key, params) = (KeyPair::generate_for(plan.algorithm).unwrap(), plan.params());
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        Issued { der, key, params }
    }

    /// Signs as the NSM does: ES384, r and s of 48 bytes each.
    #[allow(clippy::disallowed_methods, reason = "ring signs with no other randomness than the system's")]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, self.key.serialized_der(), &random).unwrap();
        key.sign(&random, message).unwrap().as_ref().to_vec()
    }
}

/// The certificates below a root, the leaf last.
pub struct Chain {
    pub bundle: Vec<Vec<u8>>,
    pub issued: Vec<Issued>,
}

impl Chain {
    /// Issues each planned certificate under the one before it.
    pub fn under(root: &Issued, plans: &[Plan]) -> Chain {
        let mut issued: Vec<Issued> = Vec::new();
        for plan in plans {
            let next = issued.last().unwrap_or(root).issue(plan);
            issued.push(next);
        }
        let authorities = &issued[..issued.len() - 1];
        let bundle =
            [&root.der].into_iter().chain(authorities.iter().map(|each| &each.der)).cloned().collect();
        Chain { bundle, issued }
    }

    pub fn leaf(&self) -> &Issued {
        self.issued.last().unwrap()
    }
}
