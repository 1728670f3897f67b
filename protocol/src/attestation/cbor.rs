//! A reader of CBOR (RFC 8949) for attestation documents, one item at a time, without recursion and without
//! allocation.
//!
//! Documents are the one input that our own encoder did not write: the NSM's encoding changed over the years
//! (definite maps, later indefinite ones), so the canonical decoder of [`crate::codec`] cannot read them.
//! What is accepted here is every well-formed encoding of the *expected* type, and nothing else: no tags but
//! where the caller asks for one, no strings in pieces, nothing after the end.

/// Why the bytes at `offset` are not what is expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The input ends within an item.
    #[error("it ends too early, at byte {offset}")]
    Truncated {
        /// Where the missing byte would be.
        offset: usize,
    },
    /// An item of another type.
    #[error("expected {expected} at byte {offset}")]
    Type {
        /// Where the item begins.
        offset: usize,
        /// The type that belongs there.
        expected: &'static str,
    },
    /// A string, array or map outside its bounds.
    #[error("the {kind} at byte {offset} has length {found}, allowed is {}", range(.min, .max))]
    Length {
        /// Where the item begins.
        offset: usize,
        /// The item's type.
        kind: &'static str,
        /// Its length: bytes of a string, entries of an array or map.
        found: u64,
        /// The least that is allowed.
        min: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// Bytes of a text string that are not UTF-8.
    #[error("the text at byte {offset} is not UTF-8")]
    Utf8 {
        /// Where the string begins.
        offset: usize,
    },
    /// Bytes after the last item.
    #[error("{count} bytes follow the end")]
    Trailing {
        /// How many.
        count: usize,
    },
}

fn range(min: &usize, max: &usize) -> String {
    if min == max { min.to_string() } else { format!("{min} to {max}") }
}

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const NULL: u8 = 0xf6;
const BREAK: u8 = 0xff;

/// What an item's head says besides its type: a number, or that the end is marked by a break.
#[derive(Clone, Copy)]
enum Argument {
    Number(u64),
    Indefinite,
}

/// An open array or map: how many entries were read, and how it ends.
pub(super) struct Entries {
    kind: &'static str,
    offset: usize,
    read: usize,
    min: usize,
    max: usize,
    length: Argument,
}

impl Entries {
    fn check_length(&self, found: u64) -> Result<(), CborError> {
        let Entries { offset, kind, min, max, .. } = *self;
        if (min as u64..=max as u64).contains(&found) {
            return Ok(());
        }
        Err(CborError::Length { offset, kind, found, min, max })
    }

    /// The bounds of an indefinite array or map: the upper one at each entry, the lower one at its end.
    fn check_progress(&self, more: bool) -> Result<(), CborError> {
        self.check_length(if more { self.read.max(self.min) } else { self.read } as u64)
    }
}

