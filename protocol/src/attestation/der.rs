//! A reader of DER (X.690) for the few parts of a certificate that path validation does not hand out.
//!
//! It reads definite, shortest-form lengths only and never looks past what it was given. Certificates that
//! reach a decision have passed rustls-webpki's parser as well: the two must agree.

use crate::time::Wall;

/// SEQUENCE, constructed.
pub(super) const SEQUENCE: u8 = 0x30;
/// SET, constructed.
pub(super) const SET: u8 = 0x31;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// BIT STRING.
pub(super) const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Reads DER values from the front of a byte string. `None` means: not what is expected there.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Der(input)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value whatever its tag, as it stands with tag and length.
    pub(super) fn whole(&mut self) -> Option<&'a [u8]> {
        let (header, length) = match *self.0.get(1..)? {
            [short @ 0..=0x7f, ..] => (2, usize::from(short)),
            [0x81, length @ 0x80..=0xff, ..] => (3, usize::from(length)),
            [0x82, high @ 1..=0xff, low, ..] => (4, usize::from(high) << 8 | usize::from(low)),
            _ => return None,
        };
        let (whole, rest) = self.0.split_at_checked(header + length)?;
        self.0 = rest;
        Some(whole)
    }

    /// The contents of the next value, which must have this tag.
    pub(super) fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() != Some(&tag) {
            return None;
        }
        let header = match self.0.get(1)? {
            0x81 => 3,
            0x82 => 4,
            _ => 2,
        };
        self.whole().map(|whole| &whole[header..])
    }

    /// The contents of the next value if it has this tag; nothing is read otherwise.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.value(tag).map(Some) } else { Some(None) }
    }

    /// The single value that fills the whole input.
    pub(super) fn only(input: &'a [u8], tag: u8) -> Option<&'a [u8]> {
        let mut der = Der(input);
        der.value(tag).filter(|_| der.is_empty())
    }

    /// The contents of the next value, a UTF8String or a PrintableString.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        self.value(UTF8_STRING).or_else(|| self.value(PRINTABLE_STRING))
    }

    /// The next value, a UTCTime or a GeneralizedTime as RFC 5280 §4.1.2.5 restricts them, not before 1970.
    pub(super) fn time(&mut self) -> Option<Wall> {
        let (year, rest) = match *self.0.first()? {
            UTC_TIME => {
                let (year, rest) = self.value(UTC_TIME)?.split_at_checked(2)?;
                let year = decimal(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = self.value(GENERALIZED_TIME)?.split_at_checked(4)?;
                (decimal(year)?, rest)
            }
            _ => return None,
        };
        let digits: &[u8; 10] = rest.strip_suffix(b"Z")?.try_into().ok()?;
        let part = |at: usize| decimal(&digits[at..at + 2]);
        let seconds = (part(4)? * 60 + part(6)?) * 60 + part(8)?;
        let in_range = part(4)? < 24 && part(6)? < 60 && part(8)? < 60;
        let days = days_since_1970(year, part(0)?, part(2)?).filter(|_| in_range)?;
        Some(Wall((days * 86_400 + seconds) * 1000))
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// Days from 1 January 1970 to this day of the Gregorian calendar.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const IN_MONTH: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leap_days_before = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    let leap_february = month == 2 && is_leap(year);
    if year < 1970 || day == 0 || day > IN_MONTH.get(index)? + u64::from(leap_february) {
        return None;
    }
    let leap_days = leap_days_before(year) - leap_days_before(1970) + u64::from(month > 2 && is_leap(year));
    Some((year - 1970) * 365 + leap_days + BEFORE_MONTH[index] + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(tag: u8, text: &str) -> Option<u64> {
        let input = [&[tag, text.len() as u8], text.as_bytes()].concat();
        Der::new(&input).time().map(|wall| wall.0 / 1000)
    }

    #[test]
    fn times_are_read_as_seconds_since_1970() {
        assert_eq!(time(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, "240229235959Z"), Some(1_709_251_199));
        assert_eq!(time(UTC_TIME, "491028142805Z"), Some(2_519_044_085));
        assert_eq!(time(GENERALIZED_TIME, "20000301000000Z"), Some(951_868_800));
        assert_eq!(time(GENERALIZED_TIME, "21000301000000Z"), Some(4_107_542_400));
    }

    #[test]
    fn times_that_no_calendar_has_are_refused() {
        for text in ["230229000000Z", "241301000000Z", "240001000000Z", "240100000000Z", "240101240000Z"] {
            assert_eq!(time(UTC_TIME, text), None, "{text}");
        }
        for text in ["690101000000Z", "2401010000Z", "240101000000", "24010100000aZ", "240101000000+0000"] {
            assert_eq!(time(UTC_TIME, text), None, "{text}");
        }
        assert_eq!(time(GENERALIZED_TIME, "19691231235959Z"), None);
        assert_eq!(time(INTEGER, "240101000000Z"), None);
    }

    #[test]
    fn lengths_that_are_not_the_shortest_or_run_over_are_refused() {
        assert_eq!(Der::only(&[4, 1, 9], OCTET_STRING), Some(&[9][..]));
        assert_eq!(Der::only(&[4, 0x81, 1, 9], OCTET_STRING), None);
        assert_eq!(Der::only(&[4, 0x82, 0, 1, 9], OCTET_STRING), None);
        assert_eq!(Der::only(&[4, 0x80, 0, 0], OCTET_STRING), None);
        assert_eq!(Der::only(&[4, 2, 9], OCTET_STRING), None);
        assert_eq!(Der::only(&[4, 1, 9, 9], OCTET_STRING), None);
        assert_eq!(Der::only(&[4], OCTET_STRING), None);
        assert_eq!(Der::only(&[], OCTET_STRING), None);
    }
}
