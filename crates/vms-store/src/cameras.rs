//! Cameras with streams and legal bases, and grants of rights on them.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::any::AnyRow;
use vms_app::model::{Camera, CameraStream, Grant, GrantTerms, LegalBasis};
use vms_app::ports::store::Stored;
use vms_app::ports::{CameraStore, GrantStore, StoreError};
use vms_core::{CameraId, GrantId, OrgId, RetentionClass, StreamId, TimeRange, WallTime};

use crate::bounded::Writing;
use crate::db::{Store, bump_assignment, db_error};
use crate::row::{Columns as _, nonsense, signed};

const ALL: &str =
    "select c.id, c.code, c.call_up, c.name_nl, c.name_fr, c.owner_id, c.partner_id, c.kind, c.lat, c.lon,
        c.state, c.retention_class, c.pictogram_on, c.version, c.created_at_us, c.updated_at_us,
        b.document, b.dated, b.advice
   from camera c left join legal_basis b on b.camera_id = c.id";
const STREAMS: &str = "select s.id, s.camera_id, s.use_, s.url, s.sealed_credentials, s.transport, s.codec, s.width, s.height from stream s";

fn camera(row: &AnyRow) -> Stored<Camera> {
    let legal_basis = match row.text_opt("document")? {
        None => None,
        Some(document) => Some(LegalBasis { document, dated: row.text("dated")?, advice: row.text("advice")? }),
    };
    Ok(Camera {
        id: row.word("id")?,
        code: row.text("code")?,
        call_up: row.number_opt("call_up")?,
        name_nl: row.text("name_nl")?,
        name_fr: row.text("name_fr")?,
        owner: row.word("owner_id")?,
        partner: row.word_opt("partner_id")?,
        kind: row.word("kind")?,
        lat: row.double("lat")?,
        lon: row.double("lon")?,
        state: row.word("state")?,
        retention_class: RetentionClass::parse(&row.text("retention_class")?)
            .ok_or_else(|| nonsense("retention_class"))?,
        pictogram_on: row.text_opt("pictogram_on")?,
        legal_basis,
        streams: Vec::new(),
        version: row.number("version")?,
        created_at: row.at("created_at_us")?,
        updated_at: row.at("updated_at_us")?,
    })
}

fn stream(row: &AnyRow) -> Stored<(CameraId, CameraStream)> {
    let stream = CameraStream {
        id: row.word("id")?,
        use_: row.word("use_")?,
        url: row.text("url")?,
        sealed_credentials: row.blob_opt("sealed_credentials")?,
        transport: row.word("transport")?,
        codec: row.word_opt("codec")?,
        width: row.number_opt("width")?,
        height: row.number_opt("height")?,
    };
    Ok((row.word("camera_id")?, stream))
}

/// Cameras whose column equals a value, or all.
async fn cameras_where(store: &Store, sql: [String; 2], value: Option<String>) -> Stored<Vec<Camera>> {
    let [cameras_sql, streams_sql] = sql;
    let bound = |sql: String| {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql));
        match &value {
            Some(value) => query.bind(value.clone()),
            None => query,
        }
    };
    let rows = bound(cameras_sql).fetch_all(&store.read).await.map_err(db_error)?;
    let mut cameras: Vec<Camera> = rows.iter().map(camera).collect::<Stored<_>>()?;
    let rows = bound(streams_sql).fetch_all(&store.read).await.map_err(db_error)?;
    let mut streams: HashMap<CameraId, Vec<CameraStream>> = HashMap::new();
    for row in &rows {
        let (camera, stream) = stream(row)?;
        streams.entry(camera).or_default().push(stream);
    }
    for camera in &mut cameras {
        camera.streams = streams.remove(&camera.id).unwrap_or_default();
        camera.streams.sort_by_key(|stream| stream.use_);
    }
    Ok(cameras)
}

