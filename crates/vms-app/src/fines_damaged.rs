//! Lines of a run as they leave, and what becomes of a run one of whose lines does not open any more.
//!
//! Lines are kept sealed between the opening of their run and the signature. Where a disk damages one meanwhile, or a picture that belongs to
//! it, the run is given up, which costs nothing: nobody has signed it. The same window opens it anew from the findings, and decides there
//! what the damage comes to: a line is made again, a finding or a picture that does not open is refused, and what was merged with it is
//! looked at as if it had never been there.

use serde_json::json;

use crate::cases::UseCases;
use crate::error::UseCaseError;
use crate::fines::{FineDelivery, PAGE, conflict};
use crate::fines_lines::ended_text;
use crate::fines_pictures::picture_file;
use crate::fines_ports::{FineLine, FineParts, FinePermit, FineRun};

/// The text of a line whose finding is erased: there is nothing of a person in it.
fn filled(run: &str, line: &mut FineLine) -> Result<(), UseCaseError> {
    if let Some(outcome) = &line.ended {
        line.text = ended_text(run, line.position, line.finding, outcome)?;
    }
    Ok(())
}

impl UseCases {
    /// Lines of a run after a number, at most so many.
    ///
    /// # Errors
    /// `Conflict` (`run_damaged`: the run was given up; `damaged`: it is signed), `LogUnavailable`, `Unavailable`.
    pub(crate) async fn fine_lines_whole(
        &self,
        of_run: (&FineParts, &FinePermit),
        run: &FineRun,
        (after, limit): (u64, u32),
    ) -> Result<Vec<FineLine>, UseCaseError> {
        let mut lines = of_run.0.store.fine_lines(of_run.1, &run.id, after, limit).await?;
        let damaged: Vec<&FineLine> = lines.iter().filter(|line| line.is_damaged).collect();
        if !damaged.is_empty() {
            return Err(self.fine_give_up(of_run, run, &damaged).await?);
        }
        lines.iter_mut().try_for_each(|line| filled(&run.id, line))?;
        Ok(lines)
    }

    /// The next lines of a run with their pictures.
    ///
    /// # Errors
    /// As [`UseCases::fine_lines_whole`].
    pub(crate) async fn fine_deliveries(
        &self,
        of_run: (&FineParts, &FinePermit),
        run: &FineRun,
        after: u64,
    ) -> Result<Vec<FineDelivery>, UseCaseError> {
        let lines = self.fine_lines_whole(of_run, run, (after, PAGE)).await?;
        let mut out = Vec::with_capacity(lines.len());
        for line in lines {
            let mut pictures = Vec::with_capacity(line.pictures.len());
            for kind in &line.pictures {
                let offence = line.offence.as_deref().unwrap_or_default();
                match of_run.0.store.fine_picture(of_run.1, line.finding, *kind).await? {
                    Some(picture) => pictures.push((picture_file(offence, *kind), picture)),
                    // The line has just opened under the same key.
                    None => return Err(self.fine_give_up(of_run, run, &[&line]).await?),
                }
            }
            out.push(FineDelivery { line, pictures });
        }
        Ok(out)
    }

    /// First the log; then the conflict that tells the job to open the run anew.
    async fn fine_give_up(
        &self,
        (parts, permit): (&FineParts, &FinePermit),
        run: &FineRun,
        damaged: &[&FineLine],
    ) -> Result<UseCaseError, UseCaseError> {
        if run.signed.is_some() {
            return Ok(conflict("damaged"));
        }
        let details = json!({
            "run": run.id, "opened_us": run.opened_at.micros, "records": run.totals.records,
            "damaged": damaged.iter().map(|line| line.finding.to_string()).collect::<Vec<_>>(),
            "decision": permit.decision().to_string(),
        });
        self.record("fine_run_given_up", audit::LeafKind::Change, Some(permit.actor().clone()), details).await?;
        parts.store.fine_void(run).await?;
        Ok(conflict("run_damaged"))
    }
}
