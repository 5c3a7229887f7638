//! The demo's partner: MIVB with two cameras of its own behind a log-in of its own, a catalogue over HTTP, and a grant of its
//! local administrator that lets zone 5340 look. Editing `partner/catalogue.json` in the demo's folder plays the partner
//! adding, changing and withdrawing cameras.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::net::TcpListener;
use vms_app::UseCases;
use vms_app::grants::ShareWish;
use vms_app::model::LegalBasis;
use vms_core::{Right, TimeRange};

use super::{PARTNER_HTTP_PORT, PARTNER_RTSP_PORT, with_role};
use crate::complain;
use crate::config::Config;
use crate::keys::{secret_32, write_durably};
use crate::roles::own_program;
use crate::supervisor::ChildSpec;

const USER: &str = "mivb-relay";
/// References, names and places of its cameras, invented.
const CAMERAS: [(&str, &str, &str, f64, f64); 2] = [
    ("DBR-Q1", "De Brouckère, bovengronds", "De Brouckère, surface", 50.8512, 4.3526),
    ("ROG-P2", "Rogier, halte Noord", "Rogier, arrêt Nord", 50.8556, 4.3588),
];

/// Whether the demo's configuration lets the gateway dial the partner; one that an older Belfry wrote does not.
pub(super) fn fits(config: &Config) -> bool {
    let ports = &config.cameras.allowed_ports;
    let fits = config.gateway.enabled && ports.iter().any(|(low, high)| (*low..=*high).contains(&PARTNER_RTSP_PORT));
    if !fits {
        complain("  This demo folder is older than the partner MIVB: remove the folder to see it.");
    }
    fits
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("partner")
}

/// The partner's cameras and its catalogue, as children of the demo.
pub(super) fn children(config: &Config, dir: &Path) -> anyhow::Result<Vec<ChildSpec>> {
    let (town, partner) = (dir.join("town"), folder(dir));
    let mut cameras: Vec<OsString> = vec!["sim".into(), "cameras".into(), "--count".into()];
    cameras.extend([CAMERAS.len().to_string().into(), "--film".into(), town.join("town-3-main.h264").into()]);
    cameras.extend(["--port".into(), PARTNER_RTSP_PORT.to_string().into(), "--user".into(), USER.into()]);
    cameras.extend(["--password-file".into(), partner.join("password.txt").into()]);
    let mut catalogue: Vec<OsString> = vec!["partner-stub".into(), "--bind".into()];
    catalogue.push(format!("127.0.0.1:{PARTNER_HTTP_PORT}").into());
    catalogue.extend(["--catalogue".into(), partner.join("catalogue.json").into()]);
    let child = |name: &str, program: PathBuf, args| {
        let (name, grace) = (name.to_owned(), Duration::from_secs(2));
        ChildSpec { name, program, args, grace, notes: None }
    };
    Ok(vec![
        child("partner-cameras", config.paths.media_program.clone(), cameras),
        child("partner-catalogue", own_program()?, catalogue),
    ])
}

fn write_files(dir: &Path) -> anyhow::Result<()> {
    let partner = folder(dir);
    std::fs::create_dir_all(&partner)?;
    let password = hex::encode(secret_32(&partner.join("partner.key"))?.get(..10).unwrap_or_default());
    write_durably(&partner.join("password.txt"), password.as_bytes(), 0o600)?;
    let cameras: Vec<_> = CAMERAS
        .iter()
        .zip(1..)
        .map(|((reference, naam, nom, lat, lon), number)| {
            json!({
                "ref": reference, "naam": naam, "nom": nom, "lat": lat, "lon": lon, "gedeeld": true,
                "rtsp": format!("rtsp://127.0.0.1:{PARTNER_RTSP_PORT}/cam{number:03}/main"),
                "login": { "user": USER, "password": password },
            })
        })
        .collect();
    let catalogue = serde_json::to_string_pretty(&json!({ "version": 1, "cameras": cameras }))?;
    write_durably(&partner.join("catalogue.json"), catalogue.as_bytes(), 0o600)
}

/// Connects the partner, imports its catalogue and shares its cameras, once.
pub(super) async fn seed(config: &Config, cases: &UseCases, dir: &Path) -> anyhow::Result<()> {
    let admin = cases.actor_of_command_line("admin").await?;
    if !cases.partner_list(&admin).await?.is_empty() {
        return Ok(());
    }
    write_files(dir)?;
    let orgs = cases.org_list().await?;
    let org = |code: &str| orgs.iter().find(|org| org.code == code).map(|org| org.id);
    let (mivb, zone) = (org("MIVB").context("MIVB")?, org("5340").context("zone 5340")?);
    let listener = TcpListener::bind(("127.0.0.1", PARTNER_HTTP_PORT)).await.context("the partner's catalogue")?;
    let serving = tokio::spawn(gateway_mivb::stub::serve(listener, folder(dir).join("catalogue.json")));
    let url = format!("http://127.0.0.1:{PARTNER_HTTP_PORT}{}", gateway_mivb::stub::PATH);
    let agreement = LegalBasis {
        document: "Demo: protocol MIVB – politiezones".to_owned(),
        dated: "2026-02-02".to_owned(),
        advice: "Demo: gunstig advies / avis favorable".to_owned(),
    };
    cases.partner_create(&admin, mivb, "MIVB – STIB".to_owned(), url, agreement).await?;
    cases.partner_switch(&admin, mivb, true).await?;
    // Two people: the administrator asks, the zone chief agrees.
    let chief = cases.actor_of_command_line("chef").await?;
    let wishes = cases.second_list(&chief).await?;
    let wish = wishes
        .iter()
        .find(|sight| sight.may_settle && sight.wish.owner == mivb)
        .context("the wish to switch MIVB on")?;
    cases.second_settle(&chief, wish.wish.id, vms_app::legal_changes::Settling::Approve).await?;
    let outcome = with_role(config, dir, link::Role::Gateway, async {
        let outcome = cases.partner_catalogue(&admin, mivb).await?;
        anyhow::ensure!(outcome.refused.is_empty(), "cameras of the partner were refused: {:?}", outcome.refused);
        Ok(())
    });
    let outcome = outcome.await;
    serving.abort();
    outcome?;

    let owner = cases.actor_of_command_line("mivb").await?;
    let cameras = cases.camera_list(&owner, "MIVB/", None, CAMERAS.len()).await?;
    let now = cases.clock().now();
    let period = TimeRange::new(now, now.plus(Duration::from_secs(365 * 86_400))).context("a year from now")?;
    let cameras = cameras.iter().map(|sight| sight.camera.id).collect();
    let rights = vec![Right::Live];
    cases
        .grant_share(&owner, ShareWish { cameras, partner: zone, profile: None, rights, purpose: None, period })
        .await?;
    Ok(())
}
