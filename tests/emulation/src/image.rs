//! The parts of an image that QEMU needs one by one.

use nitro_elect_protocol::trust::PcrSet;

/// An image, taken apart.
pub struct Image {
    /// The kernel.
    pub kernel: Vec<u8>,
    /// Its command line.
    pub command_line: String,
    /// Its ramdisks, in order.
    pub ramdisks: Vec<Vec<u8>>,
    /// What the security module measures of it.
    pub measurements: PcrSet,
}
