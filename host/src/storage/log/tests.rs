//! The certificate log, cut and damaged at every place.

use super::*;
use nitro_elect_protocol::certificate::SignedCertificate;
use nitro_elect_protocol::hash;

use crate::limits::LOG_FILES_ASIDE_MAX;

/// A bundle that can be told from others; the log does not look inside.
fn bundle(number: u8) -> Bundle {
    let certificate = SignedCertificate { bytes: vec![number; 40], signature: vec![number; 8] };
    Bundle { certificate, document: vec![number; 20], promises: Vec::new() }
}

fn open(dir: &Path) -> (CertificateLog, Contents) {
    CertificateLog::open(dir).unwrap()
}

/// A log of three certificates as bytes, and where each frame begins.
fn three() -> (Vec<u8>, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    let mut starts = Vec::new();
    for number in 1..=3 {
        starts.push(log.length as usize);
        log.append(&bundle(number)).unwrap();
    }
    (fs::read(dir.path().join(NAME)).unwrap(), starts)
}

fn directory_with(bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(NAME), bytes).unwrap();
    dir
}

#[test]
fn the_newest_certificate_comes_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, contents) = open(dir.path());
    assert!(contents.newest.is_none() && contents.cuts.is_empty());
    log.append(&bundle(1)).unwrap();
    log.append(&bundle(2)).unwrap();
    drop(log);
    let (mut log, contents) = open(dir.path());
    assert_eq!(contents.newest, Some(bundle(2)));
    log.append(&bundle(3)).unwrap();
    assert_eq!(open(dir.path()).1.newest, Some(bundle(3)));
}

#[test]
fn the_format_does_not_change_unnoticed() {
    let (bytes, starts) = three();
    let golden = "\
        4e454c454354434c00000001f54e4543455254f500000079fd815a2c15bcae903b5308a03b4baf0a\
        c86204413b8fb7bb8d334f6cbdacfdb4a36b6365727469666963617465a265627974657358280101\
        01010101010101010101010101010101010101010101010101010101010101010101010101016973\
        69676e617475726548010101010101010168646f63756d656e745401010101010101010101010101\
        010101010101016870726f6d6973657380";
    assert_eq!(hash::to_hex(&bytes[..starts[1]]), golden);
}

#[test]
fn a_log_cut_at_any_byte_continues_after_its_last_whole_certificate() {
    let (bytes, starts) = three();
    for length in 0..bytes.len() {
        let dir = directory_with(&bytes[..length]);
        let (mut log, contents) = open(dir.path());
        let whole = starts[1..].iter().filter(|start| **start <= length).count() as u8;
        assert_eq!(contents.newest, (whole > 0).then(|| bundle(whole)), "cut at {length}");
        let clean = length == 0 || length == HEADER.len() || starts.contains(&length);
        assert_eq!(contents.cuts.is_empty(), clean, "cut at {length}");
        log.append(&bundle(9)).unwrap();
        let (_, contents) = open(dir.path());
        assert_eq!(contents.newest, Some(bundle(9)), "cut at {length}");
        assert_eq!(contents.cuts, []);
    }
}

#[test]
fn the_cut_says_where_and_how_much() {
    let (bytes, starts) = three();
    let dir = directory_with(&bytes[..starts[2] + 5]);
    let expected = Cut { path: dir.path().join(NAME), offset: starts[2] as u64, bytes: 5 };
    assert_eq!(open(dir.path()).1.cuts, [expected]);
}

#[test]
fn a_flipped_bit_before_the_last_certificate_is_refused_wherever_it_is() {
    let (bytes, starts) = three();
    for bit in 0..starts[2] * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let fault = scan(&damaged).unwrap_err();
        let place = starts[..2].iter().rev().find(|start| **start <= bit / 8);
        assert_eq!(fault, place.map_or(Fault::NotALog, |start| Fault::Damaged(*start)), "bit {bit}");
    }
    let mut damaged = bytes;
    damaged[starts[1] + 50] ^= 1;
    let dir = directory_with(&damaged);
    let error = CertificateLog::open(dir.path()).unwrap_err();
    assert!(matches!(error, LogError::Damaged { offset, .. } if offset == starts[1] as u64), "{error}");
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), damaged, "a refused log is not touched");
}

