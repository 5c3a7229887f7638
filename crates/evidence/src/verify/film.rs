//! One film: its bytes, its seal, and whether MP4, table of fragments and manifest tell the same story.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::mp4::Tables;
use super::report::Report;
use super::{Certificate, read_small};
use crate::disk::{Hashes, feed};
use crate::film::{FTYP, INDEX_HEADER, MDAT_HEADER, Row};
use crate::manifest::{FilmReport, Gap, Manifest};
use crate::onvif::{META_MAX, SEAL_BYTES, Seal, TURNS_MAX};
use crate::times::Utc;

/// Longest table of fragments that is read, bytes: over a million rows.
const INDEX_MAX: u64 = 256 * 1024 * 1024;

/// Longest `moov` that is read, bytes: three million frames.
const MOOV_MAX: u64 = 64 * 1024 * 1024;

/// Damaged fragments that are named one by one.
const NAMED_MAX: usize = 20;

/// A hole in the timeline that must have its gap in the manifest: 200 ms.
const HOLE_TICKS: u64 = 18_000;

/// Rows of a table of fragments; `None` when it is none.
pub(super) fn read_rows(text: &str) -> Option<Vec<Row>> {
    text.strip_prefix(INDEX_HEADER)?.strip_suffix('\n')?.split('\n').map(Row::parse).collect()
}

/// Checks one film.
pub(super) fn check(
    folder: &Path,
    manifest: &Manifest,
    film: &FilmReport,
    certificate: Option<&Certificate>,
    report: &mut Report,
) {
    let index = read_small(folder, &film.index, INDEX_MAX).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(rows) = index.and_then(|text| read_rows(&text)) else {
        report.fail("index", &film.index, "not a table of fragments");
        super::check_file(folder, &unread(manifest, film), report);
        return;
    };
    let path = folder.join(&film.file);
    let is_file = std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_file());
    let Some(mut file) = is_file.then(|| File::open(&path).ok()).flatten() else {
        report.fail("digests", &film.file, "missing, or cannot be read");
        return;
    };
    let Ok(read) = Reading::make(&mut file, &rows, film.seal_offset) else {
        report.fail("digests", &film.file, "missing, or cannot be read");
        return;
    };
    let found = read.hashes.clone().finish(&film.file, read.bytes);
    let same = manifest.files.contains(&found);
    report.result(
        "digests",
        &film.file,
        same,
        "SHA-256 and BLAKE3 as in the manifest",
        "CHANGED: not the bytes of the manifest",
    );
    check_camera(manifest, film, report);
    name_damage(film, &rows, &read, report);
    check_seal(manifest, film, certificate, (&mut file, &read), report);
    check_structure(manifest, film, &rows, &mut file, report);
}

/// The film's line in the manifest, or one that nothing matches.
fn unread(manifest: &Manifest, film: &FilmReport) -> crate::manifest::FileDigest {
    manifest.files.iter().find(|file| file.file == film.file).cloned().unwrap_or_else(|| crate::manifest::FileDigest {
        file: film.file.clone(),
        bytes: 0,
        sha256: String::new(),
        blake3: String::new(),
    })
}

/// What one pass over the file gave.
struct Reading {
    bytes: u64,
    hashes: Hashes,
    /// Numbers of rows whose bytes do not have their digest, or whose `mdat` does not stand where it should.
    damaged: Vec<usize>,
    /// SHA-256 of the file with the signature's bytes set to zero, and those bytes.
    sealed: Option<([u8; 32], Vec<u8>)>,
}

impl Reading {
    fn make(file: &mut File, rows: &[Row], seal_offset: u64) -> std::io::Result<Self> {
        let mut pass = Pass { file, at: 0, hashes: Hashes::default() };
        let mut damaged = Vec::new();
        let mut end = u64::try_from(FTYP.len()).unwrap_or(0);
        let mut head = Vec::new();
        pass.to(end, |piece| head.extend_from_slice(piece))?;
        let mut is_sound = head == FTYP;
        for (number, row) in rows.iter().enumerate() {
            let mut header = Vec::new();
            let mut digest = Sha256::new();
            let place = end.checked_add(MDAT_HEADER) == Some(row.offset);
            if let (true, Some(to)) = (place, row.offset.checked_add(row.bytes)) {
                pass.to(row.offset, |piece| header.extend_from_slice(piece))?;
                pass.to(to, |piece| digest.update(piece))?;
                end = to;
            }
            let length = row.bytes.checked_add(MDAT_HEADER).and_then(|length| u32::try_from(length).ok()).unwrap_or(0);
            let good =
                header == [&length.to_be_bytes()[..], b"mdat"].concat() && hex::encode(digest.finalize()) == row.sha256;
            if !(good && is_sound) {
                damaged.push(number);
            }
            is_sound = true;
        }
        let sealed = pass.seal(seal_offset)?;
        pass.to(u64::MAX, |_| ())?;
        Ok(Self { bytes: pass.at, hashes: pass.hashes, damaged, sealed })
    }
}

