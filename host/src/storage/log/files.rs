//! The files of a log: `certificates.log`, which grows, and `certificates.log.1`, `.2`, ... put aside before it. The
//! higher the number, the newer.
//!
//! Of those put aside a fixed number is kept. The one that goes is the one that covers the shortest time, the oldest
//! and the one just put aside apart: a storm of elections fills files in minutes, so it pushes out itself and not the
//! months before it, and the log reaches back to its beginning however long the storm lasts. What a file covers is
//! reckoned from the times of last change, by this machine's wall clock; nothing but what is kept rests on it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::limits::LOG_FILES_ASIDE_MAX;

/// The file that grows.
pub const NAME: &str = "certificates.log";

/// A file put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The number in its name.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// The path of the file with this number.
pub fn aside(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{NAME}.{number}"))
}

/// The files put aside, oldest first.
pub fn list(dir: &Path) -> io::Result<Vec<Aside>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(NAME)?.strip_prefix('.')?.parse().ok());
        // A name with a sign or zeros before its number is somebody else's.
        if let Some(number) = number.filter(|number| aside(dir, *number).file_name() == Some(&name)) {
            found.push(Aside { number, path: dir.join(&name) });
        }
    }
    found.sort_by_key(|aside| aside.number);
    Ok(found)
}

/// The number of the file that grows: the one it gets when it is put aside.
pub fn next_number(asides: &[Aside]) -> u64 {
    asides.last().map_or(1, |newest| newest.number.saturating_add(1))
}

/// Removes files until there is room for one more.
pub fn make_room(asides: Vec<Aside>) -> io::Result<()> {
    let mut kept = asides;
    while kept.len() >= LOG_FILES_ASIDE_MAX {
        let times = kept.iter().map(|aside| changed(&aside.path)).collect::<io::Result<Vec<_>>>()?;
        let goes = kept.remove(shortest(&times));
        fs::remove_file(&goes.path)?;
    }
    Ok(())
}

fn changed(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

/// Which of several files covers the shortest time, each reaching back to the one before it. The first reaches back
/// to the beginning.
fn shortest(times: &[SystemTime]) -> usize {
    let covers = |pair: &[SystemTime]| pair[1].duration_since(pair[0]).unwrap_or(Duration::ZERO);
    let spans = times.windows(2).map(covers).enumerate();
    spans.min_by_key(|(_, span)| *span).map_or(0, |(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: &[u64]) -> Vec<SystemTime> {
        seconds.iter().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds)).collect()
    }

    #[test]
    fn the_file_of_the_shortest_time_goes_and_never_the_first() {
        assert_eq!(shortest(&at(&[0, 1000, 1001, 5000])), 2);
        assert_eq!(shortest(&at(&[500, 1000, 9000, 9001])), 3);
        assert_eq!(shortest(&at(&[7, 7, 7])), 1, "with equal times the oldest that may");
        assert_eq!(shortest(&at(&[90, 50, 100])), 1, "a clock that was set back makes no span");
        assert_eq!(shortest(&at(&[3])), 0);
    }

    #[test]
    fn only_numbered_files_are_the_logs_and_they_come_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["certificates.log", "certificates.log.10", "certificates.log.9", "certificates.log.09"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        for name in ["certificates.log.+7", "certificates.log.x", "certificates.log.", ".certificates.log.1"]
        {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        let found = list(dir.path()).unwrap();
        assert_eq!(found.iter().map(|aside| aside.number).collect::<Vec<_>>(), [9, 10]);
        assert_eq!((next_number(&found), next_number(&[])), (11, 1));
    }

    #[test]
    fn a_storm_pushes_out_itself_and_not_what_was_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(24 * 3600);
        let begun = SystemTime::UNIX_EPOCH + day * 10_000;
        let put = |number: u64, when: SystemTime| {
            make_room(list(dir.path()).unwrap()).unwrap();
            let file = fs::File::create(aside(dir.path(), number)).unwrap();
            file.set_modified(when).unwrap();
        };
        let calm = LOG_FILES_ASIDE_MAX as u64 - 1;
        for number in 1..=calm {
            put(number, begun + day * number as u32);
        }
        // An hour of a file every ten seconds.
        for number in 1..=360 {
            put(calm + number, begun + day * calm as u32 + Duration::from_secs(10 * number));
        }
        let numbers: Vec<u64> = list(dir.path()).unwrap().iter().map(|aside| aside.number).collect();
        let expected: Vec<u64> = (1..=calm).chain([calm + 360]).collect();
        assert_eq!(numbers, expected);
    }
}
