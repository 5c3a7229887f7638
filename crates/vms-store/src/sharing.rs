//! Events, emergency access, wishes for a share, notices, stations.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::model::Signature;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_app::sharing::model::{Corner, Coverage, Emergency, EventUse, Notice, ShareRequest, SharingEvent, Station};
use vms_app::sharing::ports::SharingStore;
use vms_app::words::ShareRequestState;
use vms_core::{OrgId, SessionId, TimeRange, UserId, WallTime};

use crate::db::{Store, db_error};
use crate::row::{Columns as _, nonsense, one, rows, signed};

const EVENTS: &str =
    "select id, kind, name, cameras, area, profiles, authority, reason, from_us, to_us, org_id, activated_by,
        activated_name, activated_at_us, ended_by, ended_name, ended_at_us, summarised_at_us, version
   from sharing_event";
const EMERGENCIES: &str =
    "select id, org_id, opened_by, opened_name, opened_at_us, cameras, owners, purpose, reason, until_us,
        ended_at_us, review_by_us, justified, review_text, reviewed_by, reviewed_name, reviewed_at_us
   from emergency";
const REQUESTS: &str =
    "select id, owner_id, partner_id, cameras, profile, rights, purpose, from_us, to_us, reason, case_ref,
        asked_by, asked_name, asked_at_us, state, first_by, first_name, first_at_us, settled_by, settled_name,
        settled_at_us, answer
   from share_request";

/// Who signed, in three columns; `None` while nobody did.
pub(crate) fn signature(row: &AnyRow, verb: &str) -> Stored<Option<Signature>> {
    let Some(at) = row.at_opt(&format!("{verb}_at_us"))? else { return Ok(None) };
    let user = row.word(&format!("{verb}_by"))?;
    Ok(Some(Signature { user, name: row.text(&format!("{verb}_name"))?, at }))
}

pub(crate) fn signed_by(row: &AnyRow, verb: &str) -> Stored<Signature> {
    signature(row, verb)?.ok_or_else(|| nonsense(verb))
}

/// A list of ids or words as its column holds it.
fn list<T: ToString>(values: &[T]) -> String {
    serde_json::Value::from(values.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
}

fn list_of<T: std::str::FromStr>(row: &AnyRow, column: &str) -> Stored<Vec<T>> {
    parse_list(&row.text(column)?, column)
}

fn parse_list<T: std::str::FromStr>(text: &str, column: &str) -> Stored<Vec<T>> {
    let words: Vec<String> = serde_json::from_str(text).map_err(|_| nonsense(column))?;
    words.iter().map(|word| word.parse().map_err(|_| nonsense(column))).collect()
}

fn range(row: &AnyRow) -> Stored<TimeRange> {
    TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))
}

fn cover(row: &AnyRow) -> Stored<Coverage> {
    if let Some(text) = row.text_opt("cameras")? {
        return Ok(Coverage::Cameras(parse_list(&text, "cameras")?));
    }
    let corners: Vec<(f64, f64)> = serde_json::from_str(&row.text("area")?).map_err(|_| nonsense("area"))?;
    Ok(Coverage::Area(corners.into_iter().map(|(lat, lon)| Corner { lat, lon }).collect()))
}

fn event(row: &AnyRow) -> Stored<SharingEvent> {
    Ok(SharingEvent {
        id: row.word("id")?,
        kind: row.word("kind")?,
        name: row.text("name")?,
        cover: cover(row)?,
        profiles: list_of(row, "profiles")?,
        authority: row.text("authority")?,
        reason: row.text("reason")?,
        period: range(row)?,
        org: row.word("org_id")?,
        activated: signed_by(row, "activated")?,
        ended: signature(row, "ended")?,
        summarised_at: row.at_opt("summarised_at_us")?,
        version: row.number("version")?,
    })
}