/// Reads items from the front of a byte string.
pub(super) struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Reader { input, offset: 0 }
    }

    fn peek(&self) -> Result<u8, CborError> {
        self.input.get(self.offset).copied().ok_or(CborError::Truncated { offset: self.input.len() })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CborError> {
        let rest = &self.input[self.offset..];
        let taken = rest.get(..count).ok_or(CborError::Truncated { offset: self.input.len() })?;
        self.offset += count;
        Ok(taken)
    }

    /// Reads the head of an item of this major type (RFC 8949 §3).
    fn head(&mut self, major: u8, expected: &'static str) -> Result<Argument, CborError> {
        let wrong = CborError::Type { offset: self.offset, expected };
        let first = self.peek()?;
        if first >> 5 != major {
            return Err(wrong);
        }
        self.offset += 1;
        let width = match first & 0x1f {
            small @ 0..=23 => return Ok(Argument::Number(u64::from(small))),
            31 if matches!(major, ARRAY | MAP) => return Ok(Argument::Indefinite),
            log @ 24..=27 => 1 << (log - 24),
            _ => return Err(wrong),
        };
        let number = self.take(width)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        Ok(Argument::Number(number))
    }

    fn number(&mut self, major: u8, expected: &'static str) -> Result<u64, CborError> {
        let offset = self.offset;
        match self.head(major, expected)? {
            Argument::Number(number) => Ok(number),
            Argument::Indefinite => Err(CborError::Type { offset, expected }),
        }
    }

    fn string(
        &mut self,
        major: u8,
        kind: &'static str,
        min: usize,
        max: usize,
    ) -> Result<&'a [u8], CborError> {
        let offset = self.offset;
        let found = self.number(major, kind)?;
        match usize::try_from(found) {
            Ok(length) if (min..=max).contains(&length) => self.take(length),
            _ => Err(CborError::Length { offset, kind, found, min, max }),
        }
    }

    /// Reads an unsigned integer.
    pub(super) fn unsigned(&mut self) -> Result<u64, CborError> {
        self.number(UNSIGNED, "an unsigned integer")
    }

    /// Reads a byte string of `min` to `max` bytes.
    pub(super) fn bytes(&mut self, min: usize, max: usize) -> Result<&'a [u8], CborError> {
        self.string(BYTES, "byte string", min, max)
    }

    /// Reads a text string of `min` to `max` bytes of UTF-8.
    pub(super) fn text(&mut self, min: usize, max: usize) -> Result<&'a str, CborError> {
        let offset = self.offset;
        let bytes = self.string(TEXT, "text string", min, max)?;
        std::str::from_utf8(bytes).map_err(|_| CborError::Utf8 { offset })
    }

    /// Steps over a `null`, if one comes next.
    pub(super) fn null(&mut self) -> Result<bool, CborError> {
        let is_null = self.peek()? == NULL;
        self.offset += usize::from(is_null);
        Ok(is_null)
    }

    /// Steps over this tag, if a tag comes next; another tag is an error.
    pub(super) fn optional_tag(&mut self, tag: u64, expected: &'static str) -> Result<bool, CborError> {
        let offset = self.offset;
        if self.peek()? >> 5 != TAG {
            return Ok(false);
        }
        match self.number(TAG, expected)? {
            found if found == tag => Ok(true),
            _ => Err(CborError::Type { offset, expected }),
        }
    }

    /// Opens an array of `min` to `max` items.
    pub(super) fn array(&mut self, min: usize, max: usize) -> Result<Entries, CborError> {
        self.open(ARRAY, "array", min, max)
    }

    /// Opens a map of `min` to `max` pairs.
    pub(super) fn map(&mut self, min: usize, max: usize) -> Result<Entries, CborError> {
        self.open(MAP, "map", min, max)
    }

    fn open(&mut self, major: u8, kind: &'static str, min: usize, max: usize) -> Result<Entries, CborError> {
        let entries =
            Entries { kind, offset: self.offset, read: 0, min, max, length: self.head(major, kind)? };
        match entries.length {
            Argument::Number(found) => entries.check_length(found).map(|()| entries),
            Argument::Indefinite => Ok(entries),
        }
    }

    /// Whether another entry follows in this array or map; steps over the break that ends an indefinite one.
    /// True at least `min` times, false before the entry past `max`: anything else is an error.
    pub(super) fn more(&mut self, entries: &mut Entries) -> Result<bool, CborError> {
        let more = match entries.length {
            Argument::Number(length) => (entries.read as u64) < length,
            Argument::Indefinite => self.peek()? != BREAK,
        };
        entries.read += usize::from(more);
        if let Argument::Indefinite = entries.length {
            self.offset += usize::from(!more);
            entries.check_progress(more)?;
        }
        Ok(more)
    }

    /// Checks that nothing follows.
    pub(super) fn finish(self) -> Result<(), CborError> {
        match self.input.len() - self.offset {
            0 => Ok(()),
            count => Err(CborError::Trailing { count }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(input: &[u8], max: usize) -> Result<Vec<u64>, CborError> {
        let mut reader = Reader::new(input);
        let mut entries = reader.array(1, max)?;
        let mut found = Vec::new();
        while reader.more(&mut entries)? {
            found.push(reader.unsigned()?);
        }
        reader.finish().map(|()| found)
    }

    #[test]
    fn definite_and_indefinite_arrays_read_alike() {
        assert_eq!(numbers(&[0x82, 1, 0x18, 24], 2), Ok(vec![1, 24]));
        assert_eq!(numbers(&[0x9f, 1, 0x18, 24, 0xff], 2), Ok(vec![1, 24]));
    }

    #[test]
    fn neither_kind_of_array_exceeds_its_bound() {
        let length = CborError::Length { offset: 0, kind: "array", found: 2, min: 1, max: 1 };
        assert_eq!(numbers(&[0x82, 1, 2], 1), Err(length));
        assert_eq!(numbers(&[0x9f, 1, 2, 0xff], 1), Err(length));
    }

    #[test]
    fn neither_kind_of_array_falls_short_of_its_bound() {
        let length = CborError::Length { offset: 0, kind: "array", found: 0, min: 1, max: 1 };
        assert_eq!(numbers(&[0x80], 1), Err(length));
        assert_eq!(numbers(&[0x9f, 0xff], 1), Err(length));
    }

    #[test]
    fn a_huge_length_allocates_nothing_and_is_refused() {
        let mut input = vec![0x5b];
        input.extend([0xff; 8]);
        let length = CborError::Length { offset: 0, kind: "byte string", found: u64::MAX, min: 0, max: 9 };
        assert_eq!(Reader::new(&input).bytes(0, 9), Err(length));
    }

    #[test]
    fn an_early_end_is_refused_wherever_it_comes() {
        for input in [&[][..], &[0x82], &[0x82, 1], &[0x82, 1, 0x19, 0], &[0x9f, 1]] {
            assert_eq!(numbers(input, 2), Err(CborError::Truncated { offset: input.len() }));
        }
    }

    #[test]
    fn strings_in_pieces_reserved_heads_and_other_types_are_refused() {
        let wrong = CborError::Type { offset: 0, expected: "byte string" };
        for input in [&[0x5f, 0x41, 0, 0xff][..], &[0x5c], &[0x61, 0x61], &[0xd2, 0x40]] {
            assert_eq!(Reader::new(input).bytes(0, 9), Err(wrong));
        }
    }

    #[test]
    fn bytes_after_the_end_and_text_that_is_not_utf8_are_refused() {
        assert_eq!(numbers(&[0x81, 0, 0, 0], 1), Err(CborError::Trailing { count: 2 }));
        assert_eq!(Reader::new(&[0x61, 0xff]).text(0, 9), Err(CborError::Utf8 { offset: 0 }));
    }
}
