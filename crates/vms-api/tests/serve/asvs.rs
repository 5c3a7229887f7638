//! docs/ASVS.md against the tree: every row is there once, and every test that it names exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Requirements of each section of the chapters that are listed whole, as OWASP ASVS 5.0 counts them.
const WHOLE: &[(&str, u32)] = &[
    ("4.1", 5),
    ("4.2", 5),
    ("4.3", 2),
    ("4.4", 4),
    ("5.1", 1),
    ("5.2", 6),
    ("5.3", 3),
    ("5.4", 3),
    ("6.1", 3),
    ("6.2", 12),
    ("6.3", 8),
    ("6.4", 6),
    ("6.5", 8),
    ("6.6", 4),
    ("6.7", 2),
    ("6.8", 4),
    ("7.1", 3),
    ("7.2", 4),
    ("7.3", 2),
    ("7.4", 5),
    ("7.5", 3),
    ("7.6", 2),
    ("8.1", 4),
    ("8.2", 4),
    ("8.3", 3),
    ("8.4", 2),
    ("9.1", 3),
    ("9.2", 4),
    ("10.1", 2),
    ("10.2", 3),
    ("10.3", 5),
    ("10.4", 16),
    ("10.5", 5),
    ("10.6", 2),
    ("10.7", 3),
    ("11.1", 4),
    ("11.2", 5),
    ("11.3", 5),
    ("11.4", 3),
    ("11.5", 2),
    ("11.6", 2),
    ("11.7", 2),
    ("12.1", 5),
    ("12.2", 2),
    ("12.3", 5),
    ("16.1", 1),
    ("16.2", 5),
    ("16.3", 4),
    ("16.4", 3),
    ("16.5", 4),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Names of functions under `#[test]` or `#[tokio::test…]`, or in a list of a macro that makes tests of them.
fn tests_of(text: &str, names: &mut BTreeSet<String>) {
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((before, rest)) = line.split_once("fn ") {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if is_test && (before.is_empty() || before == "async ") {
                names.insert(name);
            }
            is_test = false;
        } else if let Some(name) = line.strip_suffix(',').filter(|name| name.matches('_').count() >= 2) {
            // `on_both!( … )` of the stores.
            if name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_') {
                names.insert(name.to_owned());
            }
        }
    }
}

/// Words in backticks.
fn ticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_asvs_table_names_tests_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/ASVS.md")).unwrap();
    let (mut files, mut tests) = (Vec::new(), BTreeSet::new());
    sources(&root().join("crates"), &mut files);
    for file in files {
        tests_of(&std::fs::read_to_string(file).unwrap(), &mut tests);
    }
    assert!(tests.len() > 500, "{}", tests.len());
    let mut rows: BTreeMap<String, u32> = BTreeMap::new();
    let (mut wrong, mut states) = (Vec::new(), BTreeMap::<String, u32>::new());
    for line in page.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, level, _, state, shown] = cells[..] else {
            wrong.push(format!("{line}: not five cells"));
            continue;
        };
        *rows.entry(id.to_owned()).or_default() += 1;
        *states.entry(state.to_owned()).or_default() += 1;
        if !["1", "2", "3"].contains(&level) || !["yes", "partly", "no", "n/a"].contains(&state) || shown.len() < 8 {
            wrong.push(format!("{id}: level, state or reason"));
        }
        // What follows the word `test` or `browser` up to the next clause.
        for clause in shown.split(';') {
            if let Some((_, named)) = clause.split_once("test `") {
                for name in ticked(&format!("`{named}")) {
                    if !tests.contains(name) {
                        wrong.push(format!("{id}: `{name}` is no test"));
                    }
                }
            }
            if let Some((_, named)) = clause.split_once("browser `") {
                for name in ticked(&format!("`{named}")).into_iter().filter(|name| name.ends_with(".mjs")) {
                    if !root().join("web/e2e").join(name).exists() {
                        wrong.push(format!("{id}: web/e2e/{name} is not there"));
                    }
                }
            }
        }
        for word in shown
            .split([' ', ',', ';', ':', '(', ')'])
            .filter(|word| word.starts_with("docs/") || word.starts_with("seed/"))
        {
            if !root().join(word).exists() {
                wrong.push(format!("{id}: {word} is not there"));
            }
        }
    }
    for (section, count) in WHOLE {
        for n in 1..=*count {
            if !rows.contains_key(&format!("{section}.{n}")) {
                wrong.push(format!("{section}.{n} is missing"));
            }
        }
        let beyond = rows.keys().filter(|id| id.rsplit_once('.').is_some_and(|(of, _)| of == *section)).count();
        if u32::try_from(beyond).unwrap() != *count {
            wrong.push(format!("{section} has {beyond} rows, {count} are wanted"));
        }
    }
    wrong.extend(rows.iter().filter(|(_, count)| **count != 1).map(|(id, _)| format!("{id} stands there twice")));
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} rows: {states:?}", rows.len());
}
