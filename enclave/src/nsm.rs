//! The Nitro Secure Module, through AWS's driver interface.
//!
//! One descriptor, opened at start. Requests are blocking `ioctl` calls of some milliseconds; [`Module`] takes
//! `&mut self`, so there is one at a time. Nothing is extended and nothing locked: the measurements that voters
//! compare (PCR0 to PCR2) are locked by the hypervisor before this program runs.

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::{nsm_exit, nsm_init, nsm_process_request};
use serde_bytes::ByteBuf;

use crate::attestor::{Claims, Module, ModuleError};

/// There is no module to open: this is no Nitro enclave, or its driver is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot open /dev/nsm: not a Nitro enclave, or the nsm driver is not loaded")]
pub struct NoModule;

/// An open Nitro Secure Module.
#[derive(Debug)]
pub struct Nsm {
    descriptor: i32,
}

impl Nsm {
    /// Opens `/dev/nsm`.
    pub fn open() -> Result<Nsm, NoModule> {
        match nsm_init() {
            descriptor if descriptor >= 0 => Ok(Nsm { descriptor }),
            _ => Err(NoModule),
        }
    }
}

/// Registers that the hypervisor fills from the image; in debug mode it leaves them zero.
const IMAGE_REGISTERS: std::ops::Range<u16> = 0..3;

impl Nsm {
    /// Whether the enclave runs in debug mode, where the host reads its console and its measurements are zero.
    pub fn is_debug(&mut self) -> Result<bool, ModuleError> {
        for index in IMAGE_REGISTERS {
            let request = Request::DescribePCR { index };
            let Response::DescribePCR { data, .. } = nsm_process_request(self.descriptor, request) else {
                return Err(ModuleError::NoAnswer);
            };
            if data.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Nsm {
    fn drop(&mut self) {
        nsm_exit(self.descriptor);
    }
}

impl Module for Nsm {
    fn attest(&mut self, claims: &Claims, nonce: Option<&[u8]>) -> Result<Vec<u8>, ModuleError> {
        let request = Request::Attestation {
            user_data: Some(ByteBuf::from(claims.user_data.as_slice())),
            nonce: nonce.map(ByteBuf::from),
            public_key: Some(ByteBuf::from(claims.public_key.as_slice())),
        };
        match nsm_process_request(self.descriptor, request) {
            Response::Attestation { document } => Ok(document),
            _ => Err(ModuleError::NoAnswer),
        }
    }

    fn random(&mut self, into: &mut [u8]) -> Result<(), ModuleError> {
        let mut filled = 0;
        while filled < into.len() {
            let Response::GetRandom { random } = nsm_process_request(self.descriptor, Request::GetRandom)
            else {
                return Err(ModuleError::NoAnswer);
            };
            let taken = random.len().min(into.len() - filled);
            if taken == 0 {
                return Err(ModuleError::NoAnswer);
            }
            into[filled..filled + taken].copy_from_slice(&random[..taken]);
            filled += taken;
        }
        Ok(())
    }
}
