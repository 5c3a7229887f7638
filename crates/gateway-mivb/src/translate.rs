//! Their document to our cameras. Total: every document is either translated whole or refused with a reason.

use std::collections::HashSet;

use vms_app::model::PartnerCamera;

use crate::wire::Catalogue;

/// Most cameras in one document; the largest partner has about 3,500.
const CAMERAS_MAX: usize = 20_000;
/// The region with two kilometres around it (`domain.md` G2), degrees.
const LAT: std::ops::RangeInclusive<f64> = 50.745..=50.932;
const LON: std::ops::RangeInclusive<f64> = 4.215..=4.511;

/// Why a document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not JSON of the expected shape.
    #[error("the catalogue does not parse: {0}")]
    Syntax(String),
    /// Another version of their format.
    #[error("the catalogue has version {0}, version 1 is read")]
    Version(u32),
    /// More cameras than could be true.
    #[error("the catalogue has {0} cameras, at most {CAMERAS_MAX} are read")]
    TooMany(usize),
    /// One camera is wrong; nothing of the document is taken.
    #[error("camera `{reference}`: {problem}")]
    Camera {
        /// Their reference.
        reference: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Translates a document. Cameras that are not shared now are left out.
///
/// # Errors
/// [`Refused`].
pub fn translate(document: &[u8]) -> Result<Vec<PartnerCamera>, Refused> {
    let catalogue: Catalogue = serde_json::from_slice(document).map_err(|error| Refused::Syntax(error.to_string()))?;
    if catalogue.version != 1 {
        return Err(Refused::Version(catalogue.version));
    }
    if catalogue.cameras.len() > CAMERAS_MAX {
        return Err(Refused::TooMany(catalogue.cameras.len()));
    }
    let mut seen = HashSet::new();
    let mut cameras = Vec::new();
    for camera in catalogue.cameras {
        let wrong = |problem| Refused::Camera { reference: camera.reference.clone(), problem };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if camera.reference.is_empty() || camera.reference.len() > 40 || !camera.reference.chars().all(fits) {
            return Err(wrong("the reference must be 1 to 40 letters, digits, `-`, `_` or `.`"));
        }
        if !seen.insert(camera.reference.clone()) {
            return Err(wrong("the reference stands there twice"));
        }
        if !LAT.contains(&camera.lat) || !LON.contains(&camera.lon) {
            return Err(wrong("the place is not in the region"));
        }
        let address = url::Url::parse(&camera.rtsp).map_err(|_| wrong("the address is no URL"))?;
        if !matches!(address.scheme(), "rtsp" | "rtsps") || address.host_str().is_none() {
            return Err(wrong("the address is no RTSP address"));
        }
        if !address.username().is_empty() || address.password().is_some() {
            return Err(wrong("the address holds a log-in; it belongs in `login`"));
        }
        if camera.gedeeld {
            cameras.push(PartnerCamera {
                code: camera.reference,
                name_nl: camera.naam,
                name_fr: camera.nom,
                lat: camera.lat,
                lon: camera.lon,
                url: camera.rtsp,
                credentials: camera.login.map(|login| (login.user, login.password)),
            });
        }
    }
    Ok(cameras)
}

/// Feeds foreign bytes to the parser (fuzz target and corpus test).
pub fn fuzz_catalogue(data: &[u8]) {
    drop(translate(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
        let mut value = serde_json::json!({ "version": 1, "cameras": [
            { "ref": "ROG-01", "naam": "Rogier perron 1", "nom": "Rogier quai 1", "lat": 50.8555, "lon": 4.3589,
              "rtsp": "rtsp://10.20.0.1/rog01", "login": { "user": "belfry", "password": "x" }, "gedeeld": true },
            { "ref": "ROG-02", "naam": "Rogier perron 2", "nom": "Rogier quai 2", "lat": 50.8556, "lon": 4.3590,
              "rtsp": "rtsp://10.20.0.2/rog02", "gedeeld": false, "extra": "theirs" } ] });
        change(&mut value);
        value.to_string().into_bytes()
    }

    #[test]
    fn what_is_shared_is_taken() {
        let cameras = translate(&document(|_| ())).unwrap();
        assert_eq!(cameras.len(), 1);
        assert_eq!(cameras[0].code, "ROG-01");
        assert!(cameras[0].credentials.is_some());
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_taken() {
        type Change = fn(&mut serde_json::Value);
        let cases: [(Change, &str); 7] = [
            (|v| v["version"] = 2.into(), "version 2"),
            (|v| v["cameras"][1]["ref"] = "ROG-01".into(), "twice"),
            (|v| v["cameras"][0]["ref"] = "../x".into(), "reference"),
            (|v| v["cameras"][0]["lat"] = 48.85.into(), "region"),
            (|v| v["cameras"][0]["rtsp"] = "http://10.0.0.1/".into(), "RTSP"),
            (|v| v["cameras"][0]["rtsp"] = "rtsp://a:b@10.0.0.1/".into(), "login"),
            (|v| v["cameras"][0]["naam"] = serde_json::Value::Null, "parse"),
        ];
        for (change, wanted) in cases {
            let refused = translate(&document(change)).unwrap_err().to_string();
            assert!(refused.contains(wanted), "{refused}");
        }
    }

    #[test]
    fn rubbish_is_refused() {
        for rubbish in [&b""[..], b"[]", b"{\"version\":1}", &[0xff; 32], b"{\"version\":1,\"cameras\":[{}]}"] {
            assert!(matches!(translate(rubbish), Err(Refused::Syntax(_))));
            fuzz_catalogue(rubbish);
        }
    }
}
