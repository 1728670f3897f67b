//! Images built of small parts.

use super::*;
use crate::eif::read::Eif;
use std::fs;

/// A directory with a kernel, a program and a module that are the least of their kinds.
struct Parts(tempfile::TempDir);

impl Parts {
    fn new() -> Self {
        let parts = Parts(tempfile::tempdir().unwrap());
        parts.put("bzImage", &bzimage("6.1.0 (somebody@example) #1"));
        parts.put("service", &elf(2));
        parts.put("nsm.ko", &elf(1));
        parts
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plan(&self) -> Plan {
        Plan {
            kernel: self.path("bzImage"),
            init: self.path("service"),
            modules: vec![self.path("nsm.ko")],
            cmdline: CMDLINE_DEFAULT.into(),
            name: "least".into(),
            version: "1".into(),
            emulation: false,
            time: Wall(0),
        }
    }
}

fn bzimage(version: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x300];
    bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    bytes.extend(version.bytes());
    bytes.resize(0x400, 0);
    bytes
}

/// An ELF header for x86_64 without anything behind it: 1 is a module, 2 a program.
fn elf(kind: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    (bytes[16], bytes[18]) = (kind, 62);
    bytes
}

fn refusal(change: impl FnOnce(&Parts, &mut Plan)) -> String {
    let parts = Parts::new();
    let mut plan = parts.plan();
    change(&parts, &mut plan);
    let error = build(&plan).unwrap_err();
    assert!(!error.help().is_empty());
    error.to_string()
}

#[test]
fn an_image_reads_back_as_what_it_was_made_of() {
    let parts = Parts::new();
    let built = build(&parts.plan()).unwrap();
    let eif = Eif::parse(&built.bytes).unwrap();
    assert_eq!(eif.kernel, fs::read(parts.path("bzImage")).unwrap());
    assert_eq!(eif.cmdline, CMDLINE_DEFAULT);
    assert_eq!(eif.measurements, built.measured.measurements);
    assert_eq!((eif.arch, eif.signed.is_none()), (Arch::X86_64, true));
    let metadata = eif.metadata.unwrap();
    assert_eq!(metadata["BuildMetadata"]["BuildTime"], "1970-01-01T00:00:00.000Z");
    assert_eq!(metadata["BuildMetadata"]["KernelVersion"], "6.1.0");
    let holds = |ramdisk: &[u8], path: &[u8]| ramdisk.windows(path.len()).any(|window| window == path);
    assert!(holds(eif.ramdisks[0], b"modules/00-nsm.ko\0") && holds(eif.ramdisks[0], b"dev/console\0"));
    assert!(holds(eif.ramdisks[1], b"init\0") && !holds(eif.ramdisks[0], b"init\0"));
}

#[test]
fn the_same_parts_elsewhere_give_the_same_bytes() {
    let (one, other) = (Parts::new(), Parts::new());
    assert_eq!(build(&one.plan()).unwrap().bytes, build(&other.plan()).unwrap().bytes);
}

#[test]
fn the_service_moves_pcr2_and_a_module_pcr1() {
    let parts = Parts::new();
    let before = build(&parts.plan()).unwrap().measured.measurements;
    parts.put("service", &[elf(2), vec![1]].concat());
    let service = build(&parts.plan()).unwrap().measured.measurements;
    assert_eq!(service.pcr1, before.pcr1);
    assert!(service.pcr0 != before.pcr0 && service.pcr2 != before.pcr2);
    let without = build(&Plan { modules: Vec::new(), ..parts.plan() }).unwrap().measured.measurements;
    assert_eq!(without.pcr2, service.pcr2);
    assert_ne!(without.pcr1, service.pcr1);
}

#[test]
fn neither_name_nor_time_is_measured() {
    let parts = Parts::new();
    let one = build(&parts.plan()).unwrap();
    let other = build(&Plan { name: "other".into(), time: Wall(1), ..parts.plan() }).unwrap();
    assert_ne!(one.bytes, other.bytes);
    assert_eq!(one.measured, other.measured);
}

#[test]
fn an_image_with_a_kernel_of_debians_is_for_emulation_whatever_is_asked() {
    let parts = Parts::new();
    assert_eq!(build(&parts.plan()).unwrap().measured.kind, ImageKind::Nitro);
    let asked = build(&Plan { emulation: true, ..parts.plan() }).unwrap();
    assert_eq!(asked.measured.kind, ImageKind::Emulation);
    parts.put("bzImage", &bzimage("6.12.9-cloud-amd64 (debian-kernel@lists.debian.org) #1"));
    assert_eq!(build(&parts.plan()).unwrap().measured.kind, ImageKind::Emulation);
}

