//! `belfry matrix`: reads, explains and compares role matrices, with nothing but this program and a file. Exit codes: 0 yes, or
//! nothing differs; 1 no, or something differs; 2 it could not be done.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use policy::{CellChange, Decision, Diff, Explanation, Matrix, Request, Table};
use serde_json::{Value, json};
use vms_core::{Profile, Purpose, Relation, Rendition, Right};

const DAY_US: i64 = 86_400_000_000;

/// `belfry matrix`.
#[derive(Debug, clap::Args)]
pub(crate) struct MatrixArgs {
    #[command(subcommand)]
    what: MatrixCommand,
    /// A matrix of one's own instead of the one that ships with this program.
    #[arg(long, global = true)]
    file: Option<PathBuf>,
    /// Say it in JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
enum MatrixCommand {
    /// Print the matrix: a line per profile and right. A file that is wrong is refused, with row and word.
    Show {
        /// Only this profile, such as P02.
        #[arg(long)]
        profile: Option<Profile>,
        /// Only this right, such as playback.
        #[arg(long)]
        right: Option<Right>,
        /// As the Cedar policies that it compiles to.
        #[arg(long)]
        cedar: bool,
    },
    /// Answer one request, with the cell and the conditions that decide, and their source.
    Explain(ExplainArgs),
    /// What a change means: who gains, who loses.
    Diff {
        /// The matrix before; with one file, the one in force (`--file`) is before.
        before: PathBuf,
        /// The matrix after.
        after: Option<PathBuf>,
    },
    /// Everything that a profile may do, with what it needs.
    Simulate {
        /// Profile, such as P02.
        profile: Profile,
        /// Only towards own, shared or other cameras.
        #[arg(long)]
        relation: Option<Relation>,
    },
}

/// One request in words.
#[derive(Debug, clap::Args)]
struct ExplainArgs {
    /// Profile, such as P02.
    profile: Profile,
    /// Right, such as playback.
    right: Right,
    /// own, shared or other.
    relation: Relation,
    /// Purpose code, such as INTERVENTIE.
    #[arg(long)]
    purpose: Option<Purpose>,
    /// Justification text.
    #[arg(long)]
    justification: Option<String>,
    /// Case number.
    #[arg(long)]
    case: Option<String>,
    /// Reference of a magistrate's decision.
    #[arg(long)]
    magistrate: Option<String>,
    /// A second person agrees.
    #[arg(long)]
    second_person: bool,
    /// Age of the oldest material, days.
    #[arg(long, default_value_t = 0)]
    age_days: u16,
    /// An event covers the camera.
    #[arg(long)]
    event: bool,
    /// At a police-supervised station.
    #[arg(long)]
    police_station: bool,
    /// In the own territory.
    #[arg(long)]
    own_territory: bool,
    /// The data flow is active.
    #[arg(long)]
    flow: bool,
    /// In a file of the own queue.
    #[arg(long)]
    own_file: bool,
    /// In the masked view.
    #[arg(long)]
    masked: bool,
    /// As counts only.
    #[arg(long)]
    aggregated: bool,
    /// It changes something.
    #[arg(long)]
    changes: bool,
    /// The overseer has suspended it.
    #[arg(long)]
    suspended: bool,
}

/// Runs the command; gives the exit code.
pub(crate) fn run(args: &MatrixArgs) -> anyhow::Result<u8> {
    let (text, code) = match &args.what {
        MatrixCommand::Show { cedar: true, .. } => (load(args.file.as_deref())?.cedar_text(), 0),
        MatrixCommand::Show { profile, right, .. } => {
            let matrix = load(args.file.as_deref())?;
            (show(&matrix, *profile, *right, args.json)?, 0)
        }
        MatrixCommand::Explain(what) => {
            let said = load(args.file.as_deref())?.explain(&what.request());
            let code = u8::from(!said.decision.is_allow());
            (if args.json { pretty(&explanation_json(&said))? } else { explanation_text(&said) }, code)
        }
        MatrixCommand::Diff { before, after } => {
            let (before, after) = match after {
                Some(after) => (load(Some(before.as_path()))?, load(Some(after.as_path()))?),
                None => (load(args.file.as_deref())?, load(Some(before.as_path()))?),
            };
            let diff = policy::diff(&before, &after, &[], &[]);
            let code = u8::from(!diff.changes.is_empty());
            (if args.json { pretty(&diff_json(&diff))? } else { diff_text(&diff) }, code)
        }
        MatrixCommand::Simulate { profile, relation } => {
            let matrix = load(args.file.as_deref())?;
            (simulate(&matrix, *profile, *relation, args.json)?, 0)
        }
    };
    crate::print(&text);
    Ok(code)
}

fn load(file: Option<&Path>) -> anyhow::Result<Matrix> {
    match file {
        None => Matrix::embedded().context("the matrix of this program"),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
            Matrix::parse(&text).with_context(|| format!("`{}`", path.display()))
        }
    }
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

impl ExplainArgs {
    fn request(&self) -> Request<'_> {
        Request {
            rendition: if self.masked { Rendition::Coarse } else { Rendition::Original },
            purpose: self.purpose,
            justification: self.justification.as_deref(),
            case_ref: self.case.as_deref(),
            magistrate_ref: self.magistrate.as_deref(),
            has_second_person: self.second_person,
            age_us: i64::from(self.age_days).saturating_mul(DAY_US),
            event_active: self.event,
            police_station: self.police_station,
            own_territory: self.own_territory,
            flow_active: self.flow,
            own_file: self.own_file,
            suspended: self.suspended,
            aggregated: self.aggregated,
            reads_only: !self.changes,
            ..Request::bare(self.profile, self.right, self.relation)
        }
    }
}

