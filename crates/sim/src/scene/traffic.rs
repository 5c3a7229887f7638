//! Who drives where and when: vehicles, their plates, their passages, and the truth about them.

use super::canvas::Rgb;
use super::car::Body;
use super::site::{SiteKind, View};
use crate::dice::Dice;

/// What the registry knows of a vehicle; the file `fleet.jsonl` that the registry stub loads.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FleetRow {
    /// Canonical text, letters and digits only.
    pub plate: String,
    /// Distinguishing sign.
    pub country: String,
    /// European category, such as `M1`.
    pub category: String,
    /// Class within the category, or empty.
    pub class: String,
    /// Fuel, such as `diesel`.
    pub fuel: String,
    /// Euro norm, such as `6d`; empty when the register does not say.
    pub euro_norm: String,
    /// Date of first registration.
    pub first_registration: String,
    /// Reference mass, kilograms.
    pub ref_mass: Option<u32>,
}

/// What a vehicle is, for the low-emission zone, and what its first read must lead to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LezTruth {
    /// The register's data; absent for vehicles it does not know.
    #[serde(flatten)]
    pub fleet: Option<FleetRow>,
    /// Outcome of a first read in 2026 or 2027 (see `data/vehicles.csv` for the source).
    pub outcome_2026: String,
}

/// One line of `truth.jsonl`: a plate crosses a read line.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TruthRow {
    /// Canonical text.
    pub plate: String,
    /// Distinguishing sign.
    pub country: String,
    /// Code of the camera.
    pub camera: String,
    /// Number of the camera in the simulator, from 1.
    pub camera_number: u32,
    /// Seconds into the film at which the plate crosses the read line. Repeats with the film.
    pub t_line: f64,
    /// Speed, km/h.
    pub speed_kmh: f64,
    /// Lane, from 1 at the left of the picture.
    pub lane: u32,
    /// `approaching` (front plate) or `receding` (rear plate).
    pub direction: String,
    /// Width of the plate at the read line, pixels.
    pub plate_px: f64,
    /// Corners of the plate at the read line, pixels, from the top left clockwise.
    pub corners: [[f64; 2]; 4],
    /// Low-emission zone data.
    pub lez: LezTruth,
}

/// A kind of vehicle, one line of `data/vehicles.csv`.
#[derive(Clone, Debug, serde::Deserialize)]
struct Kind {
    weight: u32,
    body: String,
    plate: String,
    category: String,
    class: String,
    fuel: String,
    euro_norm: String,
    first_registration: String,
    ref_mass: Option<u32>,
    outcome_2026: String,
}

/// One vehicle of the town.
#[derive(Clone, Debug)]
pub(super) struct Vehicle {
    /// As written on the plate.
    pub(super) text: String,
    pub(super) country: &'static str,
    pub(super) body: Body,
    pub(super) colour: Rgb,
    pub(super) lez: LezTruth,
}

impl Vehicle {
    pub(super) fn canonical(&self) -> String {
        self.text.chars().filter(char::is_ascii_alphanumeric).collect()
    }
}

/// One vehicle before one camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Passage {
    /// Index of the vehicle.
    pub(super) vehicle: usize,
    /// Index of the lane in the view.
    pub(super) lane: usize,
    /// Metres off the lane's middle.
    pub(super) off: f32,
    /// Seconds into the film at the read line.
    pub(super) t_line: f32,
    /// Metres per second.
    pub(super) speed: f32,
}

/// Vehicles and, for each camera, its passages.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) vehicles: Vec<Vehicle>,
    pub(super) passages: Vec<Vec<Passage>>,
}

/// Vehicles that try to enter the town in a film.
const VEHICLES: usize = 34;
/// Smallest time between two vehicles on a lane, seconds.
const HEADWAY: f32 = 3.4;
/// Tries to find room for a vehicle before it stays at home.
const TRIES: usize = 120;

