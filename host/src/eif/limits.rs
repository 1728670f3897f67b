//! The bounds of enclave images and of what goes into them, each with its reason.

/// Largest enclave image that is read, in bytes: the kernel unpacks its ramdisks into memory besides.
pub const FILE_MAX: usize = 4 << 30;
/// Largest kernel for an image, in bytes: distributions' take about 12 MiB.
pub const KERNEL_MAX: usize = 128 << 20;
/// Largest program for an image, in bytes: the enclave's takes about 2 MiB.
pub const INIT_MAX: usize = 64 << 20;
/// Largest kernel module for an image, in bytes, packed or not: the five of the emulation take under 300 KiB.
pub const MODULE_MAX: usize = 32 << 20;
/// Most kernel modules in an image.
pub const MODULES_MAX: usize = 32;
/// Largest memory for unpacking a module, in KiB: kernel modules are packed with a dictionary of 1 to 8 MiB.
pub const UNPACK_MEMORY_KIB: u32 = 64 << 10;
/// Longest command line for an image, in bytes: x86 kernels take 2,047, and the hypervisor appends its devices.
pub const CMDLINE_MAX: usize = 1536;
/// Largest signature section of an image, in bytes: a certificate in PEM and a signature, a number for each byte.
pub const SIGNATURE_MAX: usize = 64 << 10;
/// Largest file of measurements, in bytes: `nitro-cli describe-eif` prints about 3 KiB.
pub const MEASUREMENTS_FILE_MAX: usize = 256 << 10;