async fn parts_put(conn: &mut Writing<'_>, camera: &Camera) -> Stored<()> {
    let id = camera.id.to_string();
    sqlx::query("delete from legal_basis where camera_id = $1")
        .bind(id.clone())
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
    if let Some(basis) = &camera.legal_basis {
        sqlx::query("insert into legal_basis (camera_id, document, dated, advice) values ($1, $2, $3, $4)")
            .bind(id.clone())
            .bind(basis.document.clone())
            .bind(basis.dated.clone())
            .bind(basis.advice.clone())
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
    }
    // What an address turned out to be is kept by `stream_seen`; a replaced row starts with what the caller knew.
    sqlx::query("delete from stream where camera_id = $1")
        .bind(id.clone())
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
    for stream in &camera.streams {
        sqlx::query(
            "insert into stream (id, camera_id, use_, url, sealed_credentials, transport, codec, width, height)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(stream.id.to_string())
        .bind(id.clone())
        .bind(stream.use_.as_str())
        .bind(stream.url.clone())
        .bind(stream.sealed_credentials.clone())
        .bind(stream.transport.as_str())
        .bind(stream.codec.map(vms_core::Codec::as_str))
        .bind(stream.width.map(i64::from))
        .bind(stream.height.map(i64::from))
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
    }
    Ok(())
}

async fn camera_insert_on(conn: &mut Writing<'_>, camera: &Camera) -> Stored<()> {
    sqlx::query(
        "insert into camera (id, code, call_up, name_nl, name_fr, owner_id, partner_id, kind, lat, lon, state,
            retention_class, pictogram_on, version, created_at_us, updated_at_us)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $15)",
    )
    .bind(camera.id.to_string())
    .bind(camera.code.clone())
    .bind(camera.call_up.map(i64::from))
    .bind(camera.name_nl.clone())
    .bind(camera.name_fr.clone())
    .bind(camera.owner.to_string())
    .bind(camera.partner.map(|id| id.to_string()))
    .bind(camera.kind.as_str())
    .bind(camera.lat)
    .bind(camera.lon)
    .bind(camera.state.as_str())
    .bind(camera.retention_class.as_str().to_owned())
    .bind(camera.pictogram_on.clone())
    .bind(camera.created_at.micros)
    .bind(camera.updated_at.micros)
    .execute(&mut *conn)
    .await
    .map_err(db_error)?;
    parts_put(conn, camera).await
}

pub(crate) async fn camera_update_on(conn: &mut Writing<'_>, camera: &Camera, version: i64) -> Stored<()> {
    let done = sqlx::query(
        "update camera set code = $2, call_up = $3, name_nl = $4, name_fr = $5, kind = $6, lat = $7, lon = $8,
            state = $9, retention_class = $10, pictogram_on = $11, updated_at_us = $12, version = version + 1
          where id = $1 and version = $13",
    )
    .bind(camera.id.to_string())
    .bind(camera.code.clone())
    .bind(camera.call_up.map(i64::from))
    .bind(camera.name_nl.clone())
    .bind(camera.name_fr.clone())
    .bind(camera.kind.as_str())
    .bind(camera.lat)
    .bind(camera.lon)
    .bind(camera.state.as_str())
    .bind(camera.retention_class.as_str().to_owned())
    .bind(camera.pictogram_on.clone())
    .bind(camera.updated_at.micros)
    .bind(version)
    .execute(&mut *conn)
    .await
    .map_err(db_error)?;
    if done.rows_affected() != 1 {
        return Err(StoreError::Stale);
    }
    parts_put(conn, camera).await
}

#[async_trait]
impl CameraStore for Store {
    async fn camera_list(&self) -> Stored<Vec<Camera>> {
        cameras_where(self, [format!("{ALL} order by c.code"), STREAMS.to_owned()], None).await
    }

    async fn camera_fetch(&self, id: CameraId) -> Stored<Option<Camera>> {
        let sql = [format!("{ALL} where c.id = $1"), format!("{STREAMS} where s.camera_id = $1")];
        Ok(cameras_where(self, sql, Some(id.to_string())).await?.pop())
    }

    async fn camera_by_stream(&self, stream: StreamId) -> Stored<Option<Camera>> {
        let sql = [
            format!("{ALL} where c.id = (select camera_id from stream where id = $1)"),
            format!("{STREAMS} where s.camera_id = (select camera_id from stream where id = $1)"),
        ];
        Ok(cameras_where(self, sql, Some(stream.to_string())).await?.pop())
    }

    async fn camera_insert(&self, cameras: &[Camera]) -> Stored<()> {
        write_txn!(self, |conn| {
            for camera in cameras {
                camera_insert_on(&mut *conn, camera).await?;
            }
            bump_assignment(conn).await
        })
    }

