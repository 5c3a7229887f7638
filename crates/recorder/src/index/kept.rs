//! What the sweeper asks each minute, in a time that does not grow with what is kept for long: classes with footage that its own term may
//! end, what of them is due, the mark of what lies behind the magistrate's gate, and erased rows that nobody needs any more.

use sqlx::Row as _;
use vms_core::{StreamId, WallTime};

use super::{Index, IndexError, Located, int, located, uint};

/// The next term of a class, the next class of a stream, the next stream. Three questions, because `SQLite` answers a comparison of rows
/// with the first column of an index alone, and would read all of a stream.
const NEXT_CLASS: [&str; 3] = [
    "select stream, class, keep_s from segment where erased_us is null and kept = 0
        and stream = $1 and class = $2 and keep_s > $3 order by keep_s limit 1",
    "select stream, class, keep_s from segment where erased_us is null and kept = 0
        and stream = $1 and class > $2 and $3 = $3 order by class, keep_s limit 1",
    "select stream, class, keep_s from segment where erased_us is null and kept = 0
        and stream > $1 and $2 = $2 and $3 = $3 order by stream, class, keep_s limit 1",
];

const ENDED: &str = "select * from segment where stream = $1 and class = $2 and keep_s = $3 and to_us <= $4
     and closing_at is not null and erased_us is null and kept = 0 order by to_us limit $5";

const DROP: &str = "delete from segment where segment in (
    select old.segment from segment old
     where old.erased_us is not null and old.erased_us < $1 and old.change <= $2
       and exists (select 1 from segment newer where newer.stream = old.stream and newer.to_us > old.to_us)
     order by old.erased_us limit $3)";

