//! The metadata of an image: JSON in nitro-cli's form, so that `nitro-cli describe-eif` shows it.
//!
//! Nothing measures it: it is for people. There is no time of the build in it but the one given, so that the same
//! source gives the same bytes.

use nitro_elect_protocol::time::Wall;
use serde_json::{Value, json};

use super::kernel::{ImageKind, Kernel};

/// What says the kind of an image, in `CustomMetadata`.
const KIND: &str = "ImageKind";

/// What people are told about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The image's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is good for.
    pub kind: ImageKind,
    /// When its source was last changed (`SOURCE_DATE_EPOCH`); 1970 if nobody says.
    pub time: Wall,
}

impl Metadata {
    /// The section's text.
    pub fn to_text(&self, kernel: &Kernel) -> String {
        let version = kernel.version.as_deref().and_then(|version| version.split(' ').next());
        json!({
            "ImageName": self.name,
            "ImageVersion": self.version,
            "BuildMetadata": {
                "BuildTime": self.time.to_string(),
                "BuildTool": env!("CARGO_PKG_NAME"),
                "BuildToolVersion": env!("CARGO_PKG_VERSION"),
                "OperatingSystem": "Linux",
                "KernelVersion": version.unwrap_or("unknown"),
            },
            "DockerInfo": {},
            "CustomMetadata": { KIND: self.kind.to_string() },
        })
        .to_string()
    }
}

/// The kind that an image claims to be of.
pub fn claimed_kind(metadata: &Value) -> Option<ImageKind> {
    ImageKind::of(metadata["CustomMetadata"][KIND].as_str()?)
}
