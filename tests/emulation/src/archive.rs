//! The ramdisk's archive format (newc; Linux, Documentation/driver-api/early-userspace/buffer-format.rst): enough of
//! it to find one file, and to add one.
//!
//! The kernel unpacks archives one after the other, and a later file of the same name replaces an earlier one. That is
//! how the emulation changes a driver without a change to the image.

/// What every header begins with; eight hexadecimal digits a field follow, thirteen fields in all.
const MAGIC: &[u8] = b"070701";
const HEADER: usize = 6 + 13 * 8;
const MODE_FIELD: usize = 1;
const SIZE_FIELD: usize = 6;
const NAME_SIZE_FIELD: usize = 11;
const TRAILER: &str = "TRAILER!!!";
/// A regular file that its owner can read.
const FILE_MODE: u32 = 0o100_400;
/// What archives are filled up to, so that the next one may follow.
const BLOCK: usize = 512;

/// The first file whose name ends so, with its whole name. None as well where the archive cannot be read on.
pub fn find<'a>(archive: &'a [u8], ending: &str) -> Option<(&'a str, &'a [u8])> {
    let mut at = 0;
    loop {
        let entry = entry(archive, at)?;
        if entry.name == TRAILER {
            // Another archive may follow the padding.
            let rest = &archive[entry.end..];
            at = entry.end + rest.iter().position(|byte| *byte != 0)?;
        } else if entry.name.ends_with(ending) {
            return Some((entry.name, entry.contents));
        } else {
            at = entry.end;
        }
    }
}

/// An archive of one file.
pub fn of_one(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    append(&mut archive, name, FILE_MODE, contents);
    append(&mut archive, TRAILER, 0, &[]);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    archive
}

struct Entry<'a> {
    name: &'a str,
    contents: &'a [u8],
    end: usize,
}

fn entry(archive: &[u8], at: usize) -> Option<Entry<'_>> {
    let header = archive.get(at..at.checked_add(HEADER)?)?;
    let fields = header.strip_prefix(MAGIC)?;
    let field = |index: usize| {
        let digits = std::str::from_utf8(&fields[index * 8..][..8]).ok()?;
        usize::from_str_radix(digits, 16).ok()
    };
    let name_at = at + HEADER;
    let name_end = name_at.checked_add(field(NAME_SIZE_FIELD)?)?;
    let name = archive.get(name_at..name_end)?.strip_suffix(b"\0")?;
    let contents_at = name_end.checked_next_multiple_of(4)?;
    let contents_end = contents_at.checked_add(field(SIZE_FIELD)?)?;
    let contents = archive.get(contents_at..contents_end)?;
    let end = contents_end.checked_next_multiple_of(4)?.min(archive.len());
    Some(Entry { name: std::str::from_utf8(name).ok()?, contents, end })
}

fn append(archive: &mut Vec<u8>, name: &str, mode: u32, contents: &[u8]) {
    let mut fields = [0; 13];
    fields[MODE_FIELD] = mode as usize;
    fields[4] = 1;
    fields[SIZE_FIELD] = contents.len();
    fields[NAME_SIZE_FIELD] = name.len() + 1;
    archive.extend_from_slice(MAGIC);
    fields.iter().for_each(|field| archive.extend_from_slice(format!("{field:08x}").as_bytes()));
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_is_found_by_the_end_of_its_name_in_any_of_several_archives() {
        let archives = [of_one("modules/01-vsock.ko", b"vsock"), of_one("modules/02-nsm.ko", b"nsm driver")];
        let archive = archives.concat();
        assert_eq!(find(&archive, "-nsm.ko"), Some(("modules/02-nsm.ko", &b"nsm driver"[..])));
        assert_eq!(find(&archive, "-vsock.ko"), Some(("modules/01-vsock.ko", &b"vsock"[..])));
        assert_eq!(find(&archive, "-virtio.ko"), None);
    }

    #[test]
    fn an_archive_fills_whole_blocks() {
        for length in 0..600 {
            assert_eq!(of_one("a", &vec![1; length]).len() % BLOCK, 0);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_nothing_breaks(mut bytes: Vec<u8>, at in 0..120usize, byte: u8) {
            assert_eq!(find(&bytes, "x"), None);
            bytes = of_one("name", &bytes);
            bytes[at] = byte;
            let _ = find(&bytes, "name");
        }
    }
}
