//! The papers of an export: README, custody sheet, proof, certificate, manifest, sums, signature. All follow from the order and the
//! films; writing them again gives the same bytes.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::custody;
use crate::disk::Disk;
use crate::error::ExportError;
use crate::manifest::{
    CameraReport, FORMAT, FileDigest, FilmReport, Gap, Language, LogEntry, Manifest, Order, SignerReport,
};
use crate::sign::{ALGORITHM, Signer};

/// Cause of a hole that the recorder did not note.
pub(crate) const NOT_NOTED: &str = "not_noted";

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const SIGNATURE: &str = "manifest.sig";
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const SUMS: &str = "SHA256SUMS";
pub(crate) const README: &str = "README.txt";
pub(crate) const CUSTODY: &str = "custody.pdf";
pub(crate) const PROOF: &str = "decision.tlog-proof";

/// A gap in one line.
pub(crate) fn gap_words(gap: &Gap) -> String {
    format!("{} to {} ({})", gap.from, gap.to, gap.cause)
}

/// Writes all papers into the folder of an export whose films are finished.
pub(crate) fn write(
    disk: &Disk,
    folder: &Path,
    order: &Order,
    cameras: Vec<CameraReport>,
    (films, film_files): (&[FilmReport], &[FileDigest]),
    signer: &Signer,
) -> Result<(), ExportError> {
    let mut manifest = manifest(order, cameras, films, film_files, signer);
    disk.put(&folder.join(CERTIFICATE), signer.certificate_pem().as_bytes())?;
    disk.put(&folder.join(README), readme(order.language, &manifest).as_bytes())?;
    disk.put(&folder.join(CUSTODY), &custody::sheet(&manifest))?;
    let mut names = vec![README, CUSTODY];
    if let Some(proof) = &order.log {
        let text = proof.to_text().ok_or(ExportError::Order("the proof of the log is malformed"))?;
        disk.put(&folder.join(PROOF), text.as_bytes())?;
        names.push(PROOF);
    }
    for name in names {
        manifest.files.push(disk.digest(folder, name)?);
    }
    let bytes = manifest.to_bytes();
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    disk.put(&folder.join(MANIFEST), &bytes)?;
    disk.put(&folder.join(SUMS), manifest.sums().as_bytes())?;
    disk.put(&folder.join(SIGNATURE), &signer.sign(&digest)?)?;
    disk.sync_folder(folder)
}

fn manifest(
    order: &Order,
    cameras: Vec<CameraReport>,
    films: &[FilmReport],
    film_files: &[FileDigest],
    signer: &Signer,
) -> Manifest {
    let log = order.log.as_ref().map(|proof| LogEntry {
        leaf: proof.leaf.clone(),
        index: proof.index,
        origin: proof.origin.clone(),
        verifier_key: proof.verifier_key.clone(),
        proof: PROOF.to_owned(),
    });
    Manifest {
        format: FORMAT.to_owned(),
        export_id: order.export_id.clone(),
        product: order.product.clone(),
        started_at: order.started_at,
        language: order.language,
        exporting_unit: order.exporting_unit.clone(),
        requested_from: order.from,
        requested_to: order.to,
        case_number: order.case_number.clone(),
        purpose: order.purpose.clone(),
        requested_by: order.requested_by.clone(),
        approved_by: order.approved_by.clone(),
        decision: order.decision.clone(),
        cameras,
        films: films.to_vec(),
        files: film_files.to_vec(),
        log,
        signer: SignerReport {
            algorithm: ALGORITHM.to_owned(),
            subject: signer.subject().to_owned(),
            certificate_sha256: signer.fingerprint(),
        },
    }
}

/// The certificate's fingerprint as `openssl` writes it.
pub(crate) fn with_colons(fingerprint: &str) -> String {
    let pairs: Vec<String> =
        fingerprint.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase()).collect();
    pairs.join(":")
}

/// How to check the folder by hand, in the language of the order.
fn readme(language: Language, manifest: &Manifest) -> String {
    let print = with_colons(&manifest.signer.certificate_sha256);
    let (title, intro, step1, step2, step3, step4, last) = match language {
        Language::Nl => (
            "Uitvoer van camerabeelden",
            "Speel de films (*.mp4) af met een gewone speler. De bestanden *.csv noemen elk fragment met zijn tijd en zijn SHA-256, \
             *.vtt zijn ondertitels met de tijd. custody.pdf is het bewaringsblad. Wijzig niets in deze map; werk met een kopie.",
            "1. Is het certificaat dat van de installatie? Vergelijk de vingerafdruk met die welke u langs een andere weg kreeg:",
            "2. Is het manifest ongewijzigd? Het antwoord moet \"Verified OK\" zijn:",
            "3. Zijn alle bestanden ongewijzigd? Elke regel moet op \"OK\" eindigen:",
            "4. Is de lijst SHA256SUMS die van het ondertekende manifest? Er mag geen verschil verschijnen:",
            "Vollediger, met hetzelfde programma als de installatie:",
        ),
        Language::Fr => (
            "Exportation d'images de caméras",
            "Lisez les films (*.mp4) avec un lecteur ordinaire. Les fichiers *.csv donnent chaque fragment avec son heure et son SHA-256, \
             *.vtt sont des sous-titres avec l'heure. custody.pdf est la fiche de conservation. Ne modifiez rien dans ce dossier ; \
             travaillez sur une copie.",
            "1. Le certificat est-il celui de l'installation ? Comparez l'empreinte à celle que vous avez reçue par une autre voie :",
            "2. Le manifeste est-il inchangé ? La réponse doit être « Verified OK » :",
            "3. Tous les fichiers sont-ils inchangés ? Chaque ligne doit finir par « OK » :",
            "4. La liste SHA256SUMS est-elle celle du manifeste signé ? Aucune différence ne doit apparaître :",
            "Plus complet, avec le même programme que l'installation :",
        ),
        Language::En => (
            "Export of camera footage",
            "Play the films (*.mp4) with any player. The files *.csv name every fragment with its time and its SHA-256, *.vtt are \
             subtitles with the time. custody.pdf is the custody sheet. Change nothing in this folder; work on a copy.",
            "1. Is the certificate that of the installation? Compare the fingerprint with the one you got by another way:",
            "2. Is the manifest unchanged? The answer must be \"Verified OK\":",
            "3. Are all files unchanged? Every line must end in \"OK\":",
            "4. Is the list SHA256SUMS that of the signed manifest? No difference may appear:",
            "More complete, with the program of the installation:",
        ),
    };
    format!(
        "{title}\n{}\n\n{intro}\n\n{step1}\n\n   openssl x509 -in {CERTIFICATE} -noout -fingerprint -sha256\n   {print}\n\n{step2}\n\n\
         \x20  openssl x509 -in {CERTIFICATE} -noout -pubkey > /tmp/export-key.pem\n\
         \x20  openssl dgst -sha256 -verify /tmp/export-key.pem -signature {SIGNATURE} {MANIFEST}\n\n{step3}\n\n\
         \x20  sha256sum -c {SUMS}\n\n{step4}\n\n\
         \x20  grep -o '\"sha256\": \"[0-9a-f]*\"' {MANIFEST} | cut -d '\"' -f 4 | sort > /tmp/a\n\
         \x20  cut -c 1-64 {SUMS} | sort | diff - /tmp/a\n\n{last}\n\n\
         \x20  belfry verify --certificate-sha256 {} .\n",
        manifest.export_id, manifest.signer.certificate_sha256
    )
}
