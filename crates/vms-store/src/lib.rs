//! The central database on SQLite and PostgreSQL, one SQL text for both; and the log of uses on disk.
//!
//! Belongs here: SQL, rows, migrations, files of the log. Does not belong here: rules, HTTP. Why sqlx `Any` carries both
//! dialects stands in `docs/design/store.md`.
//!
//! How a store is added (traffic rules do it this way): the trait and its types in `vms-app`; a migration
//! `migrations/01NN_NAME.sql` and its line in [`migrate::MIGRATIONS`]; a module here with
//! `#[async_trait] impl LezStore for Store`, SQL text in lower case beside its function, reads on [`db::Store::read`],
//! writes in the `write_txn!` macro (retries on PostgreSQL's serialization failures, so its body must be repeatable), rows
//! by name through [`row::Columns`]; tests in `tests/stores/` run on both databases.

#[macro_use]
pub mod db;
pub mod details;
pub mod log;
pub mod migrate;
pub mod row;

mod anomaly;
mod bounded;
mod cameras;
mod catalogue;
mod events;
mod exports;
mod gated;
mod holds;
mod identity;
mod legal_changes;
mod lez;
mod matrix;
mod orgs;
mod oversight;
mod partners;
mod people;
mod seconds;
mod sharing;
mod statistics;

pub use db::{Dialect, Store, StoreSettings};
pub use lez::{KeyAccess, LezVault};
pub use migrate::MigrateError;
