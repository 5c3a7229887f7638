//! Columns by name, as the types that the schema has.

use std::str::FromStr;

use sqlx::Row as _;
use sqlx::any::AnyRow;
use uuid::Uuid;
use vms_app::ports::StoreError;
use vms_app::ports::store::Stored;
use vms_core::WallTime;

use crate::db::{Store, db_error};

/// Reads columns; a column that does not hold what it should is our bug, not bad input.
pub trait Columns {
    /// A text.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn text(&self, column: &str) -> Result<String, StoreError>;
    /// A text or null.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError>;
    /// An integer.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn int(&self, column: &str) -> Result<i64, StoreError>;
    /// An integer or null.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn int_opt(&self, column: &str) -> Result<Option<i64>, StoreError>;
    /// A double.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn double(&self, column: &str) -> Result<f64, StoreError>;
    /// Bytes or null.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn blob_opt(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// A word or id.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn word<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| nonsense(column))
    }

    /// A word or id, or null.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn word_opt<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.text_opt(column)?.map(|text| text.parse().map_err(|_| nonsense(column))).transpose()
    }

    /// A whole number of a smaller kind.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        T::try_from(self.int(column)?).map_err(|_| nonsense(column))
    }

    /// A whole number of a smaller kind, or null.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn number_opt<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.int_opt(column)?.map(|value| T::try_from(value).map_err(|_| nonsense(column))).transpose()
    }

    /// An instant.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn at(&self, column: &str) -> Result<WallTime, StoreError> {
        self.int(column).map(WallTime::from_micros)
    }

    /// An instant or null.
    ///
    /// # Errors
    /// [`StoreError::Internal`].
    fn at_opt(&self, column: &str) -> Result<Option<WallTime>, StoreError> {
        Ok(self.int_opt(column)?.map(WallTime::from_micros))
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String, StoreError> {
        self.try_get(column).map_err(db_error)
    }

    fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.try_get(column).map_err(db_error)
    }

    fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.try_get(column).map_err(db_error)
    }

    fn int_opt(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.try_get(column).map_err(db_error)
    }

    fn double(&self, column: &str) -> Result<f64, StoreError> {
        self.try_get(column).map_err(db_error)
    }

    fn blob_opt(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.try_get(column).map_err(db_error)
    }
}

/// A column that holds what the schema forbids.
pub fn nonsense(column: &str) -> StoreError {
    StoreError::Internal(format!("column `{column}` holds a value that the program never writes").into())
}

/// The databases' integer as an unsigned number.
///
/// # Errors
/// [`StoreError::Internal`] below 0.
pub fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| nonsense("number"))
}

/// An unsigned number as the databases' integer.
///
/// # Errors
/// [`StoreError::Internal`] past 2^63.
pub fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| nonsense("number"))
}

/// Rows of a reading statement with one number to bind, or none.
pub(crate) async fn rows(store: &Store, sql: String, bound: Option<i64>) -> Stored<Vec<AnyRow>> {
    let query = sqlx::query(sqlx::AssertSqlSafe(sql));
    let query = match bound {
        Some(value) => query.bind(value),
        None => query,
    };
    query.fetch_all(&store.read).await.map_err(db_error)
}

/// The row of an id, if there is one.
pub(crate) async fn one(store: &Store, sql: String, id: Uuid) -> Stored<Option<AnyRow>> {
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_string());
    query.fetch_optional(&store.read).await.map_err(db_error)
}
