//! Partners behind gateways.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::model::{LegalBasis, Partner};
use vms_app::ports::store::Stored;
use vms_app::ports::{PartnerStore, StoreError};
use vms_core::OrgId;

use crate::db::{Store, bump_assignment, db_error};
use crate::row::{Columns as _, signed};

fn partner(row: &AnyRow) -> Stored<Partner> {
    Ok(Partner {
        org: row.word("org_id")?,
        name: row.text("name")?,
        catalogue_url: row.text("catalogue_url")?,
        agreement: LegalBasis {
            document: row.text("agreement_document")?,
            dated: row.text("agreement_dated")?,
            advice: row.text("agreement_advice")?,
        },
        enabled: row.int("enabled")? == 1,
        version: row.number("version")?,
    })
}

#[async_trait]
impl PartnerStore for Store {
    async fn partner_list(&self) -> Stored<Vec<Partner>> {
        let rows = sqlx::query(
            "select org_id, name, catalogue_url, agreement_document, agreement_dated, agreement_advice, enabled, version
               from partner order by name, org_id",
        )
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(partner).collect()
    }

    async fn partner_fetch(&self, org: OrgId) -> Stored<Option<Partner>> {
        let row = sqlx::query(
            "select org_id, name, catalogue_url, agreement_document, agreement_dated, agreement_advice, enabled, version
               from partner where org_id = $1",
        )
        .bind(org.to_string())
        .fetch_optional(&self.read)
        .await
        .map_err(db_error)?;
        row.as_ref().map(partner).transpose()
    }

    async fn partner_insert(&self, wanted: &Partner) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into partner (org_id, name, catalogue_url, agreement_document, agreement_dated,
                    agreement_advice, enabled, version)
                 values ($1, $2, $3, $4, $5, $6, $7, 1)",
            )
            .bind(wanted.org.to_string())
            .bind(wanted.name.clone())
            .bind(wanted.catalogue_url.clone())
            .bind(wanted.agreement.document.clone())
            .bind(wanted.agreement.dated.clone())
            .bind(wanted.agreement.advice.clone())
            .bind(i64::from(wanted.enabled))
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            bump_assignment(conn).await
        })
    }

    async fn partner_update(&self, wanted: &Partner) -> Stored<()> {
        let version = signed(wanted.version)?;
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update partner set name = $2, catalogue_url = $3, agreement_document = $4, agreement_dated = $5,
                    agreement_advice = $6, enabled = $7, version = version + 1
                  where org_id = $1 and version = $8",
            )
            .bind(wanted.org.to_string())
            .bind(wanted.name.clone())
            .bind(wanted.catalogue_url.clone())
            .bind(wanted.agreement.document.clone())
            .bind(wanted.agreement.dated.clone())
            .bind(wanted.agreement.advice.clone())
            .bind(i64::from(wanted.enabled))
            .bind(version)
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() != 1 {
                return Err(StoreError::Stale);
            }
            bump_assignment(conn).await
        })
    }
}