/// Reads forward once, hashing.
struct Pass<'a> {
    file: &'a mut File,
    at: u64,
    hashes: Hashes,
}

impl Pass<'_> {
    /// Up to `to`, or the end of the file.
    fn to(&mut self, to: u64, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
        let hashes = &mut self.hashes;
        let read = feed(self.file, to.saturating_sub(self.at), |piece| {
            hashes.update(piece);
            take(piece);
        })?;
        self.at = self.at.saturating_add(read);
        Ok(())
    }

    /// Over the signature to the end of the file.
    fn seal(&mut self, offset: u64) -> std::io::Result<Option<([u8; 32], Vec<u8>)>> {
        if offset < self.at {
            return Ok(None);
        }
        self.to(offset, |_| ())?;
        let mut blank = self.hashes.sha256.clone();
        blank.update([0; SEAL_BYTES]);
        let mut signature = Vec::new();
        self.to(offset.saturating_add(u64::try_from(SEAL_BYTES).unwrap_or(0)), |piece| {
            signature.extend_from_slice(piece)
        })?;
        self.to(u64::MAX, |piece| blank.update(piece))?;
        Ok((signature.len() == SEAL_BYTES).then(|| (blank.finalize().into(), signature)))
    }
}

/// Whose film it is, from when to when, and how many holes its camera has: the cameras of a package differ.
fn check_camera(manifest: &Manifest, film: &FilmReport, report: &mut Report) {
    let Some(camera) = manifest.cameras.get(film.camera) else {
        report.fail("camera", &film.file, "of a camera that the manifest does not tell of");
        return;
    };
    let facts = &camera.facts;
    let twins = manifest.cameras.iter().filter(|other| other.facts.stream == facts.stream).count();
    let is_delivered = camera.delivered_from.is_some() && camera.delivered_to.is_some();
    let words = format!(
        "{} {}: {} to {}, {} frames; the camera has {} gaps in the span",
        facts.number,
        facts.name,
        film.starts,
        film.ends,
        film.frames,
        camera.gaps.len()
    );
    let wrong = if twins == 1 { "nothing was delivered of its camera" } else { "its camera stands there twice" };
    report.result("camera", &film.file, twins == 1 && is_delivered, &words, wrong);
}

fn name_damage(film: &FilmReport, rows: &[Row], read: &Reading, report: &mut Report) {
    if read.damaged.is_empty() {
        report.hold("fragments", &film.file, &format!("all {} fragments have their SHA-256", rows.len()));
        return;
    }
    for row in read.damaged.iter().take(NAMED_MAX).filter_map(|number| rows.get(*number)) {
        let words = format!(
            "CHANGED: fragment {} of {}, bytes {} to {}, arrived {}",
            row.fragment,
            row.segment,
            row.offset,
            row.offset.saturating_add(row.bytes),
            row.arrived
        );
        report.fail("fragments", &film.file, &words);
    }
    if read.damaged.len() > NAMED_MAX {
        report.fail("fragments", &film.file, &format!("{} fragments in all", read.damaged.len()));
    }
}

/// The ONVIF seal: the last box is exactly what order, camera and certificate ask for, and its signature holds over the file.
fn check_seal(
    manifest: &Manifest,
    film: &FilmReport,
    certificate: Option<&Certificate>,
    (file, read): (&mut File, &Reading),
    report: &mut Report,
) {
    let camera = manifest.cameras.get(film.camera).map(|camera| &camera.facts);
    let (Some(certificate), Some(camera), Some((digest, signature))) = (certificate, camera, &read.sealed) else {
        report.fail(
            "onvif_seal",
            &film.file,
            "there is no seal where the manifest says, or no certificate to check it with",
        );
        return;
    };
    let seal = Seal {
        export_id: &manifest.export_id,
        unit: &manifest.exporting_unit,
        started_at: manifest.started_at,
        operator: &manifest.requested_by.id,
        camera,
        film: &film.file,
        origin: film.origin,
        certificate: &certificate.der,
    };
    let found = (0..TURNS_MAX).any(|turn| {
        let (meta, at) = seal.meta(turn, signature);
        let start = film.seal_offset.checked_sub(u64::try_from(at).unwrap_or(u64::MAX));
        let length = u64::try_from(meta.len()).unwrap_or(u64::MAX);
        // The signature is the last thing of the last box.
        let fits = length <= META_MAX && start.and_then(|start| start.checked_add(length)) == Some(read.bytes);
        fits && start.and_then(|start| bytes_at(file, start, length)).is_some_and(|found| found == meta)
    });
    report.result(
        "onvif_boxes",
        &film.file,
        found,
        "exporting unit, operator, camera and start time as in the manifest",
        "the export boxes do not say what the manifest says",
    );
    let holds = certificate.seen.holds(digest, signature);
    report.result(
        "onvif_seal",
        &film.file,
        holds,
        "the signature in the film holds",
        "the signature in the film does not hold",
    );
}

