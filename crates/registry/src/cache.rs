//! What the registry already answered for a plate on a day, per flow.
//!
//! The key holds the flow, so an answer fetched for one purpose is never used for another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use traffic_rules::Day;
use traffic_rules::lez::{Lookup, VehicleSnapshot};
use vms_core::{Country, Plate};

use crate::flow::FlowId;

/// What an answer is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// The flow that asked.
    pub flow: FlowId,
    /// The plate.
    pub plate: Plate,
    /// Its country.
    pub country: Country,
    /// The day in Brussels that was asked about.
    pub day: Day,
}

/// Keeps answers for a day. Only definite answers (a vehicle, or none) are put in.
pub trait DayCache: Send + Sync + std::fmt::Debug {
    /// The answer kept under the key.
    fn get(&self, key: &CacheKey) -> Option<Lookup>;
    /// Keeps an answer; may decline to.
    fn put(&self, key: CacheKey, answer: Lookup);
    /// Forgets the answers of days before `day`.
    fn forget_before(&self, day: Day);
}

/// A cache in memory. When full it keeps what it has and declines what is new: the plate is then asked again, nothing is lost.
///
/// Vehicles of one make-up (category, class, fuels, norm, …) share one copy of it, so that a day of 360,000 vehicles stays in
/// tens of megabytes; what is a vehicle's own (token, dates, masses) is kept beside its plate.
#[derive(Debug)]
pub struct MemoryDayCache {
    kept: Mutex<Kept>,
    entries_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// By flow and day, so that a day is forgotten whole.
    days: HashMap<(FlowId, Day), HashMap<(Plate, Country), Entry>>,
    entries: usize,
    /// By the make-up's own text.
    make_ups: HashMap<String, Arc<VehicleSnapshot>>,
    /// The last day that was forgotten up to: once a day is enough.
    swept: Option<Day>,
}

/// One answer, packed.
#[derive(Debug)]
enum Entry {
    Unknown,
    NotAsked,
    Found(Box<Own>),
}

/// What is a vehicle's own, and the rest.
#[derive(Debug)]
struct Own {
    make_up: Arc<VehicleSnapshot>,
    vehicle_key: Option<Box<str>>,
    first_registration: Option<Day>,
    registration_from: Option<Day>,
    registration_to: Option<Day>,
    ref_mass_kg: Option<u32>,
    running_order_kg: Option<u32>,
}

impl MemoryDayCache {
    /// Room for a day and a half of distinct vehicles (360,000 a day).
    pub const ENTRIES_MAX: usize = 540_000;
    /// Most make-ups that are shared; a vehicle beyond them keeps a copy of its own.
    pub const MAKE_UPS_MAX: usize = 50_000;

    /// Empty, with room for `entries_max` answers.
    pub fn new(entries_max: usize) -> Self {
        Self { kept: Mutex::new(Kept::default()), entries_max }
    }

