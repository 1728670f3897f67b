//! Images, sound and not. Those of [`PLAIN`] and [`SIGNED`] were made by AWS's own crate (see `vectors/README.md`), so
//! that writer and reader do not only agree with each other.

use super::*;
use crate::eif::kernel::ImageKind;
use crate::eif::measurements_file::{Measured, parse, to_text};
use crate::eif::signature::SignatureError;
use crate::eif::write::Image;
use nitro_elect_protocol::ids::Pcr;
use proptest::prelude::*;

const PLAIN: &[u8] = include_bytes!("../vectors/plain.eif");
const SIGNED: &[u8] = include_bytes!("../vectors/signed.eif");
/// What that crate printed for both; PCR8 for the second.
const PCR0: &str =
    "de90ec9a8c2c236efde8c0fb8adc4e47e60e9f23a1ded0aa71db63e2be2bcfe954c0d98eab1652b241181e303d7238f5";
const PCR1: &str =
    "bb3af6f7eafd2810da85f179826c47241ebf19c86a416cb4eb447214b47e31873e7bacdfb19874a7f4271fb67aaa6159";
const PCR2: &str =
    "c6bb7a26fbaee57dc04066231416f991b31e960f1fb4e9fa42f1f8c48ae9f5809a63d5ed92d1163bd1923296fe502284";
const PCR8: &str =
    "7863d4753651a9531b43d45e5c96a7929282a01128ed3be4e3ea7d7fd395e94c3abb2d46b4aadf8680515690be76df7e";

/// Where things are in a header.
const VERSION_AT: usize = 4;
const FLAGS_AT: usize = 6;
const COUNT_AT: usize = 26;
const OFFSETS_AT: usize = 28;
const SIZES_AT: usize = OFFSETS_AT + 8 * SECTIONS_MAX;

/// The plain image with bytes replaced, and its checksum made right again.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = PLAIN.to_vec();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    summed(image)
}

fn summed(mut image: Vec<u8>) -> Vec<u8> {
    let crc = checksum(&image);
    image[CRC_AT..HEADER_LEN].copy_from_slice(&crc.to_be_bytes());
    image
}

fn offset(index: usize) -> usize {
    u64::from_be_bytes(PLAIN[OFFSETS_AT + 8 * index..][..8].try_into().unwrap()) as usize
}

fn refusal(image: &[u8]) -> EifError {
    let error = Eif::parse(image).unwrap_err();
    assert!(!error.to_string().is_empty());
    error
}

/// The parts of an image, to be written again.
fn image_of(eif: &Eif<'_>) -> Image {
    let section = |kind| eif.sections.iter().find(|section| section.kind == kind).map(|section| section.data);
    Image {
        arch: eif.arch,
        kernel: eif.kernel.to_vec(),
        cmdline: eif.cmdline.to_owned(),
        ramdisks: eif.ramdisks.iter().map(|ramdisk| ramdisk.to_vec()).collect(),
        metadata: String::from_utf8(section(SectionKind::Metadata).unwrap().to_vec()).unwrap(),
        signature: section(SectionKind::Signature).map(<[u8]>::to_vec),
    }
}

/// An image with these sections and nothing else.
fn with_sections(sections: &[(u16, &[u8])]) -> Vec<u8> {
    let mut image = PLAIN[..HEADER_LEN].to_vec();
    image[OFFSETS_AT..HEADER_LEN].fill(0);
    image[COUNT_AT..OFFSETS_AT].copy_from_slice(&(sections.len() as u16).to_be_bytes());
    for (index, (kind, data)) in sections.iter().enumerate() {
        let (at, size) = (image.len() as u64, data.len() as u64);
        image[OFFSETS_AT + 8 * index..][..8].copy_from_slice(&at.to_be_bytes());
        image[SIZES_AT + 8 * index..][..8].copy_from_slice(&size.to_be_bytes());
        image.extend(kind.to_be_bytes());
        image.extend([0, 0]);
        image.extend(size.to_be_bytes());
        image.extend(*data);
    }
    summed(image)
}

#[test]
fn an_image_of_awss_own_crate_is_read_and_measured_as_it_says() {
    let eif = Eif::parse(PLAIN).unwrap();
    assert_eq!((eif.arch, eif.memory, eif.cpus), (Arch::X86_64, 1 << 30, 2));
    assert_eq!(eif.cmdline, "reboot=k panic=30 console=ttyS0");
    assert_eq!((eif.kernel.len(), eif.ramdisks.len()), (796, 2));
    assert!(eif.ramdisks[0].starts_with(b"first ramdisk") && eif.ramdisks[1].starts_with(b"second ramdisk"));
    assert_eq!(eif.metadata.unwrap()["ImageName"], "nitro-elect");
    let found: Vec<(u8, String)> =
        eif.measurements.pcrs().map(|(index, pcr)| (index, pcr.to_string())).collect();
    assert_eq!(found, [(0, PCR0.into()), (1, PCR1.into()), (2, PCR2.into())]);
}

