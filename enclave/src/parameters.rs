//! The service's parameters. All of them are under the image's measurements: words of the kernel's command line
//! when the service is the image's first process, the image's entry point when another init starts it.
//!
//! Read strictly: a name that is not known, one given twice and a value out of bounds are each an error, so that
//! no misspelt parameter is silently another one. Of the kernel's line only the words in this program's name space
//! count; the others are the kernel's, and the hypervisor adds some of its own.

use std::ffi::OsString;

use crate::keys::RsaSize;
use crate::limits::{KERNEL_LINE_MAX, PARENT_CID};

/// The kernel's word for an image that loads no modules.
const NO_MODULES: &str = "nomodules";
/// What this program's words on the kernel's line begin with. The kernel takes `-` and `_` for the same.
const NAME_SPACE: &str = "nitro_elect.";
const NAME_SPACE_WITH_HYPHEN: &str = "nitro-elect.";
/// Context ids that are nobody's parent: the hypervisor's (0), one's own (1), everybody's (the last).
const PARENT_CIDS: std::ops::Range<u32> = 2..u32::MAX;

/// How the service is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// The size of the signing key: `nitro_elect.rsa_bits=`, `--rsa-bits`.
    pub rsa: RsaSize,
    /// The context id of the parent that hears when the enclave is up: `nitro_elect.parent_cid=`, `--parent-cid`.
    pub parent_cid: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { rsa: RsaSize::default(), parent_cid: PARENT_CID }
    }
}

/// Why there are no parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// Not a parameter of this program.
    #[error("{0:?} is no parameter; known are rsa_bits and parent_cid")]
    Unknown(String),
    /// It was given before.
    #[error("the parameter {0} is given twice")]
    Twice(&'static str),
    /// Not the size of a key.
    #[error("rsa_bits is {0:?}; it must be 2048 or 3072")]
    RsaBits(String),
    /// Not the context id of a parent.
    #[error("parent_cid is {0:?}; it must be a number from 2 to 4294967294")]
    ParentCid(String),
    /// A flag without its value, or something that is no flag.
    #[error("usage: nitro-elect-enclave [--rsa-bits 2048|3072] [--parent-cid CID]")]
    Usage,
    /// The kernel's line is not UTF-8, or longer than any kernel takes.
    #[error("the kernel's command line is not text of at most {KERNEL_LINE_MAX} bytes")]
    KernelLine,
}

/// The kernel's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelLine(String);

impl KernelLine {
    /// Takes the bytes that the kernel shows.
    pub fn new(bytes: Vec<u8>) -> Result<Self, ParameterError> {
        if bytes.len() > KERNEL_LINE_MAX {
            return Err(ParameterError::KernelLine);
        }
        String::from_utf8(bytes).map(KernelLine).map_err(|_| ParameterError::KernelLine)
    }

    /// Whether the image's modules stay where they are: its kernel has all drivers built in.
    pub fn forbids_modules(&self) -> bool {
        self.words().any(|word| word == NO_MODULES)
    }

    /// The parameters on the line.
    pub fn parameters(&self) -> Result<Parameters, ParameterError> {
        let ours = self.words().filter_map(|word| {
            // The kernel would take a word in quotes for the word itself.
            let word = word.trim_start_matches('"');
            word.strip_prefix(NAME_SPACE).or_else(|| word.strip_prefix(NAME_SPACE_WITH_HYPHEN))
        });
        let mut given = Given::default();
        for word in ours {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            given.set(name, value)?;
        }
        Ok(given.parameters())
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split_ascii_whitespace()
    }
}

impl Parameters {
    /// The parameters among the program's arguments, its own name not included.
    pub fn from_arguments(arguments: &[OsString]) -> Result<Self, ParameterError> {
        let texts: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
        let mut given = Given::default();
        for pair in texts.ok_or(ParameterError::Usage)?.chunks(2) {
            match pair {
                ["--rsa-bits", value] => given.set("rsa_bits", value)?,
                ["--parent-cid", value] => given.set("parent_cid", value)?,
                _ => return Err(ParameterError::Usage),
            }
        }
        Ok(given.parameters())
    }
}

/// What was given so far.
#[derive(Default)]
struct Given {
    rsa: Option<RsaSize>,
    parent_cid: Option<u32>,
}

impl Given {
    fn set(&mut self, name: &str, value: &str) -> Result<(), ParameterError> {
        match name {
            "rsa_bits" => once("rsa_bits", &mut self.rsa, rsa_size(value)?),
            "parent_cid" => once("parent_cid", &mut self.parent_cid, parent_cid(value)?),
            _ => Err(ParameterError::Unknown(name.to_owned())),
        }
    }

    fn parameters(self) -> Parameters {
        let default = Parameters::default();
        Parameters {
            rsa: self.rsa.unwrap_or(default.rsa),
            parent_cid: self.parent_cid.unwrap_or(default.parent_cid),
        }
    }
}

