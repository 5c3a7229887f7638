//! The role matrix: the table, and what it compiles to.

use std::ops::Deref;

use cedar_policy::PolicySet;

use crate::compile::{self, Compiled};
use crate::decide::{Decision, Request, answer, answer_from};
use crate::explain::Explanation;
use crate::table::{MatrixError, Table};

/// The text that ships with the program.
pub const EMBEDDED: &str = include_str!("../../../seed/roles.toml");

/// A role matrix in its compiled form. It reads like its [`Table`].
#[derive(Clone, Debug)]
pub struct Matrix {
    table: Table,
    compiled: Compiled,
}

impl Deref for Matrix {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.table
    }
}

impl Matrix {
    /// The matrix that ships with the program.
    ///
    /// # Errors
    /// [`MatrixError`] when the shipped text is wrong; a test holds that it is not.
    pub fn embedded() -> Result<Self, MatrixError> {
        Self::parse(EMBEDDED)
    }

    /// Reads a matrix, holds it against the separation rules, and compiles it.
    ///
    /// # Errors
    /// [`MatrixError`] names the row and the word, or every rule that is broken.
    pub fn parse(text: &str) -> Result<Self, MatrixError> {
        Self::compile(Table::parse(text)?)
    }

    /// Compiles a table.
    ///
    /// # Errors
    /// [`MatrixError::Compile`]: a fault of ours.
    pub fn compile(table: Table) -> Result<Self, MatrixError> {
        let compiled = compile::compile(&table)?;
        Ok(Self { table, compiled })
    }

    /// Decides. Total: every request has an answer, and what the matrix does not name is a no.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        answer(self, request).decision
    }

    /// Decides, and says which cell and which conditions did, with their source.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        Explanation::of(self, request, answer(self, request))
    }

    /// The whole policy text, for a lawyer or an engineer.
    pub fn cedar_text(&self) -> String {
        compile::text(&self.table)
    }

    /// The Cedar schema that the text keeps.
    pub fn cedar_schema() -> String {
        compile::schema()
    }

    /// The same as [`Self::cedar_text`], as one set: Cedar looks at every policy of it, so decisions use slices.
    ///
    /// # Errors
    /// [`MatrixError::Compile`]: a fault of ours.
    pub fn cedar_set(&self) -> Result<PolicySet, MatrixError> {
        compile::whole(&self.table)
    }

    /// Decides by a whole set instead of a slice; for the check that both agree.
    pub fn decide_by(&self, set: &PolicySet, request: &Request<'_>) -> Decision {
        match self.compiled.slices.get(&(request.profile, request.right)) {
            None => Decision::Deny(crate::decide::DenyReason::NotInTable),
            Some(slice) => answer_from(self, request, slice, set).decision,
        }
    }

    /// How many slices and policies there are.
    pub fn size(&self) -> (usize, usize) {
        let policies = self.compiled.slices.values().map(|slice| slice.meaning.len()).sum();
        (self.compiled.slices.len(), policies)
    }

    pub(crate) const fn compiled(&self) -> &Compiled {
        &self.compiled
    }
}
