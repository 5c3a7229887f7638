//! Five hundred flipped bits between the leaf and the signature (reliability.md L6): nothing is signed over any of them.

use tokio::sync::oneshot;

use super::tests::{entry, settings};
use super::*;

/// `SplitMix64`.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn add(state: &mut State, count: u64) {
    for n in 0..count {
        let (answer, _wait) = oneshot::channel();
        state.commit(vec![Waiting { entry: entry(i64::try_from(n).unwrap()), answer }]);
    }
}

#[test]
fn five_hundred_flips_and_none_is_signed() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::recover(settings(dir.path())).unwrap();
    add(&mut state, 200);
    state.checkpoint().unwrap();
    let mut dice = 0x0f11_b501_u64;
    let mut counts = [0_u32; 2];
    for round in 0..500 {
        let signed = std::fs::read(dir.path().join("public/checkpoint")).unwrap();
        let leaves = 1 + next(&mut dice) % 3;
        add(&mut state, leaves);
        let (at, bit) = (usize::try_from(next(&mut dice) >> 16).unwrap(), u8::try_from(next(&mut dice) % 8).unwrap());
        let mut whole = None;
        let outcome = if round % 2 == 0 {
            assert!(audit::tree::flip_in_memory(&mut state.tree, at, bit));
            state.checkpoint()
        } else {
            let tiles = state.write_tiles().unwrap();
            let path = dir.path().join("public").join(&tiles[at % tiles.len()].path);
            let mut bytes = std::fs::read(&path).unwrap();
            whole = Some((path.clone(), bytes.clone()));
            let place = at % bytes.len();
            bytes[place] ^= 1 << bit;
            std::fs::write(&path, bytes).unwrap();
            state.sign(&tiles)
        };
        assert!(matches!(outcome, Err(LogFault::Tampered(_))), "round {round}: {outcome:?}");
        assert_eq!(std::fs::read(dir.path().join("public/checkpoint")).unwrap(), signed, "round {round}");
        counts[round % 2] += 1;
        // A tile that is signed already would close access: what stood there comes back.
        if let Some((path, bytes)) = whole {
            std::fs::write(path, bytes).unwrap();
        }
        // What the journal has is right: the log goes on from there.
        state.recover_in_place();
        assert!(!state.journal.is_poisoned(), "round {round}");
    }
    assert_eq!(counts, [250, 250]);
}

#[test]
fn a_flip_is_said_to_whoever_watches_and_one_in_a_signed_tile_closes_access() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = State::recover(settings(dir.path())).unwrap();
    add(&mut state, 3);
    assert!(audit::tree::flip_in_memory(&mut state.tree, 40, 1));
    let said = attempt(&mut state).unwrap();
    assert!(said.contains("differ"), "{said}");
    add(&mut state, 1);
    assert_eq!(attempt(&mut state), None, "made anew from the disk");
    let path = dir.path().join("public/tile/0/000.p/4");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    add(&mut state, 1);
    // The tiles of five leaves are written anew from memory, which is right: the damaged older one is nobody's any more.
    assert_eq!(attempt(&mut state), None);
    let newest = dir.path().join("public/tile/0/000.p/5");
    std::fs::write(&newest, vec![0; 160]).unwrap();
    state.recover_in_place();
    assert!(state.journal.is_poisoned());
    let (answer, mut wait) = oneshot::channel();
    state.commit(vec![Waiting { entry: entry(9), answer }]);
    assert!(wait.try_recv().unwrap().is_err(), "no leaf, no footage");
    assert!(attempt(&mut state).is_some());
}
