//! Runs of fines and their lines.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::any::AnyRow;
use vms_app::fines_ports::{
    AnswerCounts, Candidate, EndedLine, FineHeld, FineKind, FineLine, FineOpen, FinePermit, FineRun, FineStore,
    FineTotals, FineWaits, HandedOver, KeptAnswer, KeptHolder, NewFineLine,
};
use vms_app::lez_ports::{Finding, PictureKind};
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::{FindingId, OrgId, TimeRange, WallTime};

use super::LezVault;
use super::reads::field_of;
use crate::bounded::Writing;
use crate::db::db_error;
use crate::row::{Columns as _, nonsense, signed, unsigned};

const RUN: &str =
    "id, purpose, authority_id, chain, previous, from_us, to_us, opened_at_us, rule_set, taken, records, fines, warnings, files,
    amount_cents, merged, refused, manifest_sha256, signed_at_us, accepted, rejected, correct, ended, approved, not_final,
    waits_until_us, holder_waits";

/// Whose runs and findings a permit opens: as the two words that rows have.
pub(super) fn whose(permit: &FinePermit) -> (&'static str, String) {
    (permit.kind().purpose().as_str(), permit.authority().map(|org| org.to_string()).unwrap_or_default())
}

fn authority_of(row: &AnyRow) -> Stored<Option<OrgId>> {
    match row.text("authority_id")?.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| nonsense("authority_id")),
    }
}

fn run_of(row: &AnyRow) -> Stored<FineRun> {
    let count = |column: &str| row.int(column).and_then(unsigned);
    let range = TimeRange::new(row.at("from_us")?, row.at("to_us")?).ok_or_else(|| nonsense("to_us"))?;
    Ok(FineRun {
        id: row.text("id")?,
        kind: FineKind::of(row.word("purpose")?),
        authority: authority_of(row)?,
        chain: count("chain")?,
        previous: row.text("previous")?,
        range,
        opened_at: row.at("opened_at_us")?,
        rule_set: row.text("rule_set")?,
        totals: FineTotals {
            taken: count("taken")?,
            records: count("records")?,
            fines: count("fines")?,
            warnings: count("warnings")?,
            files: count("files")?,
            amount_cents: count("amount_cents")?,
            merged: count("merged")?,
            refused: count("refused")?,
        },
        waits: match row.number_opt("approved")? {
            None => None,
            Some(approved) => Some(FineWaits {
                approved,
                not_final: count("not_final")?,
                until: row.at_opt("waits_until_us")?,
                holder: count("holder_waits")?,
            }),
        },
        signed: row.text_opt("manifest_sha256")?.zip(row.at_opt("signed_at_us")?),
        answers: AnswerCounts {
            accepted: count("accepted")?,
            refused: count("rejected")?,
            correct: count("correct")?,
            ended: count("ended")?,
        },
    })
}

fn pictures_of(text: &str) -> Stored<Vec<PictureKind>> {
    let kind = |word: &str| match word {
        "crop" => Ok(PictureKind::Crop),
        "overview" => Ok(PictureKind::Overview),
        "exit_crop" => Ok(PictureKind::ExitCrop),
        "exit_overview" => Ok(PictureKind::ExitOverview),
        _ => Err(nonsense("pictures")),
    };
    text.split_whitespace().map(kind).collect()
}

/// What a line's text is sealed for: it opens in its place only.
fn field(run: &str, position: u64) -> String {
    format!("fine:{run}:{position}")
}

impl LezVault {
    /// The texts of lines, sealed under the keys of their findings.
    async fn fine_sealed(&self, run: &FineRun, lines: &[NewFineLine]) -> Stored<Vec<Vec<u8>>> {
        let mut out = Vec::with_capacity(lines.len());
        for line in lines {
            let row = sqlx::query("select purpose, class from lez_finding where id = $1")
                .bind(line.finding.to_string())
                .fetch_optional(&self.store.read)
                .await
                .map_err(db_error)?
                .ok_or(StoreError::Stale)?;
            let key_id = super::findings::finding_key(&row, line.finding)?;
            let key = self.key(&self.store.read, &key_id).await?.ok_or(StoreError::Stale)?;
            let field = field(&run.id, line.position);
            out.push(self.seal(&key, &key_id, &line.finding.to_string(), &field, line.text.as_bytes())?);
        }
        Ok(out)
    }

