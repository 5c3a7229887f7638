//! The pictures of a record: which go along, and which are kept back.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::UseCaseError;
use crate::fines_ports::{FineParts, FinePermit};
use crate::lez_ports::{Finding, PictureKind};

/// A picture as the line tells of it.
#[derive(Serialize)]
pub(crate) struct PicturePart {
    file: String,
    shows: &'static str,
    bytes: usize,
    sha256: String,
}

const fn shows(kind: PictureKind) -> &'static str {
    match kind {
        PictureKind::Crop => "plate",
        PictureKind::Overview => "overview",
        PictureKind::ExitCrop => "exit-plate",
        PictureKind::ExitOverview => "exit-overview",
    }
}

/// Kinds that go along, their parts of the line, and what is kept back.
pub(crate) type Pictures = (Vec<PictureKind>, Vec<PicturePart>, Vec<&'static str>);

fn has_picture(finding: &Finding, kind: PictureKind) -> bool {
    match kind {
        PictureKind::Crop => finding.has_crop,
        PictureKind::Overview => finding.has_overview,
        PictureKind::ExitCrop => finding.exit.as_ref().is_some_and(|exit| exit.has_crop),
        PictureKind::ExitOverview => finding.exit.as_ref().is_some_and(|exit| exit.has_overview),
    }
}

/// Path of a record's picture inside the folder.
pub(crate) fn picture_file(offence: &str, kind: PictureKind) -> String {
    format!("images/{offence}-{}.jpg", shows(kind))
}

/// Pictures that go along, and those that are kept back since they show more than the vehicle. `None`: one that the person saw does not open
/// any more.
pub(crate) async fn pictures_of(
    run: (&FineParts, &FinePermit),
    finding: &Finding,
    offence: &str,
) -> Result<Option<Pictures>, UseCaseError> {
    let (of_run, permit) = run;
    let (mut kinds, mut parts, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
    for kind in [PictureKind::Crop, PictureKind::Overview, PictureKind::ExitCrop, PictureKind::ExitOverview] {
        let Some(bytes) = of_run.store.fine_picture(permit, finding.id, kind).await? else {
            if has_picture(finding, kind) {
                return Ok(None);
            }
            continue;
        };
        let is_shown = match kind {
            // The plate and a little around it: there is nobody in it.
            PictureKind::Crop | PictureKind::ExitCrop => true,
            PictureKind::Overview | PictureKind::ExitOverview => {
                let (desk, picture) = (Arc::clone(&of_run.desk), bytes.clone());
                let looked = tokio::task::spawn_blocking(move || desk.is_masked(&picture)).await;
                looked.map_err(|error| UseCaseError::Internal(error.into()))?
            }
        };
        if is_shown {
            let (file, sha256) = (picture_file(offence, kind), hex::encode(Sha256::digest(&bytes)));
            kinds.push(kind);
            parts.push(PicturePart { file, shows: shows(kind), bytes: bytes.len(), sha256 });
        } else {
            withheld.push(shows(kind));
        }
    }
    Ok(Some((kinds, parts, withheld)))
}
