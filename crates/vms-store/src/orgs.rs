//! Organisations.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::model::Org;
use vms_app::ports::OrgStore;
use vms_app::ports::store::Stored;
use vms_core::OrgId;

use crate::db::{Store, db_error};
use crate::row::Columns as _;

fn org(row: &AnyRow) -> Stored<Org> {
    Ok(Org {
        id: row.word("id")?,
        code: row.text("code")?,
        name_nl: row.text("name_nl")?,
        name_fr: row.text("name_fr")?,
        kind: row.word("kind")?,
    })
}

#[async_trait]
impl OrgStore for Store {
    async fn org_list(&self) -> Stored<Vec<Org>> {
        let rows = sqlx::query("select id, code, name_nl, name_fr, kind from org order by code")
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        rows.iter().map(org).collect()
    }

    async fn org_put(&self, wanted: &Org) -> Stored<OrgId> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into org (id, code, name_nl, name_fr, kind) values ($1, $2, $3, $4, $5)
                 on conflict (code) do update
                    set name_nl = excluded.name_nl, name_fr = excluded.name_fr, kind = excluded.kind",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.code.clone())
            .bind(wanted.name_nl.clone())
            .bind(wanted.name_fr.clone())
            .bind(wanted.kind.as_str())
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            let row = sqlx::query("select id from org where code = $1")
                .bind(wanted.code.clone())
                .fetch_one(conn)
                .await
                .map_err(db_error)?;
            row.word("id")
        })
    }
}
