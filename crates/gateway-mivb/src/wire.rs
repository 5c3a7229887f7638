//! The partner's document, in the partner's words. Unknown fields are theirs to add; missing ones are refused.

use serde::Deserialize;

/// The whole catalogue.
#[derive(Clone, Debug, Deserialize)]
pub struct Catalogue {
    /// Version of their format; we read 1.
    pub version: u32,
    /// Cameras.
    pub cameras: Vec<Camera>,
}

/// One camera.
#[derive(Clone, Deserialize)]
pub struct Camera {
    /// Their reference, unique in the document.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Dutch name.
    pub naam: String,
    /// French name.
    pub nom: String,
    /// WGS84 latitude, degrees.
    pub lat: f64,
    /// WGS84 longitude, degrees.
    pub lon: f64,
    /// RTSP address without log-in.
    pub rtsp: String,
    /// Log-in, where one is needed.
    pub login: Option<Login>,
    /// Shared with the platform now.
    #[serde(default)]
    pub gedeeld: bool,
}

/// Log-in of a stream.
#[derive(Clone, Deserialize)]
pub struct Login {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Camera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Camera").field("ref", &self.reference).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(hidden)")
    }
}
