//! The certificate log, cut and damaged at every place.

use super::*;
use nitro_elect_protocol::certificate::SignedCertificate;

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
        assert_eq!((sound.frames.len(), sound.end), (2, starts[2]), "byte {byte}");
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
        assert_eq!(scan(&bytes).unwrap().frames.len(), 0);
    }
}

#[test]
fn a_sound_frame_with_contents_of_another_kind_is_refused_not_skipped() {
    let bytes = [&HEADER[..], &frame(HEADER.len() as u64, b"no bundle")].concat();
    let dir = directory_with(&bytes);
    assert!(matches!(CertificateLog::open(dir.path()), Err(LogError::Contents { .. })));
}

#[test]
fn a_full_log_is_put_aside_and_the_newest_is_still_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    log.append(&bundle(1)).unwrap();
    log.count = LOG_CERTIFICATES_MAX;
    log.append(&bundle(2)).unwrap();
    assert_eq!((log.count, scan(&fs::read(dir.path().join(ASIDE)).unwrap()).unwrap().frames.len()), (1, 1));
    drop(log);
    fs::write(dir.path().join(NAME), HEADER).unwrap();
    assert_eq!(open(dir.path()).1.newest, Some(bundle(1)), "right after putting aside, the old file has it");
    fs::remove_file(dir.path().join(NAME)).unwrap();
    assert_eq!(open(dir.path()).1.newest, Some(bundle(1)), "a crash between the two steps loses nothing");
}

#[test]
fn putting_aside_goes_on_where_a_failed_attempt_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    log.append(&bundle(1)).unwrap();
    log.count = LOG_CERTIFICATES_MAX;
    fs::rename(dir.path().join(NAME), dir.path().join(ASIDE)).unwrap();
    log.append(&bundle(2)).unwrap();
    assert_eq!(open(dir.path()).1.newest, Some(bundle(2)));
}

#[test]
fn an_oversized_certificate_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    let huge = Bundle { document: vec![0; BUNDLE_MAX], ..bundle(1) };
    assert!(matches!(log.append(&huge), Err(LogError::Oversized(_))));
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), HEADER);
}
