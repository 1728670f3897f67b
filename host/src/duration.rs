//! Spans of time as people write them: `500ms`, `1s`, `10m`, `1h`. Whole numbers of one unit, so that a span has
//! one meaning and one spelling.

use std::time::Duration;

/// Units, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a span of time: write a whole number and ms, s, m or h, as in 500ms or 1s")]
pub struct DurationError {
    /// The text, cut to 40 characters.
    pub found: String,
}

/// Reads a span.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ms)| *ms);
    unit.zip(number.parse::<u64>().ok())
        .and_then(|(unit, number)| number.checked_mul(unit))
        .map(Duration::from_millis)
        .ok_or_else(|| DurationError { found: text.chars().take(40).collect() })
}

/// Writes a span in the longest unit that holds it in whole numbers; parts of a millisecond are left off.
pub fn format(span: Duration) -> String {
    let ms = span.as_millis();
    let (unit, length) = UNITS
        .into_iter()
        .find(|(_, length)| ms >= u128::from(*length) && ms.is_multiple_of(u128::from(*length)))
        .unwrap_or(("ms", 1));
    format!("{}{unit}", ms / u128::from(length))
}

/// About how long a span is, for people: milliseconds, or seconds and their tenths, or minutes, hours and days.
pub fn about(span: Duration) -> String {
    match span.as_secs() {
        0 | 1 => format!("{} ms", span.as_millis()),
        2..120 => format!("{:.1} s", span.as_secs_f64()),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip_in_their_longest_unit() {
        for text in ["0ms", "1ms", "200ms", "1500ms", "1s", "59s", "1m", "90s", "1h", "36h"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        assert_eq!(format(parse("60s").unwrap()), "1m");
    }

    #[test]
    fn what_is_no_whole_number_of_a_known_unit_is_refused() {
        for text in ["", "1", "s", "1.5s", "-1s", "1 s", "1S", "1d", "1us", "99999999999999999999h"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("18446744073709551615h").is_err());
    }
}