#[test]
fn a_flipped_bit_in_the_last_certificate_loses_that_one_alone() {
    let (bytes, starts) = three();
    for byte in starts[2]..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[byte] ^= 0x10;
        let sound = scan(&damaged).unwrap();
        assert_eq!((sound.frames, sound.end), (2, starts[2]), "byte {byte}");
    }
}

#[test]
fn a_tail_of_zeros_as_a_crash_can_leave_it_is_cut() {
    let (bytes, _) = three();
    let dir = directory_with(&[&bytes[..], &[0; 4096]].concat());
    let (_, contents) = open(dir.path());
    assert_eq!((contents.newest, contents.cuts[0].bytes), (Some(bundle(3)), 4096));
}

#[test]
fn a_frame_moved_to_another_place_does_not_count() {
    let (bytes, starts) = three();
    let swapped = [
        &bytes[..starts[0]],
        &bytes[starts[1]..starts[2]],
        &bytes[starts[0]..starts[1]],
        &bytes[starts[2]..],
    ];
    assert_eq!(scan(&swapped.concat()), Err(Fault::Damaged(starts[0])));
}

#[test]
fn another_file_in_its_place_is_refused() {
    for other in [&b"hello, this is no log"[..], b"NELECTCL\0\0\0\x02", b"x"] {
        let dir = directory_with(other);
        assert!(matches!(CertificateLog::open(dir.path()), Err(LogError::NotALog { .. })));
    }
}

#[test]
fn a_frame_that_claims_more_than_there_is_or_may_be_is_no_frame() {
    for length in [u32::MAX, BUNDLE_MAX as u32 + 1, 100] {
        let mut bytes = [&HEADER[..], &frame(HEADER.len() as u64, b"body")].concat();
        bytes[HEADER.len() + 8..][..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(scan(&bytes).unwrap().frames, 0);
    }
}

#[test]
fn a_sound_frame_with_contents_of_another_kind_is_refused_not_skipped() {
    let bytes = [&HEADER[..], &frame(HEADER.len() as u64, b"no bundle")].concat();
    let dir = directory_with(&bytes);
    assert!(matches!(CertificateLog::open(dir.path()), Err(LogError::Contents { .. })));
}

/// A directory with a full log of one certificate, and its log.
fn full() -> (tempfile::TempDir, CertificateLog) {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    log.append(&bundle(1)).unwrap();
    log.count = LOG_CERTIFICATES_MAX;
    (dir, log)
}

/// Everything that a reader beside the node sees.
fn all(dir: &Path) -> Vec<Bundle> {
    let page = read_page(dir, Place::default(), usize::MAX).unwrap();
    assert!(page.is_last && page.damages.is_empty(), "{:?}", page.damages);
    page.bundles
}

#[test]
fn a_full_log_is_put_aside_and_the_newest_is_still_found() {
    let (dir, mut log) = full();
    log.append(&bundle(2)).unwrap();
    assert_eq!((log.count, all(dir.path())), (1, vec![bundle(1), bundle(2)]));
    drop(log);
    assert_eq!(open(dir.path()).1.newest, Some(bundle(2)));
}

#[test]
fn a_crash_at_any_step_of_putting_aside_loses_nothing_and_the_next_append_goes_on() {
    let rename = |dir: &Path| fs::rename(dir.join(NAME), files::aside(dir, 1)).unwrap();
    let steps: [&dyn Fn(&Path); 5] = [
        &|_| {},
        &|dir| rename(dir),
        &|dir| {
            rename(dir);
            fs::write(dir.join(".certificates.log.abc.new"), &HEADER[..7]).unwrap();
        },
        &|dir| {
            rename(dir);
            fs::write(dir.join(NAME), b"").unwrap();
        },
        &|dir| {
            rename(dir);
            fs::write(dir.join(NAME), HEADER).unwrap();
        },
    ];
    for (step, crash) in steps.iter().enumerate() {
        let (dir, log) = full();
        drop(log);
        crash(dir.path());
        assert_eq!(all(dir.path()), [bundle(1)], "after step {step}");
        let (mut log, contents) = open(dir.path());
        assert_eq!(contents.newest, Some(bundle(1)), "after step {step}");
        log.append(&bundle(2)).unwrap();
        assert_eq!(all(dir.path()), [bundle(1), bundle(2)], "after step {step}");
        assert!(!dir.path().join(".certificates.log.abc.new").exists());
    }
}

#[test]
fn putting_aside_goes_on_where_a_failed_attempt_stopped_and_removes_nothing_for_it() {
    let (dir, mut log) = full();
    for number in 1..=LOG_FILES_ASIDE_MAX as u64 - 1 {
        fs::write(files::aside(dir.path(), number), HEADER).unwrap();
    }
    fs::rename(dir.path().join(NAME), files::aside(dir.path(), LOG_FILES_ASIDE_MAX as u64)).unwrap();
    log.append(&bundle(2)).unwrap();
    assert_eq!(files::list(dir.path()).unwrap().len(), LOG_FILES_ASIDE_MAX);
    assert_eq!(open(dir.path()).1.newest, Some(bundle(2)));
}

#[test]
fn a_storm_of_certificates_takes_a_bounded_number_of_files_and_the_first_and_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    for number in 1..=40 {
        log.append(&bundle(number)).unwrap();
        log.count = LOG_CERTIFICATES_MAX;
    }
    let kept = all(dir.path());
    assert_eq!(kept.len(), LOG_FILES_ASIDE_MAX + 1);
    assert_eq!((kept.first(), kept.last()), (Some(&bundle(1)), Some(&bundle(40))));
    assert_eq!(kept[kept.len() - 2], bundle(39), "what was put aside last");
}

