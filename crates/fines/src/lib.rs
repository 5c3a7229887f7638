//! Fines: what people approved, as one folder that the tax administration can check without us.
//!
//! Belongs here: the folder and its formats ([`Record`], [`Manifest`]), writing it so that a kill at any point loses nothing and
//! doubles nothing ([`run()`]), the signature, the offline check ([`verify::folder`]), the answers that come back ([`answer`]), the
//! file of day passes that were sold ([`passes`]), and the look whether a picture is masked ([`mask::is_masked`]). Does not belong
//! here: who may (`policy`, `vms-app`), which finding becomes a record (`traffic-rules` through `vms_app::fines`), and where rows
//! lie: that is the port [`Ledger`].
//!
//! The formats are told in `docs/FINES.md`.

pub mod answer;
mod disk;
mod job;
mod manifest;
pub mod mask;
mod parquet_table;
pub mod passes;
mod record;
mod sign;
pub mod verify;

pub use disk::{Disk, RealDisk};
pub use job::{Done, Ledger, LedgerError, Line, Picture, Progress, RunError, RunFacts, run};
pub use manifest::{FileDigest, Manifest, Refusal, Totals, Waiting, fuzz_manifest, sha256};
pub use record::{Batch, Camera, Exit, Holder, Kind, Measurement, PictureFact, Record, Reject, csv_of};
pub use sign::{Seal, SealKey, key_from_pem, key_pem};
