//! Archives that the kernel unpacks as its first file system: cpio, "newc" (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! The same entries give the same bytes: they are sorted by path, belong to user 0, and were made at time 0. The length
//! is a multiple of 512, because the kernel reads one archive after the other only where the next one begins aligned.
//! Nothing is compressed: a compressed archive before a plain one fails to unpack.

use std::collections::BTreeMap;

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
/// What archives are padded to.
pub const BLOCK: usize = 512;
/// Entries and their data begin at multiples of this.
const WORD: usize = 4;

const DIRECTORY: u32 = 0o040000;
const REGULAR: u32 = 0o100000;
const CHARACTER_DEVICE: u32 = 0o020000;

/// The entries of an archive, by path, without a leading slash. An archive holds the directories of its files.
#[derive(Debug, Default)]
pub struct Archive<'a> {
    entries: BTreeMap<String, Entry<'a>>,
}

#[derive(Debug, Default)]
struct Entry<'a> {
    mode: u32,
    device: (u32, u32),
    data: &'a [u8],
}

impl<'a> Archive<'a> {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory with its permission bits.
    pub fn directory(&mut self, path: &str, permissions: u32) -> &mut Self {
        self.add(path, Entry { mode: DIRECTORY | permissions, ..Entry::default() })
    }

    /// Adds a file with its permission bits.
    pub fn file(&mut self, path: &str, permissions: u32, data: &'a [u8]) -> &mut Self {
        self.add(path, Entry { mode: REGULAR | permissions, data, ..Entry::default() })
    }

    /// Adds a character device by its major and minor number.
    pub fn character_device(&mut self, path: &str, permissions: u32, device: (u32, u32)) -> &mut Self {
        self.add(path, Entry { mode: CHARACTER_DEVICE | permissions, device, ..Entry::default() })
    }

    fn add(&mut self, path: &str, entry: Entry<'a>) -> &mut Self {
        self.entries.insert(path.to_owned(), entry);
        self
    }

    /// The archive's bytes. A directory sorts before what it holds, so the kernel makes it first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            write_entry(&mut bytes, number, path, entry);
        }
        write_entry(&mut bytes, 0, TRAILER, &Entry::default());
        pad(&mut bytes, BLOCK);
        bytes
    }
}

fn write_entry(bytes: &mut Vec<u8>, number: u32, path: &str, entry: &Entry<'_>) {
    let links = if entry.mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
    let (size, name_size) = (entry.data.len() as u32, path.len() as u32 + 1);
    let (major, minor) = entry.device;
    let (user, group, time, on_major, on_minor, check) = (0, 0, 0, 0, 0, 0);
    let fields = [
        number, entry.mode, user, group, links, time, size, on_major, on_minor, major, minor, name_size,
        check,
    ];
    bytes.extend(MAGIC.bytes());
    bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
    bytes.extend(path.bytes());
    bytes.push(0);
    pad(bytes, WORD);
    bytes.extend(entry.data);
    pad(bytes, WORD);
}

fn pad(bytes: &mut Vec<u8>, multiple: usize) {
    bytes.resize(bytes.len().next_multiple_of(multiple), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, device and data of an entry.
    type Unpacked = (String, u32, (u32, u32), Vec<u8>);

    /// The entries, read back without the writer's code.
    fn unpacked(mut archive: &[u8]) -> Vec<Unpacked> {
        let mut found = Vec::new();
        loop {
            assert_eq!(&archive[..6], b"070701");
            let field = |index: usize| {
                let digits = std::str::from_utf8(&archive[6 + 8 * index..14 + 8 * index]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let name = String::from_utf8(archive[110..110 + name_size - 1].to_vec()).unwrap();
            let at = (110 + name_size).div_ceil(4) * 4;
            let data = archive[at..at + size].to_vec();
            if name == TRAILER {
                return found;
            }
            assert_eq!((field(2), field(3), field(5)), (0, 0, 0), "user, group, time");
            found.push((name, field(1), (field(9), field(10)), data));
            archive = &archive[(at + size).div_ceil(4) * 4..];
        }
    }

    #[test]
    fn entries_come_back_sorted_with_parents_first() {
        let mut archive = Archive::new();
        archive.file("dev/zero", 0o600, b"12345").character_device("dev/console", 0o600, (5, 1));
        archive.directory("dev", 0o755).file("a", 0o755, b"");
        let bytes = archive.to_bytes();
        assert_eq!(bytes.len() % BLOCK, 0);
        let found = unpacked(&bytes);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["a", "dev", "dev/console", "dev/zero"]);
        assert_eq!((found[0].1, found[1].1), (0o100755, 0o040755));
        assert_eq!((found[2].1, found[2].2), (0o020600, (5, 1)));
        assert_eq!(found[3].3, b"12345");
    }

    #[test]
    fn the_order_of_adding_changes_nothing() {
        let (mut one, mut other) = (Archive::new(), Archive::new());
        one.file("a", 0o644, b"x").file("b", 0o644, b"y");
        other.file("b", 0o644, b"y").file("a", 0o644, b"x");
        assert_eq!(one.to_bytes(), other.to_bytes());
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut archive = Archive::new();
        archive.file("a", 0o644, b"hello");
        let expected = concat!(
            "070701",
            "00000001",
            "000081a4",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000005",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000002",
            "00000000",
            "a\0",
            "hello\0\0\0",
            "070701",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "0000000b",
            "00000000",
            "TRAILER!!!\0\0\0\0",
        );
        let bytes = archive.to_bytes();
        assert_eq!(&bytes[..expected.len()], expected.as_bytes());
        assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0));
    }
}
