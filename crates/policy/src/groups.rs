//! What kind of thing a right is: needed by the separation rules and by a suspension.
//!
//! Belongs here: lists that no edit of the matrix may change. A right that stands in none of them is operational work:
//! nothing of it is for overseers, and a suspension ends it. That is the stricter side, so a new right starts there.

use vms_core::{Profile, Right};

/// Rights that show a camera's picture, live or past, whoever asks.
pub const IMAGE: &[Right] = &[
    Right::Live,
    Right::Ptz,
    Right::Playback,
    Right::Unmask,
    Right::Export,
    Right::CameraTestPicture,
    Right::OversightPlayback,
];

/// Rights that show the past of a camera or of plates: each is bound in age.
pub const PAST: &[Right] =
    &[Right::Playback, Right::OversightPlayback, Right::Unmask, Right::Export, Right::ReadsSearch, Right::PlateHistory];

/// Rights that show plates across files.
pub const PLATES: &[Right] = &[
    Right::ReadsLive,
    Right::HitReview,
    Right::HitCategory,
    Right::ReadsSearch,
    Right::PlateHistory,
    Right::WatchlistReason,
    Right::WatchlistView,
    Right::WatchlistEdit,
    Right::WatchlistUrgent,
    Right::WatchlistRequest,
];

/// Rights that show who looked at what.
pub const LOG: &[Right] = &[Right::AuditView, Right::AuditPersons, Right::AuditExport];

/// Rights that give rights to others.
pub const GIVES: &[Right] = &[
    Right::MatrixApprove,
    Right::UserApprove,
    Right::GrantApprove,
    Right::CameraShare,
    Right::ExportApprove,
    Right::UnmaskApprove,
    Right::PlateApprove,
    Right::WatchlistApprove,
    Right::EventActivate,
    Right::PartnerApprove,
];

/// Oversight: what data-protection officers, overseers and auditors do. It goes on while everything else is suspended.
pub const OVERSIGHT: &[Right] = &[
    Right::CameraList,
    Right::OversightPlayback,
    Right::HoldSet,
    Right::HoldRelease,
    Right::GrantView,
    Right::WatchlistSummary,
    Right::StatisticsView,
    Right::UserView,
    Right::UserCount,
    Right::MatrixView,
    Right::RetentionView,
    Right::RetentionApprove,
    Right::GatedApprove,
    Right::PartnerApprove,
    Right::CameraRetireApprove,
    Right::FlowView,
    Right::FlowStop,
    Right::AuditView,
    Right::AuditPersons,
    Right::AuditExport,
    Right::AuditCount,
    Right::ReportView,
    Right::ReportComment,
    Right::HealthView,
    Right::EventView,
    Right::BreakGlassReview,
    Right::ComplaintHandle,
    Right::SubjectRequestHandle,
];

/// Rights of machines.
pub const MACHINE: &[Right] = &[Right::FineBatch, Right::AnprDecode, Right::ReadsPush, Right::StatisticsDeliver];

/// Profiles that administer the platform and never look.
pub const ADMINISTRATORS: &[Profile] = &[Profile::P17, Profile::P18];

/// Profiles that oversee and never operate.
pub const OVERSEERS: &[Profile] = &[Profile::P20, Profile::P21, Profile::P22];

/// Profiles that work a queue of LEZ or ZBT files.
pub const FILE_WORKERS: &[Profile] = &[Profile::P07, Profile::P08, Profile::P09, Profile::P10];

/// Pairs of which no profile may hold both: who asks and who approves.
pub const APART: &[(Right, Right)] = &[
    (Right::Export, Right::ExportApprove),
    (Right::Unmask, Right::UnmaskApprove),
    (Right::ReadsSearch, Right::PlateApprove),
    (Right::PlateHistory, Right::PlateApprove),
    (Right::WatchlistEdit, Right::WatchlistApprove),
    (Right::WatchlistUrgent, Right::WatchlistApprove),
    (Right::WatchlistRequest, Right::WatchlistApprove),
    (Right::MatrixPropose, Right::MatrixApprove),
    (Right::RetentionPropose, Right::RetentionApprove),
    (Right::BreakGlass, Right::BreakGlassReview),
    (Right::UserAdmin, Right::UserApprove),
    (Right::PartnerAdmin, Right::PartnerApprove),
];

/// Whether a suspension by the overseer leaves this right alone.
pub fn survives_suspension(right: Right) -> bool {
    OVERSIGHT.contains(&right)
}
