//! The checks. Each returns an error that lists every finding.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Longest source file (house style, rule 5).
const LINES_MAX: usize = 600;

/// Shared libraries that `belfry` must not be linked with (blueprint 2).
const FOREIGN: [&str; 5] = ["libgst", "libglib", "libonnxruntime", "libav", "libx264"];

/// The only place that crates come from, as cargo writes it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

type Arrows = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
}

#[derive(Deserialize)]
struct NodeDep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Pure {
    pure: Vec<String>,
    forbidden: Vec<String>,
}

fn metadata(with_dependencies: bool) -> anyhow::Result<Metadata> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--format-version", "1", "--locked"]);
    if !with_dependencies {
        command.arg("--no-deps");
    }
    let output = command.output().context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn report(found: &[String]) -> anyhow::Result<()> {
    ensure!(found.is_empty(), "{} finding(s)\n  {}", found.len(), found.join("\n  "));
    Ok(())
}

/// The crates' arrows, as drawn by the manifests, are those of `docs/arrows.toml`, and that picture has no circle.
pub(crate) fn arrows() -> anyhow::Result<()> {
    let agreed: Arrows = toml::from_str(&std::fs::read_to_string("docs/arrows.toml")?)?;
    let drawn = drawn(metadata(false)?);
    report(&differences(&agreed, &drawn))
}

fn drawn(metadata: Metadata) -> Arrows {
    let arrows = metadata.packages.into_iter().map(|package| {
        let inside = package.dependencies.into_iter().filter(|d| d.kind.is_none() && d.path.is_some());
        (package.name, inside.map(|d| d.name).collect())
    });
    arrows.collect()
}

fn differences(agreed: &Arrows, drawn: &Arrows) -> Vec<String> {
    let mut found = Vec::new();
    for (name, arrows) in drawn {
        let Some(allowed) = agreed.get(name) else {
            found.push(format!("crate `{name}` stands not in docs/arrows.toml"));
            continue;
        };
        found.extend(arrows.difference(allowed).map(|to| format!("`{name}` may not depend on `{to}`")));
    }
    found.extend(agreed.keys().filter(|name| !drawn.contains_key(*name)).map(|name| format!("`{name}` is no crate")));
    let mut settled = BTreeSet::new();
    while let Some(next) = agreed.iter().find(|(name, to)| !settled.contains(*name) && to.is_subset(&settled)) {
        settled.insert(next.0.clone());
    }
    found.extend(agreed.keys().filter(|name| !settled.contains(*name)).map(|name| format!("`{name}` is in a circle")));
    found
}

/// The pure crates reach none of the forbidden crates through normal dependencies.
pub(crate) fn pure() -> anyhow::Result<()> {
    let rules: Pure = toml::from_str(&std::fs::read_to_string("docs/pure.toml")?)?;
    let metadata = metadata(true)?;
    let names: BTreeMap<&str, &str> = metadata.packages.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let nodes = metadata.resolve.as_ref().context("cargo metadata gave no resolve graph")?;
    let edges: BTreeMap<&str, Vec<&str>> = nodes
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            (node.id.as_str(), normal.map(|dep| dep.pkg.as_str()).collect())
        })
        .collect();
    let mut found = Vec::new();
    for pure in &rules.pure {
        let start = names.iter().find(|(_, name)| **name == pure.as_str()).map(|(id, _)| *id);
        let start = start.with_context(|| format!("`{pure}` of docs/pure.toml is no crate"))?;
        let (mut seen, mut queue) = (BTreeSet::new(), VecDeque::from([start]));
        while let Some(id) = queue.pop_front() {
            if !seen.insert(id) {
                continue;
            }
            let name = names.get(id).copied().unwrap_or("");
            if rules.forbidden.iter().any(|forbidden| forbidden == name) {
                found.push(format!("`{pure}` reaches `{name}`"));
            }
            queue.extend(edges.get(id).into_iter().flatten().copied());
        }
    }
    report(&found)
}

fn tracked(patterns: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--"])
        .args(patterns)
        .output()?;
    ensure!(output.status.success(), "git ls-files failed");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(PathBuf::from).filter(|path| path.is_file()).collect())
}

/// No source file is longer than 600 lines, generated ones apart.
pub(crate) fn sizes() -> anyhow::Result<()> {
    let mut found = Vec::new();
    for path in tracked(&["*.rs", "*.ts", "*.tsx", "*.py", "*.css", "*.sh", "*.mjs"])? {
        let name = path.to_string_lossy();
        if name.contains("generated") || name.ends_with(".d.ts") {
            continue;
        }
        let lines = std::fs::read_to_string(&path)?.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{name}: {lines} lines"));
        }
    }
    report(&found)
}

