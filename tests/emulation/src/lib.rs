//! An emulated Nitro machine for the boot test: Debian's QEMU, a vhost-user vsock device, and a security module of our
//! own.
//!
//! ```text
//! image (EIF) -> sections -> QEMU: kernel, ramdisks + patched nsm.ko, command line
//!                   PCRs  -> security module (vhost-user) -> documents under a test root
//! ```
//!
//! Why: every line of the enclave's program that runs on Nitro shall have run in a test, `ioctl` on `/dev/nsm` and
//! vsock included. The image is taken as it is; its measurements are computed from its bytes.
//!
//! **What it does not show.** The kernel is Debian's and not AWS's; its driver of the security module carries another
//! device id, since QEMU makes no other device for a foreign process; memory is not private, the host can read and
//! change everything. The documents prove nothing and are worth `simulated`.
//!
//! It is a crate of its own so that neither the enclave nor the host program depends on what emulates their world.

pub mod archive;
pub mod device;
pub mod driver;
pub mod image;
pub mod machine;
pub mod nsm;
pub mod tsc;