#[test]
fn a_packed_module_is_the_same_as_a_plain_one() {
    // `printf '\x7fELF...' | xz --check=crc32`, of the module that `elf(1)` makes.
    let packed = include_bytes!("least.ko.xz");
    let parts = Parts::new();
    let plain = build(&parts.plan()).unwrap();
    let path = parts.put("nsm.ko.xz", packed);
    assert_eq!(build(&Plan { modules: vec![path], ..parts.plan() }).unwrap().bytes, plain.bytes);
}

#[test]
fn what_is_no_kernel_program_or_module_is_refused_by_name() {
    let no_kernel = refusal(|parts, plan| plan.kernel = parts.path("service"));
    assert!(no_kernel.contains("service is neither"), "{no_kernel}");
    let no_program = refusal(|parts, plan| plan.init = parts.path("nsm.ko"));
    assert!(no_program.contains("nsm.ko cannot start"), "{no_program}");
    let no_module = refusal(|parts, plan| plan.modules = vec![parts.put("a.ko", &elf(2))]);
    assert!(no_module.contains("a.ko: an ELF file of type 2"), "{no_module}");
    let missing = refusal(|parts, plan| plan.init = parts.path("nothing"));
    assert!(missing.starts_with("program: could not read"), "{missing}");
    let dir = refusal(|parts, plan| plan.kernel = parts.path(""));
    assert!(dir.starts_with("kernel: could not read"), "{dir}");
}

#[test]
fn a_module_that_is_misnamed_damaged_or_a_bomb_is_refused() {
    for name in ["nsm.ko.gz", "nsm", "a b.ko", ".ko", "../nsm.o"] {
        let text = refusal(|parts, plan| plan.modules = vec![parts.path(name)]);
        assert!(text.contains("its name is not NAME.ko"), "{name}: {text}");
    }
    let packed = include_bytes!("least.ko.xz");
    let cut = refusal(|parts, plan| plan.modules = vec![parts.put("a.ko.xz", &packed[..packed.len() - 20])]);
    assert!(cut.contains("could not unpack"), "{cut}");
    let mut damaged = packed.to_vec();
    damaged[packed.len() / 2] ^= 1;
    let damaged = refusal(|parts, plan| plan.modules = vec![parts.put("a.ko.xz", &damaged)]);
    assert!(damaged.contains("could not unpack") || damaged.contains("ELF"), "{damaged}");
    let bomb = include_bytes!("zeros-33-mib.ko.xz");
    let bomb = refusal(|parts, plan| plan.modules = vec![parts.put("a.ko.xz", bomb)]);
    assert!(bomb.contains("more than 33554432 bytes when unpacked"), "{bomb}");
    let hungry = include_bytes!("dictionary-1-gib.ko.xz");
    let hungry = refusal(|parts, plan| plan.modules = vec![parts.put("a.ko.xz", hungry)]);
    assert!(hungry.contains("memory"), "{hungry}");
}

#[test]
fn parts_for_another_processor_are_refused() {
    let arm = |kind| {
        let mut arm = elf(kind);
        arm[18] = 183;
        arm
    };
    let program = refusal(|parts, plan| plan.init = parts.put("arm", &arm(2)));
    assert!(program.contains("arm is for aarch64, the kernel for x86_64"), "{program}");
    let module = refusal(|parts, plan| plan.modules = vec![parts.put("arm.ko", &arm(1))]);
    assert!(module.contains("arm.ko is for aarch64"), "{module}");
}

#[test]
fn a_command_line_that_no_kernel_could_take_is_refused() {
    assert!(refusal(|_, plan| plan.cmdline = "x".repeat(CMDLINE_MAX + 1)).contains("1537 bytes"));
    for wrong in ["a\nb", "a\0", "ä"] {
        assert!(refusal(|_, plan| plan.cmdline = wrong.into()).contains("printable ASCII"), "{wrong:?}");
    }
    let many = refusal(|parts, plan| plan.modules = vec![parts.path("nsm.ko"); MODULES_MAX + 1]);
    assert!(many.contains("33 kernel modules"), "{many}");
}
