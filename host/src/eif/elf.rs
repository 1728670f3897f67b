//! What an ELF file is for, as far as an image must know: its processor, and whether it is a program that needs no
//! other file to start, or a kernel module.

use super::format::Arch;

/// Length of the file header of a 64-bit ELF.
const HEADER_LEN: usize = 64;
/// Length of an entry in its table of program headers.
const PROGRAM_HEADER_LEN: usize = 56;
const RELOCATABLE: u16 = 1;
const EXECUTABLE: u16 = 2;
/// Shared objects, and programs that may be loaded anywhere.
const DYNAMIC: u16 = 3;
const INTERPRETER: u32 = 3;
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// Why an ELF file is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Another kind of file.
    #[error("not a 64-bit little-endian ELF file")]
    NotElf,
    /// For a processor that Nitro does not have.
    #[error("for machine {0}, neither x86_64 nor aarch64")]
    Machine(u16),
    /// Not a program.
    #[error("an ELF file of type {0}, not a program")]
    NotAProgram(u16),
    /// Its table of program headers is outside the file.
    #[error("its program headers are outside the file: cut short")]
    Cut,
    /// It needs a dynamic linker, and the image has none.
    #[error("linked dynamically: the image holds no loader and no libraries")]
    Dynamic,
    /// Not a module.
    #[error("an ELF file of type {0}, not a kernel module")]
    NotAModule(u16),
}

/// The processor of a program that needs no dynamic linker.
pub fn static_program(bytes: &[u8]) -> Result<Arch, ElfError> {
    let header = Header::read(bytes)?;
    if header.kind != EXECUTABLE && header.kind != DYNAMIC {
        return Err(ElfError::NotAProgram(header.kind));
    }
    for index in 0..header.program_headers {
        let at = usize::from(index)
            .checked_mul(PROGRAM_HEADER_LEN)
            .and_then(|at| at.checked_add(header.programs_at));
        let kind: [u8; 4] = at.and_then(|at| bytes.get(at..)?.first_chunk()).copied().ok_or(ElfError::Cut)?;
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Err(ElfError::Dynamic);
        }
    }
    Ok(header.arch)
}

/// The processor of a kernel module.
pub fn module(bytes: &[u8]) -> Result<Arch, ElfError> {
    match Header::read(bytes)? {
        Header { kind: RELOCATABLE, arch, .. } => Ok(arch),
        Header { kind, .. } => Err(ElfError::NotAModule(kind)),
    }
}

struct Header {
    kind: u16,
    arch: Arch,
    programs_at: usize,
    program_headers: u16,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, ElfError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ElfError::NotElf)?;
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return Err(ElfError::NotElf);
        }
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let arch = match short(18) {
            X86_64 => Arch::X86_64,
            AARCH64 => Arch::Aarch64,
            other => return Err(ElfError::Machine(other)),
        };
        let programs_at = header[32..].first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
        let programs_at = usize::try_from(programs_at).map_err(|_| ElfError::Cut)?;
        Ok(Header { kind: short(16), arch, programs_at, program_headers: short(56) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file header of a kind, with one program header of another.
    fn elf(kind: u16, machine: u16, program_header: u32) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN + PROGRAM_HEADER_LEN];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32..40].copy_from_slice(&(HEADER_LEN as u64).to_le_bytes());
        bytes[56..58].copy_from_slice(&1_u16.to_le_bytes());
        bytes[64..68].copy_from_slice(&program_header.to_le_bytes());
        bytes
    }

    #[test]
    fn static_programs_and_modules_of_both_processors_are_known() {
        assert_eq!(static_program(&elf(EXECUTABLE, X86_64, 1)), Ok(Arch::X86_64));
        assert_eq!(static_program(&elf(DYNAMIC, AARCH64, 2)), Ok(Arch::Aarch64));
        assert_eq!(module(&elf(RELOCATABLE, X86_64, 0)), Ok(Arch::X86_64));
    }

    #[test]
    fn what_could_not_start_in_the_image_is_refused() {
        assert_eq!(static_program(&elf(DYNAMIC, X86_64, INTERPRETER)), Err(ElfError::Dynamic));
        assert_eq!(static_program(&elf(RELOCATABLE, X86_64, 1)), Err(ElfError::NotAProgram(1)));
        assert_eq!(static_program(&elf(EXECUTABLE, 40, 1)), Err(ElfError::Machine(40)));
        assert_eq!(static_program(b"#!/bin/sh\n"), Err(ElfError::NotElf));
        assert_eq!(module(&elf(EXECUTABLE, X86_64, 1)), Err(ElfError::NotAModule(2)));
    }

    #[test]
    fn headers_outside_the_file_are_refused() {
        let mut far = elf(EXECUTABLE, X86_64, 1);
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(static_program(&far), Err(ElfError::Cut));
        assert_eq!(static_program(&elf(EXECUTABLE, X86_64, 1)[..66]), Err(ElfError::Cut));
        assert_eq!(static_program(&elf(EXECUTABLE, X86_64, 1)[..63]), Err(ElfError::NotElf));
    }
}
