//! All tables of the zones with restricted access together, with one version.

use super::fine::FineTable;
use super::right::{self, Right};
use super::zone::{self, Zone};
use super::{RightCode, ZoneCode};
use crate::calendar::Holidays;
use crate::seed::{RuleSetVersion, SeedError, seed_texts};

seed_texts!("zbt": zones = "zones.toml", rights = "rights.toml", fines = "fines.toml", holidays = "holidays.toml");

/// The tables of the zones with restricted access.
#[derive(Clone, Debug)]
pub struct RuleSet {
    pub(crate) zones: Vec<Zone>,
    pub(crate) rights: Vec<Right>,
    pub(crate) fines: FineTable,
    pub(crate) holidays: Holidays,
    version: RuleSetVersion,
}

impl RuleSet {
    /// Reads tables.
    ///
    /// # Errors
    /// [`SeedError`] names the file, the entry, and the problem.
    pub fn load(texts: SeedTexts<'_>) -> Result<Self, SeedError> {
        let zones = zone::load(texts.zones)?;
        let codes: Vec<ZoneCode> = zones.iter().map(|zone| zone.code.clone()).collect();
        let version = texts.version();
        Ok(Self {
            rights: right::load(texts.rights, &codes)?,
            fines: FineTable::load(texts.fines)?,
            holidays: Holidays::load(texts.holidays)?,
            zones,
            version,
        })
    }

    /// Every zone, those that are not enabled too.
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// Every right.
    pub fn rights(&self) -> &[Right] {
        &self.rights
    }

    /// Fines and terms.
    pub fn fines(&self) -> &FineTable {
        &self.fines
    }

    /// Public holidays.
    pub fn holidays(&self) -> &Holidays {
        &self.holidays
    }

    /// The zone with this code.
    pub fn zone(&self, code: &ZoneCode) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.code == *code)
    }

    /// The right with this code.
    pub fn right(&self, code: &RightCode) -> Option<&Right> {
        self.rights.iter().find(|right| right.code == *code)
    }
}

/// Reads any bytes as each of the tables: never panics. For fuzzing.
pub fn fuzz_tables(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let good = SeedTexts::embedded();
    for texts in [
        SeedTexts { zones: &text, ..good },
        SeedTexts { rights: &text, ..good },
        SeedTexts { fines: &text, ..good },
        SeedTexts { holidays: &text, ..good },
    ] {
        drop(RuleSet::load(texts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_tables_have_every_zone_and_right() {
        let set = RuleSet::embedded();
        let zones: Vec<_> = set.zones().iter().map(|zone| zone.code.as_str()).collect();
        assert_eq!(zones, ["ZBT-XL-A", "ZBT-XL-B", "ZBT-XL-C", "ZBT-BXL-PENTAGON"]);
        let rights: Vec<_> = set.rights().iter().map(|right| right.code.as_str()).collect();
        assert_eq!(
            rights.join(" "),
            "Z-BIKE Z-SERV Z-PRIO Z-PT Z-MIL Z-TAXI Z-GARAGE Z-MED Z-DIS-RES Z-DIS-EXT Z-RES Z-DELIV Z-DAY"
        );
        assert_eq!(set.version(), RuleSet::embedded_once().version());
        let terms = set.fines().procedure("2026-11-22".parse().unwrap()).unwrap();
        assert_eq!((terms.notice_days, terms.defence_days, terms.decision_months), (15, 30, 6));
    }

    #[test]
    fn a_bad_table_is_named_with_its_entry() {
        let good = SeedTexts::embedded();
        for (from, to, wanted) in [
            ("\"ZBT-XL-B\"\nmuni", "\"ZBT-XL-A\"\nmuni", "`zones.toml`, entry `ZBT-XL-A`: the code stands twice"),
            ("\"ZBT-XL-B-DAY\"", "\"ZBT-XL-A-DAY\"", "`zones.toml`, entry `ZBT-XL-A-DAY`: the id stands twice"),
            ("pair_hours = 24", "pair_hours = 25", "`zones.toml`, entry `ZBT-XL-A`: `pair_hours` is 1 to 24"),
            ("to = \"19:00\"", "to = \"07:00\"", "entry `ZBT-XL-A-DAY`: a window starts where it ends, or at 24:00"),
            ("\"mon\", \"tue\"", "\"mon\", \"mon\"", "entry `ZBT-XL-A-DAY`: a window names a day twice"),
            ("from = \"07:00\"", "from = \"7:00\"", "not a clock time of the form HH:MM"),
            ("valid_from = 2018-07-07", "valid_from = 2018-07-07\nvalid_to = 2018-07-06", "before it starts"),
        ] {
            let zones = good.zones.replacen(from, to, 1);
            let error = RuleSet::load(SeedTexts { zones: &zones, ..good }).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        for (from, to, wanted) in [
            ("[\"ZBT-XL-B\"]", "[\"ZBT-NONE\"]", "`rights.toml`, entry `Z-RES`: there is no zone `ZBT-NONE`"),
            ("lists = [\"bicycle\"]", "months_max = 1", "entry `Z-BIKE`: a right by list names lists"),
            ("per_place_max = 3", "per_place_max = 0", "entry `Z-GARAGE`: a right by permit names no lists"),
            ("\"Z-MED\"", "\"Z-GARAGE\"", "entry `Z-GARAGE`: the code stands twice"),
        ] {
            let rights = good.rights.replacen(from, to, 1);
            let error = RuleSet::load(SeedTexts { rights: &rights, ..good }).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        for (from, to, wanted) in [
            ("amount_cents = 5800", "amount_cents = 0", "entry `ZBT-C3`: amount and source must be given"),
            ("\"EUR\"", "\"euro\"", "entry `ZBT-C3`: the currency is three upper-case letters"),
            ("vehicle_zone_day\"", "never\"", "unknown variant `never`"),
        ] {
            let fines = good.fines.replacen(from, to, 1);
            let error = RuleSet::load(SeedTexts { fines: &fines, ..good }).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        let corpus: [&[u8]; 6] =
            [b"", b"\xff\xfe", b"[[zone]]\ncode = 1", b"[[holiday]]\nmonth = 13", b"zone = []", b"[[right]]\n["];
        for data in corpus {
            fuzz_tables(data);
        }
    }
}
