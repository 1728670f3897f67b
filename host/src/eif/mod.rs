//! Enclave images: the file that a Nitro hypervisor boots (EIF, version 4), read, written and measured.
//!
//! `nitro-cli` makes such files from containers on a machine that has both. This module makes one from a kernel and a
//! static binary, anywhere, and the same bytes each time: that is what makes a measurement mean a source tree. The
//! format is that of AWS's `aws-nitro-enclaves-image-format`; what is measured is the kernel, its command line and the
//! ramdisks, never the metadata.
//!
//! * [`mod@format`]: the layout; [`read`]: any file taken apart, as hostile as it may be, with its [`fault`]s;
//!   [`mod@write`]: the bytes of an image;
//! * [`measure`]: PCR0, PCR1, PCR2 and PCR8; [`measurements_file`]: their JSON form;
//! * [`cpio`], [`ramdisk`], [`kernel`], [`module`], [`elf`], [`metadata`]: what goes into an image of ours;
//! * [`build`]: all of it together.

pub mod build;
pub mod cpio;
mod der;
pub mod elf;
pub mod fault;
pub mod format;
pub mod kernel;
pub mod limits;
pub mod measure;
pub mod measurements_file;
pub mod metadata;
pub mod module;
pub mod ramdisk;
pub mod read;
pub mod signature;
pub mod write;
