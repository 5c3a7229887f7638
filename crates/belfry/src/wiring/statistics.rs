//! Counts and travel times: the operator's file at the start, and the round that takes what the intake handed over. The round runs beside the
//! intake and is waited for by nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vms_app::UseCases;
use vms_app::statistics::{Plan, RoundReport, StatisticsDesk};
use vms_app::statistics_ports::StatisticsStore;

use super::copiers::every;
use crate::config::Statistics;

/// The desk; `None` without a file.
///
/// # Errors
/// A file that cannot be read, or says what cannot be.
pub(crate) fn desk(
    config: &Statistics,
    store: Arc<dyn StatisticsStore>,
) -> anyhow::Result<Option<Arc<StatisticsDesk>>> {
    if config.places.is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(Path::new(&config.places))
        .with_context(|| format!("the places of the statistics, {}", config.places))?;
    let plan = Plan::parse(&text).with_context(|| format!("the places of the statistics, {}", config.places))?;
    tracing::info!(sites = plan.sites.len(), routes = plan.routes.len(), "counts and travel times are made");
    let desk = StatisticsDesk::new(plan, store, config.keep_days).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Some(Arc::new(desk)))
}

/// Starts the round.
pub(crate) fn spawn(cases: &Arc<UseCases>, tasks: &TaskTracker, stop: &CancellationToken) {
    let Some(desk) = cases.extensions().statistics.clone() else { return };
    let cases = Arc::clone(cases);
    tasks.spawn(every("statistics", Duration::from_secs(1), stop.clone(), move || {
        let (desk, cases) = (Arc::clone(&desk), Arc::clone(&cases));
        async move {
            figures(&desk.round(&cases).await?);
            Ok(())
        }
    }));
}

fn figures(report: &RoundReport) {
    let cells = |fate: &'static str, count: u64| {
        metrics::counter!("belfry_statistics_cells_total", "fate" => fate).increment(count);
    };
    cells("published", report.published);
    cells("suppressed", report.suppressed);
    metrics::counter!("belfry_statistics_travel_times_total").increment(report.times);
    let left_out = |why: &'static str, count: u64| {
        metrics::counter!("belfry_statistics_left_out_total", "why" => why).absolute(count);
    };
    left_out("late", report.left_out.late);
    left_out("broken", report.left_out.broken);
    left_out("overflow", report.left_out.overflow + report.dropped);
    metrics::counter!("belfry_statistics_rows_dropped_total").absolute(report.rows_dropped);
    let gauge = |name: &'static str, value: usize| {
        metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
    };
    gauge("belfry_statistics_waiting", report.waiting);
    gauge("belfry_statistics_unwritten", report.unwritten);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_at_the_start_and_a_wrong_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("central.db").display());
        let store = vms_store::Store::open(&vms_store::StoreSettings { url, connections_max: 2 }).unwrap();
        let store: Arc<dyn StatisticsStore> = Arc::new(store);
        let made = |places: &Path| {
            let config = Statistics { places: places.display().to_string(), keep_days: 0 };
            desk(&config, Arc::clone(&store))
        };
        assert!(
            desk(&Statistics::default(), Arc::clone(&store)).unwrap().is_none(),
            "nothing is counted without a file"
        );
        let file = dir.path().join("places.toml");
        assert!(format!("{:#}", made(&file).unwrap_err()).contains("places.toml"), "a file that is not there");
        let head = "[publisher]\ncountry = \"be\"\nidentifier = \"X\"\n";
        std::fs::write(&file, head).unwrap();
        assert!(made(&file).unwrap().is_some());
        let route = "[[route]]\ncode = \"R\"\nfrom = \"A\"\nto = \"B\"\nshortest_s = 1\nlongest_s = 9\n";
        std::fs::write(&file, format!("{head}{route}")).unwrap();
        let problem = format!("{:#}", made(&file).unwrap_err());
        assert!(problem.contains("places.toml") && problem.contains("`R`"), "{problem}");
    }
}
