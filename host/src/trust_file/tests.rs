//! Trust files, right and wrong.

use super::*;
use serde_json::{Value, json};

/// A root of a simulated module: P-384, self-signed, certificate authority.
fn simulated_root() -> Root {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    Root::from_der(params.self_signed(&key).unwrap().der()).unwrap()
}

fn pcr(byte: u8) -> String {
    Pcr([byte; 48]).to_string()
}

fn sound() -> Value {
    let set = json!({ "PCR0": pcr(1), "PCR1": pcr(2), "PCR2": pcr(3) });
    json!({ "root": "aws", "accepted": [set], "allow_debug": false })
}

/// The sound file with one field changed, added, or (by null) taken out.
fn with(field: &str, value: Value) -> Value {
    let mut file = sound();
    match value {
        Value::Null => file.as_object_mut().unwrap().remove(field),
        value => file.as_object_mut().unwrap().insert(field.into(), value),
    };
    file
}

fn refusal(file: Value) -> String {
    parse(&file.to_string()).unwrap_err().to_string()
}

#[test]
fn the_least_file_has_an_hour_and_no_signer() {
    let trust = parse(&sound().to_string()).unwrap();
    assert_eq!((trust.root, trust.allow_debug, trust.max_age_ms), (Root::Aws, false, 3_600_000));
    assert_eq!(trust.accepted[0].pcr8, None);
}

#[test]
fn a_trust_section_round_trips_with_a_root_of_its_own() {
    let set = PcrSet { pcr0: Pcr([1; 48]), pcr1: Pcr([2; 48]), pcr2: Pcr([3; 48]), pcr8: Some(Pcr([4; 48])) };
    let other = PcrSet { pcr0: Pcr([9; 48]), pcr8: None, ..set.clone() };
    let trust = Trust::new(simulated_root(), vec![other, set], true, Duration::from_secs(600));
    let text = to_text(&trust);
    assert_eq!(parse(&text).unwrap(), trust);
    assert!(text.contains("\"simulated\": true"), "{text}");
    assert!(to_text(&parse(&sound().to_string()).unwrap()).contains("\"simulated\": false"));
}

#[test]
fn a_file_may_not_call_itself_what_its_root_is_not() {
    assert!(refusal(with("simulated", json!(true))).contains("but the root is AWS's"));
    parse(&with("simulated", json!(false)).to_string()).unwrap();
    let mut simulated = with("root", json!(root_text(&simulated_root())));
    parse(&simulated.to_string()).unwrap();
    simulated["simulated"] = json!(true);
    parse(&simulated.to_string()).unwrap();
    simulated["simulated"] = json!(false);
    assert!(refusal(simulated).contains("not AWS's"));
}

#[test]
fn an_unknown_or_misspelt_or_doubled_field_is_refused() {
    assert!(refusal(with("max_age", json!(60))).contains("unknown field `max_age`"));
    let mut file = sound();
    file["accepted"][0]["PCR3"] = json!(pcr(3));
    assert!(refusal(file).contains("unknown field `PCR3`"));
    let doubled = sound().to_string().replacen('{', "{\"allow_debug\":true,", 1);
    assert!(parse(&doubled).unwrap_err().to_string().contains("duplicate field"));
}

#[test]
fn an_enclave_is_never_accepted_without_its_measurements() {
    for field in ["root", "accepted", "allow_debug"] {
        assert!(refusal(with(field, Value::Null)).contains(&format!("missing field `{field}`")));
    }
    assert!(refusal(with("accepted", json!([]))).contains("no enclave is accepted"));
    for register in ["PCR0", "PCR1", "PCR2"] {
        let mut file = sound();
        file["accepted"][0].as_object_mut().unwrap().remove(register);
        assert!(refusal(file).contains(register));
        let mut file = sound();
        file["accepted"][0][register] = json!(pcr(0));
        assert!(refusal(file).contains(&format!("{register} of accepted set 1 is zero")));
        let mut file = sound();
        file["accepted"][0][register] = json!("abc");
        assert!(refusal(file).contains(&format!("{register} of accepted set 1: expected 96")));
    }
}

#[test]
fn a_root_that_is_neither_aws_nor_a_certificate_is_refused() {
    for root in ["AWS", "", "aws ", "-----BEGIN CERTIFICATE-----"] {
        assert!(refusal(with("root", json!(root))).starts_with("root: "), "{root:?}");
    }
    let no_certificate = pem_block::encode(LABEL, b"no certificate");
    assert!(refusal(with("root", json!(no_certificate))).contains("not an X.509 certificate"));
    let key = pem_block::encode("PRIVATE KEY", b"key");
    assert!(refusal(with("root", json!(key))).contains("\"PRIVATE KEY\""));
}

#[test]
fn aws_given_as_a_certificate_is_aws() {
    let text = pem_block::encode(LABEL, Root::Aws.der());
    assert_eq!(parse(&with("root", json!(text)).to_string()).unwrap().root, Root::Aws);
}

#[test]
fn an_age_out_of_range_and_text_that_is_no_json_are_refused() {
    assert!(refusal(with("max_age_s", json!(0))).contains("max_age is zero"));
    assert!(refusal(with("max_age_s", json!(3 * 3600 + 1))).contains("max_age is 10801000 ms"));
    assert!(refusal(with("max_age_s", json!(-1))).contains("invalid value"));
    for text in ["", "aws", "[]", "{", "null", "{}{}"] {
        assert!(matches!(parse(text), Err(TrustTextError::Json(_))), "{text:?}");
    }
}

#[test]
fn a_file_is_named_in_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust.json");
    assert!(load(&path).unwrap_err().to_string().contains("trust.json"));
    std::fs::write(&path, "{").unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("trust.json") && error.contains("line 1"), "{error}");
    std::fs::write(&path, sound().to_string()).unwrap();
    load(&path).unwrap();
}
