//! Reading points of wall time as people write them (RFC 3339): `2026-11-22T13:05:00Z`, with any offset.
//!
//! Writing is [`Wall`]'s own. Leap seconds do not exist here, as on Unix clocks.

use nitro_elect_protocol::time::Wall;

const DAY_MS: i64 = 86_400_000;

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a time from 1970 on: write it as in 2026-11-22T13:05:00Z (RFC 3339)")]
pub struct TimeError {
    /// The text, cut to 40 characters.
    pub found: String,
}

/// Reads a time with `Z` or an offset; parts of a second down to milliseconds, the rest is cut.
pub fn parse(text: &str) -> Result<Wall, TimeError> {
    read(text).ok_or_else(|| TimeError { found: text.chars().take(40).collect() })
}

fn read(text: &str) -> Option<Wall> {
    let (date, rest) = text.split_at_checked(10)?;
    let (clock, rest) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let [hour, minute, second] = fields(clock, [(0, 2), (3, 5), (6, 8)], ':')?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (part_ms, zone) = fraction(rest)?;
    let local = day(date)? * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + part_ms;
    u64::try_from(local - offset_ms(zone)?).ok().map(Wall)
}

/// Three numbers at their places, with separators between them.
fn fields(text: &str, places: [(usize, usize); 3], separator: char) -> Option<[i64; 3]> {
    let between =
        places.windows(2).all(|pair| text.get(pair[0].1..pair[1].0) == Some(&separator.to_string()));
    let [a, b, c] = places.map(|(start, end)| text.get(start..end).and_then(number));
    between.then_some([a?, b?, c?])
}

/// The day of a date, counted from 1970. The calendar knows which dates there are: what is none prints as another.
fn day(date: &str) -> Option<i64> {
    let [year, month, day] = fields(date, [(0, 4), (5, 7), (8, 10)], '-')?;
    let days = days_since_1970(year, month, day);
    let start = Wall(u64::try_from(days.checked_mul(DAY_MS)?).ok()?);
    start.to_string().starts_with(date).then_some(days)
}

/// Days from 1970-01-01 to a date; years begin in March here, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The milliseconds of `.123456`, and what follows.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = digits.find(|c: char| !c.is_ascii_digit()).filter(|end| (1..=9).contains(end))?;
    let (part, zone) = digits.split_at(end);
    Some((number(&format!("{part:0<3}")[..3])?, zone))
}

fn offset_ms(zone: &str) -> Option<i64> {
    if zone == "Z" || zone == "z" {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..).filter(|rest| rest.len() == 5)?.split_once(':')?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn number(text: &str) -> Option<i64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_what_date_prints() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-11-22T13:05:00.250Z", 1_795_352_700_250),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text), Ok(Wall(ms)), "{text}");
        }
    }

    #[test]
    fn an_offset_is_taken_off_and_parts_of_milliseconds_are_cut() {
        assert_eq!(parse("2026-11-22T14:05:00+01:00"), parse("2026-11-22T13:05:00Z"));
        assert_eq!(parse("2026-11-22T07:35:00-05:30"), parse("2026-11-22T13:05:00Z"));
        assert_eq!(parse("2026-11-22T13:05:00.123456Z"), parse("2026-11-22T13:05:00.123Z"));
        assert_eq!(parse("2026-11-22T13:05:00.5Z"), parse("2026-11-22T13:05:00.500Z"));
    }

    #[test]
    fn what_is_printed_is_read_back_on_every_day_of_four_centuries() {
        for day in 0..146_097 {
            let wall = Wall(day * DAY_MS as u64 + 45_296_789);
            assert_eq!(parse(&wall.to_string()), Ok(wall));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let bad = [
            "",
            "now",
            "2026-11-22",
            "2026-11-22T13:05:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T13:05:60Z",
            "2026-11-22T13:05:00+1:00",
            "2026-11-22T13:05:00+24:00",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2026-11-22T13:05:00.Z",
            "2026-11-22T13:05:00.1",
            "2026-11-22T13:05:00ZZ",
            "2026/11/22T13:05:00Z",
            "+026-11-22T13:05:00Z",
            "２026-11-22T13:05:00Z",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
