//! The form of the region's open counts API (`console.md` 4.4): `request=devices` and `request=live`.
//!
//! A number that may not be shown is `null`, with `"suppressed": true` beside it. `occupancy` is always `null`: a number-plate
//! camera does not measure it.

use serde_json::{Map, Value, json};

use crate::counts::{Counter, Figure, Minutes};
use crate::site::{Site, degrees};
use crate::time::text;

/// The counted cross-sections as `GeoJSON`.
pub fn devices(sites: &[Site]) -> Value {
    let feature = |site: &Site| {
        let detectors: Vec<&str> = site.detectors.iter().map(|detector| detector.name.as_str()).collect();
        json!({
            "type": "Feature",
            "geometry": { "type": "Point", "coordinates": [number(site.longitude_e6), number(site.latitude_e6)] },
            "properties": {
                "traverse_name": site.code.as_str(),
                "descr_nl": site.name_nl,
                "descr_fr": site.name_fr,
                "descr_en": site.name_en,
                "orientation": site.orientation_deg,
                "number_of_lanes": site.detectors.len(),
                "detectors": detectors,
            },
        })
    };
    json!({ "type": "FeatureCollection", "features": sites.iter().map(feature).collect::<Vec<_>>() })
}

/// The newest figures of every interval, or of those asked for.
pub fn live(sites: &[Site], counter: &Counter, intervals: &[Minutes]) -> Value {
    let results = |site: &Site, lane: Option<u8>| {
        let entries = intervals.iter().map(|interval| {
            let figure = counter.figure(&site.code, lane, *interval);
            (interval.word().to_owned(), entry(figure))
        });
        Value::Object(entries.collect::<Map<_, _>>())
    };
    let traverse = |site: &Site| {
        let detectors: Map<_, _> = site
            .detectors
            .iter()
            .map(|detector| (detector.name.clone(), json!({ "results": results(site, Some(detector.lane)) })))
            .collect();
        (site.code.as_str().to_owned(), json!({ "results": results(site, None), "detectors": detectors }))
    };
    json!({ "data": sites.iter().map(traverse).collect::<Map<_, _>>() })
}

fn entry(figure: Option<Figure>) -> Value {
    match figure {
        Some(figure) => json!({
            "count": figure.count,
            "speed": figure.speed_kmh,
            "occupancy": null,
            "start_time": text(figure.from),
            "end_time": text(figure.to),
        }),
        None => json!({
            "count": null,
            "speed": null,
            "occupancy": null,
            "start_time": null,
            "end_time": null,
            "suppressed": true,
        }),
    }
}

/// A JSON number from millionths of a degree, digit by digit.
fn number(e6: i32) -> Value {
    serde_json::from_str(&degrees(e6)).unwrap_or(Value::Null)
}
