//! What a plate's text says: its kind (Belgium) and the countries whose grammar it fits (`seed/plates.toml`, `domain.md` F).
//!
//! Only a hint: the last word on a plate's kind is the registry's, and a text that fits a country's grammar is support for
//! that country, never proof.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use vms_core::{Country, Plate};

use crate::pattern::Pattern;
use crate::seed::{RuleSetVersion, SeedError, TomlDay, Validity, read_toml};

const FILE: &str = "plates.toml";
const TEXT: &str = include_str!("../../../seed/plates.toml");

static EMBEDDED: LazyLock<PlateBook> =
    LazyLock::new(|| PlateBook::load(TEXT).expect("the embedded plate grammars should be sound: a test loads them"));

/// What kind of plate a text is, or the registry says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlateKind {
    /// The usual car plate since 2010.
    Standard,
    /// Plate of an international institution (8-…).
    International,
    /// Personalised, with index 9.
    PersonalisedOldIndex,
    /// Personalised, free text.
    Personalised,
    /// Series of 1951 to 1973.
    Series1951,
    /// Series of 1973 to 2008.
    Series1973,
    /// Series of 2008 to 2010.
    Series2008,
    /// Motorcycle.
    Motorcycle,
    /// Moped.
    Moped,
    /// Oldtimer.
    Oldtimer,
    /// Trailer: not a motor vehicle.
    Trailer,
    /// Taxi or hire with driver.
    Taxi,
    /// Agricultural vehicle.
    Agricultural,
    /// Trade plate (test drive, dealer, professional): the registry names no vehicle.
    Trade,
    /// Diplomatic.
    Diplomatic,
    /// Royal Court.
    Court,
    /// Parliament or executive.
    Executive,
    /// Transit plate with an expiry date.
    Transit,
    /// A plate of another country.
    Foreign,
    /// A Belgian text that fits no grammar.
    Unknown,
}

impl PlateKind {
    /// The kind with this word, as in the tables and in JSON.
    pub fn from_word(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
    }
}

/// Names one entry of the plate grammars.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GrammarId {
    name: Arc<str>,
    fallback: bool,
}

impl GrammarId {
    /// The entry's id, such as `B-standard`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether the grammar fits so much that fitting it is no support for its country.
    pub fn is_fallback(&self) -> bool {
        self.fallback
    }
}

impl std::fmt::Debug for GrammarId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What the text of a plate says about its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// The kind.
    pub kind: PlateKind,
    /// The first grammar that fits; `None` when none does, or for another country.
    pub grammar: Option<GrammarId>,
    /// `false`: such a text is never taken from a picture without a person.
    pub auto_accept: bool,
}

/// The plate grammars.
#[derive(Clone, Debug)]
pub struct PlateBook {
    belgian: Vec<Grammar>,
    foreign: Vec<Grammar>,
    confusions: Vec<Vec<char>>,
    registry_codes: BTreeMap<String, PlateKind>,
    version: RuleSetVersion,
}

