//! Partners behind gateways: connecting them and switching their data flow. Their cameras come with `catalogue.rs`.

use vms_core::{OrgId, Relation};

use crate::cases::UseCases;
use crate::catalogue::CatalogueNews;
use crate::error::{Entity, UseCaseError};
use crate::gate::action::AdminPartners;
use crate::gate::{Actor, Target, Why};
use crate::model::{LegalBasis, Partner};
use crate::seed::is_day;

impl UseCases {
    pub(crate) fn partner_target(actor: &Actor, org: OrgId) -> Target {
        let relation = if actor.org == org { Relation::Own } else { Relation::Other };
        Target { owner: Some(org), relation, object: Some(org.to_string()), ..Target::none() }
    }

    /// All partners, each with what became of its last import since this process started.
    ///
    /// # Errors
    /// `Denied`, logged.
    pub async fn partner_list(&self, actor: &Actor) -> Result<Vec<(Partner, Option<CatalogueNews>)>, UseCaseError> {
        self.look::<AdminPartners>(actor).await?;
        let with_news = |partner: Partner| {
            let news = self.catalogues.news_of(partner.org);
            (partner, news)
        };
        Ok(self.stores.partner_list().await?.into_iter().map(with_news).collect())
    }

    /// Connects a partner, switched off.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Conflict(Taken)`.
    pub async fn partner_create(
        &self,
        actor: &Actor,
        org: OrgId,
        name: String,
        catalogue_url: String,
        agreement: LegalBasis,
    ) -> Result<Partner, UseCaseError> {
        self.gate.permit::<AdminPartners>(actor, Self::partner_target(actor, org), &Why::default()).await?;
        if self.org(org).await?.is_none() {
            return Err(UseCaseError::invalid("org_id", "unknown"));
        }
        if name.trim().is_empty() || name.len() > 200 {
            return Err(UseCaseError::invalid("name", "empty_or_too_long"));
        }
        let is_http = url::Url::parse(&catalogue_url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
        });
        if !is_http {
            return Err(UseCaseError::invalid("catalogue_url", "not_a_url"));
        }
        if agreement.document.trim().is_empty() || !is_day(&agreement.dated) {
            return Err(UseCaseError::invalid("agreement", "document_and_date"));
        }
        let partner = Partner { org, name, catalogue_url, agreement, enabled: false, version: 1 };
        self.stores.partner_insert(&partner).await?;
        Ok(partner)
    }

    /// Switches a partner's data flow off, which ends its running streams within 5 s; or asks for it to be switched on, which another
    /// person has to agree to ([`crate::sharing::seconds`]).
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Conflict(Taken("wish"))` while a wish to switch it on waits.
    pub async fn partner_switch(&self, actor: &Actor, org: OrgId, enabled: bool) -> Result<Partner, UseCaseError> {
        self.gate.permit::<AdminPartners>(actor, Self::partner_target(actor, org), &Why::default()).await?;
        let partner = self.stores.partner_fetch(org).await?.ok_or(UseCaseError::NotFound(Entity::Partner))?;
        if partner.enabled == enabled {
            return Ok(partner);
        }
        if enabled {
            self.partner_ask(actor, &partner).await?;
            return Ok(partner);
        }
        self.partner_enable(partner, false).await
    }

    /// After whoever decides decided.
    pub(crate) async fn partner_enable(&self, partner: Partner, enabled: bool) -> Result<Partner, UseCaseError> {
        let partner = Partner { enabled, ..partner };
        self.stores.partner_update(&partner).await?;
        self.catalogues.ask_again(partner.org);
        self.note_change();
        Ok(Partner { version: partner.version + 1, ..partner })
    }
}