fn emergency(row: &AnyRow) -> Stored<Emergency> {
    let review = match (row.int_opt("justified")?, signature(row, "reviewed")?) {
        (Some(justified), Some(by)) => Some((justified == 1, row.text("review_text")?, by)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(nonsense("justified")),
    };
    Ok(Emergency {
        id: row.word("id")?,
        opened: signed_by(row, "opened")?,
        org: row.word("org_id")?,
        cameras: list_of(row, "cameras")?,
        owners: list_of(row, "owners")?,
        purpose: row.word("purpose")?,
        reason: row.text("reason")?,
        until: row.at("until_us")?,
        ended_at: row.at_opt("ended_at_us")?,
        review_by: row.at("review_by_us")?,
        review,
    })
}

fn request(row: &AnyRow) -> Stored<ShareRequest> {
    Ok(ShareRequest {
        id: row.word("id")?,
        owner: row.word("owner_id")?,
        partner: row.word("partner_id")?,
        cameras: list_of(row, "cameras")?,
        profile: row.word_opt("profile")?,
        rights: list_of(row, "rights")?,
        purpose: row.word_opt("purpose")?,
        period: range(row)?,
        reason: row.text("reason")?,
        case_ref: row.text_opt("case_ref")?,
        asked: signed_by(row, "asked")?,
        state: row.word("state")?,
        first: signature(row, "first")?,
        settled: signature(row, "settled")?,
        answer: row.text_opt("answer")?,
    })
}

fn station(row: &AnyRow) -> Stored<Station> {
    Ok(Station {
        id: row.word("id")?,
        org: row.word("org_id")?,
        name: row.text("name")?,
        agreement: row.text("agreement")?,
        code_hash: row.text("code_hash")?,
        registered: signed_by(row, "registered")?,
        revoked_at: row.at_opt("revoked_at_us")?,
    })
}

#[async_trait]
impl SharingStore for Store {
    async fn sharing_event_insert(&self, wanted: &SharingEvent) -> Stored<()> {
        let (cameras, area) = match &wanted.cover {
            Coverage::Cameras(cameras) => (Some(list(cameras)), None),
            Coverage::Area(corners) => {
                let pairs: Vec<_> = corners.iter().map(|one| vec![one.lat, one.lon]).collect();
                (None, Some(serde_json::Value::from(pairs).to_string()))
            }
        };
        let version = signed(wanted.version)?;
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into sharing_event (id, kind, name, cameras, area, profiles, authority, reason, from_us, to_us,
                    org_id, activated_by, activated_name, activated_at_us, version)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.kind.as_str())
            .bind(wanted.name.clone())
            .bind(cameras.clone())
            .bind(area.clone())
            .bind(list(&wanted.profiles))
            .bind(wanted.authority.clone())
            .bind(wanted.reason.clone())
            .bind(wanted.period.from.micros)
            .bind(wanted.period.to.micros)
            .bind(wanted.org.to_string())
            .bind(wanted.activated.user.to_string())
            .bind(wanted.activated.name.clone())
            .bind(wanted.activated.at.micros)
            .bind(version)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn sharing_event_fetch(&self, id: Uuid) -> Stored<Option<SharingEvent>> {
        one(self, format!("{EVENTS} where id = $1"), id).await?.as_ref().map(event).transpose()
    }

    async fn sharing_event_list(&self, limit: u32) -> Stored<Vec<SharingEvent>> {
        let sql = format!("{EVENTS} order by activated_at_us desc, id desc limit $1");
        rows(self, sql, Some(i64::from(limit))).await?.iter().map(event).collect()
    }

    async fn sharing_event_list_in_force(&self, at: WallTime) -> Stored<Vec<SharingEvent>> {
        let sql = format!("{EVENTS} where to_us > $1 and ended_at_us is null order by id");
        // Those that start within the life of a snapshot are in it too: the reader looks at the instant.
        rows(self, sql, Some(at.micros)).await?.iter().map(event).collect()
    }

    async fn sharing_event_list_unsummarised(&self, before: WallTime) -> Stored<Vec<SharingEvent>> {
        let sql =
            format!("{EVENTS} where summarised_at_us is null and (to_us <= $1 or ended_at_us is not null) order by id");
        rows(self, sql, Some(before.micros)).await?.iter().map(event).collect()
    }

    async fn sharing_event_update(&self, wanted: &SharingEvent) -> Stored<()> {
        let version = signed(wanted.version)?;
        let ended = wanted.ended.as_ref();
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update sharing_event set to_us = $3, authority = $4, reason = $5, ended_by = $6, ended_name = $7,
                    ended_at_us = $8, summarised_at_us = $9, version = version + 1
                  where id = $1 and version = $2",
            )
            .bind(wanted.id.to_string())
            .bind(version)
            .bind(wanted.period.to.micros)
            .bind(wanted.authority.clone())
            .bind(wanted.reason.clone())
            .bind(ended.map(|by| by.user.to_string()))
            .bind(ended.map(|by| by.name.clone()))
            .bind(ended.map(|by| by.at.micros))
            .bind(wanted.summarised_at.map(|at| at.micros))
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn event_use_add(&self, used: &EventUse) -> Stored<()> {
        let uses = signed(used.uses)?;
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into event_use (event_id, owner_id, camera_id, org_id, right_, uses) values ($1, $2, $3, $4, $5, $6)
                 on conflict (event_id, camera_id, org_id, right_) do update set uses = event_use.uses + excluded.uses",
            )
            .bind(used.event.to_string())
            .bind(used.owner.to_string())
            .bind(used.camera.to_string())
            .bind(used.org.to_string())
            .bind(used.right.as_str())
            .bind(uses)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn event_use_list(&self, event: Uuid) -> Stored<Vec<EventUse>> {
        let found = sqlx::query(
            "select owner_id, camera_id, org_id, right_, uses from event_use where event_id = $1
              order by owner_id, camera_id, org_id, right_",
        )
        .bind(event.to_string())
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        let used = |row: &AnyRow| {
            Ok(EventUse {
                event,
                owner: row.word("owner_id")?,
                camera: row.word("camera_id")?,
                org: row.word("org_id")?,
                right: row.word("right_")?,
                uses: row.number("uses")?,
            })
        };
        found.iter().map(used).collect()
    }

    async fn emergency_insert(&self, wanted: &Emergency) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into emergency (id, org_id, opened_by, opened_name, opened_at_us, cameras, owners, purpose, reason,
                    until_us, review_by_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.org.to_string())
            .bind(wanted.opened.user.to_string())
            .bind(wanted.opened.name.clone())
            .bind(wanted.opened.at.micros)
            .bind(list(&wanted.cameras))
            .bind(list(&wanted.owners))
            .bind(wanted.purpose.as_str())
            .bind(wanted.reason.clone())
            .bind(wanted.until.micros)
            .bind(wanted.review_by.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn emergency_fetch(&self, id: Uuid) -> Stored<Option<Emergency>> {
        one(self, format!("{EMERGENCIES} where id = $1"), id).await?.as_ref().map(emergency).transpose()
    }

    async fn emergency_list(&self, limit: u32) -> Stored<Vec<Emergency>> {
        let sql = format!("{EMERGENCIES} order by opened_at_us desc, id desc limit $1");
        rows(self, sql, Some(i64::from(limit))).await?.iter().map(emergency).collect()
    }

    async fn emergency_list_in_force(&self, at: WallTime) -> Stored<Vec<Emergency>> {
        let sql = format!("{EMERGENCIES} where until_us > $1 and ended_at_us is null order by id");
        rows(self, sql, Some(at.micros)).await?.iter().map(emergency).collect()
    }

    async fn emergency_list_unreviewed(&self, user: UserId) -> Stored<Vec<Emergency>> {
        let sql = format!("{EMERGENCIES} where opened_by = $1 and reviewed_at_us is null order by id");
        let found = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.to_string())
            .fetch_all(&self.read)
            .await
            .map_err(db_error)?;
        found.iter().map(emergency).collect()
    }

    async fn emergency_end(&self, id: Uuid, at: WallTime) -> Stored<bool> {
        write_txn!(self, |conn| {
            sqlx::query("update emergency set ended_at_us = $2 where id = $1 and ended_at_us is null")
                .bind(id.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() == 1)
                .map_err(db_error)
        })
    }

    async fn emergency_review(&self, wanted: &Emergency) -> Stored<()> {
        let Some((justified, text, by)) = &wanted.review else { return Ok(()) };
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update emergency set justified = $2, review_text = $3, reviewed_by = $4, reviewed_name = $5,
                    reviewed_at_us = $6
                  where id = $1 and reviewed_at_us is null",
            )
            .bind(wanted.id.to_string())
            .bind(i64::from(*justified))
            .bind(text.clone())
            .bind(by.user.to_string())
            .bind(by.name.clone())
            .bind(by.at.micros)
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn share_request_insert(&self, wanted: &ShareRequest) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into share_request (id, owner_id, partner_id, cameras, profile, rights, purpose, from_us, to_us,
                    reason, case_ref, asked_by, asked_name, asked_at_us, state)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.owner.to_string())
            .bind(wanted.partner.to_string())
            .bind(list(&wanted.cameras))
            .bind(wanted.profile.map(vms_core::Profile::as_str))
            .bind(list(&wanted.rights))
            .bind(wanted.purpose.map(vms_core::Purpose::as_str))
            .bind(wanted.period.from.micros)
            .bind(wanted.period.to.micros)
            .bind(wanted.reason.clone())
            .bind(wanted.case_ref.clone())
            .bind(wanted.asked.user.to_string())
            .bind(wanted.asked.name.clone())
            .bind(wanted.asked.at.micros)
            .bind(wanted.state.as_str())
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn share_request_fetch(&self, id: Uuid) -> Stored<Option<ShareRequest>> {
        one(self, format!("{REQUESTS} where id = $1"), id).await?.as_ref().map(request).transpose()
    }

    async fn share_request_list(&self, limit: u32) -> Stored<Vec<ShareRequest>> {
        let sql = format!("{REQUESTS} order by asked_at_us desc, id desc limit $1");
        rows(self, sql, Some(i64::from(limit))).await?.iter().map(request).collect()
    }

    async fn share_request_update(&self, wanted: &ShareRequest, was: ShareRequestState) -> Stored<()> {
        let (first, settled) = (wanted.first.as_ref(), wanted.settled.as_ref());
        write_txn!(self, |conn| {
            let done = sqlx::query(
                "update share_request set state = $3, first_by = $4, first_name = $5, first_at_us = $6, settled_by = $7,
                    settled_name = $8, settled_at_us = $9, answer = $10
                  where id = $1 and state = $2",
            )
            .bind(wanted.id.to_string())
            .bind(was.as_str())
            .bind(wanted.state.as_str())
            .bind(first.map(|by| by.user.to_string()))
            .bind(first.map(|by| by.name.clone()))
            .bind(first.map(|by| by.at.micros))
            .bind(settled.map(|by| by.user.to_string()))
            .bind(settled.map(|by| by.name.clone()))
            .bind(settled.map(|by| by.at.micros))
            .bind(wanted.answer.clone())
            .execute(conn)
            .await
            .map_err(db_error)?;
            if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
    }

    async fn notice_insert(&self, wanted: &Notice) -> Stored<i64> {
        write_txn!(self, |conn| {
            let row =
                sqlx::query("insert into notice (at_us, org_id, kind, data) values ($1, $2, $3, $4) returning id")
                    .bind(wanted.at.micros)
                    .bind(wanted.org.to_string())
                    .bind(wanted.kind.as_str())
                    .bind(wanted.data.clone())
                    .fetch_one(conn)
                    .await
                    .map_err(db_error)?;
            row.int("id")
        })
    }

    async fn notice_list(&self, org: Option<OrgId>, below: Option<i64>, limit: u32) -> Stored<Vec<Notice>> {
        let found = sqlx::query(
            "select id, at_us, org_id, kind, data from notice where (org_id = $1 or $1 = '') and id < $2
              order by id desc limit $3",
        )
        .bind(org.map(|id| id.to_string()).unwrap_or_default())
        .bind(below.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(db_error)?;
        let notice = |row: &AnyRow| {
            let (id, at, org) = (row.int("id")?, row.at("at_us")?, row.word("org_id")?);
            Ok(Notice { id, at, org, kind: row.word("kind")?, data: row.text("data")? })
        };
        found.iter().map(notice).collect()
    }

    async fn station_insert(&self, wanted: &Station) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into station (id, org_id, name, agreement, code_hash, registered_by, registered_name,
                    registered_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(wanted.id.to_string())
            .bind(wanted.org.to_string())
            .bind(wanted.name.clone())
            .bind(wanted.agreement.clone())
            .bind(wanted.code_hash.clone())
            .bind(wanted.registered.user.to_string())
            .bind(wanted.registered.name.clone())
            .bind(wanted.registered.at.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn station_list(&self) -> Stored<Vec<Station>> {
        let sql = "select id, org_id, name, agreement, code_hash, registered_by, registered_name, registered_at_us,
                revoked_at_us
           from station order by registered_at_us desc, id desc";
        rows(self, sql.to_owned(), None).await?.iter().map(station).collect()
    }

    async fn station_revoke(&self, id: Uuid, at: WallTime) -> Stored<bool> {
        write_txn!(self, |conn| {
            sqlx::query("update station set revoked_at_us = $2 where id = $1 and revoked_at_us is null")
                .bind(id.to_string())
                .bind(at.micros)
                .execute(conn)
                .await
                .map(|done| done.rows_affected() == 1)
                .map_err(db_error)
        })
    }

    async fn station_session_put(&self, session: SessionId, station: Uuid, at: WallTime) -> Stored<()> {
        write_txn!(self, |conn| {
            sqlx::query(
                "insert into station_session (session_id, station_id, at_us) values ($1, $2, $3)
                 on conflict (session_id) do update set station_id = excluded.station_id, at_us = excluded.at_us",
            )
            .bind(session.to_string())
            .bind(station.to_string())
            .bind(at.micros)
            .execute(conn)
            .await
            .map(drop)
            .map_err(db_error)
        })
    }

    async fn station_session_list(&self) -> Stored<Vec<SessionId>> {
        let sql = "select p.session_id from station_session p
             join station s on s.id = p.station_id
             join session n on n.id = p.session_id
            where s.revoked_at_us is null and n.ended_at_us is null";
        rows(self, sql.to_owned(), None).await?.iter().map(|row| row.word("session_id")).collect()
    }
}
