//! What plates look like: formats of countries as data, a soft score for a text, the country it comes from, and the
//! repair of characters that look alike. A grammar never forces a reading: it weighs, and says when it changed something.

use serde::Deserialize;
use vms_core::Country;

/// How much the formats' opinion counts beside the reader's: exponent of the likelihood ratio. 1 would let a common
/// format overrule a clear picture (anpr.md 0, finding 1).
const WEIGHT: f64 = 0.25;

/// Characters that the reader may take for one another when the picture gives no more (anpr.md 4.2: O and 0 on Belgian
/// plates differ by position only).
const ALIKE: [(u8, u8); 3] = [(b'O', b'0'), (b'I', b'1'), (b'B', b'8')];

/// A text is repaired in this many places at most.
const REPAIRS_MAX: usize = 2;

/// A repair is clear when its plate is met this much more often than the next possible one.
const CLEARLY: f64 = 100.0;

/// The built-in table.
const TABLE: &str = include_str!("formats.toml");

/// Number of classes of a character: 10 digits and 26 letters.
const CLASSES: f64 = 36.0;

/// Lengths of plates that we know, for the share of a text that fits no format.
const LENGTHS: f64 = 8.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTable {
    #[serde(rename = "version")]
    _version: String,
    other_share: f64,
    country: Vec<WireCountry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCountry {
    sign: String,
    share: f64,
    formats: Vec<WireFormat>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFormat {
    #[serde(rename = "kind")]
    _kind: String,
    part: f64,
    #[serde(default = "yes")]
    strict: bool,
    patterns: Vec<String>,
}

const fn yes() -> bool {
    true
}

/// Why a table of formats is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// Not the TOML that we expect.
    #[error("the table of plate formats does not parse: {0}")]
    Toml(String),
    /// A pattern outside our small language.
    #[error("`{0}` is not a pattern of plate formats")]
    Pattern(String),
    /// A country sign that is none.
    #[error("`{0}` is not a country sign")]
    Sign(String),
}

/// The set of characters allowed at one place: bits 0–9 digits, 10–35 letters.
type Mask = u64;

fn bit(c: u8) -> Option<Mask> {
    match c {
        b'0'..=b'9' => Some(1 << (c - b'0')),
        b'A'..=b'Z' => Some(1 << (c - b'A' + 10)),
        _ => None,
    }
}

/// One format of one country, all its fixed-length forms.
#[derive(Debug, Clone)]
struct Format {
    country: Country,
    /// Share of all plates that are of this format.
    share: f64,
    strict: bool,
    forms: Vec<Vec<Mask>>,
    /// Number of texts that fit.
    texts: f64,
}

impl Format {
    fn fits(&self, text: &str) -> bool {
        self.forms.iter().any(|form| {
            form.len() == text.len() && text.bytes().zip(form).all(|(c, mask)| bit(c).is_some_and(|b| b & mask != 0))
        })
    }
}

/// Formats and shares.
#[derive(Debug, Clone)]
pub struct Grammar {
    formats: Vec<Format>,
    other_share: f64,
}

impl Grammar {
    /// Reads a table.
    ///
    /// # Errors
    /// [`GrammarError`].
    pub fn parse(text: &str) -> Result<Self, GrammarError> {
        let table: WireTable = toml::from_str(text).map_err(|error| GrammarError::Toml(error.message().to_owned()))?;
        let mut formats = Vec::new();
        for country in table.country {
            let sign = Country::parse(&country.sign).ok_or_else(|| GrammarError::Sign(country.sign.clone()))?;
            for format in country.formats {
                let mut forms = Vec::new();
                for pattern in &format.patterns {
                    forms.extend(expand(pattern).ok_or_else(|| GrammarError::Pattern(pattern.clone()))?);
                }
                let count = |mask: &Mask| f64::from(mask.count_ones());
                let texts = forms.iter().map(|form| form.iter().map(count).product::<f64>()).sum::<f64>().max(1.0);
                let share = country.share * format.part;
                formats.push(Format { country: sign, share, strict: format.strict, forms, texts });
            }
        }
        Ok(Self { formats, other_share: table.other_share })
    }

    /// The table that comes with the program.
    pub fn built_in() -> Self {
        Self::parse(TABLE).expect("the built-in table should parse: a test reads it")
    }

    /// Probability of meeting `text` among all plates.
    fn prior(&self, text: &str) -> f64 {
        let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
        let other = self.other_share / LENGTHS * CLASSES.powi(-length);
        self.formats.iter().filter(|f| f.fits(text)).map(|f| f.share / f.texts).sum::<f64>() + other
    }

    /// Soft score of a text, in nats against a text of the same length that fits nothing; 0 or more.
    pub fn score(&self, text: &str) -> f64 {
        let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
        let other = self.other_share / LENGTHS * CLASSES.powi(-length);
        if text.is_empty() || other <= 0.0 { 0.0 } else { WEIGHT * (self.prior(text) / other).ln() }
    }

    /// Countries that issue such plates and the probability of each, best first; what is missing to 1 is any other.
    pub fn countries(&self, text: &str) -> Vec<(Country, f64)> {
        let total = self.prior(text);
        let mut found: Vec<(Country, f64)> = Vec::new();
        for format in self.formats.iter().filter(|f| f.fits(text)) {
            let p = format.share / format.texts / total;
            match found.iter_mut().find(|(country, _)| *country == format.country) {
                Some((_, sum)) => *sum += p,
                None => found.push((format.country, p)),
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    /// Whether any format fits, loose ones too.
    pub fn fits(&self, text: &str) -> bool {
        self.formats.iter().any(|f| f.fits(text))
    }

    /// Whether a format that is tight enough to repair by fits.
    pub fn fits_strictly(&self, text: &str) -> bool {
        self.formats.iter().any(|f| f.strict && f.fits(text))
    }

    /// The text with O/0, I/1, B/8 exchanged where that makes it fit: `None` when it fits already, when nothing makes it
    /// fit, or when another exchange would give a plate that is not far rarer.
    pub fn repair(&self, text: &str) -> Option<String> {
        if text.len() < 5 || self.fits_strictly(text) {
            return None;
        }
        let fitting = swaps(text).into_iter().filter(|changed| self.fits_strictly(changed));
        let mut ranked: Vec<(f64, String)> = fitting.map(|changed| (self.prior(&changed), changed)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut ranked = ranked.into_iter();
        let (first, best) = ranked.next()?;
        let clear = ranked.next().is_none_or(|(second, _)| first >= CLEARLY * second);
        clear.then_some(best)
    }
}

/// Every text that differs in one or two characters that look alike; those with one change only, if any is possible,
/// come first.
fn swaps(text: &str) -> Vec<String> {
    let other = |c: u8| ALIKE.iter().find_map(|(a, b)| (c == *a).then_some(*b).or_else(|| (c == *b).then_some(*a)));
    let mut all: Vec<(usize, Vec<u8>)> = vec![(0, Vec::new())];
    for c in text.bytes() {
        let mut longer = Vec::with_capacity(all.len() * 2);
        for (changes, prefix) in all {
            if let Some(twin) = other(c).filter(|_| changes < REPAIRS_MAX) {
                let mut swapped = prefix.clone();
                swapped.push(twin);
                longer.push((changes + 1, swapped));
            }
            let mut same = prefix;
            same.push(c);
            longer.push((changes, same));
        }
        all = longer;
    }
    all.sort();
    all.into_iter().filter(|(changes, _)| *changes > 0).filter_map(|(_, raw)| String::from_utf8(raw).ok()).collect()
}

/// Fixed-length forms of a pattern; `None` when it is not in our language or has more than 12 places.
fn expand(pattern: &str) -> Option<Vec<Vec<Mask>>> {
    let mut rest = pattern;
    let mut forms: Vec<Vec<Mask>> = vec![Vec::new()];
    while !rest.is_empty() {
        let (mask, after) = one_place(rest)?;
        let (low, high, after) = repeat(after)?;
        rest = after;
        forms = forms
            .iter()
            .flat_map(|form| {
                (low..=high).map(move |n| form.iter().copied().chain(std::iter::repeat_n(mask, n)).collect())
            })
            .collect();
        if forms.iter().any(|form: &Vec<Mask>| form.len() > 12) {
            return None;
        }
    }
    Some(forms)
}

fn one_place(text: &str) -> Option<(Mask, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let (class, rest) = inner.split_once(']')?;
        let mut mask = 0;
        let mut bytes = class.bytes().peekable();
        while let Some(from) = bytes.next() {
            let until = if bytes.next_if_eq(&b'-').is_some() { bytes.next()? } else { from };
            for c in from..=until {
                mask |= bit(c)?;
            }
        }
        return (mask != 0).then_some((mask, rest));
    }
    let first = text.bytes().next()?;
    let (_, rest) = text.split_at_checked(1)?;
    Some((bit(first)?, rest))
}

fn repeat(text: &str) -> Option<(usize, usize, &str)> {
    let Some(inner) = text.strip_prefix('{') else { return Some((1, 1, text)) };
    let (count, rest) = inner.split_once('}')?;
    let (low, high) = count.split_once(',').unwrap_or((count, count));
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high && high <= 12).then_some((low, high, rest))
}

/// Feeds foreign bytes to the table's parser (fuzz target and corpus test).
pub fn fuzz_formats(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        drop(Grammar::parse(text));
        drop(expand(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_expand_or_are_refused() {
        for (pattern, forms, places) in [("[A-Z]{2}[0-9]{3}", 1, 5), ("B[0-9]{2,3}", 2, 3), ("[AEP][0-9]{1,3}", 3, 2)] {
            let expanded = expand(pattern).unwrap();
            assert_eq!((expanded.len(), expanded[0].len()), (forms, places));
        }
        for pattern in ["[A-", "a", "[]", "A{3", "A{2,1}", "A{99}", "(AB)", "A{9}B{9}"] {
            assert_eq!(expand(pattern), None, "{pattern}");
            fuzz_formats(pattern.as_bytes());
        }
    }

    #[test]
    fn the_country_is_a_posterior() {
        let grammar = Grammar::built_in();
        for (text, sign, at_least) in [
            ("1ABC234", "B", 0.99),
            ("ABC123", "B", 0.9),
            ("AB123CD", "F", 0.8),
            ("12GBK3", "NL", 0.95),
            ("CDAB123", "B", 0.5),
            ("LK12CDE", "UK", 0.9),
        ] {
            let countries = grammar.countries(text);
            let (country, p) = countries[0];
            assert!(country.as_str() == sign && p >= at_least, "{text}: {countries:?}");
            assert!(countries.iter().map(|(_, p)| p).sum::<f64>() <= 1.0 + 1e-9);
        }
        assert!(grammar.countries("99999999999").is_empty());
    }

    #[test]
    fn the_score_is_soft() {
        let grammar = Grammar::built_in();
        assert!(grammar.score("1ABC234") > grammar.score("1ABCZ34"));
        assert!(grammar.score("1ABC234") < 4.0, "a format must not overrule a clear picture");
        assert!(grammar.score("X1Y2Z3Q9") >= 0.0);
        assert!(grammar.score("").abs() < 1e-9);
    }

    #[test]
    fn only_a_clear_case_is_repaired() {
        let grammar = Grammar::built_in();
        for (text, wanted) in [
            ("1ABCO23", Some("1ABC023")),
            ("IABC123", None), // German as it is
            ("1A8CI23", Some("1ABC123")),
            ("1ABC123", None), // fits as it is
            ("GWAGEN", None),  // nothing to exchange
            ("OOOO", None),    // too short to tell
            ("1ABCOI8", Some("1ABC018")),
            ("1ABCOIB", None),            // three places
            ("0TAB864", Some("OTAB864")), // an oldtimer: no Czech plate begins with 0
        ] {
            assert_eq!(grammar.repair(text).as_deref(), wanted, "{text}");
        }
    }
}
