//! Keys of every kind, right and wrong.

use super::*;
use nitro_elect_protocol::crypto::Signer;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The first test key of RFC 8032 §7.1 in the form that `openssl genpkey` writes, and its public key.
const OPENSSL: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const OPENSSL_ID: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn write(text: &[u8], mode: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(KEY_FILE);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    dir
}

fn refusal(text: &[u8]) -> String {
    load(write(text, 0o600).path()).unwrap_err().to_string()
}

#[test]
fn a_key_is_saved_for_its_owner_alone_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let key = generate().unwrap();
    let path = save(dir.path(), &key).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(load(dir.path()).unwrap().id(), key.id());
}

#[test]
fn two_keys_are_never_the_same() {
    assert_ne!(generate().unwrap().id(), generate().unwrap().id());
}

#[test]
fn a_key_of_openssl_is_read_as_the_key_it_is() {
    let dir = write(OPENSSL.as_bytes(), 0o600);
    assert_eq!(load(dir.path()).unwrap().id().to_string(), OPENSSL_ID);
    assert_eq!(to_pem(&load(dir.path()).unwrap()), OPENSSL);
}

#[test]
fn a_key_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let first = generate().unwrap();
    save(dir.path(), &first).unwrap();
    assert!(matches!(save(dir.path(), &generate().unwrap()), Err(KeyError::Exists { .. })));
    assert_eq!(load(dir.path()).unwrap().id(), first.id());
}

#[test]
fn a_key_that_others_can_read_is_refused_and_one_that_is_not_there_said_to_be() {
    let exposed = write(OPENSSL.as_bytes(), 0o640);
    let error = load(exposed.path()).unwrap_err();
    assert!(matches!(error, KeyError::File(PrivateFileError::Exposed { mode: 0o640, .. })), "{error}");
    let error = load(tempfile::tempdir().unwrap().path()).unwrap_err();
    assert!(error.help().contains("nitro-elect keygen --state"), "{}", error.help());
}

#[test]
fn keys_of_other_kinds_are_named() {
    let rsa =
        [&[0x30, 0x82, 0x04, 0xbd, 2, 1, 0, 0x30, 0x0d, 6, 9], OTHER_ALGORITHMS[0].0, &[1, 5, 0]].concat();
    assert!(refusal(pem_block::encode(LABEL, &rsa).as_bytes()).contains("is an RSA key"));
    let ec = [&[0x30, 0x81, 0x87, 2, 1, 0, 0x30, 0x13, 6, 7], OTHER_ALGORITHMS[1].0].concat();
    assert!(refusal(pem_block::encode(LABEL, &ec).as_bytes()).contains("elliptic-curve"));
    assert!(refusal(pem_block::encode("RSA PRIVATE KEY", &[1]).as_bytes()).contains("\"RSA PRIVATE KEY\""));
    assert!(refusal(pem_block::encode("PUBLIC KEY", &[1]).as_bytes()).contains("\"PUBLIC KEY\""));
    assert!(refusal(pem_block::encode("ENCRYPTED PRIVATE KEY", &[1]).as_bytes()).contains("ENCRYPTED"));
}

#[test]
fn garbage_is_refused_whatever_it_is() {
    for garbage in [&b""[..], b"hello", OPENSSL_ID.as_bytes(), &OPENSSL.as_bytes()[..60]] {
        assert!(refusal(garbage).contains("is no private key"));
    }
    assert!(refusal(&[0xff; 64]).contains("is not text"));
    for length in [0, 1, 15, 16, 47, 49] {
        let der = [&PKCS8_PREFIX[..], &[7; 33]].concat();
        assert!(refusal(pem_block::encode(LABEL, &der[..length]).as_bytes()).contains("not an Ed25519 key"));
    }
}

#[test]
fn no_error_shows_any_of_the_secret() {
    let mut damaged = OPENSSL.to_string();
    damaged.truncate(60);
    let secret = "MC4CAQAwBQYDK2VwBCIEIJ";
    assert!(!refusal(damaged.as_bytes()).contains(secret));
}
