//! The annual report's data set (`domain.md` D5): counts only, from the store and from the log's details. A cell that the program keeps
//! nothing of stands in `not_kept`, with the reason: no number is better than a made-up one.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use vms_core::{TimeRange, WallTime};

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::gate::action::ViewReport;
use crate::gate::{Actor, Permit, Target, Why};
use crate::model::{Camera, LogDetail, Org};

/// Leaves read at a time.
const PAGE: u32 = 5_000;
/// Rows read of each register.
const ROWS_MAX: u32 = 100_000;

/// One number of the report: what it counts, its dimensions, and the count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Figure {
    /// Subject, such as `uses` or `cameras`.
    pub subject: &'static str,
    /// Values of its dimensions, in the subject's own order; see [`dimensions`].
    pub keys: Vec<String>,
    /// How many.
    pub count: u64,
}

/// The report of a year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnualReport {
    /// The year.
    pub year: i16,
    /// First instant and first instant after, in Brussels' calendar.
    pub range: TimeRange,
    /// Made.
    pub made_at: WallTime,
    /// Leaves of the log that were counted.
    pub leaves: u64,
    /// The numbers.
    pub figures: Vec<Figure>,
    /// What the data set of `domain.md` D5 names and the program keeps nothing of, with the reason.
    pub not_kept: Vec<(&'static str, &'static str)>,
}

/// Names of a subject's dimensions.
pub fn dimensions(subject: &str) -> &'static [&'static str] {
    match subject {
        "cameras" => &["owner", "kind", "state", "sharing"],
        "accounts" => &["organisation", "profile", "standing"],
        "uses" | "refusals" => &["organisation", "right", "purpose", "relation"],
        "changes" => &["operation"],
        "holds" => &["state"],
        "flows" => &["state"],
        "watchlists" => &["organisation", "step"],
        "watchlist_entries" => &["organisation", "kind", "purpose"],
        "cases" => &["register", "state"],
        _ => &["what"],
    }
}

const NOT_KEPT: &[(&str, &str)] = &[
    ("incidents and breaches", "kept in the security adviser's own register"),
    ("audits and follow-up", "kept by the commission"),
    ("availability", "comes from the metrics store: belfry_recording_lag and uptime"),
];

