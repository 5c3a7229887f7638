//! E2 (`reliability.md` 5): edits of the kinds that somebody with a purpose would make, each found, and those of pictures named to
//! their fragment (one GOP, or at most a second). `BELFRY_EDITS=2000` is the measure; counts by kind are printed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::*;
use crate::job::tests::{exported, files, footage, manifest_of, order};
use crate::sign::tests::signer;

/// A generator with a seed that is kept: the same edits every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's MMIX multiplier: its high bits are good enough for choosing places.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = self.0 >> 33;
        usize::try_from(high % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

const KINDS: [&str; 15] = [
    "payload bit",
    "frame dropped",
    "frame doubled",
    "frames swapped",
    "frame of another place",
    "timing table",
    "film truncated",
    "box added",
    "picture track called sound",
    "manifest of another export",
    "gap hidden in the manifest",
    "row of the table removed",
    "film of another export",
    "subtitles moved",
    "names of two films swapped in the manifest",
];

/// Films of one export with their rows, and the other export.
struct Scene {
    path: PathBuf,
    other: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
    films: Vec<(String, String, String, Vec<crate::film::Row>)>,
}

/// What an edit did: files with their new bytes, and the fragment that must be named.
struct Forged {
    files: Vec<(String, Vec<u8>)>,
    named: Option<(u32, String)>,
}

fn span(row: &crate::film::Row) -> Range<usize> {
    let start = usize::try_from(row.offset).unwrap();
    start..start + usize::try_from(row.bytes).unwrap()
}

/// NAL units of a payload, each with its four bytes of length.
fn nals(payload: &[u8]) -> Vec<Range<usize>> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(head) = payload.get(at..at + 4) {
        let end = at + 4 + usize::try_from(u32::from_be_bytes(head.try_into().unwrap())).unwrap();
        out.push(at..end);
        at = end;
    }
    out
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

impl Scene {
    fn open(path: PathBuf, other: PathBuf) -> Self {
        let files = files(&path);
        let films = manifest_of(&path)
            .films
            .into_iter()
            .map(|film| {
                let rows = film::read_rows(std::str::from_utf8(&files[&film.index]).unwrap()).unwrap();
                (film.file, film.index, film.subtitles, rows)
            })
            .collect();
        Self { path, other, files, films }
    }

    /// One edit; none where this kind can do nothing at the chosen place.
    #[expect(clippy::too_many_lines, reason = "one arm a kind of edit: a table")]
    fn edit(&self, kind: &str, dice: &mut Dice) -> Option<Forged> {
        let (film, index, subtitles, rows) = &self.films[dice.below(self.films.len())];
        let mut bytes = self.files[film].clone();
        let row = &rows[dice.below(rows.len())];
        let place = span(row);
        let payload = bytes[place.clone()].to_vec();
        let cut = nals(&payload);
        let one = cut[dice.below(cut.len())].clone();
        let at = |range: &Range<usize>| place.start + range.start..place.start + range.end;
        let mut named = Some((row.fragment, row.segment.clone()));
        match kind {
            "payload bit" => bytes[place.start + dice.below(place.len())] ^= 1 << dice.below(8),
            "frame dropped" => drop(bytes.drain(at(&one))),
            "frame doubled" => {
                drop(bytes.splice(at(&one).end..at(&one).end, payload[one.clone()].to_vec()));
                // Behind the last picture of a fragment it is what follows that changed.
                if one.end == payload.len() {
                    named = None;
                }
            }
            "frames swapped" => {
                let two = cut[dice.below(cut.len())].clone();
                let (first, second) = if one.start < two.start { (one, two) } else { (two, one) };
                if payload[first.clone()] == payload[second.clone()] {
                    return None;
                }
                let swapped =
                    [&payload[second.clone()], &payload[first.end..second.start], &payload[first.clone()]].concat();
                drop(bytes.splice(at(&first).start..at(&second).end, swapped));
            }
            "frame of another place" => {
                let from = &rows[dice.below(rows.len())];
                let foreign = bytes[span(from)].to_vec();
                if foreign == payload {
                    return None;
                }
                drop(bytes.splice(place.clone(), foreign));
            }
            "timing table" => {
                let table = find(&bytes, b"stts").or_else(|| find(&bytes, b"ctts"))?;
                bytes[table + 12 + dice.below(8)] ^= 1 << dice.below(8);
                named = None;
            }
            "film truncated" => {
                bytes.truncate(place.start + dice.below(place.len()));
                named = None;
            }
            "box added" => {
                let added = [&[0, 0, 0, 16][..], b"free", b"nothing."].concat();
                let end = if dice.below(2) == 0 { bytes.len() } else { place.start - 8 };
                drop(bytes.splice(end..end, added));
                named = None;
            }
            "picture track called sound" => {
                let handler = find(&bytes, b"vide")?;
                bytes[handler..handler + 4].copy_from_slice(b"soun");
                named = None;
            }
            "manifest of another export" => {
                let both =
                    [MANIFEST, SIGNATURE].map(|name| (name.to_owned(), std::fs::read(self.other.join(name)).unwrap()));
                return Some(Forged { files: both.to_vec(), named: None });
            }
            "gap hidden in the manifest" => {
                let mut manifest = manifest_of(&self.path);
                let camera = manifest.cameras.iter_mut().find(|camera| !camera.gaps.is_empty())?;
                let hidden = dice.below(camera.gaps.len());
                drop(camera.gaps.remove(hidden));
                return Some(Forged { files: vec![(MANIFEST.to_owned(), manifest.to_bytes())], named: None });
            }
            "row of the table removed" => {
                let text = std::str::from_utf8(&self.files[index]).unwrap();
                let gone = 1 + dice.below(rows.len());
                let left: String = text
                    .lines()
                    .enumerate()
                    .filter(|(line, _)| *line != gone)
                    .fold(String::new(), |out, (_, line)| out + line + "\n");
                return Some(Forged { files: vec![(index.clone(), left.into_bytes())], named: None });
            }
            "film of another export" => {
                let foreign = std::fs::read(self.other.join(film)).unwrap();
                return Some(Forged { files: vec![(film.clone(), foreign)], named: None });
            }
            "subtitles moved" => {
                let text = std::str::from_utf8(&self.files[subtitles]).unwrap();
                let moved = text.replacen("00:00:0", "00:00:1", 1 + dice.below(3));
                return Some(Forged { files: vec![(subtitles.clone(), moved.into_bytes())], named: None });
            }
            "names of two films swapped in the manifest" => {
                let mut manifest = manifest_of(&self.path);
                let (one, two) = (dice.below(manifest.films.len()), dice.below(manifest.films.len()));
                let names = [one, two].map(|at| manifest.films[at].file.clone());
                [manifest.films[two].file, manifest.films[one].file] = names;
                return Some(Forged { files: vec![(MANIFEST.to_owned(), manifest.to_bytes())], named: None });
            }
            other => panic!("no such kind: {other}"),
        }
        Some(Forged { files: vec![(film.clone(), bytes)], named })
    }
}

#[test]
fn edits_of_every_kind_are_found_and_pictures_named_to_the_gop() {
    let wanted = std::env::var_os("BELFRY_EDITS").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(15 * 12);
    let trust = Trust { certificate_sha256: Some(signer(1).fingerprint()), log_key: None };
    let (_out, path) = exported();
    let mut other = order(2);
    other.export_id = "exp_0002".to_owned();
    let (_aside, other) = super::tests::export(other, footage());
    let scene = Scene::open(path, other);
    let mut dice = Dice(20_261_122);
    let (mut counts, mut named, mut tries) = (BTreeMap::<&str, usize>::new(), 0, 0);
    while counts.values().sum::<usize>() < wanted {
        let kind = KINDS[tries % KINDS.len()];
        tries += 1;
        assert!(tries < wanted * 3 + 100, "most edits can be made");
        let Some(forged) = scene.edit(kind, &mut dice) else { continue };
        if forged.files.iter().all(|(name, bytes)| scene.files[name] == *bytes) {
            continue;
        }
        for (name, bytes) in &forged.files {
            std::fs::write(scene.path.join(name), bytes).unwrap();
        }
        let report = folder(&scene.path, &trust);
        for (name, _) in &forged.files {
            std::fs::write(scene.path.join(name), &scene.files[name]).unwrap();
        }
        assert!(report.verdict.exit_code() > 0, "{kind}: {}", report.table());
        if let Some((fragment, segment)) = forged.named {
            let words = format!("CHANGED: fragment {fragment} of {segment}");
            assert!(report.table().contains(&words), "{kind}: {words}: {}", report.table());
            named += 1;
        }
        *counts.entry(kind).or_default() += 1;
    }
    assert_eq!(counts.len(), KINDS.len(), "every kind was tried: {counts:?}");
    // Nothing was left behind: the export is what it was.
    assert_eq!(folder(&scene.path, &trust).verdict, Verdict::Authentic);
    println!("E2: {wanted} edits, all found; {named} in pictures, all named to the fragment; {counts:?}");
}