    async fn fine_open_on(
        &self,
        conn: &mut Writing<'_>,
        run: &FineRun,
        (lines, sealed): (&[NewFineLine], &[Vec<u8>]),
        held: &[FineHeld],
    ) -> Stored<()> {
        let (totals, waits) = (&run.totals, run.waits.unwrap_or_default());
        super::fine_waits::hold(&mut *conn, run, held).await?;
        sqlx::query(
            "insert into fine_run (id, chain, previous, working, from_us, to_us, opened_at_us, rule_set, taken, records, fines,
                warnings, amount_cents, merged, refused, purpose, authority_id, files, approved, not_final, waits_until_us,
                holder_waits, holder, holder_until_us, accepted, rejected, correct, ended)
             values ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                '', 0, 0, 0, 0, 0)",
        )
        .bind(run.id.clone())
        .bind(signed(run.chain)?)
        .bind(run.previous.clone())
        .bind(run.range.from.micros)
        .bind(run.range.to.micros)
        .bind(run.opened_at.micros)
        .bind(run.rule_set.clone())
        .bind(signed(totals.taken)?)
        .bind(signed(totals.records)?)
        .bind(signed(totals.fines)?)
        .bind(signed(totals.warnings)?)
        .bind(signed(totals.amount_cents)?)
        .bind(signed(totals.merged)?)
        .bind(signed(totals.refused)?)
        .bind(run.kind.purpose().as_str())
        .bind(run.authority.map(|org| org.to_string()).unwrap_or_default())
        .bind(signed(totals.files)?)
        .bind(signed(waits.approved)?)
        .bind(signed(waits.not_final)?)
        .bind(waits.until.map(|at| at.micros))
        .bind(signed(waits.holder)?)
        .execute(&mut *conn)
        .await
        .map_err(db_error)?;
        for (line, body) in lines.iter().zip(sealed) {
            fine_line_insert(&mut *conn, run, line, body.clone()).await?;
        }
        super::fine_waits::close(conn, run, lines).await
    }

    async fn fine_line_of(&self, run: &str, row: &AnyRow) -> Stored<Option<FineLine>> {
        let (finding, position): (FindingId, u64) = (row.word("finding_id")?, row.number("position")?);
        let mut line = FineLine {
            position,
            finding,
            offence: row.text_opt("offence")?,
            pictures: pictures_of(&row.text("pictures")?)?,
            left_at: row.at_opt("left_at_us")?,
            ended: None,
            is_damaged: false,
            text: String::new(),
        };
        let Some(sealed) = row.blob_opt("body")? else {
            // Closed before the signature it is a number; a record that was signed cannot be given any more.
            line.ended = Some(EndedLine {
                outcome: row.text_opt("outcome")?.unwrap_or_else(|| "refused".to_owned()),
                reason: row.text_opt("reason")?.unwrap_or_else(|| "term_ended".to_owned()),
            });
            return Ok(line.offence.is_none().then_some(line));
        };
        // Between the death of a key and the sweep of its rows.
        if row.text_opt("class")?.is_none() {
            return Ok(None);
        }
        let key_id = super::findings::finding_key(row, finding)?;
        let Some(key) = self.key(&self.store.read, &key_id).await? else { return Ok(None) };
        let clear = Self::open(&key, &key_id, &finding.to_string(), &field(run, position), &sealed);
        let text = clear.and_then(|clear| String::from_utf8(clear).map_err(|_| nonsense("body")));
        match self.whole(text, "fine_line", &format!("{run} {position}")) {
            Some(text) => line.text = text,
            None => line.is_damaged = true,
        }
        Ok(Some(line))
    }
}

