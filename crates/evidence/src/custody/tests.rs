use super::layout::label_fits;
use super::words::{Words, labels};
use super::*;
use crate::job::tests::sample_manifest;
use crate::manifest::Language;

#[test]
fn the_sheet_is_the_same_every_time_and_speaks_three_languages() {
    let mut seen = Vec::new();
    for (language, word) in
        [(Language::Nl, "Bewaringsblad"), (Language::Fr, "Fiche de conservation"), (Language::En, "Custody sheet")]
    {
        let manifest = Manifest { language, ..sample_manifest() };
        let made = sheet(&manifest);
        assert_eq!(made, sheet(&manifest), "deterministic");
        assert!(made.starts_with(b"%PDF-"));
        let text = String::from_utf8_lossy(&made).into_owned();
        assert!(text.contains(word), "{word}");
        assert!(text.contains(&manifest.case_number));
        assert!(text.contains(&manifest.files[0].sha256));
        seen.push(made);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn labels_stand_left_of_their_texts() {
    for language in [Language::Nl, Language::Fr, Language::En] {
        for label in labels(Words::of(language)) {
            assert!(label_fits(label), "{label}");
        }
    }
}

#[test]
fn text_is_broken_to_the_page_and_keeps_its_accents() {
    let lines = fonts::wrap("Chaussée d'Ixelles – Elsensesteenweg €", 9_000);
    assert!(lines.len() > 2);
    assert!(lines.iter().all(|line| fonts::measure(line) <= 9_000));
    let joined = lines.join(&b' ');
    assert_eq!(joined, fonts::encode("Chaussée d'Ixelles – Elsensesteenweg €"));
    assert!(joined.contains(&0xe9) && joined.ends_with(&[0x80]));
    assert_eq!(fonts::encode("Łódź"), b"?\xf3d?");
    assert_eq!(fonts::wrap("", 100), [Vec::<u8>::new()]);
    let long = "x".repeat(400);
    assert_eq!(fonts::wrap(&long, 5_000).concat(), long.as_bytes(), "a word without end is cut, not lost");
}

/// `pdftotext` (poppler) as an independent reader, where it is installed.
#[test]
fn another_program_reads_the_sheet() {
    let folder = crate::testfilm::scratch();
    let path = folder.path().join("custody.pdf");
    std::fs::write(&path, sheet(&Manifest { language: Language::Fr, ..sample_manifest() })).unwrap();
    let Ok(read) = std::process::Command::new("pdftotext").arg("-enc").arg("UTF-8").arg(&path).arg("-").output() else {
        println!("not run: pdftotext is not installed");
        return;
    };
    assert!(read.status.success());
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(text.contains("Numéro de dossier") && text.contains("Chaussée d'Ixelles"), "{text}");
}

/// Every cause that the recorder can note has words in every language.
#[test]
fn every_cause_of_the_recorder_has_words() {
    use link::Cause;
    let mut causes = vec![Cause::Unreachable];
    while let Some(last) = causes.last() {
        // A new cause does not compile before it has its place here, and fails before it has its words.
        causes.push(match last {
            Cause::Unreachable => Cause::LoginRefused,
            Cause::LoginRefused => Cause::AddressRefused,
            Cause::AddressRefused => Cause::Malformed,
            Cause::Malformed => Cause::Silent,
            Cause::Silent => Cause::NoKeyFrame,
            Cause::NoKeyFrame => Cause::Closed,
            Cause::Closed => Cause::PacketLoss,
            Cause::PacketLoss => Cause::IngestRestart,
            Cause::IngestRestart => Cause::RecorderRestart,
            Cause::RecorderRestart => Cause::RingOverflow,
            Cause::RingOverflow => Cause::Disk,
            Cause::Disk => Cause::DiskCap,
            Cause::DiskCap => Cause::Keys,
            Cause::Keys => Cause::KeyDestroyed,
            Cause::KeyDestroyed => Cause::KeyLost,
            Cause::KeyLost => Cause::ParameterChange,
            Cause::ParameterChange => Cause::SwitchedOff,
            Cause::SwitchedOff => Cause::Unsupported,
            Cause::Unsupported => break,
        });
    }
    let codes = causes.iter().map(|cause| serde_json::to_string(cause).unwrap().trim_matches('"').to_owned());
    for code in codes.chain(["not_noted".to_owned()]) {
        for language in [Language::Nl, Language::Fr, Language::En] {
            assert_ne!(Words::of(language).cause(&code), code, "{language:?}");
        }
    }
}
