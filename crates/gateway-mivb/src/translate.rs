//! Their document to our cameras. Total: every document is either translated whole or refused with a reason.

use std::collections::HashSet;

use vms_app::catalogue_fault::CatalogueFault;
use vms_app::model::PartnerCamera;

use crate::wire::{Camera, Catalogue};

/// Most cameras in one document; the largest partner has about 3,500.
const CAMERAS_MAX: usize = 10_000;
/// The region with two kilometres around it (`domain.md` G2), degrees.
const LAT: std::ops::RangeInclusive<f64> = 50.745..=50.932;
const LON: std::ops::RangeInclusive<f64> = 4.215..=4.511;

/// Longest user name and password of a stream, bytes.
const LOGIN_LEN_MAX: usize = 200;

/// Translates a document. Cameras that are not shared now are left out.
///
/// # Errors
/// [`CatalogueFault`]: nothing of the document is taken. Nothing of its text is in the error, since log-ins stand in it.
pub fn translate(document: &[u8]) -> Result<Vec<PartnerCamera>, CatalogueFault> {
    let catalogue: Catalogue = serde_json::from_slice(document).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if error.is_data() {
            CatalogueFault::WrongShape { line, column }
        } else {
            CatalogueFault::NotJson { line, column }
        }
    })?;
    if catalogue.version != 1 {
        return Err(CatalogueFault::Version(catalogue.version));
    }
    if catalogue.cameras.len() > CAMERAS_MAX {
        return Err(CatalogueFault::TooMany { found: catalogue.cameras.len(), max: CAMERAS_MAX });
    }
    let mut seen = HashSet::new();
    let mut cameras = Vec::new();
    for (at, camera) in catalogue.cameras.into_iter().enumerate() {
        if !is_reference(&camera.reference) {
            return Err(CatalogueFault::Camera { reference: format!("#{}", at + 1), problem: "bad_reference" });
        }
        if let Err(problem) = check(&camera) {
            return Err(CatalogueFault::Camera { reference: camera.reference, problem });
        }
        if !seen.insert(camera.reference.clone()) {
            return Err(CatalogueFault::Camera { reference: camera.reference, problem: "twice" });
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

/// 1 to 30 letters, digits, `-`, `_` or `.`: with the partner's code before it, it is the camera's code here.
fn is_reference(text: &str) -> bool {
    (1..=30).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn check(camera: &Camera) -> Result<(), &'static str> {
    if !LAT.contains(&camera.lat) || !LON.contains(&camera.lon) {
        return Err("not_in_the_region");
    }
    let address = url::Url::parse(&camera.rtsp).map_err(|_| "not_a_url")?;
    if !matches!(address.scheme(), "rtsp" | "rtsps") || address.host_str().is_none() {
        return Err("not_rtsp");
    }
    if !address.username().is_empty() || address.password().is_some() {
        return Err("credentials_in_url");
    }
    let fits = |text: &str| text.len() <= LOGIN_LEN_MAX && !text.chars().any(char::is_control);
    match &camera.login {
        // The user name ends at the first colon in Basic and Digest alike (RFC 7617 section 2, RFC 7616 section 3.4.2).
        Some(login) if login.user.is_empty() || login.user.contains(':') => Err("bad_login"),
        Some(login) if !fits(&login.user) || !fits(&login.password) => Err("bad_login"),
        Some(_) | None => Ok(()),
    }
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
        let cases: [(Change, &str); 12] = [
            (|v| v["version"] = 2.into(), "version"),
            (|v| v["cameras"][1]["ref"] = "ROG-01".into(), "twice"),
            (|v| v["cameras"][0]["ref"] = "../x".into(), "bad_reference"),
            (|v| v["cameras"][0]["ref"] = "x".repeat(31).into(), "bad_reference"),
            (|v| v["cameras"][0]["lat"] = 48.85.into(), "not_in_the_region"),
            (|v| v["cameras"][0]["rtsp"] = "nowhere".into(), "not_a_url"),
            (|v| v["cameras"][0]["rtsp"] = "http://10.0.0.1/".into(), "not_rtsp"),
            (|v| v["cameras"][0]["rtsp"] = "rtsp://a:b@10.0.0.1/".into(), "credentials_in_url"),
            (|v| v["cameras"][0]["naam"] = serde_json::Value::Null, "wrong_shape"),
            (|v| v["cameras"][0]["login"]["user"] = "a:b".into(), "bad_login"),
            (|v| v["cameras"][0]["login"]["password"] = "a\r\nb".into(), "bad_login"),
            (
                |v| {
                    let one = v["cameras"][0].clone();
                    v["cameras"] = serde_json::Value::Array(vec![one; CAMERAS_MAX + 1]);
                },
                "too_many",
            ),
        ];
        for (change, wanted) in cases {
            assert_eq!(translate(&document(change)).unwrap_err().problem(), wanted);
        }
    }

    #[test]
    fn no_error_holds_a_password() {
        let odd = document(|v| v["cameras"][0]["login"]["password"] = 481_516.into());
        let refused = translate(&odd).unwrap_err();
        assert_eq!(refused.problem(), "wrong_shape");
        assert!(!format!("{refused} {refused:?}").contains("481516"));
    }

    #[test]
    fn rubbish_is_refused() {
        let html = b"<!DOCTYPE html><html><body>Aanmelden</body></html>";
        let deep = [b"{\"version\":1,\"cameras\":".as_slice(), &[b'['; 100_000]].concat();
        for (rubbish, wanted) in [
            (&b""[..], "not_json"),
            (html, "not_json"),
            (&[0xff; 32], "not_json"),
            (&deep, "wrong_shape"),
            (b"[]", "wrong_shape"),
            (b"{\"version\":1}", "wrong_shape"),
            (b"{\"version\":1,\"version\":1,\"cameras\":[]}", "wrong_shape"),
            (b"{\"version\":1,\"cameras\":[{}]}", "wrong_shape"),
        ] {
            assert_eq!(translate(rubbish).unwrap_err().problem(), wanted);
            fuzz_catalogue(rubbish);
        }
    }
}
