//! Measurements as a file: the JSON that `nitro-cli build-enclave` prints, and the kind of the image they are of.
//!
//! ```json
//! {
//!   "Measurements": { "HashAlgorithm": "Sha384 { ... }", "PCR0": "…", "PCR1": "…", "PCR2": "…" },
//!   "ImageKind": "emulation"
//! }
//! ```
//!
//! What nitro-cli prints has no kind and is for Nitro. Other fields beside the measurements, as `describe-eif` prints
//! them, are ignored.

use nitro_elect_protocol::ids::{ParseIdError, Pcr};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use super::kernel::ImageKind;
use super::limits::MEASUREMENTS_FILE_MAX;
use super::measure::Measurements;
use crate::help::Help;
use crate::input::{self, InputError};

/// How nitro-cli writes the one algorithm that there is.
const ALGORITHM: &str = "Sha384 { ... }";
/// What it begins with, in older and in newer versions of nitro-cli.
const SHA384: [&str; 2] = ["Sha384", "Sha512_48"];

/// The measurements of an image, and what it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// The registers.
    pub measurements: Measurements,
    /// The image's kind.
    pub kind: ImageKind,
}

/// Why a file gives no measurements.
#[derive(Debug, thiserror::Error)]
pub enum MeasurementsFileError {
    /// It could not be read.
    #[error("measurements: {0}")]
    Read(#[from] InputError),
    /// Its contents are wrong.
    #[error("measurements {path}: {fault}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: MeasurementsTextError,
    },
}

/// Why a text gives no measurements.
#[derive(Debug, thiserror::Error)]
pub enum MeasurementsTextError {
    /// Not JSON, or not of this form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Another algorithm.
    #[error("the algorithm is {0:?}, not SHA-384")]
    Algorithm(String),
    /// A register is not 96 hexadecimal digits.
    #[error("PCR{index}: {fault}")]
    Pcr {
        /// Which register.
        index: u8,
        /// What is wrong with it.
        fault: ParseIdError,
    },
    /// A register of zeros is what a debug enclave has, whatever its image.
    #[error("PCR{0} is zero: these are of an enclave in debug mode, not of an image")]
    Zero(u8),
    /// An unknown kind.
    #[error("ImageKind is {0:?}, neither \"nitro\" nor \"emulation\"")]
    Kind(String),
}

