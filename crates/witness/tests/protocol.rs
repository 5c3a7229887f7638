//! The status codes of C2SP tlog-witness, the state on disk, and races.
#![expect(clippy::unwrap_used, reason = "tests say what they expect")]

use std::collections::BTreeMap;
use std::sync::Arc;

use audit::proof::{consistency, hash_to_base64};
use audit::{Hash, LogKey, Tree, WitnessVerifier, cosign};
use witness::{Answer, Witness};

const ORIGIN: &str = "belfry.test/log";

/// A log of `size` leaves; those from `fork` on are others.
fn folder(size: u64, fork: u64) -> (BTreeMap<String, Vec<u8>>, Hash) {
    let mut tree = Tree::default();
    for n in 0..size {
        tree.push(format!("{} {n}", if n < fork { "leaf" } else { "fork" }).as_bytes());
    }
    let root = tree.root();
    (tree.take_tiles().into_iter().map(|tile| (tile.path, tile.bytes)).collect(), root)
}

fn key() -> LogKey {
    LogKey::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn request(old: u64, size: u64, fork: u64, key: &LogKey) -> Vec<u8> {
    let (files, root) = folder(size, fork);
    let mut body = format!("old {old}\n");
    for hash in consistency(&files, old.min(size), (size, root)).unwrap() {
        body.push_str(&format!("{}\n", hash_to_base64(&hash)));
    }
    body.push('\n');
    body.push_str(std::str::from_utf8(&key.sign(size, root).unwrap()).unwrap());
    body.into_bytes()
}

fn open(dir: &std::path::Path) -> Witness {
    Witness::open(dir, "witness.test/w", &[key().verifier_key().to_owned()], [9; 32]).unwrap()
}

#[test]
fn every_answer_has_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let witness = open(dir.path());
    let other = LogKey::from_seed(ORIGIN, &[2; 32]).unwrap();
    let stranger = LogKey::from_seed("another.test/log", &[1; 32]).unwrap();
    let never = u64::MAX;
    let cut = request(0, 5, never, &key()).into_iter().take(40).collect::<Vec<_>>();
    let mut bad_proof = String::from_utf8(request(300, 700, never, &key())).unwrap();
    bad_proof = bad_proof.replacen('\n', &format!("\n{}\n", hash_to_base64(&Hash([3; 32]))), 1);
    let steps: Vec<(&str, Vec<u8>, u16)> = vec![
        ("not a request", b"old 1".to_vec(), 400),
        ("a leading zero", [&b"old 00"[..], &request(0, 5, never, &key())[5..]].concat(), 400),
        ("cut", cut, 400),
        ("a log that it does not know", request(0, 5, never, &stranger), 404),
        ("another key", request(0, 5, never, &other), 403),
        ("an old size that it never saw", request(3, 5, never, &key()), 409),
        ("the first one", request(0, 300, never, &key()), 200),
        ("said again as if nothing were known", request(0, 300, never, &key()), 409),
        ("said again", request(300, 300, never, &key()), 200),
        ("an old size above the size", request(400, 300, never, &key()), 400),
        ("another tree of the same size", request(300, 300, 250, &key()), 409),
        ("a fork below what is known", request(300, 700, 250, &key()), 422),
        ("a wrong proof", bad_proof.into_bytes(), 422),
        ("growth", request(300, 700, never, &key()), 200),
        ("back", request(300, 300, never, &key()), 409),
    ];
    for (name, body, wanted) in steps {
        witness::fuzz_request(&body);
        let answer = witness.add_checkpoint(&body, 1_790_000_000);
        assert_eq!(answer.status().as_u16(), wanted, "{name}: {answer:?}");
        if let Answer::Cosigned(line) = answer {
            let text = String::from_utf8(body).unwrap();
            let checkpoint = text.split_once("\n\n").unwrap().1.as_bytes();
            let pinned = WitnessVerifier::new(&witness.verifier_key()).unwrap();
            let note = cosign::add(checkpoint, &line, &pinned).unwrap();
            assert!(cosign::open(&note, key().verifier_key(), &[pinned]).is_ok(), "{name}");
        }
    }
    assert_eq!(witness.known(), [(ORIGIN.to_owned(), 700)]);
    assert_eq!(std::fs::read_dir(dir.path().join("forks")).unwrap().count(), 3, "the evidence is kept");
    // A restart knows what was cosigned, and keeps its key; two at once are refused.
    let before = witness.verifier_key();
    assert!(matches!(Witness::open(dir.path(), "witness.test/w", &[], [0; 32]), Err(witness::WitnessError::Held(_))));
    drop(witness);
    let again = Witness::open(dir.path(), "witness.test/w", &[key().verifier_key().to_owned()], [0; 32]).unwrap();
    assert_eq!(again.verifier_key(), before);
    assert_eq!(again.add_checkpoint(&request(0, 800, never, &key()), 1), Answer::Conflict(700));
    assert_eq!(again.add_checkpoint(&request(700, 800, never, &key()), 1).status().as_u16(), 200);
}

#[test]
fn of_two_requests_at_once_one_is_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let witness = Arc::new(open(dir.path()));
    assert_eq!(witness.add_checkpoint(&request(0, 10, u64::MAX, &key()), 1).status().as_u16(), 200);
    for round in 1..20_u64 {
        let (old, new) = (round * 10, round * 10 + 10);
        // One of the two is a fork after what is known: both are consistent with it, only one may win.
        let threads: Vec<_> = [u64::MAX, new - 3]
            .into_iter()
            .map(|fork| {
                let (witness, body) = (Arc::clone(&witness), request_after(old, new, fork));
                std::thread::spawn(move || witness.add_checkpoint(&body, 1).status().as_u16())
            })
            .collect();
        let mut answers: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        answers.sort_unstable();
        assert_eq!(answers, [200, 409], "round {round}");
        // When the fork won, the honest tree is refused from now on.
        if witness.add_checkpoint(&request(new, new, u64::MAX, &key()), 1).status().as_u16() != 200 {
            return;
        }
    }
}

fn request_after(old: u64, new: u64, fork: u64) -> Vec<u8> {
    request(old, new, fork.max(old), &key())
}

#[tokio::test]
async fn it_answers_over_http() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let dir = tempfile::tempdir().unwrap();
    let witness = Arc::new(open(dir.path()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum_serve(listener, Arc::clone(&witness)));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |body: Vec<u8>| http.post(format!("http://{address}/add-checkpoint")).body(body).send();
    let first = post(request(0, 20, u64::MAX, &key())).await.unwrap();
    assert_eq!(first.status().as_u16(), 200);
    assert!(first.text().await.unwrap().starts_with("— witness.test/w "));
    let stale = post(request(0, 25, u64::MAX, &key())).await.unwrap();
    assert_eq!(stale.status().as_u16(), 409);
    assert_eq!(stale.headers()["content-type"], witness::SIZE_TYPE);
    assert_eq!(stale.text().await.unwrap(), "20\n");
    assert_eq!(post(vec![b'x'; witness::BODY_MAX + 1]).await.unwrap().status().as_u16(), 413);
    server.abort();
}

async fn axum_serve(listener: tokio::net::TcpListener, witness: Arc<Witness>) {
    axum::serve(listener, witness::router(witness, || 1_790_000_000)).await.unwrap();
}