fn head(table: &Table) -> String {
    format!(
        "Role matrix {}, from {}\nSource: {}\nSHA-256: {}\n",
        table.version(),
        table.valid_from(),
        table.source(),
        table.digest()
    )
}

fn show(matrix: &Matrix, profile: Option<Profile>, right: Option<Right>, as_json: bool) -> anyhow::Result<String> {
    let wanted =
        |(p, r, _): &policy::table::CellKey| profile.is_none_or(|one| one == *p) && right.is_none_or(|one| one == *r);
    let cells: Vec<_> = matrix.cells().filter(|(key, _)| wanted(key)).collect();
    if as_json {
        let cells: Vec<Value> = cells
            .iter()
            .map(|((profile, right, relation), needs)| {
                json!({ "profile": profile.as_str(), "right": right.as_str(), "relation": relation.as_str(),
                    "cell": policy::cell_text(needs), "source": matrix.source_of(*right) })
            })
            .collect();
        return pretty(&json!({ "version": matrix.version(), "valid_from": matrix.valid_from(),
            "source": matrix.source(), "sha256": matrix.digest(), "cells": cells }));
    }
    let mut text = head(matrix);
    let mut last = None;
    for ((profile, right, relation), needs) in cells {
        if last != Some(profile) {
            write!(text, "\n{profile}\n")?;
            last = Some(profile);
        }
        writeln!(text, "  {:<24} {:<7} {}", right.as_str(), relation.as_str(), policy::cell_text(needs))?;
    }
    Ok(text)
}

fn simulate(matrix: &Matrix, profile: Profile, only: Option<Relation>, as_json: bool) -> anyhow::Result<String> {
    let relations = Relation::ALL.iter().copied().filter(|relation| only.is_none_or(|one| one == *relation));
    let all: Vec<_> = relations.map(|relation| (relation, policy::simulate(matrix, profile, relation))).collect();
    if as_json {
        let list: Vec<Value> = all
            .iter()
            .flat_map(|(relation, abilities)| {
                abilities.iter().map(move |one| {
                    json!({ "relation": relation.as_str(), "right": one.right.as_str(), "source": one.source,
                        "needs": one.needs.iter().map(ToString::to_string).collect::<Vec<_>>() })
                })
            })
            .collect();
        return pretty(&json!({ "version": matrix.version(), "profile": profile.as_str(), "abilities": list }));
    }
    let mut text = format!("{profile} by role matrix {}\n", matrix.version());
    for (relation, abilities) in all {
        write!(text, "\n{}\n", towards(relation))?;
        if abilities.is_empty() {
            text.push_str("  nothing\n");
        }
        for one in abilities {
            let needs: Vec<String> = one.needs.iter().map(|need| need.words()).collect();
            writeln!(
                text,
                "  {:<24} {}",
                one.right.as_str(),
                if needs.is_empty() { "yes".into() } else { needs.join("; ") }
            )?;
        }
    }
    Ok(text)
}