impl Help for MeasurementsFileError {
    fn help(&self) -> String {
        match self {
            MeasurementsFileError::Read(error) => error.help(),
            MeasurementsFileError::Contents { .. } => {
                "`make eif` writes such a file; `nitro-cli build-enclave` and `nitro-elect eif show --json` print one".into()
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FileText {
    measurements: RegistersText,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_kind: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistersText {
    #[serde(rename = "HashAlgorithm")]
    hash_algorithm: String,
    #[serde(rename = "PCR0")]
    pcr0: String,
    #[serde(rename = "PCR1")]
    pcr1: String,
    #[serde(rename = "PCR2")]
    pcr2: String,
    #[serde(rename = "PCR8", skip_serializing_if = "Option::is_none")]
    pcr8: Option<String>,
}

/// Reads a file of measurements.
pub fn load(path: &Path) -> Result<Measured, MeasurementsFileError> {
    let text = input::read_text(path, MEASUREMENTS_FILE_MAX)?;
    parse(&text).map_err(|fault| MeasurementsFileError::Contents { path: path.into(), fault })
}

/// Reads the text of such a file.
pub fn parse(text: &str) -> Result<Measured, MeasurementsTextError> {
    let FileText { measurements, image_kind } = serde_json::from_str(text)?;
    if !SHA384.iter().any(|name| measurements.hash_algorithm.starts_with(name)) {
        return Err(MeasurementsTextError::Algorithm(measurements.hash_algorithm));
    }
    let kind = match image_kind {
        None => ImageKind::Nitro,
        Some(word) => ImageKind::of(&word).ok_or(MeasurementsTextError::Kind(word))?,
    };
    let measurements = Measurements {
        pcr0: pcr(0, &measurements.pcr0)?,
        pcr1: pcr(1, &measurements.pcr1)?,
        pcr2: pcr(2, &measurements.pcr2)?,
        pcr8: measurements.pcr8.as_deref().map(|text| pcr(8, text)).transpose()?,
    };
    Ok(Measured { measurements, kind })
}

fn pcr(index: u8, text: &str) -> Result<Pcr, MeasurementsTextError> {
    match Pcr::from_hex(text).map_err(|fault| MeasurementsTextError::Pcr { index, fault })? {
        Pcr([0, rest @ ..]) if rest.iter().all(|byte| *byte == 0) => Err(MeasurementsTextError::Zero(index)),
        pcr => Ok(pcr),
    }
}

/// Writes the text of such a file.
pub fn to_text(measured: &Measured) -> String {
    let Measurements { pcr0, pcr1, pcr2, pcr8 } = measured.measurements;
    let measurements = RegistersText {
        hash_algorithm: ALGORITHM.into(),
        pcr0: pcr0.to_string(),
        pcr1: pcr1.to_string(),
        pcr2: pcr2.to_string(),
        pcr8: pcr8.map(|pcr| pcr.to_string()),
    };
    let file = FileText { measurements, image_kind: Some(measured.kind.to_string()) };
    serde_json::to_string_pretty(&file).expect("texts make JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn digits(byte: u8) -> String {
        Pcr([byte; 48]).to_string()
    }

    fn printed() -> Value {
        json!({ "Measurements": {
            "HashAlgorithm": "Sha384 { ... }", "PCR0": digits(1), "PCR1": digits(2), "PCR2": digits(3),
        } })
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        let mut file = printed();
        change(&mut file);
        parse(&file.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn what_nitro_cli_prints_is_read_and_is_for_nitro() {
        let measured = parse(&printed().to_string()).unwrap();
        assert_eq!(measured.kind, ImageKind::Nitro);
        assert_eq!(measured.measurements.pcrs().collect::<Vec<_>>().len(), 3);
        let mut newer = printed();
        newer["Measurements"]["HashAlgorithm"] = json!("Sha512_48 { .. }");
        assert_eq!(parse(&newer.to_string()).unwrap(), measured);
        let mut described = printed();
        described["IsSigned"] = json!(true);
        described["Measurements"]["PCR8"] = json!(digits(8));
        assert_eq!(parse(&described.to_string()).unwrap().measurements.pcr8, Some(Pcr([8; 48])));
    }

    #[test]
    fn measurements_round_trip_with_their_kind() {
        for (kind, pcr8) in [(ImageKind::Nitro, None), (ImageKind::Emulation, Some(Pcr([8; 48])))] {
            let measurements = Measurements { pcr8, ..parse(&printed().to_string()).unwrap().measurements };
            let measured = Measured { measurements, kind };
            assert_eq!(parse(&to_text(&measured)).unwrap(), measured);
        }
    }

    #[test]
    fn what_would_accept_less_than_an_image_is_refused() {
        assert!(refusal(|file| file["Measurements"]["PCR0"] = json!(digits(0))).contains("PCR0 is zero"));
        assert!(refusal(|file| file["Measurements"]["PCR1"] = json!("abc")).contains("PCR1: expected 96"));
        assert!(
            refusal(|file| file["Measurements"]["PCR3"] = json!(digits(3))).contains("unknown field `PCR3`")
        );
        assert!(
            refusal(|file| file["Measurements"]["HashAlgorithm"] = json!("Sha256")).contains("\"Sha256\"")
        );
        assert!(refusal(|file| file["ImageKind"] = json!("Nitro")).contains("neither"));
        assert!(refusal(|file| *file = json!([])).contains("invalid length"));
        let missing = refusal(|file| drop(file["Measurements"].as_object_mut().unwrap().remove("PCR2")));
        assert!(missing.contains("missing field `PCR2`"));
    }
}
