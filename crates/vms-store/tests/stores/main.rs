//! One suite for both databases: SQLite in a temporary file, PostgreSQL started for the tests.

#[cfg(test)]
mod frozen;
#[cfg(test)]
mod suite;