const fn towards(relation: Relation) -> &'static str {
    match relation {
        Relation::Own => "own cameras and objects",
        Relation::Shared => "cameras that a partner shares",
        Relation::Other => "cameras that nobody shares with them",
    }
}

/// The answer in one line.
fn answer(decision: &Decision) -> String {
    match decision {
        Decision::Allow(with) if with.notify_owner => "yes, and the owner is told".into(),
        Decision::Allow(_) => "yes".into(),
        Decision::Missing(list) => {
            let list: Vec<&str> = list.iter().map(|one| one.code()).collect();
            format!("yes, once this is supplied: {}", list.join(", "))
        }
        Decision::Deny(reason) => format!("no: {}", reason.code()),
    }
}

fn explanation_text(said: &Explanation) -> String {
    let mut text = format!("{}\n\ncell      {}\n", answer(&said.decision), said.cell);
    let written = said.text.as_deref().unwrap_or("there is no such cell: deny by default");
    text.push_str(&format!("written   {written}\n"));
    if let Some(source) = said.source.as_deref().filter(|_| said.text.is_some()) {
        text.push_str(&format!("source    {source}\n"));
    }
    for one in &said.conditions {
        text.push_str(&format!("  {} {}\n", if one.met { "met    " } else { "not met" }, one.condition.words()));
    }
    text.push_str(&format!("matrix    {} (SHA-256 {})\n", said.version, said.digest));
    text
}

fn explanation_json(said: &Explanation) -> Value {
    let (outcome, list) = match &said.decision {
        Decision::Allow(_) => ("allow", Vec::new()),
        Decision::Missing(list) => ("missing", list.iter().map(|one| one.code()).collect()),
        Decision::Deny(reason) => ("deny", vec![reason.code()]),
    };
    let notify = matches!(&said.decision, Decision::Allow(with) if with.notify_owner);
    let conditions: Vec<Value> =
        said.conditions.iter().map(|one| json!({ "condition": one.condition.to_string(), "met": one.met })).collect();
    json!({ "version": said.version, "sha256": said.digest, "cell": said.cell, "written": said.text,
        "source": said.source, "outcome": outcome, "reasons": list, "notify_owner": notify,
        "conditions": conditions, "decided_by": said.decided_by })
}

fn change_line(change: &CellChange) -> String {
    let CellChange { profile, right, relation, before, after, .. } = change;
    let side = |text: &Option<String>| text.clone().unwrap_or_else(|| "no".into());
    let mut line = format!("  {profile} {right} {relation}: {} -> {}\n", side(before), side(after));
    for word in &change.tightened {
        line.push_str(&format!("      now needed: {word}\n"));
    }
    for word in &change.loosened {
        line.push_str(&format!("      no longer needed: {word}\n"));
    }
    line
}