/// Every relative link in a tracked Markdown file leads to a file.
pub(crate) fn links() -> anyhow::Result<()> {
    let mut found = Vec::new();
    for path in tracked(&["*.md"])? {
        let text = std::fs::read_to_string(&path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for target in link_targets(&text) {
            let target = target.split('#').next().unwrap_or("");
            if !target.is_empty() && !folder.join(target).exists() {
                found.push(format!("{}: `{target}` leads nowhere", path.display()));
            }
        }
    }
    report(&found)
}

/// Targets of `[text](target)` that are neither web addresses nor anchors.
fn link_targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in text.split("](").skip(1) {
        let target = part.split(')').next().unwrap_or("").trim();
        let outside = target.contains("://") || target.starts_with('#') || target.starts_with("mailto:");
        if !outside && !target.contains(char::is_whitespace) {
            found.push(target);
        }
    }
    found
}

/// What is read here of `deny.toml`.
#[derive(Deserialize)]
struct Deny {
    licenses: Allowed,
    bans: Bans,
}

#[derive(Deserialize)]
struct Allowed {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

/// Every crate that we link, or build with, is ours or from crates.io, is not banned, and is under a licence that `deny.toml`
/// allows. `cargo deny` (`make deny`) says the same with more care; this needs no installation.
pub(crate) fn licences() -> anyhow::Result<()> {
    let deny: Deny = toml::from_str(&std::fs::read_to_string("deny.toml")?)?;
    let found: Vec<String> = metadata(true)?.packages.iter().filter_map(|package| objection(package, &deny)).collect();
    report(&found)
}

fn objection(package: &Package, deny: &Deny) -> Option<String> {
    let (name, licence) = (&package.name, package.license.as_deref().unwrap_or_default());
    if deny.bans.deny.iter().any(|banned| banned.name == *name) {
        return Some(format!("`{name}` is banned"));
    }
    // A crate of this repository has no source.
    if let Some(source) = package.source.as_deref().filter(|source| *source != CRATES_IO) {
        return Some(format!("`{name}` comes from `{source}`"));
    }
    (!is_allowed(licence, &deny.licenses.allow)).then(|| format!("`{name}` is under `{licence}`"))
}

/// An SPDX expression of `OR`, `AND` and `/` (the old spelling of `OR`), brackets taken as if they were not there: strict
/// enough, since every part of an `AND` must be allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let one = |name: &str| allowed.iter().any(|known| known == name.trim());
    plain.split(" AND ").all(|part| part.split(" OR ").any(one))
}

/// `belfry` is linked with no C media code.
pub(crate) fn ldd(program: String) -> anyhow::Result<()> {
    let output = Command::new("ldd").arg(&program).output().context("running ldd")?;
    ensure!(output.status.success(), "ldd {program} failed");
    let text = String::from_utf8(output.stdout)?;
    let found: Vec<String> = text
        .lines()
        .filter(|line| FOREIGN.iter().any(|name| line.contains(name)))
        .map(|line| format!("{program} is linked with {}", line.trim()))
        .collect();
    report(&found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(text: &str) -> Arrows {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn arrows_are_held() {
        let agreed = picture("a = []\nb = ['a']\nc = ['a', 'b']");
        for (drawn, wanted) in [
            ("a = []\nb = ['a']\nc = ['b']", &[][..]),
            ("a = ['b']\nb = []\nc = []", &["`a` may not depend on `b`"]),
            ("a = []\nb = []\nc = []\nd = []", &["crate `d` stands not in docs/arrows.toml"]),
            ("a = []\nb = []", &["`c` is no crate"]),
        ] {
            assert_eq!(differences(&agreed, &picture(drawn)), wanted);
        }
        let circle = picture("a = ['b']\nb = ['a']");
        assert_eq!(differences(&circle, &picture("a = []\nb = []")), ["`a` is in a circle", "`b` is in a circle"]);
    }

    #[test]
    fn licences_are_read() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned(), "Unicode-3.0".to_owned()];
        for (expression, wanted) in [
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("AGPL-3.0", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), wanted, "{expression}");
        }
    }

    #[test]
    fn a_crate_is_objected_to() {
        let deny: Deny =
            toml::from_str("[licenses]\nallow = ['MIT']\n[bans]\ndeny = [{ crate = 'openssl-sys', reason = 'x' }]\n")
                .unwrap();
        for (name, licence, source, wanted) in [
            ("a", Some("MIT"), Some(CRATES_IO), None),
            ("ours", Some("MIT"), None, None),
            ("a", None, Some(CRATES_IO), Some("`a` is under ``")),
            ("openssl-sys", Some("MIT"), Some(CRATES_IO), Some("`openssl-sys` is banned")),
            ("a", Some("MIT"), Some("git+https://x.example/a"), Some("`a` comes from `git+https://x.example/a`")),
        ] {
            let package: Package = serde_json::from_value(serde_json::json!({
                "name": name, "license": licence, "source": source, "dependencies": [], "id": name,
            }))
            .unwrap();
            assert_eq!(objection(&package, &deny).as_deref(), wanted);
        }
    }

    #[test]
    fn links_are_found() {
        let text = "[a](docs/A.md) [b](https://x.y/z) [c](#part) ![p](img/p.png) [d](e.md#f)";
        assert_eq!(link_targets(text), ["docs/A.md", "img/p.png", "e.md#f"]);
    }
}
