//! The fleet file: the truth for some plates, one JSON object a line.
//!
//! `plate` and `country` say which; `"known": false` makes the plate unknown; every other field of
//! [`crate::wire::WireVehicle`] that stands in the row wins over the drawn vehicle, `null` makes it missing. A row with a
//! `category` starts from an empty vehicle (only its registration is drawn), so that no drawn class or mass contradicts
//! it; it should then name `fuels` and `euro_norm` too. A row never draws a fault. A norm without `norm_source` counts as
//! `certificate`. `fuel` (one word) and `ref_mass` are read too, and an empty text is a missing one. Fields that are no vehicle's (times, cameras, speeds of a truth file) are passed over; of two rows for a
//! plate the last counts.

use std::collections::HashMap;

use serde_json::{Map, Value};
use vms_core::{Country, Plate};

use super::fleet;
use crate::wire::WireVehicle;

/// Most rows of a fleet file.
pub const ROWS_MAX: usize = 1_000_000;

/// Why a fleet file cannot be used. Names the line, never the plate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the fleet file: {problem}")]
pub struct FleetFileError {
    line: usize,
    problem: &'static str,
}

/// The rows of a fleet file: checked when read, kept as their own lines, so that 400,000 of them stay at about 100 MiB.
#[derive(Debug, Default)]
pub(super) struct FleetRows {
    lines: HashMap<(Plate, Country), Box<str>>,
    fleet_key: u64,
}

impl FleetRows {
    /// How many plates the file names.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// What the file says of a plate: nothing, that nobody knows it, or its vehicle.
    pub(super) fn get(&self, plate: &Plate, country: Country) -> Option<Option<WireVehicle>> {
        let line = self.lines.get(&(plate.clone(), country))?;
        row(line, self.fleet_key).ok().map(|(_, vehicle)| vehicle)
    }
}

/// Reads a fleet file.
pub(super) fn read(text: &str, fleet_key: u64) -> Result<FleetRows, FleetFileError> {
    let mut rows = FleetRows { lines: HashMap::new(), fleet_key };
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if rows.lines.len() == ROWS_MAX {
            return Err(FleetFileError { line: at + 1, problem: "too many rows" });
        }
        let (key, _) = row(line, fleet_key).map_err(|problem| FleetFileError { line: at + 1, problem })?;
        rows.lines.insert(key, line.into());
    }
    Ok(rows)
}

fn row(line: &str, fleet_key: u64) -> Result<((Plate, Country), Option<WireVehicle>), &'static str> {
    let mut row: Map<String, Value> = serde_json::from_str(line).map_err(|_| "not a JSON object")?;
    for value in row.values_mut().filter(|value| value.as_str() == Some("")) {
        *value = Value::Null;
    }
    let plate = row.get("plate").and_then(Value::as_str).and_then(|text| Plate::parse(text).ok()).ok_or("no plate")?;
    let sign = row.get("country").and_then(Value::as_str).unwrap_or("B");
    let country = Country::parse(sign).ok_or("not a country's sign")?;
    if let Some(fuel) = row.remove("fuel") {
        let fuels = if fuel.is_null() { Value::Null } else { Value::Array(vec![fuel]) };
        row.entry("fuels").or_insert(fuels);
    }
    if let Some(mass) = row.remove("ref_mass") {
        row.entry("ref_mass_kg").or_insert(mass);
    }
    if row.get("known") == Some(&Value::Bool(false)) {
        return Ok(((plate, country), None));
    }
    let drawn = fleet::sound(fleet_key, &plate, country);
    let base = if row.contains_key("category") {
        let (vehicle_key, registration_from) = (drawn.vehicle_key, drawn.registration_from);
        WireVehicle { vehicle_key, registration_from, ..WireVehicle::default() }
    } else {
        drawn
    };
    // A registration does not start before the vehicle's first one.
    if row.contains_key("first_registration") && !row.contains_key("registration_from") {
        let first = row.get("first_registration").cloned().unwrap_or(Value::Null);
        row.insert("registration_from".to_owned(), first);
    }
    if row.contains_key("euro_norm") && !row.contains_key("norm_source") {
        row.insert("norm_source".to_owned(), Value::String("certificate".to_owned()));
    }
    let Ok(Value::Object(mut merged)) = serde_json::to_value(base) else { return Err("the vehicle cannot be built") };
    for (field, value) in row {
        if let Some(slot) = merged.get_mut(&field) {
            // A missing list is an empty one.
            *slot = if field == "fuels" && value.is_null() { Value::Array(Vec::new()) } else { value };
        }
    }
    let vehicle =
        serde_json::from_value(Value::Object(merged)).map_err(|_| "a field of the vehicle has the wrong form")?;
    Ok(((plate, country), Some(vehicle)))
}