async fn fine_line_insert(conn: &mut Writing<'_>, run: &FineRun, line: &NewFineLine, body: Vec<u8>) -> Stored<()> {
    let finding = line.finding.to_string();
    // Nothing is taken that is not approved as it was seen, nor what can still change: whoever chose the lines, this is the door.
    let seen = sqlx::query(
        "select id from lez_finding where id = $1 and version = $2 and state = 'approved'
            and (final_from_us is null or final_from_us < $3)",
    )
    .bind(finding.clone())
    .bind(signed(line.seen)?)
    .bind(run.range.to.micros)
    .fetch_optional(&mut *conn)
    .await
    .map_err(db_error)?;
    if seen.is_none() {
        return Err(StoreError::Stale);
    }
    let mut pictures = String::new();
    for kind in &line.pictures {
        pictures.push_str(field_of(*kind));
        pictures.push(' ');
    }
    sqlx::query(
        "insert into fine_line (run_id, position, finding_id, claim, offence, vehicle, verdict, fine_id, amount_cents, at_us,
            pictures, body, outcome, reason)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(run.id.clone())
    .bind(signed(line.position)?)
    .bind(finding.clone())
    .bind(line.offence.as_ref().map(|_| finding))
    .bind(line.offence.clone())
    .bind(if line.closes.is_some() { String::new() } else { line.vehicle.clone() })
    .bind(line.verdict.as_str())
    .bind(line.fine_id.clone())
    .bind(line.amount_cents.map(i64::from))
    .bind(line.at.micros)
    .bind(pictures)
    .bind(line.closes.is_none().then_some(body))
    .bind(line.outcome)
    .bind(line.closes.map(|(reason, _)| reason))
    .execute(conn)
    .await
    .map(drop)
    .map_err(db_error)
}

/// Lines of findings whose term ended by `now`, before the findings go: a record of an open run becomes a number that was refused, one that
/// was signed and has no answer is closed; the others go. How many records were closed.
pub(super) async fn close_ended(conn: &mut Writing<'_>, now: WallTime) -> Stored<u64> {
    let rows = sqlx::query(
        "select run_id, position, offence, fine_line.verdict as verdict, fine_line.amount_cents as amount_cents, answer,
            fine_run.purpose as purpose, case when working is null then 1 else 0 end as is_signed
           from fine_line join fine_run on fine_run.id = fine_line.run_id join lez_finding on lez_finding.id = fine_line.finding_id
          where lez_finding.expires_at_us <= $1 and ended_at_us is null",
    )
    .bind(now.micros)
    .fetch_all(&mut *conn)
    .await
    .map_err(db_error)?;
    let mut closed = 0;
    for row in &rows {
        let (is_signed, is_record) = (row.int("is_signed")? == 1, row.text_opt("offence")?.is_some());
        let line = (row.text("run_id")?, row.int("position")?);
        if is_signed && (!is_record || row.text_opt("answer")?.is_some()) {
            on_line(&mut *conn, "delete from fine_line where run_id = $1 and position = $2", &line, None).await?;
            continue;
        }
        let sql = if is_signed {
            "update fine_line set claim = null, vehicle = '', body = null, ended_at_us = $3 where run_id = $1 and position = $2"
        } else {
            "update fine_line set claim = null, vehicle = '', body = null, ended_at_us = $3, offence = null, pictures = '',
                fine_id = null, amount_cents = null, outcome = coalesce(outcome, 'refused') where run_id = $1 and position = $2"
        };
        on_line(&mut *conn, sql, &line, Some(now)).await?;
        if is_record {
            closed += 1;
            close_record(&mut *conn, row, is_signed).await?;
        }
    }
    Ok(closed)
}

async fn on_line(
    conn: &mut Writing<'_>,
    sql: &'static str,
    (run, position): &(String, i64),
    at: Option<WallTime>,
) -> Stored<()> {
    let query = sqlx::query(sql).bind(run.clone()).bind(*position);
    let query = if let Some(at) = at { query.bind(at.micros) } else { query };
    query.execute(conn).await.map(drop).map_err(db_error)
}

