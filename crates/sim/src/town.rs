//! The lists that go with simulated cameras: what `belfry camera import` reads.
//!
//! Places are those of `domain.md` G3 (own knowledge, ± 200 m, demo only); owners are the police zones of G1. Documents
//! and dates of the legal basis are made up for the demo and say so.

use vms_core::StreamUse;

use crate::rtsp::{Credentials, SimServer};

/// One row of the camera list; the field names are the columns.
#[derive(Clone, PartialEq, serde::Serialize)]
pub struct CameraRow {
    /// Call-up code.
    pub code: String,
    /// Name in Dutch.
    pub name_nl: String,
    /// Name in French.
    pub name_fr: String,
    /// Code of the owning police zone.
    pub owner: String,
    /// Degrees north, WGS 84.
    pub lat: f64,
    /// Degrees east, WGS 84.
    pub lon: f64,
    /// RTSP address of the main stream.
    pub url_main: String,
    /// RTSP address of the sub-stream, or empty.
    pub url_sub: String,
    /// User name, or empty.
    pub user: String,
    /// Password, or empty.
    pub password: String,
    /// `overview`, `lez` or `zbt`.
    pub kind: String,
    /// Retention class of the footage (`domain.md` D6).
    pub retention_class: String,
    /// Document that allows the camera.
    pub legal_basis_document: String,
    /// Its date.
    pub legal_basis_date: String,
    /// The advice it rests on.
    pub legal_basis_advice: String,
    /// Date on which the pictogram was put up.
    pub pictogram_on: String,
}

impl std::fmt::Debug for CameraRow {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraRow").field("code", &self.code).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A place for a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Code of the site.
    pub code: &'static str,
    /// Name in Dutch.
    pub name_nl: &'static str,
    /// Name in French.
    pub name_fr: &'static str,
    /// Police zone.
    pub owner: &'static str,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
}

const fn site(
    code: &'static str,
    name_nl: &'static str,
    name_fr: &'static str,
    owner: &'static str,
    lat: f64,
    lon: f64,
) -> Site {
    Site { code, name_nl, name_fr, owner, lat, lon }
}

/// Places of replayed cameras, taken in turn.
pub const SITES: [Site; 24] = [
    site("S-CENTRAAL", "Brussel-Centraal", "Bruxelles-Central", "5339", 50.845658, 4.356801),
    site("S-ZUID", "Brussel-Zuid", "Bruxelles-Midi", "5341", 50.835707, 4.336531),
    site("S-NOORD", "Brussel-Noord", "Bruxelles-Nord", "5344", 50.859663, 4.360846),
    site("S-SCHUMAN", "Schuman", "Schuman", "5339", 50.843276, 4.380722),
    site("S-LUX", "Luxemburg", "Luxembourg", "5339", 50.838943, 4.373674),
    site("S-WEST", "Weststation", "Gare de l'Ouest", "5340", 50.848552, 4.321042),
    site("S-SIMONIS", "Simonis", "Simonis", "5340", 50.863645, 4.328980),
    site("S-MERODE", "Merode", "Mérode", "5343", 50.839284, 4.398934),
    site("S-DELTA", "Delta", "Delta", "5342", 50.818357, 4.403869),
    site("S-MEISER", "Meiser", "Meiser", "5344", 50.854072, 4.394421),
    site("S-BORDET", "Bordet", "Bordet", "5344", 50.877785, 4.410026),
    site("S-JETTE", "Jette", "Jette", "5340", 50.880833, 4.326220),
    site("S-BOSV", "Bosvoorde", "Boitsfort", "5342", 50.794698, 4.408112),
    site("S-KALEV", "Ukkel-Kalevoet", "Uccle-Calevoet", "5342", 50.791749, 4.332207),
    site("S-VORST", "Vorst-Oost", "Forest-Est", "5341", 50.810195, 4.320943),
    site("T-HAL", "Hallepoorttunnel", "Tunnel Porte de Hal", "5341", 50.8333, 4.3448),
    site("T-LOU", "Louizatunnel", "Tunnel Louise", "5339", 50.8366, 4.3570),
    site("T-TRO", "Troontunnel", "Tunnel Trône", "5339", 50.8394, 4.3647),
    site("T-KUW", "Kunst-Wettunnel", "Tunnel Arts-Loi", "5344", 50.8454, 4.3692),
    site("T-ROG", "Rogiertunnel", "Tunnel Rogier", "5344", 50.8555, 4.3589),
    site("T-MON", "Montgomerytunnel", "Tunnel Montgomery", "5343", 50.8388, 4.4078),
    site("T-REY", "Reyerstunnel", "Tunnel Reyers", "5344", 50.8500, 4.4020),
    site("R-VPR", "Van Praet", "Van Praet", "5339", 50.8846, 4.3641),
    site("R-IND", "Industrielaan", "Boulevard Industriel", "5341", 50.8250, 4.3080),
];

/// What differs between rows at one place.
#[derive(Clone, Copy, Debug)]
pub struct Role<'a> {
    /// Number in the simulator, from 1.
    pub number: usize,
    /// Call-up code.
    pub code: &'a str,
    /// `overview`, `lez` or `zbt`.
    pub kind: &'a str,
    /// Whether it has a sub-stream.
    pub sub: bool,
}

impl CameraRow {
    /// A replayed camera: an overview camera at the next place of [`SITES`].
    pub fn replayed(number: usize, server: &SimServer, sub: bool, credentials: Option<&Credentials>) -> Self {
        let [first, ..] = &SITES;
        let place = SITES.iter().cycle().nth(number.saturating_sub(1) % SITES.len()).unwrap_or(first);
        let code = format!("{}-V{number:03}", place.code);
        Self::at(place, Role { number, code: &code, kind: "overview", sub }, server, credentials)
    }

    /// A camera at a place.
    pub fn at(place: &Site, role: Role<'_>, server: &SimServer, credentials: Option<&Credentials>) -> Self {
        let number = role.number;
        let url_sub = if role.sub { server.url(number, StreamUse::Sub) } else { String::new() };
        Self {
            code: role.code.to_owned(),
            name_nl: format!("{} {number}", place.name_nl),
            name_fr: format!("{} {number}", place.name_fr),
            owner: place.owner.to_owned(),
            lat: place.lat,
            lon: place.lon,
            url_main: server.url(number, StreamUse::Main),
            url_sub,
            user: credentials.map(|c| c.user.clone()).unwrap_or_default(),
            password: credentials.map(|c| c.password.clone()).unwrap_or_default(),
            kind: role.kind.to_owned(),
            retention_class: "RC-VID-OPEN".to_owned(),
            legal_basis_document: format!("DEMO-{}-2026-{number:03}", place.owner),
            legal_basis_date: "2026-02-02".to_owned(),
            legal_basis_advice: "Demo: gunstig advies gemeenteraad / avis favorable du conseil communal".to_owned(),
            pictogram_on: "2026-03-02".to_owned(),
        }
    }
}

/// The rows as CSV with a header line.
///
/// # Errors
/// Only if a row could not be written as text, which fixed columns rule out.
pub fn cameras_csv(rows: &[CameraRow]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