    /// Answers kept.
    pub fn len(&self) -> usize {
        self.lock().entries
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryDayCache {
    fn default() -> Self {
        Self::new(Self::ENTRIES_MAX)
    }
}

impl DayCache for MemoryDayCache {
    fn get(&self, key: &CacheKey) -> Option<Lookup> {
        let kept = self.lock();
        let day = kept.days.get(&(key.flow.clone(), key.day))?;
        day.get(&(key.plate.clone(), key.country)).map(Entry::unpack)
    }

    fn put(&self, key: CacheKey, answer: Lookup) {
        let mut kept = self.lock();
        let CacheKey { flow, plate, country, day } = key;
        let (day, vehicle) = ((flow, day), (plate, country));
        let known = kept.days.get(&day).is_some_and(|answers| answers.contains_key(&vehicle));
        if !known && kept.entries >= self.entries_max {
            return;
        }
        let entry = kept.pack(answer);
        if kept.days.entry(day).or_default().insert(vehicle, entry).is_none() {
            kept.entries += 1;
        }
    }

    fn forget_before(&self, day: Day) {
        let mut kept = self.lock();
        if kept.swept != Some(day) {
            kept.days.retain(|(_, of), _| *of >= day);
            kept.entries = kept.days.values().map(HashMap::len).sum();
            // Only the map itself still holds it.
            kept.make_ups.retain(|_, make_up| Arc::strong_count(make_up) > 1);
            kept.swept = Some(day);
        }
    }
}

impl Kept {
    fn pack(&mut self, answer: Lookup) -> Entry {
        let mut vehicle = match answer {
            Lookup::Found { vehicle } => *vehicle,
            Lookup::Unknown => return Entry::Unknown,
            Lookup::NotAsked => return Entry::NotAsked,
        };
        let vehicle_key = vehicle.vehicle_key.take().map(String::into_boxed_str);
        let first_registration = vehicle.first_registration.take();
        let (registration_from, registration_to) = (vehicle.registration_from.take(), vehicle.registration_to.take());
        let (ref_mass_kg, running_order_kg) = (vehicle.ref_mass_kg.take(), vehicle.running_order_kg.take());
        let make_up = self.share(vehicle);
        Entry::Found(Box::new(Own {
            make_up,
            vehicle_key,
            first_registration,
            registration_from,
            registration_to,
            ref_mass_kg,
            running_order_kg,
        }))
    }

    fn share(&mut self, make_up: VehicleSnapshot) -> Arc<VehicleSnapshot> {
        let Ok(text) = serde_json::to_string(&make_up) else { return Arc::new(make_up) };
        if let Some(known) = self.make_ups.get(&text) {
            return Arc::clone(known);
        }
        let shared = Arc::new(make_up);
        if self.make_ups.len() < MemoryDayCache::MAKE_UPS_MAX {
            self.make_ups.insert(text, Arc::clone(&shared));
        }
        shared
    }
}

impl Entry {
    fn unpack(&self) -> Lookup {
        match self {
            Self::Unknown => Lookup::Unknown,
            Self::NotAsked => Lookup::NotAsked,
            Self::Found(own) => Lookup::Found {
                vehicle: Box::new(VehicleSnapshot {
                    vehicle_key: own.vehicle_key.as_deref().map(ToOwned::to_owned),
                    first_registration: own.first_registration,
                    registration_from: own.registration_from,
                    registration_to: own.registration_to,
                    ref_mass_kg: own.ref_mass_kg,
                    running_order_kg: own.running_order_kg,
                    ..(*own.make_up).clone()
                }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::fleet;

    #[test]
    fn answers_are_kept_per_flow_and_day_and_bounded() {
        let cache = MemoryDayCache::new(2);
        let key = |flow: &str, day: &str| CacheKey {
            flow: FlowId::new(flow),
            plate: Plate::parse("1ABC123").unwrap(),
            country: Country::BELGIUM,
            day: day.parse().unwrap(),
        };
        cache.put(key("A", "2026-01-01"), Lookup::Unknown);
        assert_eq!(cache.get(&key("A", "2026-01-01")), Some(Lookup::Unknown));
        assert_eq!(cache.get(&key("B", "2026-01-01")), None);
        assert_eq!(cache.get(&key("A", "2026-01-02")), None);
        cache.put(key("A", "2026-01-02"), Lookup::Unknown);
        cache.put(key("A", "2026-01-03"), Lookup::Unknown);
        assert_eq!((cache.len(), cache.get(&key("A", "2026-01-03"))), (2, None));
        cache.forget_before("2026-01-02".parse().unwrap());
        assert_eq!((cache.len(), cache.get(&key("A", "2026-01-01"))), (1, None));
        assert!(!format!("{:?}", key("A", "2026-01-01")).contains("1ABC123"));
    }

    #[test]
    fn answers_come_back_as_they_went_in_and_share_their_make_up() {
        let cache = MemoryDayCache::default();
        let day: Day = "2026-11-22".parse().unwrap();
        let answers: Vec<_> = (0..2_000)
            .map(|index| {
                let plate = fleet::plate(index * 199).unwrap();
                let vehicle = fleet::vehicle(1, &plate, Country::BELGIUM, day, 0);
                let answer = vehicle.map_or(Lookup::Unknown, |wire| Lookup::Found { vehicle: Box::new(wire.into()) });
                let key = CacheKey { flow: FlowId::new("A"), plate, country: Country::BELGIUM, day };
                cache.put(key.clone(), answer.clone());
                (key, answer)
            })
            .collect();
        for (key, answer) in answers {
            assert_eq!(cache.get(&key), Some(answer));
        }
        assert!(cache.lock().make_ups.len() < 300, "{}", cache.lock().make_ups.len());
        cache.forget_before(day.plus_days(1));
        assert!(cache.is_empty() && cache.lock().make_ups.is_empty());
    }

    /// Time and memory of a whole fleet of 400,000; `cargo test -p registry --release -- --ignored --nocapture whole_fleet`.
    #[test]
    #[ignore = "a measurement"]
    fn whole_fleet() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
        };
        let day: Day = "2026-11-22".parse().unwrap();
        let (start, before) = (tokio::time::Instant::now(), resident());
        let cache = MemoryDayCache::default();
        for index in 0..fleet::FLEET_SIZE {
            let plate = fleet::plate(index).unwrap();
            let vehicle = fleet::vehicle(1, &plate, Country::BELGIUM, day, 0);
            let answer = vehicle.map_or(Lookup::Unknown, |wire| Lookup::Found { vehicle: Box::new(wire.into()) });
            cache.put(CacheKey { flow: FlowId::new("DS-LEZ-VEH"), plate, country: Country::BELGIUM, day }, answer);
        }
        let (took, after) = (start.elapsed(), resident());
        println!("{} answers drawn and kept in {took:?}: {} MiB resident, {before} before", cache.len(), after);
        assert_eq!(cache.len(), 400_000);
    }
}
