//! What the emulated security module answers: the driver's requests, over the same simulated module that stands behind
//! `nitro-elect simulate-enclave`.

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use nitro_elect::simulated::{SimulatedNsm, SimulatedNsmError, SimulatedPki};
use nitro_elect_protocol::ids::Pcr;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::PcrSet;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeMap;

/// Registers of a real module; the first sixteen are locked at boot.
const REGISTERS: u16 = 32;
const LOCKED: u16 = 16;
/// What a real module gives at once.
const RANDOM: usize = 256;

/// A module that measured an image.
pub struct EmulatedNsm {
    nsm: SimulatedNsm,
    registers: BTreeMap<u16, Pcr>,
    clock: fn() -> Wall,
}

impl EmulatedNsm {
    /// A module with these measurements, whose documents lead to this root.
    pub fn new(pki: SimulatedPki, measurements: PcrSet, clock: fn() -> Wall) -> Self {
        let registers = measurements.pcrs().map(|(index, pcr)| (index.into(), pcr)).collect();
        EmulatedNsm { nsm: SimulatedNsm::new(pki, measurements), registers, clock }
    }

    /// Answers the bytes of one request with the bytes of one response, CBOR both.
    pub fn handle(&self, request: &[u8]) -> Vec<u8> {
        let answer = match serde_cbor::from_slice(request) {
            Ok(request) => self.answer(request).unwrap_or_else(Response::Error),
            Err(_) => Response::Error(ErrorCode::InvalidArgument),
        };
        serde_cbor::to_vec(&answer).expect("a response of numbers and bytes has an encoding")
    }

    fn answer(&self, request: Request) -> Result<Response, ErrorCode> {
        match request {
            Request::DescribeNSM => Ok(describe()),
            Request::DescribePCR { index } => self.register(index),
            Request::GetRandom => random(),
            Request::Attestation { user_data, nonce, public_key } => {
                // The simulated module signs what our enclaves ask for: documents with a key and its binding.
                let (Some(user_data), Some(public_key)) = (user_data, public_key) else {
                    return Err(ErrorCode::InvalidOperation);
                };
                let nonce = nonce.as_ref().map(|nonce| nonce.as_slice());
                let document =
                    self.nsm.attest((self.clock)(), &public_key, &user_data, nonce).map_err(refusal);
                document.map(|document| Response::Attestation { document })
            }
            // All registers that could change stay as they are: nobody here extends or locks one.
            _ => Err(ErrorCode::InvalidOperation),
        }
    }

    fn register(&self, index: u16) -> Result<Response, ErrorCode> {
        if index >= REGISTERS {
            return Err(ErrorCode::InvalidIndex);
        }
        let value = self.registers.get(&index).copied().unwrap_or(Pcr::ZERO);
        Ok(Response::DescribePCR { lock: index < LOCKED, data: value.0.to_vec() })
    }
}

fn describe() -> Response {
    Response::DescribeNSM {
        version_major: 1,
        version_minor: 0,
        version_patch: 0,
        module_id: "i-emulated-enc0000000000000000".into(),
        max_pcrs: REGISTERS,
        locked_pcrs: (0..LOCKED).collect(),
        digest: Digest::SHA384,
    }
}

fn random() -> Result<Response, ErrorCode> {
    let mut random = vec![0; RANDOM];
    SystemRandom::new().fill(&mut random).map_err(|_| ErrorCode::InternalError)?;
    Ok(Response::GetRandom { random })
}

fn refusal(error: SimulatedNsmError) -> ErrorCode {
    match error {
        SimulatedNsmError::InputTooLarge { .. } => ErrorCode::InputTooLarge,
        SimulatedNsmError::NoPublicKey => ErrorCode::InvalidArgument,
        SimulatedNsmError::Issue(_) | SimulatedNsmError::Sign => ErrorCode::InternalError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::attestation::{
        DocumentPolicy, Measurements, NonceCheck, Root, When, verify_document,
    };
    use serde_bytes::ByteBuf;

    const NOW: Wall = Wall(1_767_225_600_000);

    fn measurements() -> PcrSet {
        PcrSet { pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]), pcr8: None }
    }

    fn module() -> (EmulatedNsm, Root) {
        let pki = SimulatedPki::generate().unwrap();
        let root = pki.root();
        (EmulatedNsm::new(pki, measurements(), || NOW), root)
    }

    fn ask(nsm: &EmulatedNsm, request: &Request) -> Response {
        serde_cbor::from_slice(&nsm.handle(&serde_cbor::to_vec(request).unwrap())).unwrap()
    }

    fn bytes(text: &str) -> Option<ByteBuf> {
        Some(ByteBuf::from(text))
    }

    #[test]
    fn its_documents_verify_with_exactly_its_measurements_and_the_nonce() {
        let (nsm, root) = module();
        let request = Request::Attestation {
            user_data: bytes("data"),
            nonce: bytes("0123456789abcdef"),
            public_key: bytes("key"),
        };
        let Response::Attestation { document } = ask(&nsm, &request) else { panic!("no document") };
        let policy = DocumentPolicy {
            root: &root,
            accepted: &[Measurements::try_from(&measurements()).unwrap()],
            allow_debug: false,
            max_age: None,
            nonce: NonceCheck::Sent(b"0123456789abcdef"),
            when: When::Live { now: NOW },
        };
        assert_eq!(verify_document(&document, &policy).unwrap().public_key(), Some(&b"key"[..]));
    }

    #[test]
    fn it_describes_its_registers_and_no_others() {
        let (nsm, _) = module();
        let register = |index| ask(&nsm, &Request::DescribePCR { index });
        let is = |answer, first| matches!(answer, Response::DescribePCR { lock: true, data } if data == [first; 48]);
        assert!(is(register(0), 1) && is(register(1), 2) && is(register(2), 3) && is(register(8), 0));
        assert!(matches!(register(31), Response::DescribePCR { lock: false, .. }));
        assert!(matches!(register(32), Response::Error(ErrorCode::InvalidIndex)));
    }

    #[test]
    fn its_random_bytes_differ_from_call_to_call() {
        let (nsm, _) = module();
        let random = || match ask(&nsm, &Request::GetRandom) {
            Response::GetRandom { random } => random,
            other => panic!("{other:?}"),
        };
        assert_eq!(random().len(), RANDOM);
        assert_ne!(random(), random());
    }

    #[test]
    fn garbage_is_answered() {
        let (nsm, _) = module();
        for garbage in [&b""[..], &[0xff; 10], &[0xa1; 5000]] {
            let answer = serde_cbor::from_slice(&nsm.handle(garbage)).unwrap();
            assert!(matches!(answer, Response::Error(ErrorCode::InvalidArgument)));
        }
    }
}
