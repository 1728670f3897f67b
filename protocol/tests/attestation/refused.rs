//! Every case is refused by its check with its error, freshly built and as the vector in the tree.

use nitro_elect_protocol::attestation::{AttestationError, Check};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::cases;
use crate::world::{World, trust, verify};

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/attestation/refused")
}

/// Says how an error is not the one that a case is about.
fn fault(name: &str, check: Check, error: &str, found: &Result<(), AttestationError>) -> Option<String> {
    match found {
        Ok(()) => Some(format!("{name}: accepted")),
        Err(found) if found.check() != Some(check) => {
            Some(format!("{name}: refused by {:?}, not {check:?}: {found:?}", found.check()))
        }
        Err(found) if !format!("{found:?}").starts_with(error) => {
            Some(format!("{name}: refused with {found:?}, not {error}"))
        }
        Err(_) => None,
    }
}

#[test]
fn each_wrong_document_is_refused_by_its_check_with_its_error() {
    let world = World::new();
    let faults: Vec<String> = cases::all()
        .iter()
        .filter_map(|case| {
            let found = verify(&(case.document)(&world), &world.trust()).map(|_| ());
            fault(case.name, case.check, case.error, &found)
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The list of vectors: file, number of the check, and the message that people get.
fn list_of_vectors() -> String {
    let trust = trust(&fs::read(vectors().join("root.der")).unwrap());
    let rows = cases::all().into_iter().map(|case| {
        let document = fs::read(vectors().join(case.name).with_extension("cose")).unwrap();
        let error = verify(&document, &trust).unwrap_err();
        format!("{}.cose\t{}\t{error}\n", case.name, case.check.number())
    });
    rows.collect()
}

#[test]
fn each_vector_is_refused_by_its_check_with_its_error() {
    let trust = trust(&fs::read(vectors().join("root.der")).unwrap());
    let faults: Vec<String> = cases::all()
        .iter()
        .filter_map(|case| {
            let document = fs::read(vectors().join(case.name).with_extension("cose")).unwrap();
            fault(case.name, case.check, case.error, &verify(&document, &trust).map(|_| ()))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_list_of_vectors_has_the_messages_that_people_get() {
    assert_eq!(fs::read_to_string(vectors().with_extension("tsv")).unwrap(), list_of_vectors());
}

#[test]
fn the_document_that_the_vectors_deviate_from_is_accepted() {
    let trust = trust(&fs::read(vectors().join("root.der")).unwrap());
    let document = fs::read(vectors().join("../accepted.cose")).unwrap();
    assert_eq!(verify(&document, &trust).map(|_| ()), Ok(()));
}

#[test]
fn every_check_refuses_something() {
    let refusing: BTreeSet<Check> = cases::all().iter().map(|case| case.check).collect();
    assert_eq!(refusing, BTreeSet::from(Check::ALL));
}

#[test]
fn the_vectors_are_exactly_the_cases() {
    let mut expected: BTreeSet<String> =
        cases::all().iter().map(|case| format!("{}.cose", case.name)).collect();
    assert_eq!(expected.len(), cases::all().len());
    expected.extend(["root.der".to_owned()]);
    let found: BTreeSet<String> = fs::read_dir(vectors())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected);
}

/// Writes the vectors anew, with new keys; run it by name after adding a case.
#[test]
#[ignore = "writes files into the source tree"]
fn write_the_vectors() {
    let world = World::new();
    fs::create_dir_all(vectors()).unwrap();
    fs::write(vectors().join("root.der"), &world.root.der).unwrap();
    fs::write(vectors().join("../accepted.cose"), world.with(|_| ())).unwrap();
    for case in cases::all() {
        fs::write(vectors().join(case.name).with_extension("cose"), (case.document)(&world)).unwrap();
    }
    fs::write(vectors().with_extension("tsv"), list_of_vectors()).unwrap();
}