/// Letters issued in ordinary Belgian groups, without those that look like digits.
const BELGIAN: &str = "ABCDEFGHJKLNPRSTUVXYZ";
const DUTCH: &str = "BDFGHJKLNPRSTVXZ";
const FRENCH: &str = "ABCDEFGHJKLMNPQRSTVWXYZ";

/// Paint of common cars.
const PAINTS: [Rgb; 10] = [
    Rgb(196.0, 198.0, 202.0),
    Rgb(232.0, 232.0, 230.0),
    Rgb(34.0, 36.0, 40.0),
    Rgb(92.0, 96.0, 102.0),
    Rgb(146.0, 28.0, 32.0),
    Rgb(34.0, 62.0, 118.0),
    Rgb(66.0, 84.0, 70.0),
    Rgb(138.0, 142.0, 148.0),
    Rgb(20.0, 30.0, 52.0),
    Rgb(176.0, 160.0, 132.0),
];

/// A column of the vehicle table that nobody can read is a mistake in this crate.
#[derive(Debug, thiserror::Error)]
#[error("the built-in vehicle table is broken")]
pub struct VehicleTableError(#[from] csv::Error);

fn kinds() -> Result<Vec<Kind>, VehicleTableError> {
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(include_bytes!("../../data/vehicles.csv").as_slice());
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

/// Draws lots for a film of `seconds` and makes sure that nobody runs into anybody.
pub(super) fn plan(views: &[View], seconds: f32, seed: u64) -> Result<Traffic, VehicleTableError> {
    let kinds = kinds()?;
    let mut dice = Dice::new(seed ^ 0x7_aff1c);
    let mut traffic = Traffic { vehicles: Vec::new(), passages: vec![Vec::new(); views.len()] };
    for number in 0..VEHICLES {
        let vehicle = vehicle(&kinds, number, &mut dice);
        for _ in 0..TRIES {
            let route = route(views, number, seconds, &mut dice);
            let free = route.iter().all(|(view, passage)| {
                let others = traffic.passages.get(*view).map(Vec::as_slice).unwrap_or_default();
                others
                    .iter()
                    .all(|other| other.lane != passage.lane || apart(other.t_line, passage.t_line, seconds) >= HEADWAY)
            });
            if free {
                let index = traffic.vehicles.len();
                for (view, passage) in route {
                    if let Some(list) = traffic.passages.get_mut(view) {
                        list.push(Passage { vehicle: index, ..passage });
                    }
                }
                traffic.vehicles.push(vehicle);
                break;
            }
        }
    }
    for list in &mut traffic.passages {
        list.sort_by(|a, b| a.t_line.total_cmp(&b.t_line));
    }
    Ok(traffic)
}

/// Every lane of every camera that reads plates full of vehicles, nose to tail but for `crowd.gap` and up to half of it
/// more. Each vehicle passes one camera only, so that every passage has a plate of its own.
pub(super) fn crowd(
    views: &[View],
    seconds: f32,
    seed: u64,
    crowd: super::Crowd,
) -> Result<Traffic, VehicleTableError> {
    let kinds = kinds()?;
    let mut dice = Dice::new(seed ^ 0xc0_117d);
    let mut traffic = Traffic { vehicles: Vec::new(), passages: Vec::new() };
    for view in views {
        let mut list = Vec::new();
        let lanes = view.lanes.iter().enumerate().filter(|_| is_read(view.kind));
        for (lane, way) in lanes {
            let speed = view.speed * dice.between(0.9, 1.1);
            let mut t_line = dice.between(0.0, 2.0);
            let mut before: Option<Vehicle> = None;
            loop {
                let next = follower(&kinds, before.as_ref(), crowd.twins, traffic.vehicles.len(), &mut dice);
                if let Some(before) = &before {
                    // Plates are in front or behind: what lies between two of them is the vehicle nearer to the camera.
                    let between = if way.approaching { before.body.length() } else { next.body.length() };
                    t_line += (between + crowd.gap * dice.between(1.0, 1.5)) / speed;
                }
                // The film is a loop: the last vehicle keeps away from the first.
                if t_line > seconds - (12.0 + crowd.gap) / speed {
                    break;
                }
                let off = dice.between(-0.22, 0.22);
                list.push(Passage { vehicle: traffic.vehicles.len(), lane, off, t_line, speed });
                traffic.vehicles.push(next.clone());
                before = Some(next);
            }
        }
        list.sort_by(|a, b| a.t_line.total_cmp(&b.t_line));
        traffic.passages.push(list);
    }
    Ok(traffic)
}

/// The next vehicle of a queue; `twins` of a hundred carry the plate of the one before but for one character.
fn follower(kinds: &[Kind], before: Option<&Vehicle>, twins: u8, number: usize, dice: &mut Dice) -> Vehicle {
    let mut next = vehicle(kinds, number, dice);
    let is_twin = dice.below(100) < usize::from(twins);
    if let Some(before) = before.filter(|_| is_twin) {
        next.text = twin_of(&before.text, if before.country == "B" { BELGIAN } else { DUTCH }, dice);
        next.country = before.country;
        next.lez = LezTruth { fleet: None, outcome_2026: "UNKNOWN".to_owned() };
    }
    next
}

/// The same text with another character in one place: a digit for a digit, a letter for one of `letters`.
fn twin_of(text: &str, letters: &str, dice: &mut Dice) -> String {
    let places: Vec<usize> =
        text.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).map(|(at, _)| at).skip(1).collect();
    let place = dice.pick(&places);
    let other = |c: char, dice: &mut Dice| {
        let set = if c.is_ascii_digit() { "123456789" } else { letters };
        let others: Vec<char> = set.chars().filter(|o| *o != c).collect();
        dice.pick(&others).unwrap_or(c)
    };
    text.char_indices().map(|(at, c)| if Some(at) == place { other(c, dice) } else { c }).collect()
}

/// Seconds between two moments of a loop.
pub(super) fn apart(a: f32, b: f32, seconds: f32) -> f32 {
    let gap = (a - b).rem_euclid(seconds);
    gap.min(seconds - gap)
}

/// The cameras that a vehicle passes and when. Two thirds drive into town.
fn route(views: &[View], number: usize, seconds: f32, dice: &mut Dice) -> Vec<(usize, Passage)> {
    let inbound = number % 3 != 2;
    let (start, pace) = (dice.between(0.0, seconds), dice.between(0.965, 1.035));
    let enters = if inbound { dice.pick(&[0.0, 0.0, 0.0, 330.0]) } else { Some(0.0) }.unwrap_or(0.0);
    let leaves = dice.pick(&[200.0, 400.0, 600.0, 600.0]).unwrap_or(600.0);
    let mut out = Vec::new();
    for (index, view) in views.iter().enumerate() {
        if view.along < enters || (inbound && view.along > leaves) {
            continue;
        }
        let lanes: Vec<usize> =
            view.lanes.iter().enumerate().filter(|(_, lane)| lane.approaching == inbound).map(|(n, _)| n).collect();
        let Some(lane) = dice.pick(&lanes) else { continue };
        // The way between two cameras is driven at about 11 m/s.
        let way = if inbound { view.along } else { 520.0 - view.along };
        let t_line = (start + way / (11.0 * pace)).rem_euclid(seconds);
        let off = dice.between(-0.22, 0.22);
        out.push((index, Passage { vehicle: 0, lane, off, t_line, speed: view.speed * pace }));
    }
    out
}

fn vehicle(kinds: &[Kind], number: usize, dice: &mut Dice) -> Vehicle {
    let foreign = match number % 17 {
        2 => Some("F"),
        5 => Some("NL"),
        9 => Some("D"),
        12 => Some("L"),
        14 => Some("NL"),
        _ => None,
    };
    let total: usize = kinds.iter().map(|k| usize::try_from(k.weight).unwrap_or(0)).sum();
    let mut ticket = dice.below(total);
    let kind = kinds.iter().find(|k| {
        let weight = usize::try_from(k.weight).unwrap_or(0);
        let hit = ticket < weight;
        ticket = ticket.saturating_sub(weight);
        hit
    });
    let body = match kind.map(|k| k.body.as_str()) {
        Some("estate") => Body::Estate,
        Some("van") => Body::Van,
        Some("lorry") => Body::Lorry,
        _ => Body::Hatchback,
    };
    let colour = match body {
        Body::Van => dice.pick(&[Rgb(234.0, 234.0, 232.0), Rgb(190.0, 192.0, 196.0), Rgb(50.0, 84.0, 140.0)]),
        Body::Hatchback | Body::Estate | Body::Lorry => dice.pick(&PAINTS),
    };
    let country = foreign.unwrap_or("B");
    let text = plate_text(country, kind.map_or("standard", |k| k.plate.as_str()), dice);
    let mut vehicle = Vehicle {
        text,
        country,
        body,
        colour: colour.unwrap_or(Rgb(120.0, 120.0, 120.0)),
        lez: LezTruth { fleet: None, outcome_2026: "FOREIGN".to_owned() },
    };
    if let (None, Some(kind)) = (foreign, kind) {
        let row = FleetRow {
            plate: vehicle.canonical(),
            country: country.to_owned(),
            category: kind.category.clone(),
            class: kind.class.clone(),
            fuel: kind.fuel.clone(),
            euro_norm: kind.euro_norm.clone(),
            first_registration: kind.first_registration.clone(),
            ref_mass: kind.ref_mass,
        };
        let known = !kind.category.is_empty();
        vehicle.lez = LezTruth { fleet: known.then_some(row), outcome_2026: kind.outcome_2026.clone() };
    }
    vehicle
}

/// A plate as written, after `domain.md` F.
fn plate_text(country: &str, kind: &str, dice: &mut Dice) -> String {
    // L: a letter of the Belgian set, N: Dutch, F: French, 9: a digit, 1: the first digit of a Belgian plate.
    let pattern = match (country, kind) {
        ("NL", _) => dice.pick(&["NN-999-N", "N-999-NN", "99-NNN-9"]),
        ("F", _) => Some("FF-999-FF"),
        ("D", _) => dice.pick(&["AC LL 999", "K LL 9999", "BN LL 999", "D L 9999"]),
        ("L", _) => Some("LL 9999"),
        (_, "old") => Some("LLL-999"),
        (_, "taxi") => Some("T-XLL-999"),
        (_, "oldtimer") => Some("O-LLL-999"),
        _ => Some("1-LLL-999"),
    };
    let one = |dice: &mut Dice, set: &str| {
        let all: Vec<char> = set.chars().collect();
        dice.pick(&all).unwrap_or('A')
    };
    let german = country == "D";
    let mut placed_city = false;
    let mut text = String::new();
    for c in pattern.unwrap_or("1-LLL-999").chars() {
        // The city letters of a German pattern stand as they are.
        if german && !placed_city {
            placed_city = c == ' ';
            text.push(c);
            continue;
        }
        let drawn = match c {
            'L' => one(dice, BELGIAN),
            'N' => one(dice, DUTCH),
            'F' => one(dice, FRENCH),
            // German numbers do not start with 0; leaving 0 out everywhere else costs nothing.
            '9' => one(dice, "123456789"),
            '1' => one(dice, "1122"),
            other => other,
        };
        text.push(drawn);
    }
    text
}

/// Whether plates can be read at a camera of this kind.
pub(super) fn is_read(kind: SiteKind) -> bool {
    match kind {
        SiteKind::Lez | SiteKind::Zbt => true,
        SiteKind::Overview => false,
    }
}