#[test]
fn a_signed_image_of_awss_own_crate_is_verified_and_its_signer_measured() {
    let eif = Eif::parse(SIGNED).unwrap();
    assert_eq!(eif.measurements.pcr0.to_string(), PCR0);
    assert_eq!(eif.measurements.pcr8.unwrap().to_string(), PCR8);
    assert_eq!(eif.signed.unwrap().algorithm, "ES384");
    let measured = Measured { measurements: eif.measurements, kind: ImageKind::Nitro };
    assert_eq!(parse(&to_text(&measured)).unwrap(), measured);
}

#[test]
fn our_writer_gives_every_byte_that_awss_own_crate_gives() {
    for image in [PLAIN, SIGNED] {
        assert!(image_of(&Eif::parse(image).unwrap()).to_bytes() == image);
    }
}

#[test]
fn an_image_for_arm_says_so() {
    let mut image = image_of(&Eif::parse(PLAIN).unwrap());
    image.arch = Arch::Aarch64;
    let bytes = image.to_bytes();
    assert_eq!(&bytes[FLAGS_AT..COUNT_AT][..2], [0, 1]);
    assert_eq!(Eif::parse(&bytes).unwrap().arch, Arch::Aarch64);
}

#[test]
fn a_file_that_is_short_of_a_header_or_another_file_is_refused() {
    for len in [0, 4, HEADER_LEN - 1] {
        assert!(matches!(refusal(&PLAIN[..len]), EifError::HeaderCut { len: found } if found == len));
    }
    assert!(matches!(refusal(&[0x7f; 600]), EifError::Magic { found: [0x7f, 0x7f, 0x7f, 0x7f] }));
}

#[test]
fn another_version_is_refused() {
    for version in [0_u16, 3, 5, u16::MAX] {
        let image = changed(VERSION_AT, &version.to_be_bytes());
        assert!(matches!(refusal(&image), EifError::Version { found } if found == version));
    }
}

#[test]
fn what_has_no_meaning_may_not_be_set() {
    for (at, expected) in
        [(FLAGS_AT, "flags"), (24, "first reserved field"), (CRC_AT - 4, "second reserved field")]
    {
        let error = refusal(&changed(at, &[0x80]));
        assert!(matches!(error, EifError::Reserved { field, .. } if field == expected), "{error}");
    }
    let error = refusal(&changed(offset(1) + 2, &[0, 7]));
    assert!(matches!(error, EifError::SectionFlags { index: 1, found: 7 }));
}

#[test]
fn no_sections_and_huge_counts_of_them_are_refused() {
    for count in [0_u16, 33, u16::MAX] {
        let image = changed(COUNT_AT, &count.to_be_bytes());
        assert!(matches!(refusal(&image), EifError::SectionCount { found } if found == count));
    }
}

#[test]
fn a_table_entry_beyond_the_sections_is_refused() {
    for at in [OFFSETS_AT, SIZES_AT] {
        let error = refusal(&changed(at + 8 * 31, &1_u64.to_be_bytes()));
        assert!(matches!(error, EifError::SpareEntry { index: 31, count: 5 }));
    }
    let fewer = refusal(&changed(COUNT_AT, &4_u16.to_be_bytes()));
    assert!(matches!(fewer, EifError::SpareEntry { index: 4, count: 4 }));
}

#[test]
fn sections_that_overlap_the_header_or_each_other_are_refused() {
    for at in [0_u64, 1, HEADER_LEN as u64 - 1] {
        let error = refusal(&changed(OFFSETS_AT, &at.to_be_bytes()));
        assert!(matches!(error, EifError::Overlap { index: 0, offset, end: 548 } if offset == at));
    }
    let same = refusal(&changed(OFFSETS_AT + 8, &(offset(0) as u64).to_be_bytes()));
    assert!(matches!(same, EifError::Overlap { index: 1, offset: 548, .. }));
}

#[test]
fn bytes_that_no_section_covers_are_refused() {
    let later = offset(1) as u64 + 4;
    let error = refusal(&changed(OFFSETS_AT + 8, &later.to_be_bytes()));
    assert!(matches!(error, EifError::Gap { index: 1, offset, end } if offset == later && end == later - 4));
    let trailing = refusal(&summed([PLAIN, b"more"].concat()));
    assert!(matches!(trailing, EifError::Trailing { end, extra: 4 } if end == PLAIN.len()));
}

#[test]
fn absurd_offsets_and_sizes_are_refused() {
    for absurd in [PLAIN.len() as u64, u64::MAX, u64::MAX - 11, 1 << 63] {
        let error = refusal(&changed(OFFSETS_AT + 8 * 2, &absurd.to_be_bytes()));
        assert!(matches!(error, EifError::BeyondEnd { index: 2, offset, .. } if offset == absurd), "{error}");
        let error = refusal(&changed(SIZES_AT + 8 * 2, &absurd.to_be_bytes()));
        assert!(matches!(error, EifError::BeyondEnd { index: 2, size, .. } if size == absurd), "{error}");
    }
}

#[test]
fn an_image_cut_anywhere_is_refused() {
    for len in 0..PLAIN.len() {
        let error = refusal(&PLAIN[..len]);
        assert!(matches!(error, EifError::HeaderCut { .. } | EifError::BeyondEnd { .. }), "{len}: {error}");
    }
}

