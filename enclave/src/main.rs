//! The program inside the enclave: opens the security module, makes its keys, serves vsock port 5005.
//!
//! It has no switch that fakes anything. Its one parameter is part of what the image's measurements cover.

use nitro_elect_enclave::attestor::ModuleAttestor;
use nitro_elect_enclave::keys::{KeyError, Keys, RsaSize, SERVICE_VERSION};
use nitro_elect_enclave::limits::VSOCK_PORT;
use nitro_elect_enclave::nsm::{NoModule, Nsm};
use nitro_elect_enclave::server::{serve, workers};
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::crypto::Ring;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Builder;
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener};

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("usage: nitro-elect-enclave [--rsa-bits 2048|3072]")]
    Usage,
    #[error(transparent)]
    Module(#[from] NoModule),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot listen on vsock port {VSOCK_PORT}: {0}")]
    Listen(io::Error),
}

impl StartError {
    /// 2: wrong arguments; 3: no security module; 1: anything else.
    fn exit_code(&self) -> ExitCode {
        match self {
            StartError::Usage => ExitCode::from(2),
            StartError::Module(_) => ExitCode::from(3),
            _ => ExitCode::FAILURE,
        }
    }
}

fn main() -> ExitCode {
    let Err(error) = run(std::env::args_os().skip(1).collect());
    eprintln!("nitro-elect-enclave: {error}");
    error.exit_code()
}

fn run(arguments: Vec<OsString>) -> Result<Infallible, StartError> {
    let size = rsa_size(&arguments)?;
    let module = Nsm::open()?;
    let keys = Keys::generate(size)?;
    let enclave = keys.enclave();
    let start = Instant::now();
    let attestor = ModuleAttestor::new(keys, module, Box::new(move || start.elapsed()));
    let service = Arc::new(Service::new(attestor, Box::new(Ring)));
    // One blocking thread for each turn in the server's queues.
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(2 * workers() + 1).build();
    runtime.map_err(StartError::Runtime)?.block_on(async {
        let address = VsockAddr::new(VMADDR_CID_ANY, VSOCK_PORT);
        let listener = VsockListener::bind(address).map_err(StartError::Listen)?;
        eprintln!("nitro-elect-enclave {SERVICE_VERSION}: enclave {enclave} serves vsock port {VSOCK_PORT}");
        Ok(serve(listener, service).await)
    })
}

fn rsa_size(arguments: &[OsString]) -> Result<RsaSize, StartError> {
    let arguments: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
    match arguments.as_deref() {
        Some([]) | Some(["--rsa-bits", "2048"]) => Ok(RsaSize::Bits2048),
        Some(["--rsa-bits", "3072"]) => Ok(RsaSize::Bits3072),
        _ => Err(StartError::Usage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(arguments: &[&str]) -> Result<RsaSize, StartError> {
        rsa_size(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_key_has_2048_bits_unless_3072_are_asked_for() {
        assert!(matches!(size(&[]), Ok(RsaSize::Bits2048)));
        assert!(matches!(size(&["--rsa-bits", "3072"]), Ok(RsaSize::Bits3072)));
    }

    #[test]
    fn any_other_argument_is_refused() {
        for arguments in [&["--rsa-bits"][..], &["--rsa-bits", "1024"], &["--simulate"], &["x", "y", "z"]] {
            assert!(matches!(size(arguments), Err(StartError::Usage)), "{arguments:?}");
        }
    }

    #[test]
    fn without_a_security_module_nothing_starts() {
        if !std::path::Path::new("/dev/nsm").exists() {
            assert!(matches!(run(Vec::new()), Err(StartError::Module(NoModule))));
        }
    }
}
