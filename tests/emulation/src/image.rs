//! The parts of an image that QEMU needs one by one, and what they measure to.

use nitro_elect::eif::read::{Eif, load};
use nitro_elect_protocol::trust::PcrSet;
use std::path::Path;

/// An image, taken apart.
pub struct Image {
    /// The kernel.
    pub kernel: Vec<u8>,
    /// Its command line.
    pub command_line: String,
    /// Its ramdisks, in order.
    pub ramdisks: Vec<Vec<u8>>,
    /// Its measurements, computed from these very bytes.
    pub measurements: PcrSet,
}

impl Image {
    /// Reads an image (EIF) and checks it.
    pub fn read(path: &Path) -> anyhow::Result<Image> {
        let bytes = load(path)?;
        let eif = Eif::parse(&bytes)?;
        Ok(Image {
            kernel: eif.kernel.to_vec(),
            command_line: eif.cmdline.to_owned(),
            ramdisks: eif.ramdisks.iter().map(|ramdisk| ramdisk.to_vec()).collect(),
            measurements: eif.measurements.accepted(),
        })
    }
}