fn diff_text(diff: &Diff) -> String {
    if diff.changes.is_empty() {
        return format!("{} and {} say the same\n", diff.from, diff.to);
    }
    let names = |set: std::collections::BTreeSet<Profile>| {
        let names: Vec<&str> = set.into_iter().map(Profile::as_str).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    let mut text = format!(
        "From {} to {}\n\nwho gains: {}\nwho loses: {}\n",
        diff.from,
        diff.to,
        names(diff.who_gains()),
        names(diff.who_loses())
    );
    let mut last = None;
    for change in &diff.changes {
        if last != Some(change.turn) {
            text.push_str(&format!("\n{}\n", change.turn.as_str()));
            last = Some(change.turn);
        }
        text.push_str(&change_line(change));
    }
    text
}

fn diff_json(diff: &Diff) -> Value {
    let list = |set: std::collections::BTreeSet<Profile>| set.into_iter().map(Profile::as_str).collect::<Vec<_>>();
    let changes: Vec<Value> = diff
        .changes
        .iter()
        .map(|change| {
            json!({ "profile": change.profile.as_str(), "right": change.right.as_str(),
                "relation": change.relation.as_str(), "turn": change.turn.as_str(), "before": change.before,
                "after": change.after, "tightened": change.tightened, "loosened": change.loosened })
        })
        .collect();
    json!({ "from": diff.from, "to": diff.to, "who_gains": list(diff.who_gains()), "who_loses": list(diff.who_loses()),
        "changes": changes })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn command(words: &str) -> anyhow::Result<MatrixArgs> {
        let args = crate::cli::Args::try_parse_from(std::iter::once("belfry").chain(words.split(' ')))?;
        let crate::cli::Command::Matrix(args) = args.command else { panic!("{words}") };
        Ok(args)
    }

    fn said(words: &str) -> String {
        let MatrixCommand::Explain(what) = command(words).unwrap().what else { panic!("{words}") };
        let text = explanation_text(&Matrix::embedded().unwrap().explain(&what.request()));
        text.lines().next().unwrap().to_owned()
    }

    #[test]
    fn explains_in_words() {
        for (words, wanted) in [
            ("matrix explain P01 live own", "yes"),
            ("matrix explain P01 live shared", "yes, once this is supplied: purpose, justification"),
            ("matrix explain P05 live own", "no: not_in_table"),
            ("matrix explain P13 live own --police-station", "yes"),
            (
                "matrix explain P04 playback own --age-days 31 --purpose INTERVENTIE --justification een-overval --case BR-1",
                "yes, once this is supplied: magistrate",
            ),
            (
                "matrix explain P17 camera.test_picture own --masked --purpose TECHNISCH --justification beeld-is-wazig --case T-12",
                "yes, and the owner is told",
            ),
            (
                "matrix explain P21 flow.stop own --suspended --purpose AUDIT --justification klacht-in-onderzoek --changes",
                "yes",
            ),
        ] {
            assert_eq!(said(words), wanted, "{words}");
        }
        assert!(command("matrix explain P99 live own").is_err());
        assert!(command("matrix explain P01 fly own").is_err());
    }

    #[test]
    fn a_wrong_file_is_named_and_a_changed_one_compared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.toml");
        let shipped = policy::matrix::EMBEDDED;
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&shipped.replacen("own = \"masked\"", "own = \"hidden\"", 1));
        assert!(format!("{:#}", load(Some(&path)).unwrap_err()).contains("right `live`: `hidden` is not known"));
        write(&shipped.replacen("{ profile = \"P01\", own = \"yes\"", "{ profile = \"P21\", own = \"yes\"", 1));
        assert!(format!("{:#}", load(Some(&path)).unwrap_err()).contains("separation rule 3"));
        write(&shipped.replacen(
            "own = \"justification age_max_days=2\"",
            "own = \"justification case age_max_days=1\"",
            1,
        ));
        let diff = policy::diff(&Matrix::embedded().unwrap(), &load(Some(&path)).unwrap(), &[], &[]);
        let text = diff_text(&diff);
        assert!(text.contains("who gains: nobody\nwho loses: P01\n"), "{text}");
        assert!(text.contains("now needed: with a case number"), "{text}");
        assert!(text.contains("now needed: not older than 1 day (was: not older than 2 days)"), "{text}");
    }

    #[test]
    fn shows_and_simulates() {
        let matrix = Matrix::embedded().unwrap();
        let text = show(&matrix, Some(Profile::P11), None, false).unwrap();
        assert!(text.contains("live                     own     masked"), "{text}");
        assert!(!text.contains("P12"));
        let text = simulate(&matrix, Profile::P14, Some(Relation::Own), false).unwrap();
        assert!(text.contains("statistics.view"), "{text}");
        let json: Value = serde_json::from_str(&simulate(&matrix, Profile::P02, None, true).unwrap()).unwrap();
        assert!(json["abilities"].as_array().unwrap().len() > 20);
    }
}
