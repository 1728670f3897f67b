//! The flags by which a caller accepts less than an attested enclave (DESIGN §5, assurance). They stand on the line
//! alone: neither a manifest, a trust file nor the environment can give them.

use crate::verify::Accept;

/// Less than attested, where an open cluster is nothing to accept.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct AcceptFlags {
    /// Accept a simulated enclave
    #[arg(long)]
    allow_simulated: bool,
    /// Accept an enclave in debug mode
    #[arg(long)]
    allow_debug: bool,
}

impl AcceptFlags {
    /// What is accepted besides an attested enclave.
    pub fn accept(self) -> Accept {
        Accept { debug: self.allow_debug, simulated: self.allow_simulated, open: false }
    }
}

/// The same where an open cluster can be accepted too.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct AcceptOpenFlags {
    #[command(flatten)]
    enclave: AcceptFlags,
    /// Accept an open cluster, of which anybody may be a voter
    #[arg(long)]
    allow_open: bool,
}

impl AcceptOpenFlags {
    /// What is accepted besides an attested enclave and a manifest's voters.
    pub fn accept(self) -> Accept {
        Accept { open: self.allow_open, ..self.enclave.accept() }
    }
}