impl Index {
    /// Streams, classes and terms of what is there and not behind the magistrate's gate. One step through the index for each, however many
    /// rows it has.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn classes(&self) -> Result<Vec<(StreamId, String, u64)>, IndexError> {
        let mut found = Vec::new();
        let mut last = (String::new(), String::new(), -1_i64);
        loop {
            let mut next = None;
            for sql in NEXT_CLASS {
                let asked = sqlx::query(sql).bind(&last.0).bind(&last.1).bind(last.2);
                next = asked.fetch_optional(&self.pool).await?;
                if next.is_some() {
                    break;
                }
            }
            let Some(row) = next else { return Ok(found) };
            last = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let stream = last.0.parse().map_err(|_| IndexError::Row)?;
            found.push((stream, last.1.clone(), uint(last.2)));
        }
    }

    /// Closed segments of a stream, class and term that ended at or before `until` and are not behind the magistrate's gate, oldest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn ended_before(
        &self,
        of: &(StreamId, String, u64),
        until: WallTime,
        limit: u32,
    ) -> Result<Vec<Located>, IndexError> {
        let rows = sqlx::query(ENDED)
            .bind(of.0.to_string())
            .bind(&of.1)
            .bind(int(of.2))
            .bind(until.micros)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(located).collect()
    }

    /// Marks what these hour keys sealed as behind the magistrate's gate: their own term ends them no more, only their key does.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn keep_keys(&self, epochs: &[u64]) -> Result<(), IndexError> {
        let _one = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        for epoch in epochs {
            sqlx::query("update segment set kept = 1 where key_epoch = $1 and erased_us is null")
                .bind(int(*epoch))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The same for single rows: those of an index that was made anew do not have the mark.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn keep_rows(&self, rows: &[Located]) -> Result<(), IndexError> {
        if rows.is_empty() {
            return Ok(());
        }
        let _one = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        for row in rows {
            sqlx::query("update segment set kept = 1 where segment = $1")
                .bind(row.segment.to_string())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Drops rows of segments that were erased before an instant by a change not above `change`, the oldest first, at most `limit`; how
    /// many. The newest row of each stream stays.
    ///
    /// # Errors
    /// [`IndexError`].
    pub async fn drop_erased(&self, change: u64, before: WallTime, limit: u32) -> Result<u64, IndexError> {
        let _one = self.writer.lock().await;
        let done =
            sqlx::query(DROP).bind(before.micros).bind(int(change)).bind(i64::from(limit)).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::{Batch, SegmentState};
    use crate::sweep_tests::row;

    /// 40 segments of each of two streams; the first 30 of each are sealed by the hour key 7.
    fn rows() -> Vec<SegmentState> {
        let one = |number: u8| {
            let (of, at) = (1 + number % 2, i64::from(number / 2) * 60);
            SegmentState { key_epoch: u64::from(number < 60) * 7, ..row(number, of, (at, at + 60)) }
        };
        (0..80).map(one).collect()
    }

    async fn index() -> (tempfile::TempDir, Index) {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("index.db")).await.unwrap();
        index.flush(&Batch { segments: rows(), gaps: vec![] }, WallTime::from_secs(1)).await.unwrap();
        (dir, index)
    }

    #[tokio::test]
    async fn what_is_behind_the_gate_is_not_looked_at_and_no_question_of_each_minute_reads_the_table() {
        let (dir, index) = index().await;
        let classes = index.classes().await.unwrap();
        assert_eq!(classes.iter().map(|(stream, ..)| *stream).collect::<BTreeSet<_>>().len(), 2);
        let late = WallTime::from_secs(1_000_000);
        let count = async |index: &Index| {
            let mut count = 0;
            for of in index.classes().await.unwrap() {
                count += index.ended_before(&of, late, 1_000).await.unwrap().len();
            }
            count
        };
        assert_eq!(count(&index).await, 80);
        index.keep_keys(&[7]).await.unwrap();
        assert_eq!(count(&index).await, 20);
        assert_eq!(index.of_key(7).await.unwrap().len(), 60, "the key still finds what it sealed");
        let rest = index.ended_before(&classes[0], late, 1_000).await.unwrap();
        index.keep_rows(&rest).await.unwrap();
        assert_eq!(
            index.classes().await.unwrap().len(),
            1,
            "a class of which all is behind the gate is none to ask for"
        );
        // The mark stays with a row that is written again, and in the file.
        index.flush(&Batch { segments: rows(), gaps: vec![] }, WallTime::from_secs(2)).await.unwrap();
        index.close().await;
        let index = Index::open(&dir.path().join("index.db")).await.unwrap();
        assert_eq!(count(&index).await, 10);
        for sql in NEXT_CLASS.into_iter().chain([ENDED]) {
            let explained = format!("explain query plan {sql}");
            let plan = sqlx::query(sqlx::AssertSqlSafe(explained)).fetch_all(&index.pool).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.try_get("detail").unwrap()).collect();
            let is_search =
                |step: &String| step.starts_with("SEARCH segment USING") && step.contains("segment_by_own_term");
            assert!(!plan.is_empty() && plan.iter().all(is_search), "{plan:?}");
        }
    }

    #[tokio::test]
    async fn erased_rows_go_when_everybody_has_them_and_the_newest_of_a_stream_stays() {
        let (_dir, index) = index().await;
        let all = index.oldest(100).await.unwrap();
        index.mark_erased(&all, WallTime::from_secs(5_000), false).await.unwrap();
        let (told, _, change) = index.since(0, 1_000).await.unwrap();
        assert_eq!(told.len(), 80);
        let at = WallTime::from_secs;
        assert_eq!(index.drop_erased(change, at(5_000), 1_000).await.unwrap(), 0, "not before its days are over");
        assert_eq!(index.drop_erased(change - 80, at(9_000), 1_000).await.unwrap(), 0, "not before everybody has it");
        assert_eq!(index.drop_erased(change, at(9_000), 50).await.unwrap(), 50, "a bounded number at a time");
        assert_eq!(index.drop_erased(change, at(9_000), 1_000).await.unwrap(), 28);
        assert_eq!(index.drop_erased(change, at(9_000), 1_000).await.unwrap(), 0);
        assert_eq!(index.newest().await.unwrap().len(), 2);
        assert!(index.since(change, 10).await.unwrap().0.is_empty());
        // What comes later has later numbers.
        index.flush(&Batch { segments: rows()[..1].to_vec(), gaps: vec![] }, at(9_001)).await.unwrap();
        assert_eq!(index.since(change, 10).await.unwrap().0.len(), 1);
    }
}
