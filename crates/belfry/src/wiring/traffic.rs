//! Zones with restricted access and average speed: the operator's files, checked at the start.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use traffic_rules::{trajectory, zbt};
use vms_app::traffic_ports::{PermitStore, Sites, TrafficParts};

use crate::config::Traffic;

fn text(path: &str, what: &str) -> anyhow::Result<Option<String>> {
    if path.is_empty() {
        return Ok(None);
    }
    std::fs::read_to_string(Path::new(path)).map(Some).with_context(|| format!("{what} {path}"))
}

/// What the use cases get. Without files: the shipped tables, no certificate, and no camera that stands anywhere.
///
/// # Errors
/// A file that cannot be read, or says what the tables do not have.
pub(crate) fn parts(config: &Traffic, permits: Arc<dyn PermitStore>) -> anyhow::Result<TrafficParts> {
    let zones = zbt::RuleSet::embedded();
    let certificates = text(&config.certificates, "the certificates of average speed,")?;
    let embedded = trajectory::SeedTexts::embedded();
    let texts = trajectory::SeedTexts {
        certificates: certificates.as_deref().unwrap_or(embedded.certificates),
        trajectories: embedded.trajectories,
        parameters: embedded.parameters,
    };
    let roads =
        trajectory::RuleSet::load(texts).with_context(|| format!("the certificates in {}", config.certificates))?;
    let sites = match text(&config.places, "where cameras stand,")? {
        Some(text) => {
            Sites::parse(&text, &zones, &roads).with_context(|| format!("where cameras stand, {}", config.places))?
        }
        None => Sites::default(),
    };
    Ok(TrafficParts { zones: Arc::new(zones), roads: Arc::new(roads), sites: Arc::new(sites), permits })
}
