//! One suite for both databases: SQLite in a temporary file, PostgreSQL started for the tests.

#[cfg(test)]
mod frozen;
#[cfg(test)]
#[macro_use]
mod suite;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod reads;