#[derive(Default)]
struct Tally(BTreeMap<(&'static str, Vec<String>), u64>);

impl Tally {
    fn add(&mut self, subject: &'static str, keys: &[&str], count: u64) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        *self.0.entry((subject, keys)).or_default() += count;
    }

    fn figures(self) -> Vec<Figure> {
        self.0.into_iter().map(|((subject, keys), count)| Figure { subject, keys, count }).collect()
    }
}

/// Counts one leaf.
fn count_leaf(tally: &mut Tally, leaf: &LogDetail) {
    let Ok(details) = serde_json::from_str::<Value>(&leaf.details) else {
        tally.add("unreadable", &["leaf"], 1);
        return;
    };
    let text = |pointer: &str| details.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let (org, right, outcome) = (text("/actor/org"), text("/right"), text("/outcome"));
    if right != "-" && outcome != "-" {
        let subject = if outcome == "allow" { "uses" } else { "refusals" };
        // A renewal is the same use.
        if leaf.operation != "renew" {
            tally.add(subject, &[&org, &right, &text("/purpose"), &text("/relation")], 1);
        }
        return;
    }
    if right == "-" {
        tally.add("changes", &[&leaf.operation], 1);
        if let Some(what) = watchlist_word(&leaf.operation) {
            let org = if org == "-" { text("/details/org") } else { org };
            tally.add("watchlists", &[&org, what], 1);
        }
    }
}

/// What the year's figures of watchlists call a step.
fn watchlist_word(operation: &str) -> Option<&'static str> {
    match operation {
        "watchlist_proposed" => Some("proposed"),
        "watchlist_approved" => Some("approved"),
        "watchlist_refused" => Some("refused"),
        "watchlist_ended" => Some("ended_early"),
        "hit_found" => Some("hits"),
        "hit_confirmed" => Some("hits_confirmed"),
        "hit_dismissed" => Some("hits_false"),
        _ => None,
    }
}

fn year_range(year: i16) -> Result<TimeRange, UseCaseError> {
    let wrong = || UseCaseError::invalid("year", "not_a_year");
    let zone = TimeZone::get("Europe/Brussels").map_err(|error| UseCaseError::Internal(error.into()))?;
    let start = |year: i16| {
        let day = Date::new(year, 1, 1).ok()?.to_zoned(zone.clone()).ok()?;
        Some(WallTime::from_micros(day.timestamp().as_microsecond()))
    };
    let next = year.checked_add(1).ok_or_else(wrong)?;
    let (from, to) = (start(year).ok_or_else(wrong)?, start(next).ok_or_else(wrong)?);
    TimeRange::new(from, to).filter(|_| (2015..=2100).contains(&year)).ok_or_else(wrong)
}

impl UseCases {
    /// Makes the report of a year.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `StoreUnavailable`.
    pub async fn annual_report(&self, actor: &Actor, year: i16) -> Result<AnnualReport, UseCaseError> {
        let target = Target { object: Some(format!("annual report {year}")), ..Target::none() };
        let permit = self.gate.permit::<ViewReport>(actor, target, &Why::default()).await?;
        let range = year_range(year)?;
        let mut tally = Tally::default();
        self.report_register(&mut tally).await?;
        let leaves = self.report_log(&mut tally, &permit, range).await?;
        for (register, state, count) in self.stores.case_counts(range).await? {
            tally.add("cases", &[&register, &state], count);
        }
        for hold in self.stores.hold_list(false, None, ROWS_MAX).await? {
            if range.contains(hold.set.at) {
                tally.add("holds", &[hold.state.as_str()], 1);
            }
        }
        let (flows, stopped) = self.flow_states(self.now()).await?;
        for state in flows.values() {
            tally.add("flows", &[state.as_str()], 1);
        }
        if !stopped.is_empty() {
            tally.add("flows", &["shares_stopped"], u64::try_from(stopped.len()).unwrap_or(u64::MAX));
        }
        Ok(AnnualReport {
            year,
            range,
            made_at: self.now(),
            leaves,
            figures: tally.figures(),
            not_kept: NOT_KEPT.to_vec(),
        })
    }

    async fn report_register(&self, tally: &mut Tally) -> Result<(), UseCaseError> {
        let (now, orgs, cameras) = (self.now(), self.orgs_now().await?, self.cameras_now().await?);
        let code = |id| orgs.iter().find(|org: &&Org| org.id == id).map_or("-", |org| org.code.as_str());
        let grants = self.stores.grant_list_all().await?;
        let is_shared = |camera: &Camera| {
            grants.iter().any(|grant| {
                grant.terms.camera == camera.id && grant.revoked_at.is_none() && grant.terms.period.contains(now)
            })
        };
        for camera in cameras.iter() {
            let sharing = if is_shared(camera) { "shared" } else { "not_shared" };
            tally.add("cameras", &[code(camera.owner), camera.kind.as_str(), camera.state.as_str(), sharing], 1);
        }
        for row in self.stores.account_counts().await? {
            for (standing, count) in [("active", row.active), ("charter", row.charters), ("training", row.trainings)] {
                tally.add("accounts", &[code(row.org), &row.profile, standing], count);
            }
        }
        for size in self.report_watchlists(now).await? {
            tally.add(
                "watchlist_entries",
                &[code(size.owner), size.kind.as_str(), size.purpose.as_str()],
                size.entries,
            );
        }
        Ok(())
    }

    async fn report_log(
        &self,
        tally: &mut Tally,
        permit: &Permit<ViewReport>,
        range: TimeRange,
    ) -> Result<u64, UseCaseError> {
        let (mut above, mut leaves) = (None, 0_u64);
        loop {
            let page = self.stores.log_detail_scan(permit, range, above, PAGE).await?;
            let Some(last) = page.last() else { return Ok(leaves) };
            above = Some(last.index);
            leaves = leaves.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
            for leaf in &page {
                count_leaf(tally, leaf);
            }
        }
    }
}

/// The report as CSV: one number a line, semicolons between, every field of the four dimensions present.
pub fn csv(report: &AnnualReport) -> Result<String, csv::Error> {
    let mut out = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
    out.write_record(["year", "subject", "dimension_1", "dimension_2", "dimension_3", "dimension_4", "count"])?;
    for figure in &report.figures {
        let key = |at: usize| figure.keys.get(at).map_or("", String::as_str);
        let (year, count) = (report.year.to_string(), figure.count.to_string());
        out.write_record([year.as_str(), figure.subject, key(0), key(1), key(2), key(3), count.as_str()])?;
    }
    let bytes = out.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_counted_for_the_zone_whose_list_it_was() {
        let found = r#"{"operation":"hit_found","actor":null,"details":{"org":"5340"}}"#;
        let confirmed = r#"{"operation":"hit_confirmed","actor":{"org":"5340"},"details":{}}"#;
        let mut tally = Tally::default();
        for (operation, details) in [("hit_found", found), ("hit_found", found), ("hit_confirmed", confirmed)] {
            let (operation, details) = (operation.to_owned(), details.to_owned());
            let at = WallTime::from_secs(0);
            count_leaf(
                &mut tally,
                &LogDetail { index: 1, at, org: None, user: None, operation, decision: None, details },
            );
        }
        let figures: Vec<(String, u64)> = tally
            .figures()
            .into_iter()
            .filter(|figure| figure.subject == "watchlists")
            .map(|figure| (figure.keys.join(" "), figure.count))
            .collect();
        assert_eq!(figures, [("5340 hits".to_owned(), 2), ("5340 hits_confirmed".to_owned(), 1)]);
    }

    #[test]
    fn leaves_are_counted_once() {
        let leaf = |operation: &str, details: &str| LogDetail {
            index: 1,
            at: WallTime::from_secs(0),
            org: None,
            user: None,
            operation: operation.to_owned(),
            decision: None,
            details: details.to_owned(),
        };
        let open =
            r#"{"right":"live","outcome":"allow","purpose":"INTERVENTIE","relation":"shared","actor":{"org":"5340"}}"#;
        let refused =
            r#"{"right":"live","outcome":"no_event","purpose":null,"relation":"other","actor":{"org":"5340"}}"#;
        let mut tally = Tally::default();
        for (operation, details) in [
            ("open", open),
            ("open", open),
            ("renew", open),
            ("close", r#"{"right":"live","units":3}"#),
            ("refuse", refused),
            ("hold_set", r#"{"operation":"hold_set","details":{}}"#),
            ("open", "nonsense"),
        ] {
            count_leaf(&mut tally, &leaf(operation, details));
        }
        let seen: Vec<(&str, String, u64)> =
            tally.figures().into_iter().map(|one| (one.subject, one.keys.join("/"), one.count)).collect();
        let wanted = [
            ("changes", "hold_set", 1),
            ("refusals", "5340/live/-/other", 1),
            ("unreadable", "leaf", 1),
            ("uses", "5340/live/INTERVENTIE/shared", 2),
        ];
        assert_eq!(seen, wanted.map(|(subject, keys, count)| (subject, keys.to_owned(), count)));
    }

    #[test]
    fn years_run_on_the_calendar_of_brussels() {
        let range = year_range(2026).unwrap();
        assert_eq!((range.from.micros, range.to.micros), (1_767_222_000_000_000, 1_798_758_000_000_000));
        assert!(year_range(1999).is_err() && year_range(i16::MAX).is_err());
    }
}