    async fn camera_update(&self, camera: &Camera) -> Stored<()> {
        let version = signed(camera.version)?;
        write_txn!(self, |conn| {
            camera_update_on(&mut *conn, camera, version).await?;
            bump_assignment(conn).await
        })
    }

    async fn stream_seen(
        &self,
        stream: StreamId,
        codec: Option<&str>,
        width: Option<u16>,
        height: Option<u16>,
    ) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query("update stream set codec = $2, width = $3, height = $4 where id = $1")
                .bind(stream.to_string())
                .bind(codec.map(str::to_owned))
                .bind(width.map(i64::from))
                .bind(height.map(i64::from))
                .execute(conn)
                .await
                .map(drop)
                .map_err(db_error)
        })
    }

    async fn assignment_version(&self) -> Stored<u64> {
        let row = sqlx::query("select value from counter where name = 'assignment'")
            .fetch_one(&self.read)
            .await
            .map_err(db_error)?;
        row.number("value")
    }
}

fn grant(row: &AnyRow) -> Stored<Grant> {
    let period = TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?;
    Ok(Grant {
        id: row.word("id")?,
        owner: row.word("owner_id")?,
        terms: GrantTerms {
            camera: row.word("camera_id")?,
            partner: row.word("partner_id")?,
            profile: row.word_opt("profile")?,
            right: row.word("right_")?,
            purpose: row.word_opt("purpose")?,
            period,
        },
        revoked_at: row.at_opt("revoked_at_us")?,
    })
}

async fn grants(store: &Store, partner: OrgId, camera: String, at: WallTime) -> Stored<Vec<Grant>> {
    let rows = sqlx::query(
        "select id, owner_id, camera_id, partner_id, profile, right_, purpose, from_us, to_us, revoked_at_us
           from right_grant
          where partner_id = $1 and (camera_id = $2 or $2 = '')
            and from_us <= $3 and to_us > $3 and revoked_at_us is null
          order by id",
    )
    .bind(partner.to_string())
    .bind(camera)
    .bind(at.micros)
    .fetch_all(&store.read)
    .await
    .map_err(db_error)?;
    rows.iter().map(grant).collect()
}

#[async_trait]
impl GrantStore for Store {
    async fn grant_insert(&self, wanted: &Grant) -> Stored<()> {
        let terms = &wanted.terms;
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into right_grant (id, owner_id, camera_id, partner_id, profile, right_, purpose, from_us, to_us,
                    revoked_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.owner.to_string())
            .bind(terms.camera.to_string())
            .bind(terms.partner.to_string())
            .bind(terms.profile.map(vms_core::Profile::as_str))
            .bind(terms.right.as_str())
            .bind(terms.purpose.map(vms_core::Purpose::as_str))
            .bind(terms.period.from.micros)
            .bind(terms.period.to.micros)
            .bind(wanted.revoked_at.map(|at| at.micros))
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn grant_revoke(&self, id: GrantId, at: WallTime) -> Stored<bool> {
        write_txn!(self, |conn| {
            sqlx::query("update right_grant set revoked_at_us = $2 where id = $1 and revoked_at_us is null")
                .bind(id.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() == 1)
                .map_err(db_error)
        })
    }

    async fn grant_fetch(&self, id: GrantId) -> Stored<Option<Grant>> {
        let row = sqlx::query(
            "select id, owner_id, camera_id, partner_id, profile, right_, purpose, from_us, to_us, revoked_at_us
               from right_grant where id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(&self.read)
        .await
        .map_err(db_error)?;
        row.as_ref().map(grant).transpose()
    }

    async fn grant_list_all(&self) -> Stored<Vec<Grant>> {
        let rows = sqlx::query(
            "select id, owner_id, camera_id, partner_id, profile, right_, purpose, from_us, to_us, revoked_at_us
               from right_grant order by id desc",
        )
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        rows.iter().map(grant).collect()
    }

    async fn grant_list_to(&self, partner: OrgId, at: WallTime) -> Stored<Vec<Grant>> {
        grants(self, partner, String::new(), at).await
    }

    async fn grant_list_on(&self, camera: CameraId, partner: OrgId, at: WallTime) -> Stored<Vec<Grant>> {
        grants(self, partner, camera.to_string(), at).await
    }
}
