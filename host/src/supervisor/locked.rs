//! Memory that is never written to a disk: locked against swapping, left out of core dumps, not inherited by children,
//! and overwritten before it is given back.
//!
//! What it cannot do: whoever may read this process's memory (root, a debugger that the system lets attach, a machine that
//! is suspended to disk or migrated) reads it all the same.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A piece of locked memory of fixed length, zero at first.
#[derive(Debug)]
pub struct Locked {
    start: NonNull<u8>,
    len: usize,
}

impl Locked {
    /// Takes `len` bytes from the system and locks them.
    pub fn new(len: usize) -> io::Result<Locked> {
        // SAFETY: an anonymous private mapping at an address of the system's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).expect("the system maps nothing at address 0 unless asked to");
        let memory = Locked { start, len };
        memory.seal()?;
        Ok(memory)
    }

    /// Locks the pages, and keeps them from core dumps and from children.
    fn seal(&self) -> io::Result<()> {
        let start = self.start.as_ptr().cast();
        // SAFETY: start and len are those of a mapping that this value owns; none of the calls changes its content.
        let sealed = unsafe {
            libc::mlock(start, self.len) == 0
                && libc::madvise(start, self.len, libc::MADV_DONTDUMP) == 0
                && libc::madvise(start, self.len, libc::MADV_DONTFORK) == 0
        };
        if sealed { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Deref for Locked {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, initialised (zero) and lives as long as this value.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, writable, and borrowed by nobody else while this borrow lasts.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.fill(0);
        // What is read afterwards must not be optimised away.
        std::hint::black_box(&**self);
        // SAFETY: the mapping is this value's own, and nothing borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_locked_and_left_out_of_dumps_and_children() {
        let mut memory = Locked::new(5000).unwrap();
        assert!(memory.iter().all(|byte| *byte == 0));
        memory.fill(7);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", memory.start.as_ptr() as usize);
        let entry = maps.split_inclusive("VmFlags:").zip(maps.split("VmFlags:").skip(1));
        let flags = entry.filter(|(entry, _)| entry.lines().any(|line| line.starts_with(&start)));
        let flags = flags.map(|(_, after)| after.lines().next().unwrap()).next().unwrap();
        for flag in ["lo", "dd", "dc"] {
            assert!(flags.split_whitespace().any(|known| known == flag), "{flag}: {flags}");
        }
    }
}
