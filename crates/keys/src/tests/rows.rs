//! Keys for rows of a database.

use std::sync::Arc;

use vms_core::{FindingId, Purpose, RetentionClass};

use super::fakedisk::FakeDisk;
use super::{CREATE, SeededRandom, at, base, config, open};
use crate::{Hour, KeyName, OpenOptions, OpenSegmentError, Reason, Scope};

fn name(scope: Scope, hour: u32) -> KeyName {
    KeyName { scope, class: RetentionClass::parse("RC-LEZ-RAW").unwrap(), hour: Hour::from_count(hour) }
}

#[test]
fn a_row_key_is_the_same_until_its_hour_key_dies() {
    let (disk, random) = (Arc::new(FakeDisk::default()), Arc::new(SeededRandom::default()));
    let names = [
        name(Scope::Reads(Purpose::Lez), 7),
        name(Scope::Reads(Purpose::PublicOrder), 7),
        name(Scope::Reads(Purpose::Lez), 8),
        name(Scope::Finding(FindingId::from_bytes([1; 16])), 0),
        name(Scope::Finding(FindingId::from_bytes([2; 16])), 0),
    ];
    let ring = open(&disk, &random, config(&base(), true), CREATE).unwrap();
    let epochs = names.clone().map(|name| ring.hour(&name, at(1)).unwrap());
    assert_eq!(epochs, names.clone().map(|name| ring.hour(&name, at(2)).unwrap()), "one live key for each name");
    let keys = epochs.map(|epoch| ring.row_key(epoch).unwrap());
    for (at, key) in keys.iter().enumerate() {
        assert!(keys.iter().skip(at + 1).all(|other| other != key), "every name has its own key");
    }
    ring.rotate(at(3)).unwrap();
    drop(ring);
    let ring = open(&disk, &random, config(&base(), true), OpenOptions::default()).unwrap();
    assert_eq!(keys, epochs.map(|epoch| ring.row_key(epoch).unwrap()), "after a change of the root and a restart");
    let [_, _, _, one, other] = epochs;
    ring.destroy_epochs(&|epoch| epoch == one, 10, Reason::EndOfTerm, at(4)).unwrap();
    assert!(matches!(ring.row_key(one), Err(OpenSegmentError::Destroyed(_))));
    assert!(ring.row_key(other).is_ok(), "a finding dies alone");
    let [.., finding, _] = names;
    assert_ne!(ring.hour(&finding, at(5)).unwrap(), one, "no number serves twice");
}
