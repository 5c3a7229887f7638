//! The custody sheet: what the folder is, for whom and why, in words a court reads; with room for the signatures of those who hand it
//! on. PDF, Dutch, French or English, the same bytes for the same manifest.

mod fonts;
mod layout;
mod words;

use self::layout::Sheet;
use self::words::Words;
use crate::manifest::{CameraReport, FilmReport, Gap, Manifest, Person};
use crate::papers::with_colons;
use crate::times::Utc;

/// Gaps listed on the sheet per camera; all stand in the manifest.
const GAPS_SHOWN: usize = 200;

/// The sheet of an export. The manifest holds the films' digests already, not yet the sheet's own.
pub(crate) fn sheet(manifest: &Manifest) -> Vec<u8> {
    let words = Words::of(manifest.language);
    let mut sheet = Sheet::new(words.title, &manifest.export_id, words.page);
    sheet.title(words.title);
    head(&mut sheet, words, manifest);
    for camera in &manifest.cameras {
        camera_part(&mut sheet, words, camera);
    }
    for film in &manifest.films {
        film_part(&mut sheet, words, manifest, film);
    }
    seal_part(&mut sheet, words, manifest);
    chain_part(&mut sheet, words);
    sheet.finish(manifest.started_at)
}

fn when(at: Utc) -> String {
    format!("{}  ({at})", at.local())
}

fn person(person: &Person) -> String {
    format!("{} · {} · {}", person.id, person.role, person.organisation)
}

fn or_none(text: &str, none: &str) -> String {
    if text.is_empty() { none.to_owned() } else { text.to_owned() }
}

fn head(sheet: &mut Sheet, words: &Words, manifest: &Manifest) {
    sheet.pair(words.export, &manifest.export_id);
    sheet.pair(words.made_by, &format!("{} · {}", manifest.exporting_unit.name, manifest.product));
    sheet.pair(words.made_at, &when(manifest.started_at));
    sheet.pair(words.case, &manifest.case_number);
    sheet.pair(words.purpose, &manifest.purpose.code);
    sheet.pair(words.justification, &manifest.purpose.justification);
    sheet.pair(words.requested_by, &person(&manifest.requested_by));
    let second = manifest.approved_by.as_ref().map_or_else(|| words.nobody.to_owned(), person);
    sheet.pair(words.approved_by, &second);
    sheet.pair(words.decision, manifest.decision.as_deref().unwrap_or(words.none));
    sheet.pair(words.asked_from, &when(manifest.requested_from));
    sheet.pair(words.asked_to, &when(manifest.requested_to));
}

fn camera_part(sheet: &mut Sheet, words: &Words, camera: &CameraReport) {
    let facts = &camera.facts;
    sheet.heading(&format!("{} {} · {}", words.camera, facts.number, facts.name));
    sheet.pair(words.place, &or_none(&facts.place.name, words.none));
    sheet.pair(words.owner, &facts.owner);
    let basis =
        format!("{} · {} · {}", facts.basis.document, facts.basis.date, or_none(&facts.basis.advice, words.none));
    sheet.pair(words.basis, &basis);
    sheet.pair(words.retention, &facts.retention_class);
    let stamp = |at: Option<Utc>| at.map_or_else(|| words.none.to_owned(), when);
    sheet.pair(words.delivered_from, &stamp(camera.delivered_from));
    sheet.pair(words.delivered_to, &stamp(camera.delivered_to));
    sheet.pair(words.segments, &camera.segments.len().to_string());
    if camera.gaps.is_empty() {
        sheet.pair(words.gaps, words.no_gaps);
    } else {
        sheet.pair(words.gaps, &camera.gaps.len().to_string());
        for gap in camera.gaps.iter().take(GAPS_SHOWN) {
            sheet.line(&gap_line(words, gap));
        }
        if camera.gaps.len() > GAPS_SHOWN {
            sheet.line(words.more_gaps);
        }
    }
}

fn gap_line(words: &Words, gap: &Gap) -> String {
    let ms = gap.to.micros().saturating_sub(gap.from.micros()) / 1_000;
    let (seconds, thousandths) = (ms / 1_000, ms % 1_000);
    format!("{} – {}  {seconds}.{thousandths:03} s  {}", gap.from.local(), gap.to.local(), words.cause(&gap.cause))
}

fn film_part(sheet: &mut Sheet, words: &Words, manifest: &Manifest, film: &FilmReport) {
    let camera = manifest.cameras.get(film.camera).map_or("", |camera| camera.facts.name.as_str());
    sheet.heading(&format!("{} {} · {camera}", words.film, film.file));
    sheet.pair(
        words.picture,
        &format!("{}×{} · {} · {} {}", film.width, film.height, film.codec, film.frames, words.frames),
    );
    sheet.pair(words.starts, &when(film.starts));
    sheet.pair(words.ends, &when(film.ends));
    let clock = &film.clock;
    let counts = format!(
        "{} {} · {} {} · {} {}",
        words.agrees, clock.agrees, words.differs, clock.differs, words.unknown, clock.unknown
    );
    sheet.pair(words.clock, &counts);
    if let (Some(least), Some(most)) = (clock.offset_min_us, clock.offset_max_us) {
        sheet.pair(words.offset, &format!("{} … {} ms", least / 1_000, most / 1_000));
    }
    sheet.pair(words.lost, &film.lost_packets.to_string());
    for name in [&film.file, &film.index] {
        if let Some(file) = manifest.files.iter().find(|file| file.file == *name) {
            sheet.pair("SHA-256", &format!("{} · {} B", file.file, file.bytes));
            sheet.code(&file.sha256);
        }
    }
}

fn seal_part(sheet: &mut Sheet, words: &Words, manifest: &Manifest) {
    sheet.heading(words.seal);
    sheet.pair(words.signer, &manifest.signer.subject);
    sheet.pair(words.fingerprint, "SHA-256");
    let print = with_colons(&manifest.signer.certificate_sha256);
    let (first, second) = print.split_at_checked(48).unwrap_or((&print, ""));
    sheet.code(first);
    sheet.code(second);
    match &manifest.log {
        Some(log) => sheet.pair(words.log, &format!("{} · {}", log.origin, log.index)),
        None => sheet.pair(words.log, words.none),
    }
    sheet.text(words.how_to_check);
}

fn chain_part(sheet: &mut Sheet, words: &Words) {
    sheet.together(290.0);
    sheet.heading(words.chain);
    for _ in 0..3 {
        sheet.blank(&[words.handed_by, words.received_by]);
        sheet.blank(&[words.place_and_date, words.signatures]);
    }
}

#[cfg(test)]
mod tests;