/// The totals of a run, with one record that is none any more, or gets no answer any more.
async fn close_record(conn: &mut Writing<'_>, row: &AnyRow, is_signed: bool) -> Stored<()> {
    let run = row.text("run_id")?;
    if is_signed {
        let sql = "update fine_run set ended = ended + 1 where id = $1";
        return sqlx::query(sql).bind(run).execute(conn).await.map(drop).map_err(db_error);
    }
    let is_file = row.text("purpose")? == FineKind::Trajectory.purpose().as_str();
    let is_warning = row.text("verdict")? == "warning";
    let amount: Option<i64> = row.number_opt("amount_cents")?;
    let amount = if is_file || is_warning { 0 } else { amount.unwrap_or(0) };
    let sql = "update fine_run set records = records - 1, refused = refused + 1, files = files - $2, warnings = warnings - $3,
        fines = fines - $4, amount_cents = amount_cents - $5 where id = $1";
    sqlx::query(sql)
        .bind(run)
        .bind(i64::from(is_file))
        .bind(i64::from(!is_file && is_warning))
        .bind(i64::from(!is_file && !is_warning))
        .bind(amount)
        .execute(conn)
        .await
        .map(drop)
        .map_err(db_error)
}

async fn fine_answer_on(
    conn: &mut Writing<'_>,
    offence: &str,
    (answer, code): (&str, Option<&str>),
    at: WallTime,
    ends: Option<WallTime>,
) -> Stored<bool> {
    let done = sqlx::query(
        "update fine_line set answer = $2, answer_code = $3, answered_at_us = $4,
            claim = case when $2 = 'correct' then null else claim end
          where offence = $1 and answer is null and ended_at_us is null",
    )
    .bind(offence.to_owned())
    .bind(answer.to_owned())
    .bind(code.map(str::to_owned))
    .bind(at.micros)
    .execute(&mut *conn)
    .await
    .map_err(db_error)?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    let sql = match answer {
        "accepted" => "update fine_run set accepted = accepted + 1",
        "refused" => "update fine_run set rejected = rejected + 1",
        _ => "update fine_run set correct = correct + 1",
    };
    let sql = format!("{sql} where id = (select run_id from fine_line where offence = $1)");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(offence.to_owned()).execute(&mut *conn).await.map_err(db_error)?;
    if let Some(ends) = ends {
        for sql in [
            "update lez_finding set expires_at_us = $2
              where id = (select finding_id from fine_line where offence = $1) and expires_at_us > $2",
            "update lez_key set ends_at_us = $2
              where object = (select finding_id from fine_line where offence = $1) and ends_at_us > $2",
        ] {
            let query = sqlx::query(sql).bind(offence.to_owned()).bind(ends.micros);
            query.execute(&mut *conn).await.map_err(db_error)?;
        }
    }
    Ok(true)
}

#[async_trait]
impl FineStore for LezVault {
    async fn fine_candidates(&self, permit: &FinePermit, range: TimeRange, limit: u32) -> Stored<Vec<Candidate>> {
        self.ready_findings(permit, range, limit).await
    }

    async fn fine_waits(&self, permit: &FinePermit, range: TimeRange) -> Stored<FineWaits> {
        super::fine_waits::waits(&self.store.read, whose(permit), range).await
    }

    async fn fine_earlier(&self, permit: &FinePermit, finding: &Finding, to: WallTime) -> Stored<Option<WallTime>> {
        self.waits_earlier(permit, finding, to).await
    }

    async fn fine_waiting(&self, permit: &FinePermit, before: WallTime) -> Stored<FineOpen> {
        self.open_findings(permit, before).await
    }

    async fn fine_history(&self, vehicle: &str) -> Stored<Vec<HandedOver>> {
        let rows = sqlx::query(
            "select verdict, fine_id, fine_line.amount_cents as amount_cents, at_us, signed_at_us from fine_line
               join fine_run on fine_run.id = fine_line.run_id
              where vehicle = $1 and offence is not null and (answer is null or answer = 'accepted') order by at_us, offence",
        )
        .bind(vehicle.to_owned())
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let one = |row: &AnyRow| {
            Ok(HandedOver {
                verdict: row.word("verdict")?,
                fine_id: row.text_opt("fine_id")?,
                amount_cents: row.number_opt("amount_cents")?,
                at: row.at("at_us")?,
                issued_at: row.at_opt("signed_at_us")?,
            })
        };
        rows.iter().map(one).collect()
    }