#[test]
fn a_reader_goes_on_where_it_was_while_the_log_grows_and_is_put_aside() {
    let (dir, mut log) = full();
    let first = read_page(dir.path(), Place::default(), usize::MAX).unwrap();
    assert_eq!((first.bundles, first.is_last), (vec![bundle(1)], true));
    log.append(&bundle(2)).unwrap();
    log.append(&bundle(3)).unwrap();
    let second = read_page(dir.path(), first.next, 1).unwrap();
    assert_eq!((second.bundles, second.is_last), (vec![bundle(2)], false));
    let third = read_page(dir.path(), second.next.to_string().parse().unwrap(), 1).unwrap();
    assert_eq!(third.bundles, [bundle(3)]);
    let last = read_page(dir.path(), third.next, 1).unwrap();
    assert!(last.bundles.is_empty() && last.is_last && last.damages.is_empty());
}

#[test]
fn a_reader_waits_for_a_certificate_that_is_being_appended_and_changes_nothing() {
    let (bytes, starts) = three();
    for length in starts[2]..bytes.len() {
        let dir = directory_with(&bytes[..length]);
        assert_eq!(all(dir.path()), [bundle(1), bundle(2)], "cut at {length}");
        assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), &bytes[..length]);
    }
}

#[test]
fn a_reader_passes_over_damage_and_tells_where_it_is() {
    let (mut bytes, starts) = three();
    bytes[starts[1] + 50] ^= 1;
    for (name, number) in [(NAME.to_owned(), 0), (format!("{NAME}.4"), 4)] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(&name), &bytes).unwrap();
        let page = read_page(dir.path(), Place::default(), usize::MAX).unwrap();
        assert_eq!(page.bundles, [bundle(1), bundle(3)], "file {number}");
        let (offset, length) = (starts[1] as u64, (starts[2] - starts[1]) as u64);
        assert_eq!(page.damages, [Damage { path: dir.path().join(name), offset, bytes: length }]);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(files::aside(dir.path(), 1), &bytes[..starts[2] + 9]).unwrap();
    let page = read_page(dir.path(), Place::default(), usize::MAX).unwrap();
    assert_eq!((page.bundles.len(), page.damages.len()), (1, 1), "nothing is appended to a file put aside");
}

#[test]
fn an_oversized_certificate_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    let huge = Bundle { document: vec![0; BUNDLE_MAX], ..bundle(1) };
    assert!(matches!(log.append(&huge), Err(LogError::Oversized(_))));
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), HEADER);
}
