//! What was decided, in the words of the package.

use evidence::{Basis, CameraFacts, ExportingUnit, Language, LogProof, Order, Person, Place, Purpose, Utc};
use vms_app::exports_model::{PackageCamera, PackageOrder};
use vms_app::words;
use vms_core::WallTime;

/// Degrees in millionths; none for what is no place.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn millionths(degrees: f64) -> Option<i32> {
    let scaled = (degrees * 1e6).round();
    (scaled.abs() <= 360e6).then_some(scaled as i32)
}

/// A camera of the order, named in the language of its papers.
fn camera_facts(one: &PackageCamera, language: words::Language, owner: &str) -> CameraFacts {
    let camera = &one.camera;
    let name = match language {
        words::Language::Nl => camera.name_nl.clone(),
        words::Language::Fr => camera.name_fr.clone(),
        // Place names have two forms and no third.
        words::Language::En => format!("{} / {}", camera.name_nl, camera.name_fr),
    };
    let basis = camera.legal_basis.as_ref();
    CameraFacts {
        camera: camera.id.to_string(),
        stream: one.stream.to_string(),
        number: camera.call_up.map_or_else(|| camera.code.clone(), |number| number.to_string()),
        name: format!("{} – {name}", camera.code),
        // Where the camera is in the network is nobody's business outside the house.
        url: String::new(),
        mac: String::new(),
        owner: owner.to_owned(),
        place: Place { name, latitude_e6: millionths(camera.lat), longitude_e6: millionths(camera.lon) },
        basis: Basis {
            document: basis.map_or_else(String::new, |basis| basis.document.clone()),
            date: basis.map_or_else(String::new, |basis| basis.dated.clone()),
            advice: basis.map_or_else(String::new, |basis| basis.advice.clone()),
        },
        retention_class: camera.retention_class.as_str().to_owned(),
    }
}

/// The order of a package.
pub(super) fn evidence_order(order: &PackageOrder, installation: &str, now: WallTime, log: Option<LogProof>) -> Order {
    let export = &order.export;
    let language = match export.language {
        words::Language::Nl => Language::Nl,
        words::Language::Fr => Language::Fr,
        words::Language::En => Language::En,
    };
    let approved_by = export.settled.as_ref().zip(export.settled_as).map(|(by, profile)| Person {
        id: by.user.to_string(),
        role: profile.as_str().to_owned(),
        organisation: order.approved_org.clone(),
    });
    Order {
        export_id: export.id.to_string(),
        product: concat!("belfry ", env!("CARGO_PKG_VERSION")).to_owned(),
        started_at: Utc(now),
        language,
        exporting_unit: ExportingUnit { name: installation.to_owned(), url: String::new(), mac: String::new() },
        from: Utc(export.range.from),
        to: Utc(export.range.to),
        case_number: export.case_ref.clone(),
        purpose: Purpose { code: export.purpose.as_str().to_owned(), justification: export.reason.clone() },
        requested_by: Person {
            id: export.ordered.user.to_string(),
            role: export.ordered_as.as_str().to_owned(),
            organisation: order.ordered_org.clone(),
        },
        approved_by,
        decision: Some(order.decision.to_string()),
        cameras: order.cameras.iter().map(|one| camera_facts(one, export.language, &order.owner)).collect(),
        log,
    }
}