    async fn fine_superseded(&self, finding: FindingId) -> Stored<Option<String>> {
        let row = sqlx::query(
            "select offence from fine_line where finding_id = $1 and answer = 'correct' order by answered_at_us desc limit 1",
        )
        .bind(finding.to_string())
        .fetch_optional(&self.store.read)
        .await
        .map_err(db_error)?;
        row.map_or(Ok(None), |row| row.text_opt("offence"))
    }

    async fn fine_picture(&self, permit: &FinePermit, id: FindingId, kind: PictureKind) -> Stored<Option<Bytes>> {
        self.finding_image(super::findings::Whose::job(permit), id, kind).await
    }

    async fn fine_holder(&self, permit: &FinePermit, id: FindingId) -> Stored<Option<KeptHolder>> {
        self.holder_of(permit, id).await
    }

    async fn fine_open(
        &self,
        _permit: &FinePermit,
        run: &FineRun,
        lines: &[NewFineLine],
        held: &[FineHeld],
    ) -> Stored<()> {
        let _sealing = self.sealing.read().await;
        // Outside the transaction, which is the database's one writer meanwhile.
        let sealed = self.fine_sealed(run, lines).await?;
        write_txn!(self.store, |conn| { self.fine_open_on(conn, run, (lines, &sealed), held).await })
    }