#[test]
fn a_section_that_contradicts_the_table_is_refused() {
    let error = refusal(&changed(offset(1) + 4, &7_u64.to_be_bytes()));
    assert!(matches!(error, EifError::SizesDiffer { index: 1, section: 7, table: 31 }));
    for kind in [0_u16, 6, u16::MAX] {
        let error = refusal(&changed(offset(1), &kind.to_be_bytes()));
        assert!(matches!(error, EifError::Kind { index: 1, found } if found == kind));
    }
}

#[test]
fn each_bit_that_flips_is_noticed() {
    for at in 0..PLAIN.len() {
        let mut image = PLAIN.to_vec();
        image[at] ^= 0x10;
        Eif::parse(&image).unwrap_err();
    }
    let mut image = PLAIN.to_vec();
    *image.last_mut().unwrap() ^= 1;
    assert!(matches!(refusal(&image), EifError::Checksum { .. }));
}

#[test]
fn parts_that_are_missing_doubled_or_out_of_order_are_refused() {
    let (kernel, line, disk) = ((1, &b"k"[..]), (2, &b"c"[..]), (3, &b"r"[..]));
    Eif::parse(&with_sections(&[kernel, line, disk])).unwrap();
    let missing = |sections: &[(u16, &[u8])]| match refusal(&with_sections(sections)) {
        EifError::Missing(kind) => kind,
        other => panic!("{other}"),
    };
    assert_eq!(missing(&[line, disk]), SectionKind::Kernel);
    assert_eq!(missing(&[kernel, disk]), SectionKind::Cmdline);
    assert_eq!(missing(&[kernel, line]), SectionKind::Ramdisk);
    for twice in [kernel, line, (4, &b"s"[..]), (5, &b"{}"[..])] {
        let error = refusal(&with_sections(&[kernel, line, disk, twice, twice]));
        assert!(matches!(error, EifError::Repeated { .. }), "{error}");
    }
    for order in [[line, kernel, disk], [kernel, disk, line], [disk, kernel, line]] {
        assert!(matches!(refusal(&with_sections(&order)), EifError::Order { .. }));
    }
}

#[test]
fn a_command_line_or_metadata_that_is_none_is_refused() {
    let with = |line: &[u8], metadata: &[u8]| {
        refusal(&with_sections(&[(1, b"k"), (2, line), (3, b"r"), (5, metadata)]))
    };
    assert!(matches!(with(b"ab\xff", b"{}"), EifError::Cmdline { offset: 2 }));
    assert!(matches!(with(b"a\0b", b"{}"), EifError::Cmdline { offset: 1 }));
    assert!(matches!(with(b"a", b"{"), EifError::Metadata(_)));
    assert!(matches!(with(b"a", b"\xff"), EifError::Metadata(_)));
}

/// The signed image's section, with one change to its bytes, in an image with one change to its kernel.
fn signature_refusal(kernel: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> SignatureError {
    let mut image = image_of(&Eif::parse(SIGNED).unwrap());
    image.kernel.extend(kernel);
    change(image.signature.as_mut().unwrap());
    match refusal(&image.to_bytes()) {
        EifError::Signature(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_signature_of_another_image_or_by_another_key_is_refused() {
    assert_eq!(signature_refusal(b"!", |_| ()), SignatureError::OtherImage);
    // The last byte of the signature.
    let forged = signature_refusal(b"", |section| *section.last_mut().unwrap() ^= 1);
    assert_eq!(forged, SignatureError::Forged);
}

#[test]
fn a_signature_section_that_is_none_is_refused() {
    let becomes = |bytes: &[u8]| signature_refusal(b"", |section| *section = bytes.to_vec());
    assert_eq!(becomes(b""), SignatureError::Form);
    assert_eq!(becomes(&[0x80]), SignatureError::Form);
    assert_eq!(becomes(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), SignatureError::Form);
    assert_eq!(signature_refusal(b"", |section| section.push(0)), SignatureError::Form);
    let large = vec![0x80; crate::eif::limits::SIGNATURE_MAX + 1];
    assert_eq!(becomes(&large), SignatureError::TooLarge { len: large.len() });
    let no_certificate = signature_refusal(b"", |section| {
        let dash = section.iter().position(|byte| *byte == b'-').unwrap();
        section[dash] = b'+';
    });
    assert!(matches!(no_certificate, SignatureError::Pem(_)), "{no_certificate}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        prop_assert!(Eif::parse(&bytes).is_err());
    }

    #[test]
    fn a_mutated_image_whose_signature_holds_measures_to_what_was_signed(
        changes in proptest::collection::vec((0..SIGNED.len(), any::<u8>()), 1..6),
        cut in 0..64_usize,
    ) {
        let mut image = SIGNED.to_vec();
        changes.iter().for_each(|(at, byte)| image[*at] = *byte);
        image.truncate(SIGNED.len() - cut.saturating_sub(32));
        let image = summed(image);
        if let Ok(eif) = Eif::parse(&image) && eif.signed.is_some() {
            prop_assert_eq!(eif.measurements.pcr0, Pcr::from_hex(PCR0).unwrap());
        }
    }
}
