//! Country codes of ISO 3166-1 (as ONVIF writes them) to distinguishing signs of vehicles in international traffic.

use vms_core::Country;

/// Two letters, three letters, sign: the parties of Europe and its neighbours (United Nations, list of distinguishing signs).
const SIGNS: &[(&str, &str, &str)] = &[
    ("AD", "AND", "AND"),
    ("AL", "ALB", "AL"),
    ("AM", "ARM", "AM"),
    ("AT", "AUT", "A"),
    ("AZ", "AZE", "AZ"),
    ("BA", "BIH", "BIH"),
    ("BE", "BEL", "B"),
    ("BG", "BGR", "BG"),
    ("BY", "BLR", "BY"),
    ("CH", "CHE", "CH"),
    ("CY", "CYP", "CY"),
    ("CZ", "CZE", "CZ"),
    ("DE", "DEU", "D"),
    ("DK", "DNK", "DK"),
    ("DZ", "DZA", "DZ"),
    ("EE", "EST", "EST"),
    ("ES", "ESP", "E"),
    ("FI", "FIN", "FIN"),
    ("FR", "FRA", "F"),
    ("GB", "GBR", "UK"),
    ("GE", "GEO", "GE"),
    ("GR", "GRC", "GR"),
    ("HR", "HRV", "HR"),
    ("HU", "HUN", "H"),
    ("IE", "IRL", "IRL"),
    ("IS", "ISL", "IS"),
    ("IT", "ITA", "I"),
    ("LI", "LIE", "FL"),
    ("LT", "LTU", "LT"),
    ("LU", "LUX", "L"),
    ("LV", "LVA", "LV"),
    ("MA", "MAR", "MA"),
    ("MC", "MCO", "MC"),
    ("MD", "MDA", "MD"),
    ("ME", "MNE", "MNE"),
    ("MK", "MKD", "NMK"),
    ("MT", "MLT", "M"),
    ("NL", "NLD", "NL"),
    ("NO", "NOR", "N"),
    ("PL", "POL", "PL"),
    ("PT", "PRT", "P"),
    ("RO", "ROU", "RO"),
    ("RS", "SRB", "SRB"),
    ("RU", "RUS", "RUS"),
    ("SE", "SWE", "S"),
    ("SI", "SVN", "SLO"),
    ("SK", "SVK", "SK"),
    ("SM", "SMR", "RSM"),
    ("TN", "TUN", "TN"),
    ("TR", "TUR", "TR"),
    ("UA", "UKR", "UA"),
    ("VA", "VAT", "V"),
];

/// The sign of a code; `None` for one that is not in the list: a read without a country is a person's to look at.
pub fn sign(code: &str) -> Option<Country> {
    let found = SIGNS.iter().find(|(two, three, _)| code.eq_ignore_ascii_case(two) || code.eq_ignore_ascii_case(three));
    found.and_then(|(_, _, sign)| Country::parse(sign))
}