    async fn fine_run(&self, permit: &FinePermit, id: &str) -> Stored<Option<FineRun>> {
        let sql = format!("select {RUN} from fine_run where id = $1 and purpose = $2 and authority_id = $3");
        let (purpose, authority) = whose(permit);
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_owned()).bind(purpose).bind(authority);
        query.fetch_optional(&self.store.read).await.map_err(db_error)?.as_ref().map(run_of).transpose()
    }

    async fn fine_runs(&self, permit: &FinePermit, limit: u32) -> Stored<Vec<FineRun>> {
        let sql =
            format!("select {RUN} from fine_run where purpose = $1 and authority_id = $2 order by chain desc limit $3");
        let (purpose, authority) = whose(permit);
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(purpose).bind(authority).bind(i64::from(limit));
        query.fetch_all(&self.store.read).await.map_err(db_error)?.iter().map(run_of).collect()
    }

    async fn fine_hold(&self, id: &str, holder: &str, now: WallTime, until: WallTime) -> Stored<bool> {
        write_txn!(self.store, |conn| {
            let done = sqlx::query(
                "update fine_run set holder = $2, holder_until_us = $4
                  where id = $1 and working = 1 and (holder = $2 or holder_until_us <= $3)",
            )
            .bind(id.to_owned())
            .bind(holder.to_owned())
            .bind(now.micros)
            .bind(until.micros)
            .execute(conn)
            .await
            .map_err(db_error)?;
            Ok(done.rows_affected() == 1)
        })
    }

    async fn fine_lines(&self, permit: &FinePermit, run: &str, after: u64, limit: u32) -> Stored<Vec<FineLine>> {
        let rows = sqlx::query(
            "select position, finding_id, offence, outcome, fine_line.reason as reason, pictures, left_at_us, body, lez_finding.class as class,
                lez_finding.purpose as purpose
               from fine_line join fine_run on fine_run.id = run_id left join lez_finding on lez_finding.id = fine_line.finding_id
              where run_id = $1 and position > $2 and fine_run.purpose = $4 and fine_run.authority_id = $5
              order by position limit $3",
        )
        .bind(run.to_owned())
        .bind(signed(after)?)
        .bind(i64::from(limit))
        .bind(whose(permit).0)
        .bind(whose(permit).1)
        .fetch_all(&self.store.read)
        .await
        .map_err(db_error)?;
        let mut out = Vec::with_capacity(rows.len());
        for row in &rows {
            out.extend(self.fine_line_of(run, row).await?);
        }
        Ok(out)
    }

    async fn fine_left(&self, run: &FineRun, (after, upto): (u64, u64), at: WallTime) -> Stored<()> {
        let (after, upto) = (signed(after)?, signed(upto)?);
        write_txn!(self.store, |conn| {
            let sql = "update fine_line set left_at_us = $3
                where run_id = $1 and position <= $2 and position > $4 and left_at_us is null
                  and exists (select 1 from fine_run where id = $1 and opened_at_us = $5)";
            let query = sqlx::query(sql).bind(run.id.clone()).bind(upto).bind(at.micros).bind(after);
            query.bind(run.opened_at.micros).execute(conn).await.map(drop).map_err(db_error)
        })
    }

    async fn fine_void(&self, run: &FineRun) -> Stored<()> {
        write_txn!(self.store, |conn| {
            for sql in [
                "delete from fine_line where run_id in (select id from fine_run where id = $1 and opened_at_us = $2 and working = 1)",
                "delete from fine_run where id = $1 and opened_at_us = $2 and working = 1",
            ] {
                let query = sqlx::query(sql).bind(run.id.clone()).bind(run.opened_at.micros);
                query.execute(&mut *conn).await.map_err(db_error)?;
            }
            Ok::<_, StoreError>(())
        })
    }

    async fn fine_sign(&self, run: &FineRun, manifest_sha256: &str, at: WallTime) -> Stored<bool> {
        let FineTotals { records, merged, refused, .. } = run.totals;
        write_txn!(self.store, |conn| {
            let done = sqlx::query(
                "update fine_run set manifest_sha256 = $2, signed_at_us = $3, working = null
                  where id = $1 and manifest_sha256 is null and opened_at_us = $4 and records = $5 and merged = $6 and refused = $7",
            )
            .bind(run.id.clone())
            .bind(manifest_sha256.to_owned())
            .bind(at.micros)
            .bind(run.opened_at.micros)
            .bind(signed(records)?)
            .bind(signed(merged)?)
            .bind(signed(refused)?)
            .execute(&mut *conn)
            .await
            .map_err(db_error)?;
            let same = sqlx::query("select id from fine_run where id = $1 and manifest_sha256 = $2")
                .bind(run.id.clone())
                .bind(manifest_sha256.to_owned())
                .fetch_optional(conn)
                .await
                .map_err(db_error)?;
            Ok(done.rows_affected() == 1 || same.is_some())
        })
    }

    async fn fine_answered(&self, offence: &str) -> Stored<Option<KeptAnswer>> {
        let row = sqlx::query(
            "select run_id, answer, answer_code, manifest_sha256, purpose, authority_id, ended_at_us from fine_line
               join fine_run on fine_run.id = fine_line.run_id where offence = $1",
        )
        .bind(offence.to_owned())
        .fetch_optional(&self.store.read)
        .await
        .map_err(db_error)?;
        let Some(row) = row else { return Ok(None) };
        let code = row.text_opt("answer_code")?;
        Ok(Some(KeptAnswer {
            run: row.text("run_id")?,
            kind: FineKind::of(row.word("purpose")?),
            authority: authority_of(&row)?,
            has_ended: row.at_opt("ended_at_us")?.is_some(),
            is_signed: row.text_opt("manifest_sha256")?.is_some(),
            answer: row.text_opt("answer")?.map(|answer| (answer, code)),
        }))
    }

    async fn fine_answer(
        &self,
        offence: &str,
        answer: (&str, Option<&str>),
        at: WallTime,
        ends: Option<WallTime>,
    ) -> Stored<bool> {
        write_txn!(self.store, |conn| { fine_answer_on(conn, offence, answer, at, ends).await })
    }

    async fn fine_holds(&self, finding: FindingId) -> Stored<bool> {
        let row = sqlx::query("select claim from fine_line where claim = $1")
            .bind(finding.to_string())
            .fetch_optional(&self.store.read)
            .await
            .map_err(db_error)?;
        Ok(row.is_some())
    }
}