fn bytes_at(file: &mut File, at: u64, length: u64) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut out = Vec::new();
    file.take(length).read_to_end(&mut out).ok()?;
    (u64::try_from(out.len()).ok() == Some(length)).then_some(out)
}

fn check_structure(manifest: &Manifest, film: &FilmReport, rows: &[Row], file: &mut File, report: &mut Report) {
    let start = rows.last().and_then(|row| row.offset.checked_add(row.bytes));
    let moov = start.and_then(|start| {
        let length = bytes_at(file, start, 4)?.first_chunk::<4>().map(|raw| u64::from(u32::from_be_bytes(*raw)))?;
        (length <= MOOV_MAX).then(|| bytes_at(file, start, length)).flatten()
    });
    let Some(tables) = moov.and_then(|moov| Tables::parse(&moov)) else {
        report.fail("structure", &film.file, "the tables of the film cannot be read");
        return;
    };
    let told = contradiction(film, rows, &tables);
    let good = format!("{} frames in {} fragments, times as in the manifest", film.frames, film.fragments);
    report.result("structure", &film.file, told.is_none(), &good, told.unwrap_or_default());
    let gaps = manifest.cameras.get(film.camera).map_or(&[][..], |camera| &camera.gaps);
    match hidden_hole(rows, gaps) {
        None => report.hold("gaps", &film.file, "every hole of the film has its gap in the manifest"),
        Some(at) => {
            report.fail("gaps", &film.file, &format!("the film has a hole at {at} that the manifest does not tell"))
        }
    }
}

/// Where film, table of fragments and manifest differ.
fn contradiction(film: &FilmReport, rows: &[Row], tables: &Tables) -> Option<&'static str> {
    let Some(chunks) = tables.chunks() else { return Some("the tables of the film contradict each other") };
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Some("the table of fragments is empty") };
    if chunks.len() != rows.len() || usize::try_from(film.fragments) != Ok(rows.len()) {
        return Some("the number of fragments differs");
    }
    if tables.frames() != film.frames {
        return Some("the number of frames differs");
    }
    if film.ticks != tables.duration || last.decode.checked_add(last.ticks) != Some(film.ticks) {
        return Some("the length differs");
    }
    let offset_us = i64::from(tables.first_offset).saturating_mul(100) / 9;
    if film.starts != first.arrived || film.origin.micros().saturating_add(offset_us) != film.starts.micros() {
        return Some("the start differs");
    }
    if tables.size != (film.width, film.height) {
        return Some("the size of the picture differs");
    }
    let nexts = rows.iter().skip(1).map(|row| row.decode).chain(std::iter::once(film.ticks));
    for (((row, chunk), next), number) in rows.iter().zip(&chunks).zip(nexts).zip(1_u32..) {
        let same = row.fragment == number
            && (row.offset, row.bytes, row.frames, row.is_key)
                == (chunk.offset, chunk.bytes, chunk.frames, chunk.is_key)
            && row.decode == chunk.decode
            && next.checked_sub(row.decode) == Some(chunk.ticks)
            && row.ticks <= chunk.ticks;
        if !same {
            return Some("a fragment is not what the table of fragments says");
        }
    }
    None
}

/// Where the timeline has a hole of over 200 ms without a gap.
fn hidden_hole(rows: &[Row], gaps: &[Gap]) -> Option<Utc> {
    rows.iter().zip(rows.iter().skip(1)).find_map(|(row, next)| {
        let end = row.decode.checked_add(row.ticks)?;
        let length = i64::try_from(row.ticks).unwrap_or(i64::MAX).saturating_mul(100) / 9;
        let from = Utc::from_micros(row.arrived.micros().saturating_add(length));
        let hole = next.decode.saturating_sub(end);
        let until = from.micros().saturating_add(i64::try_from(hole).unwrap_or(i64::MAX).saturating_mul(100) / 9);
        let until = next.arrived.max(Utc::from_micros(until));
        let told = gaps.iter().any(|gap| gap.from < until && from < gap.to);
        (hole > HOLE_TICKS && !told).then_some(from)
    })
}

/// Foreign bytes as a `moov`, held against rows that say nothing.
pub(super) fn fuzz_film(data: &[u8]) {
    if let Some(tables) = Tables::parse(data) {
        drop((tables.frames(), tables.chunks()));
    }
}
