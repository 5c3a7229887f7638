//! Who signs batches of fines: the key in the state folder, apart from every other.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use fines::{Batch, Manifest, RunFacts, SealKey, Totals, Waiting, key_pem};
use vms_app::fines_ports::{FineDesk, FineKind, FineParts, FineRun, FineSeal, FineStore, FineTotals};
use vms_app::health::rfc3339;

use crate::keys::{secret_32, write_durably};

#[derive(Debug)]
struct Desk(SealKey);

/// What the use cases get; makes the key at the first start, and publishes its public half beside it.
pub(crate) fn parts(state: &Path, store: Arc<dyn FineStore>) -> anyhow::Result<FineParts> {
    let path = state.join("keys").join("fines.key");
    let key = SealKey::from_seed(&secret_32(&path).context("the key of the batches of fines")?);
    write_durably(&path.with_extension("pem"), key_pem(&key.public()).as_bytes(), 0o644)?;
    Ok(FineParts::new(store, Arc::new(Desk(key))))
}

fn facts(run: &FineRun) -> RunFacts {
    let FineTotals { taken, records, fines, warnings, files, amount_cents, merged, refused } = run.totals;
    RunFacts {
        run: run.id.clone(),
        batch: match run.kind {
            FineKind::Lez => Batch::Lez,
            FineKind::Zbt => Batch::Zbt,
            FineKind::Trajectory => Batch::Trajectory,
        },
        authority: run.authority.map(|org| org.to_string()),
        chain: run.chain,
        previous: run.previous.clone(),
        from: rfc3339(run.range.from),
        to: rfc3339(run.range.to),
        opened_at: rfc3339(run.opened_at),
        rule_set: run.rule_set.clone(),
        totals: Totals { taken, records, fines, warnings, files, amount_cents, merged, refused },
        waiting: run.waits.map(|waits| Waiting {
            approved: waits.approved,
            not_final: waits.not_final,
            until: waits.until.map(rfc3339),
            holder: waits.holder,
        }),
        signed: run.signed.as_ref().map(|(digest, _)| digest.clone()),
    }
}

impl FineDesk for Desk {
    fn is_masked(&self, jpeg: &[u8]) -> bool {
        fines::mask::is_masked(jpeg)
    }

    fn seal(&self, run: &FineRun, manifest: &[u8], offences: &[u8], rejects: &[u8]) -> Result<FineSeal, &'static str> {
        Manifest::check(manifest, &facts(run), offences, rejects).map_err(|refusal| refusal.code)?;
        let seal = self.0.seal(manifest);
        Ok(FineSeal { signature: seal.signature, key: seal.key })
    }

    fn seal_again(&self, manifest: &[u8]) -> FineSeal {
        let seal = self.0.seal(manifest);
        FineSeal { signature: seal.signature, key: seal.key }
    }
}
