//! A bound on the wait for each answer of the database, kept on this side: a server that is frozen (stopped by the hypervisor, a
//! hung disk) keeps its connections and says nothing, and no setting of its own would ever run out.
//!
//! A statement that is given up is dropped with its connection still busy; the pool takes that back only once it answers
//! again, so that a thawed database is in use again without a word.

use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter};
use futures_util::{FutureExt as _, TryFutureExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyConnection, AnyPool, Describe, Either, Error, Execute, Executor, SqlStr};

/// Waits for an answer, but not longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(too_long()))
}

fn too_long() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time"))
}

type Step = Either<AnyQueryResult, AnyRow>;

/// The pool for single reading statements.
#[derive(Clone, Debug)]
pub struct Reading {
    pub(crate) pool: AnyPool,
    pub(crate) limit: Duration,
}

impl<'c> Executor<'c> for &Reading {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let Reading { pool, limit } = self.clone();
        let rows = async move { within(limit, pool.fetch_many(query).try_collect::<Vec<_>>()).await };
        rows.map_ok(|rows| iter(rows.into_iter().map(Ok))).try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let Reading { pool, limit } = self.clone();
        async move { within(limit, pool.fetch_optional(query)).await }.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        let Reading { pool, limit } = self.clone();
        async move { within(limit, pool.prepare_with(sql, parameters)).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'c: 'e,
    {
        let Reading { pool, limit } = self.clone();
        async move { within(limit, pool.describe(sql)).await }.boxed()
    }
}

/// The connection of a writing transaction.
#[derive(Debug)]
pub struct Writing<'t> {
    pub(crate) conn: &'t mut AnyConnection,
    pub(crate) limit: Duration,
}

impl Writing<'_> {
    /// The same connection without the bound.
    pub(crate) const fn patient(&mut self) -> &mut AnyConnection {
        self.conn
    }
}

impl<'c> Executor<'c> for &'c mut Writing<'_> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let (conn, limit) = (&mut *self.conn, self.limit);
        let rows = async move { within(limit, conn.fetch_many(query).try_collect::<Vec<_>>()).await };
        rows.map_ok(|rows| iter(rows.into_iter().map(Ok))).try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let (conn, limit) = (&mut *self.conn, self.limit);
        async move { within(limit, conn.fetch_optional(query)).await }.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        let (conn, limit) = (&mut *self.conn, self.limit);
        async move { within(limit, conn.prepare_with(sql, parameters)).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'c: 'e,
    {
        let (conn, limit) = (&mut *self.conn, self.limit);
        async move { within(limit, conn.describe(sql)).await }.boxed()
    }
}
