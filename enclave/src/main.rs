//! The program inside the enclave: sets up the machine if it is the first process, opens the security module, makes
//! its keys, attests, serves vsock port 5005, tells the parent.
//!
//! It has no switch that fakes anything, and its parameters are under the image's measurements. The console belongs to
//! the host: what is printed comes from this program, its kernel and the security module, never from a client.
//!
//! Exit codes: 2 wrong parameters, 3 no security module or no answer from it, 4 a random source that is not the
//! security module, 5 the machine could not be set up, 1 anything else. The first process of an image restarts the
//! machine instead of exiting, and names the code on the console.

use nitro_elect_enclave::attestor::{Attestor, ModuleAttestor, ModuleError};
use nitro_elect_enclave::init::{self, InitError};
use nitro_elect_enclave::keys::{KeyError, Keys, SERVICE_VERSION};
use nitro_elect_enclave::limits::VSOCK_PORT;
use nitro_elect_enclave::nsm::{NoModule, Nsm};
use nitro_elect_enclave::parameters::{ParameterError, Parameters};
use nitro_elect_enclave::parent;
use nitro_elect_enclave::random_source::{self, RandomSourceError};
use nitro_elect_enclave::server::{runtime, serve};
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::crypto::Ring;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener};

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error(transparent)]
    NoModule(#[from] NoModule),
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error(transparent)]
    RandomSource(#[from] RandomSourceError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot listen on vsock port {VSOCK_PORT}: {0}")]
    Listen(io::Error),
}

impl StartError {
    fn exit_code(&self) -> u8 {
        match self {
            StartError::Parameters(_) | StartError::Init(InitError::KernelLine(_)) => 2,
            StartError::NoModule(_) | StartError::Module(_) => 3,
            StartError::RandomSource(_) => 4,
            StartError::Init(_) => 5,
            StartError::Keys(_) | StartError::Runtime(_) | StartError::Listen(_) => 1,
        }
    }
}

fn main() -> ExitCode {
    let is_first = init::is_first_process();
    let Err(error) = parameters(is_first).and_then(run);
    let code = error.exit_code();
    say(&format!("did not start: {error} (exit code {code})"));
    if is_first { init::end(code.into()) } else { code.into() }
}

/// One line on the console.
fn say(text: &str) {
    eprintln!("nitro-elect-enclave: {text}");
}

/// The parameters, once the machine is set up. The kernel hands its first process every word of its line that it
/// does not know itself as an argument; so there the line alone counts.
fn parameters(is_first: bool) -> Result<Parameters, StartError> {
    if is_first {
        return Ok(init::prepare()?.parameters()?);
    }
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    Ok(Parameters::from_arguments(&arguments)?)
}

fn run(parameters: Parameters) -> Result<Infallible, StartError> {
    let service = start(&parameters)?;
    runtime().map_err(StartError::Runtime)?.block_on(async {
        let address = VsockAddr::new(VMADDR_CID_ANY, VSOCK_PORT);
        let listener = VsockListener::bind(address).map_err(StartError::Listen)?;
        let enclave = service.attestor().enclave();
        say(&format!("version {SERVICE_VERSION}, enclave {enclave}, serves vsock port {VSOCK_PORT}"));
        tokio::spawn(tell(parameters.parent_cid));
        Ok(serve(listener, service).await)
    })
}

/// A service with keys made here, whose first document is at hand.
fn start(parameters: &Parameters) -> Result<Arc<Service<ModuleAttestor<Nsm>>>, StartError> {
    let mut module = Nsm::open()?;
    random_source::check(Path::new(random_source::CURRENT))?;
    if module.is_debug()? {
        say("DEBUG MODE: all measurements are zero; nodes refuse this enclave unless told otherwise");
    }
    let keys = Keys::generate(parameters.rsa)?;
    let start = Instant::now();
    let attestor = ModuleAttestor::new(keys, module, Box::new(move || start.elapsed()));
    attestor.attest(None)?;
    Ok(Arc::new(Service::new(attestor, Arc::new(Ring))))
}

async fn tell(parent_cid: u32) {
    if let Err(error) = parent::tell(parent_cid).await {
        say(&format!("the parent was not told that the enclave is up: {error}; serving all the same"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_security_module_nothing_starts() {
        if !Path::new("/dev/nsm").exists() {
            let error = run(Parameters::default()).unwrap_err();
            assert!(matches!(error, StartError::NoModule(NoModule)));
            assert_eq!(error.exit_code(), 3);
        }
    }

    #[test]
    fn wrong_parameters_have_one_exit_code_wherever_they_stand() {
        let wrong = ParameterError::Usage;
        assert_eq!(StartError::from(wrong.clone()).exit_code(), 2);
        assert_eq!(StartError::from(InitError::from(wrong)).exit_code(), 2);
    }
}
