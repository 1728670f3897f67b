//! The flags that say which enclaves a new manifest accepts, shared by `manifest new` and `init`.
//!
//! There is no default: what a manifest embeds is chosen.

use std::path::{Path, PathBuf};

use crate::eif::kernel::ImageKind;
use crate::eif::measurements_file::{self, Measured};
use crate::trust_file;
use nitro_elect_protocol::limits::AGE_DEFAULT;
use nitro_elect_protocol::trust::{Root, Trust};

use crate::cli::failure::{Failure, USAGE};
use crate::cli::output::{Stream, paint};
use crate::cli::shell_words::quote;

/// What the root flag says for AWS's pinned root.
const AWS: &str = trust_file::AWS;

/// Which enclaves a manifest accepts: a trust file's, or those of one image.
#[derive(Debug, clap::Args)]
pub struct TrustFlags {
    /// The trust file whose contents the manifest embeds: which enclaves are accepted
    #[arg(long = "trust", value_name = "FILE", env = "NITRO_ELECT_TRUST", hide_env_values = true)]
    #[arg(conflicts_with = "measurements")]
    file: Option<PathBuf>,
    /// Instead, the measurements of the one image that is accepted, as `make eif` and nitro-cli write them
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    /// Who must have attested to that image: aws, or the certificate of an emulation's root
    #[arg(long, value_name = "aws|FILE", default_value = AWS, conflicts_with = "file")]
    root: String,
}

impl TrustFlags {
    /// The trust section meant, or how to come by one.
    pub fn trust(&self) -> Result<Trust, Failure> {
        match (&self.file, &self.measurements) {
            (Some(file), _) => trust_file::load(file).map_err(Failure::unreadable),
            (None, Some(file)) => self.of_image(file),
            (None, None) => Err(nothing_given()),
        }
    }

    fn of_image(&self, file: &Path) -> Result<Trust, Failure> {
        let Measured { measurements, kind } = measurements_file::load(file).map_err(Failure::unreadable)?;
        let root = match self.root.as_str() {
            AWS => Root::Aws,
            path => trust_file::load_root(Path::new(path)).map_err(Failure::unreadable)?,
        };
        if kind == ImageKind::Emulation {
            warn_of_emulation(file, &root);
        }
        Ok(Trust::new(root, vec![measurements.accepted()], false, AGE_DEFAULT))
    }
}

fn warn_of_emulation(file: &Path, root: &Root) {
    let warning = paint(Stream::Err, "33;1", "warning:");
    eprintln!("{warning} {} is of an image for an emulation, which no enclave of AWS runs", file.display());
    if root.is_aws() {
        let help = paint(Stream::Err, "36;1", "help:");
        eprintln!("{help} name the emulation's root with --root FILE, or measure an image made for Nitro");
    }
}

/// Which enclaves an open cluster's proofs may name: the trust file given, or the default one.
pub fn trust_of_open(given: Option<&Path>) -> Result<Trust, Failure> {
    let path = match given {
        Some(path) => path.to_path_buf(),
        None => trust_file::default_trust_file().map_err(Failure::unreadable)?,
    };
    trust_file::load(&path).map_err(Failure::unreadable)
}

fn nothing_given() -> Failure {
    let made = trust_file::default_path().ok().filter(|path| path.exists());
    let trying_out = match made {
        Some(path) => format!("for trying out, add --trust {}", quote(&path)),
        None => "for trying out, run `nitro-elect simulate-enclave --trust-out trust.json` in another terminal, then \
                 add --trust trust.json"
            .into(),
    };
    let help = format!("for a real enclave, add --measurements with what `make eif` wrote; {trying_out}");
    Failure::new(USAGE, "no trust file: a manifest names the enclaves it accepts", help)
}