/// Reads any bytes as a fleet file: never panics. For fuzzing.
pub fn fuzz_fleet_file(data: &[u8]) {
    drop(read(&String::from_utf8_lossy(data), 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffic_rules::lez::{History, LezInput, LezVerdict, Lookup, PlateReading, RuleSet, decide};

    fn one(line: &str) -> Option<WireVehicle> {
        let rows = read(line, 1).unwrap();
        let (plate, country) = rows.lines.keys().next().unwrap();
        rows.get(plate, *country).unwrap()
    }

    #[test]
    fn rows_win_field_by_field() {
        let drawn = one(r#"{"plate":"1-ABC-123","country":"B","camera":"cam","speed":50}"#).unwrap();
        let changed = one(r#"{"plate":"1ABC123","fuels":["diesel"],"euro_norm":"4"}"#).unwrap();
        assert_eq!((changed.category, changed.vehicle_key), (drawn.category, drawn.vehicle_key));
        assert_eq!((changed.fuels, changed.euro_norm), (vec!["diesel".to_owned()], Some("4".to_owned())));
        assert_eq!(changed.norm_source.as_deref(), Some("certificate"));
        let silent = one(r#"{"plate":"1ABC123","euro_norm":null,"fuels":null}"#).unwrap();
        assert_eq!((silent.euro_norm, silent.fuels.len()), (None, 0));
        let whole = one(r#"{"plate":"AB123CD","country":"F","category":"N1","fuels":["diesel"],"euro_norm":"5","first_registration":"2012-05-01"}"#).unwrap();
        assert_eq!((whole.class, whole.ref_mass_kg), (None, None));
        assert_eq!(whole.registration_from, Some("2012-05-01".parse().unwrap()));
        assert_eq!(one(r#"{"plate":"1ABC123","known":false}"#), None);
    }

    /// The simulator's kinds of vehicles, as rows of its fleet file, lead to the outcomes that it states.
    #[test]
    fn the_simulators_vehicles_have_their_outcomes() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/data/vehicles.csv");
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_path(path).unwrap();
        let mut seen = 0;
        for row in reader.deserialize::<HashMap<String, String>>() {
            let kind = row.unwrap();
            let (plate, wanted) =
                (if kind["plate"] == "oldtimer" { "OABC123" } else { "1ABC123" }, &kind["outcome_2026"]);
            if wanted == "UNKNOWN" {
                continue;
            }
            let mass: Option<u32> = kind["ref_mass"].parse().ok();
            let row = serde_json::json!({
                "plate": plate, "country": "B", "category": kind["category"], "class": kind["class"], "fuel": kind["fuel"],
                "euro_norm": kind["euro_norm"], "first_registration": kind["first_registration"], "ref_mass": mass,
            });
            assert_eq!(&outcome(plate, one(&row.to_string()).unwrap()), wanted, "{row}");
            seen += 1;
        }
        assert!(seen >= 10);
    }

    fn outcome(plate: &str, vehicle: WireVehicle) -> &'static str {
        let classified = traffic_rules::plate_type(&Plate::parse(plate).unwrap(), Country::BELGIUM);
        let input = LezInput {
            at: vms_core::WallTime::from_secs(1_795_345_200),
            country: Country::BELGIUM,
            reading: PlateReading {
                kind: classified.kind,
                corrected: false,
                country_sure: true,
                auto_accept: classified.auto_accept,
                confirmed: false,
            },
            segment: None,
            vehicle: Lookup::Found { vehicle: Box::new(vehicle.into()) },
            foreign_registration: None,
            exemptions: Vec::new(),
            passes: Vec::new(),
            history: History::default(),
        };
        match decide(RuleSet::embedded_once(), &input).verdict {
            LezVerdict::Allowed => "ALLOWED",
            LezVerdict::Exempt { .. } => "EXEMPT",
            LezVerdict::Pass => "PASS",
            LezVerdict::Infraction { .. } => "INFRACTION",
            LezVerdict::Warning { .. } => "WARNING",
            LezVerdict::NoFineInWindow { .. } => "NO_FINE",
            LezVerdict::Undetermined => "UNDETERMINED",
            LezVerdict::OutOfScope => "OUT_OF_SCOPE",
        }
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let good = r#"{"plate":"1ABC123"}"#;
        for (bad, wanted) in [
            ("nonsense", "line 3 of the fleet file: not a JSON object"),
            (r#"{"plate":"ÄÄ"}"#, "line 3 of the fleet file: no plate"),
            (r#"{"plate":"1ABC124","country":"belgium"}"#, "line 3 of the fleet file: not a country's sign"),
            (
                r#"{"plate":"1ABC124","ref_mass_kg":"heavy"}"#,
                "line 3 of the fleet file: a field of the vehicle has the wrong form",
            ),
        ] {
            let error = read(&format!("{good}\n\n{bad}\n"), 1).unwrap_err();
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        for data in [&b""[..], b"\xff", b"{}", b"{\"plate\":\"A\",\"fuels\":3}", b"[]\n{\"plate\":1}"] {
            fuzz_fleet_file(data);
        }
    }

    /// Time and memory of a file of 400,000 rows; `cargo test -p registry -- --ignored --nocapture whole_file`.
    #[test]
    #[ignore = "a measurement"]
    fn whole_file() {
        let mut text = String::new();
        for index in 0..fleet::FLEET_SIZE {
            let plate = fleet::plate(index).unwrap();
            let row = serde_json::json!({
                "plate": plate.reveal(), "country": "B", "category": "M1", "fuels": ["diesel"], "euro_norm": "5",
                "first_registration": "2012-05-01", "ref_mass_kg": 1_400,
            });
            text.push_str(&row.to_string());
            text.push('\n');
        }
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
        };
        let (start, before) = (tokio::time::Instant::now(), resident());
        let rows = read(&text, 1).unwrap();
        let (took, after) = (start.elapsed(), resident());
        println!(
            "{} rows of {} MiB read in {took:?}: {after} MiB resident, {before} before",
            rows.len(),
            text.len() >> 20
        );
        assert_eq!(rows.lines.len(), 400_000);
    }
}
