//! Profile M in JSON: attributes with `@`, text beside them as `#text`, what may repeat as an array.

use serde_json::Value;

use crate::onvif::{Kind, OnvifFault, PLATES_MAX, Plates, RawPlate};

/// One value or several.
fn each(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let (many, one) = match value {
        Some(Value::Array(all)) => (all.as_slice(), None),
        other => (&[][..], other),
    };
    many.iter().chain(one)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(fields) => fields.get("#text").filter(|inner| !inner.is_object()).and_then(text),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

fn odds(value: &Value) -> Option<f64> {
    let stated = value.as_object()?.get("@Likelihood")?;
    // What is there and does not read is no likelihood at all, and none is 0.
    stated.as_f64().or_else(|| stated.as_str()?.parse().ok())
}

fn plate(info: &Value) -> RawPlate {
    let field = |name: &str| each(info.get(name)).next();
    let (number, country) = (field("PlateNumber"), field("CountryCode"));
    RawPlate {
        number: number.and_then(text),
        number_odds: number.and_then(odds),
        country: country.and_then(text),
        country_odds: country.and_then(odds),
        ..RawPlate::default()
    }
}

fn metadata(message: &Value, plates: &mut Vec<RawPlate>) {
    for frame in each(message.get("Frame")) {
        let at = frame.get("@UtcTime").and_then(text);
        for object in each(frame.get("Object")) {
            let id = object.get("@ObjectId").and_then(text);
            let info = object.get("Appearance").and_then(|seen| seen.get("LicensePlateInfo"));
            plates.extend(each(info).map(|info| RawPlate { object: id.clone(), at: at.clone(), ..plate(info) }));
        }
    }
}

fn event(message: &Value, plates: &mut Vec<RawPlate>) {
    let (at, data) = (message.get("UtcTime").and_then(text), message.get("Data"));
    // The item bears the element's name, and the element stands inside it; some leave the inner one out.
    let item = data.and_then(|data| data.get("LicensePlateInfo"));
    for item in each(item) {
        let inner = item.get("LicensePlateInfo");
        let infos = if inner.is_some() { inner } else { Some(item) };
        plates.extend(each(infos).map(|info| RawPlate { at: at.clone(), ..plate(info) }));
    }
}

pub(crate) fn parse(body: &[u8], kind: Option<Kind>) -> Result<Plates, OnvifFault> {
    // serde_json itself stops at 128 levels.
    let message: Value = serde_json::from_slice(body).map_err(|_| OnvifFault::Form)?;
    let kind = kind.unwrap_or(if message.get("Frame").is_some() { Kind::Metadata } else { Kind::Event });
    let mut plates = Vec::new();
    match kind {
        Kind::Metadata => metadata(&message, &mut plates),
        Kind::Event => event(&message, &mut plates),
    }
    if plates.len() > PLATES_MAX {
        return Err(OnvifFault::TooMuch);
    }
    Ok(plates.into_iter().map(RawPlate::read).collect())
}