#[derive(Clone, Debug)]
struct Grammar {
    id: GrammarId,
    country: Country,
    kind: PlateKind,
    patterns: Vec<Pattern>,
    needs_letter: bool,
    auto_accept: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    belgian: Vec<RawGrammar>,
    foreign: Vec<RawGrammar>,
    confusion: RawConfusion,
    registry_codes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfusion {
    groups: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrammar {
    id: String,
    kind: Option<PlateKind>,
    country: Option<String>,
    #[serde(rename = "iso2")]
    _iso2: Option<String>,
    #[serde(rename = "iso3")]
    _iso3: Option<String>,
    patterns: Vec<String>,
    ok: Vec<String>,
    #[serde(default)]
    no: Vec<String>,
    #[serde(default)]
    needs_letter: bool,
    #[serde(default)]
    fallback: bool,
    auto_accept: Option<bool>,
    valid_from: Option<TomlDay>,
    valid_to: Option<TomlDay>,
    source: String,
}

impl PlateBook {
    /// The grammars that were embedded at build time.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads grammars; every entry must fit its own samples.
    ///
    /// # Errors
    /// [`SeedError`] names the entry and the problem.
    pub fn load(text: &str) -> Result<Self, SeedError> {
        let raw: RawBook = read_toml(FILE, text)?;
        let belgian = raw.belgian.into_iter().map(|raw| raw.compile(true)).collect::<Result<Vec<_>, _>>()?;
        let foreign = raw.foreign.into_iter().map(|raw| raw.compile(false)).collect::<Result<Vec<_>, _>>()?;
        let confusions = raw.confusion.groups.iter().map(|group| group.chars().collect()).collect();
        let mut registry_codes = BTreeMap::new();
        for (code, word) in raw.registry_codes.into_iter().filter(|(code, _)| code != "source") {
            let kind = PlateKind::from_word(&word);
            let kind = kind.ok_or_else(|| SeedError::entry(FILE, &code, format!("`{word}` is no kind of plate")))?;
            registry_codes.insert(code, kind);
        }
        Ok(Self { belgian, foreign, confusions, registry_codes, version: RuleSetVersion::of([(FILE, text)]) })
    }

    /// The version of the text that the grammars were read from.
    pub fn version(&self) -> &RuleSetVersion {
        &self.version
    }

    /// The kind of a plate by its text alone.
    pub fn classify(&self, plate: &Plate, country: Country) -> Classified {
        if country != Country::BELGIUM {
            return Classified { kind: PlateKind::Foreign, grammar: None, auto_accept: true };
        }
        let text = plate.reveal();
        self.belgian.iter().find(|grammar| grammar.fits(text)).map_or(
            Classified { kind: PlateKind::Unknown, grammar: None, auto_accept: false },
            |grammar| Classified {
                kind: grammar.kind,
                grammar: Some(grammar.id.clone()),
                auto_accept: grammar.auto_accept,
            },
        )
    }

    /// Every grammar that the canonical text fits, Belgian ones first, each with its country.
    pub fn fits(&self, text: &str) -> Vec<(Country, GrammarId)> {
        let all = self.belgian.iter().chain(&self.foreign);
        all.filter(|grammar| grammar.fits(text)).map(|grammar| (grammar.country, grammar.id.clone())).collect()
    }

    /// The kind that a plate-type code of the registry means, or a kind written as our own word (`oldtimer`).
    pub fn kind_of_code(&self, code: &str) -> Option<PlateKind> {
        self.registry_codes.get(code).copied().or_else(|| PlateKind::from_word(code))
    }

    /// Whether reading machines take one of these characters for the other.
    pub fn confusable(&self, one: char, other: char) -> bool {
        one != other && self.confusions.iter().any(|group| group.contains(&one) && group.contains(&other))
    }
}

/// The kind of a plate by its text alone, with the embedded grammars.
pub fn plate_type(plate: &Plate, country: Country) -> Classified {
    EMBEDDED.classify(plate, country)
}

/// Every grammar that a canonical plate text fits, with the embedded grammars: a soft score for a reader.
/// Leave out those with [`GrammarId::is_fallback`] when counting support for a country.
pub fn fits(text: &str) -> Vec<(Country, GrammarId)> {
    EMBEDDED.fits(text)
}

impl Grammar {
    fn fits(&self, text: &str) -> bool {
        (!self.needs_letter || text.chars().any(char::is_alphabetic))
            && self.patterns.iter().any(|pattern| pattern.matches(text))
    }
}

impl RawGrammar {
    fn compile(self, belgian: bool) -> Result<Grammar, SeedError> {
        let bad = |problem: String| SeedError::entry(FILE, &self.id, problem);
        let patterns = self
            .patterns
            .iter()
            .map(|text| Pattern::parse(text).map_err(|error| bad(format!("pattern `{text}`: {error}"))));
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        let (country, kind) = match (belgian, &self.country, self.kind) {
            (true, None, Some(kind)) => (Country::BELGIUM, kind),
            (false, Some(sign), None) => {
                let country = Country::parse(sign).ok_or_else(|| bad(format!("`{sign}` is not a country's sign")))?;
                (country, PlateKind::Foreign)
            }
            (true | false, Some(_) | None, Some(_) | None) => {
                return Err(bad("a Belgian entry has a kind and no country, a foreign one the reverse".to_owned()));
            }
        };
        if self.source.trim().is_empty() {
            return Err(bad("names no source".to_owned()));
        }
        if let Some(from) = self.valid_from {
            Validity::of_toml(from, self.valid_to).map_err(&bad)?;
        }
        let grammar = Grammar {
            id: GrammarId { name: self.id.as_str().into(), fallback: self.fallback },
            country,
            kind,
            patterns,
            needs_letter: self.needs_letter,
            auto_accept: self.auto_accept.unwrap_or(true),
        };
        if self.ok.is_empty() {
            return Err(bad("has no sample that fits".to_owned()));
        }
        for (samples, wanted) in [(&self.ok, true), (&self.no, false)] {
            if let Some(sample) = samples.iter().find(|sample| grammar.fits(sample) != wanted) {
                return Err(bad(format!("the sample `{sample}` should {}fit", if wanted { "" } else { "not " })));
            }
        }
        Ok(grammar)
    }
}

/// Reads any bytes as grammars and as a plate text: never panics. For fuzzing.
pub fn fuzz_grammar(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    drop(PlateBook::load(&text));
    drop(fits(&text));
    if let Ok(plate) = Plate::parse(&text) {
        plate_type(&plate, Country::BELGIUM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belgian_plates_have_a_kind() {
        use PlateKind as K;
        for (text, wanted) in [
            ("1-ABC-123", K::Standard),
            ("2-ABC-123", K::Standard),
            ("7-ABC-123", K::Standard),
            ("8-ABC-123", K::International),
            ("9-ABC-123", K::PersonalisedOldIndex),
            ("9-AOC-123", K::PersonalisedOldIndex),
            ("O-ABC-123", K::Oldtimer),
            ("1-OAB-123", K::Oldtimer),
            ("Q-ABC-123", K::Trailer),
            ("1-QAB-123", K::Trailer),
            ("T-XAB-123", K::Taxi),
            ("T-LAB-123", K::Taxi),
            ("1-TXA-123", K::Taxi),
            ("1-TAB-123", K::Standard),
            ("M-ABC-123", K::Motorcycle),
            ("1-MAB-123", K::Motorcycle),
            ("S-ABC-123", K::Moped),
            ("Y-ABC-123", K::Trade),
            ("G-ABC-123", K::Agricultural),
            ("CD-AB-123", K::Diplomatic),
            ("ABC-123", K::Series1973),
            ("123-ABC", K::Series2008),
            ("A.1234", K::Series1951),
            ("1.A.234", K::Series1951),
            ("123", K::Court),
            ("P123", K::Executive),
            ("1-AOC-123", K::Personalised),
            ("ILOVEBXL", K::Personalised),
            ("12345", K::Unknown),
            ("ABCDEFGHI", K::Unknown),
        ] {
            assert_eq!(plate_type(&Plate::parse(text).unwrap(), Country::BELGIUM).kind, wanted, "{text}");
        }
        let dutch = Country::parse("NL").unwrap();
        assert_eq!(plate_type(&Plate::parse("12ABC3").unwrap(), dutch).kind, K::Foreign);
    }

    #[test]
    fn weak_kinds_are_never_taken_from_a_picture() {
        for (text, wanted) in [("1ABC123", true), ("123", false), ("P12", false), ("BELFRY", false), ("12345", false)] {
            assert_eq!(plate_type(&Plate::parse(text).unwrap(), Country::BELGIUM).auto_accept, wanted, "{text}");
        }
    }

    #[test]
    fn texts_fit_the_grammars_of_countries() {
        for (text, wanted) in [
            ("AB123CD", &["F", "I"][..]),
            ("1ABC123", &["B"]),
            ("1234BCD", &["E"]),
            ("AB12CDE", &["UK"]),
            ("KAB1234", &["D", "PL"]),
            ("B123ABC", &["RO"]),
            ("ABC123", &["B", "D"]),
        ] {
            let firm: Vec<_> = fits(text).into_iter().filter(|(_, id)| !id.is_fallback()).collect();
            let signs: Vec<_> = firm.iter().map(|(country, _)| country.as_str()).collect();
            for sign in wanted {
                assert!(signs.contains(sign), "{text} fits {firm:?}, not {sign}");
            }
        }
        assert!(fits("AI123CD").iter().all(|(country, _)| country.as_str() != "F"));
        assert!(fits("").is_empty());
    }

    #[test]
    fn confusions_are_symmetric() {
        let book = PlateBook::embedded();
        for (one, other, wanted) in
            [('0', 'O', true), ('O', '0', true), ('8', 'B', true), ('8', 'S', false), ('A', 'A', false)]
        {
            assert_eq!(book.confusable(one, other), wanted, "{one} {other}");
        }
    }

    #[test]
    fn registry_codes_name_kinds() {
        let book = PlateBook::embedded();
        for (code, wanted) in [
            ("CD", Some(PlateKind::Diplomatic)),
            ("IE", Some(PlateKind::International)),
            ("oldtimer", Some(PlateKind::Oldtimer)),
            ("GL", None),
            ("source", None),
        ] {
            assert_eq!(book.kind_of_code(code), wanted, "{code}");
        }
    }

    #[test]
    fn a_bad_entry_is_named() {
        for (from, to, wanted) in [
            (
                "ok = [\"OABC123\", \"1OAB123\"]",
                "ok = [\"XYZ\"]",
                "`plates.toml`, entry `B-oldtimer`: the sample `XYZ` should fit",
            ),
            (
                "\"O[A-Z]{3}[0-9]{3}\"",
                "\"O(A)\"",
                "`plates.toml`, entry `B-oldtimer`: pattern `O(A)`: only letters, digits, classes and counts are allowed",
            ),
            ("country = \"NL\"", "country = \"nl\"", "`plates.toml`, entry `NL`: `nl` is not a country's sign"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_eq!(PlateBook::load(&text).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn any_bytes_are_survived() {
        for data in [&b""[..], b"\xff\xfe", b"[[belgian]]\nid = 1", TEXT.as_bytes()] {
            fuzz_grammar(data);
        }
    }
}
