//! The two ramdisks of our own image: what any enclave needs to boot, and the service.
//!
//! They are apart so that PCR1 names kernel, command line and modules, and PCR2 the service alone. The kernel unpacks
//! the second over the first.

use super::cpio::Archive;
use super::module::Module;

/// Where the kernel finds its first process.
const INIT: &str = "init";
/// Where the modules are; init loads them in the order of their names.
const MODULES: &str = "modules";
/// What init mounts file systems on.
const MOUNT_POINTS: [&str; 3] = ["dev", "proc", "sys"];
/// The console by its numbers (Linux, Documentation/admin-guide/devices.txt). Without it, what init says before it has
/// mounted `/dev` is lost.
const CONSOLE: (&str, (u32, u32)) = ("dev/console", (5, 1));

/// The first ramdisk: mount points, the console, and the modules as `/modules/00-NAME.ko` and so on.
pub fn boot(modules: &[Module]) -> Vec<u8> {
    let mut archive = Archive::new();
    for path in MOUNT_POINTS {
        archive.directory(path, 0o755);
    }
    archive.character_device(CONSOLE.0, 0o600, CONSOLE.1);
    archive.directory(MODULES, 0o755);
    for (number, module) in modules.iter().enumerate() {
        archive.file(&format!("{MODULES}/{number:02}-{}.ko", module.name), 0o644, &module.bytes);
    }
    archive.to_bytes()
}

/// The second ramdisk: the program, as `/init`.
pub fn application(init: &[u8]) -> Vec<u8> {
    Archive::new().file(INIT, 0o755, init).to_bytes()
}
