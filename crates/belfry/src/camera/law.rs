//! `belfry camera law …`: legal fields of an approved camera, proposed by one person and settled by another.

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::show;
use crate::client::Session;
use crate::print;

#[derive(Debug, Subcommand)]
pub(super) enum LawCommand {
    /// List the proposals that wait, or every version of one camera's legal fields.
    List {
        /// `cam_…` or the camera's code.
        camera: Option<String>,
    },
    /// Propose new legal fields: the camera goes on under the old ones until somebody else approves.
    Propose(Box<ProposeArgs>),
    /// Approve somebody else's proposal; its fields are in force at once.
    Approve {
        /// `dec_…` of the proposal.
        change: String,
    },
    /// Refuse somebody else's proposal.
    Refuse {
        /// `dec_…` of the proposal.
        change: String,
        /// Why; the proposer reads it.
        #[arg(long)]
        reason: String,
    },
    /// Take one's own proposal back.
    Withdraw {
        /// `dec_…` of the proposal.
        change: String,
    },
}

/// What is to change; what is not named stays.
#[derive(Debug, clap::Args)]
pub(super) struct ProposeArgs {
    /// `cam_…` or the camera's code.
    camera: String,
    /// Why, at least ten characters; the approver reads it.
    #[arg(long)]
    reason: String,
    /// `overview`, `lez`, `zbt` or `trajectory`.
    #[arg(long)]
    kind: Option<String>,
    /// Class of its footage from then on.
    #[arg(long)]
    retention_class: Option<String>,
    /// Pictogram placed, YYYY-MM-DD.
    #[arg(long)]
    pictogram_on: Option<String>,
    /// Title or number of the document that allows it.
    #[arg(long, requires = "legal_basis_date")]
    legal_basis: Option<String>,
    /// Date of that document, YYYY-MM-DD.
    #[arg(long, requires = "legal_basis")]
    legal_basis_date: Option<String>,
    /// The advice given on it.
    #[arg(long, default_value = "", requires = "legal_basis")]
    advice: String,
}

pub(super) async fn act(session: &Session, what: &LawCommand, as_json: bool) -> anyhow::Result<()> {
    let settle = async |change: &str, word: &str, body: Option<Value>| {
        session.call(Method::POST, &format!("/api/v1/legal-changes/{change}/{word}"), body).await
    };
    let change = match what {
        LawCommand::List { camera } => return list(session, camera.as_deref(), as_json).await,
        LawCommand::Propose(wanted) => propose(session, wanted).await?,
        LawCommand::Approve { change } => settle(change, "approve", None).await?,
        LawCommand::Refuse { change, reason } => settle(change, "refuse", Some(json!({ "reason": reason }))).await?,
        LawCommand::Withdraw { change } => settle(change, "withdraw", None).await?,
    };
    if as_json { show(&change) } else { tell(&change) }
}

async fn propose(session: &Session, wanted: &ProposeArgs) -> anyhow::Result<Value> {
    let id = session.camera_id(&wanted.camera).await?;
    let basis = wanted.legal_basis.as_ref();
    let basis =
        basis.map(|document| json!({ "document": document, "date": wanted.legal_basis_date, "advice": wanted.advice }));
    let body = json!({
        "reason": wanted.reason, "kind": wanted.kind, "retention_class": wanted.retention_class,
        "pictogram_on": wanted.pictogram_on, "legal_basis": basis,
    });
    session.call(Method::POST, &format!("/api/v1/cameras/{id}/legal-changes"), Some(body)).await
}

async fn list(session: &Session, camera: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let path = match camera {
        Some(camera) => format!("/api/v1/cameras/{}/legal-changes", session.camera_id(camera).await?),
        None => "/api/v1/legal-changes".to_owned(),
    };
    let page = session.call(Method::GET, &path, None).await?;
    let all = page.get("items").and_then(Value::as_array).context("the server gave no list")?;
    if as_json {
        return show(&Value::Array(all.clone()));
    }
    all.iter().try_for_each(tell)
}

/// A line for the proposal, and one for each field that differs.
fn tell(change: &Value) -> anyhow::Result<()> {
    let word = |path: &str| change.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
    let (id, code, state) = (word("/id"), word("/camera/code"), word("/state"));
    print(&format!("{id} {code} {state}: proposed by {}, {}\n", word("/proposed/name"), word("/reason")));
    for one in change.get("changes").and_then(Value::as_array).into_iter().flatten() {
        let side = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
        print(&format!("  {:<16} {} -> {}\n", side("field"), side("before"), side("after")));
    }
    Ok(())
}