fn once<T>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), ParameterError> {
    match place.replace(value) {
        Some(_) => Err(ParameterError::Twice(name)),
        None => Ok(()),
    }
}

fn rsa_size(value: &str) -> Result<RsaSize, ParameterError> {
    match value {
        "2048" => Ok(RsaSize::Bits2048),
        "3072" => Ok(RsaSize::Bits3072),
        _ => Err(ParameterError::RsaBits(value.to_owned())),
    }
}

fn parent_cid(value: &str) -> Result<u32, ParameterError> {
    let number = value.parse().ok().filter(|cid: &u32| cid.to_string() == value && PARENT_CIDS.contains(cid));
    number.ok_or_else(|| ParameterError::ParentCid(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_line(line: &str) -> Result<Parameters, ParameterError> {
        KernelLine::new(line.into()).unwrap().parameters()
    }

    fn among_arguments(arguments: &[&str]) -> Result<Parameters, ParameterError> {
        Parameters::from_arguments(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    const CHANGED: Parameters = Parameters { rsa: RsaSize::Bits3072, parent_cid: 2 };

    #[test]
    fn the_parent_is_3_and_the_key_has_2048_bits_unless_the_image_says_otherwise() {
        assert_eq!(Parameters::default(), Parameters { rsa: RsaSize::Bits2048, parent_cid: 3 });
        assert_eq!(on_line("reboot=k panic=30 rsa_bits=1 nomodules quiet\n"), Ok(Parameters::default()));
        assert_eq!(among_arguments(&[]), Ok(Parameters::default()));
    }

    #[test]
    fn both_ways_set_the_same_parameters() {
        assert_eq!(on_line("a nitro_elect.rsa_bits=3072 b nitro_elect.parent_cid=2\n"), Ok(CHANGED));
        assert_eq!(among_arguments(&["--parent-cid", "2", "--rsa-bits", "3072"]), Ok(CHANGED));
    }

    #[test]
    fn an_unknown_word_of_this_programs_name_space_is_refused() {
        for word in ["rsa_bit=2048", "rsa-bits=2048", "simulate", "", "RSA_BITS=2048", "rsa_bits_=2048"] {
            for prefix in ["nitro_elect.", "nitro-elect.", "\"nitro_elect."] {
                let refused = on_line(&format!("quiet {prefix}{word}"));
                let name = word.split('=').next().unwrap_or_default().to_owned();
                assert_eq!(refused, Err(ParameterError::Unknown(name)), "{prefix}{word}");
            }
        }
    }

    #[test]
    fn a_value_out_of_bounds_is_refused() {
        for value in ["", "1024", "4096", "02048", "2048 ", "+2048", "\"2048\"", "0x800"] {
            let refused = among_arguments(&["--rsa-bits", value]);
            assert_eq!(refused, Err(ParameterError::RsaBits(value.to_owned())));
        }
        for value in ["", "0", "1", "03", "+3", "-1", "4294967295", "4294967296", "three"] {
            let refused = on_line(&format!("nitro_elect.parent_cid={value}"));
            assert_eq!(refused, Err(ParameterError::ParentCid(value.to_owned())));
        }
        assert_eq!(on_line("nitro_elect.rsa_bits"), Err(ParameterError::RsaBits(String::new())));
    }

    #[test]
    fn a_parameter_given_twice_is_refused_even_with_the_same_value() {
        let twice = "nitro_elect.rsa_bits=2048 nitro_elect.rsa_bits=2048";
        assert_eq!(on_line(twice), Err(ParameterError::Twice("rsa_bits")));
        let twice = among_arguments(&["--parent-cid", "3", "--parent-cid", "4"]);
        assert_eq!(twice, Err(ParameterError::Twice("parent_cid")));
    }

    #[test]
    fn any_other_argument_is_refused() {
        for arguments in [&["--rsa-bits"][..], &["--simulate"], &["--rsa-bits=2048"], &["x", "y", "z"]] {
            assert_eq!(among_arguments(arguments), Err(ParameterError::Usage), "{arguments:?}");
        }
    }

    #[test]
    fn a_line_that_no_kernel_shows_is_refused() {
        assert_eq!(KernelLine::new(vec![0xff]), Err(ParameterError::KernelLine));
        assert_eq!(KernelLine::new(vec![b' '; KERNEL_LINE_MAX + 1]), Err(ParameterError::KernelLine));
        assert!(KernelLine::new(vec![b' '; KERNEL_LINE_MAX]).is_ok());
    }

    #[test]
    fn only_the_very_word_forbids_modules() {
        let forbids = |line: &str| KernelLine::new(line.into()).unwrap().forbids_modules();
        assert!(forbids("pci=off nomodules console=ttyS0\n"));
        assert!(!forbids("pci=off nomodules=0 nomodule xnomodules"));
    }
}
