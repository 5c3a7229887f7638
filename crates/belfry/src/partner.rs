//! `belfry partner …`: partners behind gateways, through the HTTP interface of a running Belfry.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Failure, ServerArgs, Session, sentence};
use crate::print;

/// `belfry partner …`.
#[derive(Debug, clap::Args)]
pub(crate) struct PartnerArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    what: PartnerCommand,
}

#[derive(Debug, Subcommand)]
enum PartnerCommand {
    /// List the partners, and what became of their last import.
    List,
    /// Connect a partner, switched off.
    Connect {
        /// Code of its organisation, such as MIVB.
        org: String,
        /// Name shown.
        #[arg(long)]
        name: String,
        /// Web address of its catalogue.
        #[arg(long)]
        catalogue: String,
        /// Title or number of the agreement.
        #[arg(long)]
        agreement: String,
        /// Date of the agreement, YYYY-MM-DD.
        #[arg(long)]
        agreement_date: String,
    },
    /// Ask for a partner's data flow to be switched on; a second person agrees.
    On {
        /// Code of its organisation.
        org: String,
    },
    /// Agree, as the second person, to switch a partner on.
    Agree {
        /// Code of its organisation.
        org: String,
    },
    /// Switch it off: its running streams end within 5 s.
    Off {
        /// Code of its organisation.
        org: String,
    },
    /// Import its catalogue now.
    Import {
        /// Code of its organisation.
        org: String,
    },
}

/// Logs in, does it, logs out.
pub(crate) async fn run(args: PartnerArgs) -> anyhow::Result<()> {
    let session = Session::open(&args.server).await?;
    let outcome = act(&session, &args.what).await;
    let outcome = outcome.and_then(|value| if args.server.json { show(&value) } else { tell(&args.what, &value) });
    session.close(outcome).await
}

async fn act(session: &Session, what: &PartnerCommand) -> anyhow::Result<Value> {
    match what {
        PartnerCommand::List => session.call(Method::GET, "/api/v1/partners", None).await,
        PartnerCommand::Connect { org, name, catalogue, agreement, agreement_date } => {
            let body = json!({
                "org_id": session.org_id(org).await?, "name": name, "catalogue_url": catalogue,
                "agreement": { "document": agreement, "date": agreement_date },
            });
            session.call(Method::POST, "/api/v1/partners", Some(body)).await
        }
        PartnerCommand::On { org } => switch(session, org, true).await,
        PartnerCommand::Off { org } => switch(session, org, false).await,
        PartnerCommand::Agree { org } => agree(session, org).await,
        PartnerCommand::Import { org } => {
            let path = format!("/api/v1/partners/{}/catalogue", session.org_id(org).await?);
            session.call(Method::POST, &path, None).await
        }
    }
}

async fn switch(session: &Session, org: &str, on: bool) -> anyhow::Result<Value> {
    let path = format!("/api/v1/partners/{}", session.org_id(org).await?);
    session.call(Method::PATCH, &path, Some(json!({ "enabled": on }))).await
}

/// Agrees to the wish that waits for this partner.
async fn agree(session: &Session, org: &str) -> anyhow::Result<Value> {
    let object = session.org_id(org).await?;
    let wishes = session.call(Method::GET, "/api/v1/second-wishes", None).await?;
    let is_it = |wish: &&Value| {
        let text = |key: &str| wish.get(key).and_then(Value::as_str).unwrap_or("");
        text("kind") == "partner_on" && text("state") == "waiting" && text("object") == object
    };
    let wish = wishes.get("items").and_then(Value::as_array).and_then(|wishes| wishes.iter().find(is_it));
    let id = wish.and_then(|wish| wish.get("id")).and_then(Value::as_str);
    let id = id.ok_or_else(|| Failure::Input(format!("nobody asked for `{org}` to be switched on")))?;
    session.call(Method::POST, &format!("/api/v1/second-wishes/{id}/approve"), None).await
}

fn tell(what: &PartnerCommand, value: &Value) -> anyhow::Result<()> {
    let count = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    match what {
        PartnerCommand::List => {
            value.get("items").and_then(Value::as_array).into_iter().flatten().for_each(line);
        }
        PartnerCommand::On { org } if value.get("enabled").and_then(Value::as_bool) != Some(true) => {
            print(&format!(
                "{org}: asked for; a zone chief or a data-protection officer has to agree (`belfry partner agree`)\n"
            ));
        }
        PartnerCommand::Agree { org } => print(&format!("{org} is switched on\n")),
        PartnerCommand::Connect { .. } | PartnerCommand::On { .. } | PartnerCommand::Off { .. } => line(value),
        PartnerCommand::Import { .. } => {
            for entry in value.get("refused").and_then(Value::as_array).into_iter().flatten() {
                let word = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
                print(&format!("{:<24} {:<22} {}\n", word("code"), word("field"), sentence(&word("problem"))));
            }
            let refused = value.get("refused").and_then(Value::as_array).map_or(0, Vec::len);
            let (added, changed, retired) = (count("added"), count("changed"), count("retired"));
            print(&format!("{added} added, {changed} changed, {retired} retired, {refused} refused\n"));
        }
    }
    Ok(())
}

fn line(partner: &Value) {
    let word = |path: &str| partner.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
    let is_on = partner.get("enabled").and_then(Value::as_bool).unwrap_or(false);
    let state = if is_on { "on" } else { "off" };
    let news = match partner.pointer("/last_import/detail").and_then(Value::as_str) {
        Some(detail) => detail.to_owned(),
        None => format!("last import {}", word("/last_import/at")),
    };
    print(&format!("{:<24} {state:<4} {news}\n", word("/name")));
}

fn show(value: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}
