//! Every route with what it demands. A test compares this table with the OpenAPI document and walks each line.

use vms_core::Right;

/// What a route demands before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Public,
    /// A session, of any profile.
    Session,
    /// A session whose profile has the right towards something; towards what is asked for, the gate decides.
    Right(Right),
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// As the OpenAPI document writes it.
    pub path: &'static str,
    /// What it demands.
    pub access: Access,
}

const fn line(method: &'static str, path: &'static str, access: Access) -> Line {
    Line { method, path, access }
}

/// All routes under `/api/v1`, and `/health`.
pub const ROUTES: &[Line] = &[
    line("POST", "/api/v1/login", Access::Public),
    line("POST", "/api/v1/logout", Access::Session),
    line("GET", "/api/v1/session", Access::Session),
    line("PATCH", "/api/v1/session", Access::Session),
    line("POST", "/api/v1/session/step-up", Access::Session),
    line("POST", "/api/v1/session/step-up/key", Access::Session),
    line("POST", "/api/v1/session/profile", Access::Session),
    line("GET", "/api/v1/session/factors", Access::Session),
    line("DELETE", "/api/v1/session/factors/{id}", Access::Session),
    line("POST", "/api/v1/session/factors/totp", Access::Session),
    line("POST", "/api/v1/session/factors/totp/{id}", Access::Session),
    line("POST", "/api/v1/session/factors/key-challenge", Access::Session),
    line("POST", "/api/v1/session/factors/key", Access::Session),
    line("POST", "/api/v1/session/recovery-codes", Access::Session),
    line("GET", "/api/v1/orgs", Access::Session),
    line("GET", "/api/v1/cameras", Access::Right(Right::CameraList)),
    line("POST", "/api/v1/cameras", Access::Right(Right::CameraEdit)),
    line("POST", "/api/v1/cameras/import", Access::Right(Right::CameraEdit)),
    line("GET", "/api/v1/cameras/{id}", Access::Right(Right::CameraList)),
    line("PATCH", "/api/v1/cameras/{id}", Access::Right(Right::CameraEdit)),
    line("POST", "/api/v1/cameras/{id}/approve", Access::Right(Right::CameraApprove)),
    line("POST", "/api/v1/cameras/{id}/retire", Access::Right(Right::CameraRetire)),
    line("POST", "/api/v1/cameras/{id}/probe", Access::Right(Right::CameraEdit)),
    line("POST", "/api/v1/cameras/{id}/test-picture", Access::Right(Right::CameraTestPicture)),
    line("GET", "/api/v1/cameras/{id}/timeline", Access::Right(Right::Playback)),
    line("GET", "/api/v1/cameras/{id}/legal-changes", Access::Right(Right::CameraApprove)),
    line("POST", "/api/v1/cameras/{id}/legal-changes", Access::Right(Right::CameraEdit)),
    line("GET", "/api/v1/legal-changes", Access::Right(Right::CameraApprove)),
    line("POST", "/api/v1/legal-changes/{id}/approve", Access::Right(Right::CameraApprove)),
    line("POST", "/api/v1/legal-changes/{id}/refuse", Access::Right(Right::CameraApprove)),
    // One's own proposal.
    line("POST", "/api/v1/legal-changes/{id}/withdraw", Access::Session),
    line("GET", "/api/v1/holds", Access::Right(Right::HoldSet)),
    line("POST", "/api/v1/holds", Access::Right(Right::HoldSet)),
    line("GET", "/api/v1/holds/{id}", Access::Right(Right::HoldSet)),
    line("POST", "/api/v1/holds/{id}/ask-release", Access::Right(Right::HoldSet)),
    line("POST", "/api/v1/holds/{id}/release", Access::Right(Right::HoldRelease)),
    // One's own wish, or whoever may release it.
    line("POST", "/api/v1/holds/{id}/keep-on", Access::Session),
    line("POST", "/api/v1/holds/{id}/review", Access::Right(Right::HoldRelease)),
    line("GET", "/api/v1/gated", Access::Right(Right::GatedPropose)),
    line("POST", "/api/v1/gated", Access::Right(Right::GatedPropose)),
    line("GET", "/api/v1/gated/{id}", Access::Right(Right::GatedPropose)),
    line("POST", "/api/v1/gated/{id}/approve", Access::Right(Right::GatedApprove)),
    line("POST", "/api/v1/gated/{id}/refuse", Access::Right(Right::GatedApprove)),
    line("GET", "/api/v1/exports", Access::Right(Right::Export)),
    line("POST", "/api/v1/exports", Access::Right(Right::Export)),
    line("GET", "/api/v1/exports/{id}", Access::Right(Right::Export)),
    // One's own, or whoever may approve.
    line("DELETE", "/api/v1/exports/{id}", Access::Session),
    line("POST", "/api/v1/exports/{id}/approval", Access::Right(Right::ExportApprove)),
    line("POST", "/api/v1/exports/{id}/refusal", Access::Right(Right::ExportApprove)),
    line("POST", "/api/v1/exports/{id}/pause", Access::Session),
    line("POST", "/api/v1/exports/{id}/resume", Access::Session),
    line("POST", "/api/v1/exports/{id}/cancel", Access::Session),
    line("GET", "/api/v1/exports/{id}/files", Access::Right(Right::Export)),
    line("GET", "/api/v1/exports/{id}/files/{name}", Access::Right(Right::Export)),
    line("POST", "/api/v1/stream-tickets", Access::Right(Right::Live)),
    line("GET", "/api/v1/live", Access::Session),
    line("POST", "/api/v1/playback-tickets", Access::Right(Right::Playback)),
    line("GET", "/api/v1/playback/{file}", Access::Session),
    // The playlist, the instants of a preview and their parts belong to the open playback, which belongs to one session.
    line("GET", "/api/v1/playback/{file}/index.m3u8", Access::Session),
    line("GET", "/api/v1/playback/{file}/pictures", Access::Session),
    line("GET", "/api/v1/playback/{file}/parts/{part}", Access::Session),
    line("DELETE", "/api/v1/playback/{file}", Access::Session),
    line("GET", "/api/v1/reads", Access::Right(Right::ReadsLive)),
    line("POST", "/api/v1/reads/search", Access::Right(Right::ReadsSearch)),
    // A picture is part of the list or search that showed it: its decision is asked for, and belongs to one session.
    line("GET", "/api/v1/reads/{id}/crop.jpg", Access::Session),
    line("GET", "/api/v1/reads/{id}/overview.jpg", Access::Session),
    line("GET", "/api/v1/findings", Access::Right(Right::FindingReview)),
    line("GET", "/api/v1/findings/{id}", Access::Right(Right::FindingReview)),
    line("POST", "/api/v1/findings/{id}/decide", Access::Right(Right::FindingReview)),
    line("GET", "/api/v1/findings/{id}/crop.jpg", Access::Right(Right::FindingReview)),
    line("GET", "/api/v1/findings/{id}/overview.jpg", Access::Right(Right::FindingReview)),
    line("GET", "/api/v1/partners", Access::Right(Right::PartnerAdmin)),
    line("POST", "/api/v1/partners", Access::Right(Right::PartnerAdmin)),
    line("PATCH", "/api/v1/partners/{id}", Access::Right(Right::PartnerAdmin)),
    line("POST", "/api/v1/partners/{id}/catalogue", Access::Right(Right::PartnerAdmin)),
    line("GET", "/api/v1/grants", Access::Right(Right::GrantView)),
    line("POST", "/api/v1/grants", Access::Right(Right::CameraShare)),
    line("DELETE", "/api/v1/grants/{id}", Access::Right(Right::CameraShare)),
    line("GET", "/api/v1/grant-requests", Access::Right(Right::GrantView)),
    line("POST", "/api/v1/grant-requests", Access::Right(Right::GrantRequest)),
    line("POST", "/api/v1/grant-requests/{id}/approve", Access::Right(Right::GrantApprove)),
    line("POST", "/api/v1/grant-requests/{id}/refuse", Access::Right(Right::GrantApprove)),
    line("POST", "/api/v1/grant-requests/{id}/withdraw", Access::Right(Right::GrantRequest)),
    line("GET", "/api/v1/sharing-events", Access::Right(Right::EventView)),
    line("POST", "/api/v1/sharing-events", Access::Right(Right::EventActivate)),
    line("POST", "/api/v1/sharing-events/{id}/extend", Access::Right(Right::EventActivate)),
    line("POST", "/api/v1/sharing-events/{id}/end", Access::Right(Right::EventActivate)),
    line("GET", "/api/v1/break-glass", Access::Right(Right::EventView)),
    line("POST", "/api/v1/break-glass", Access::Right(Right::BreakGlass)),
    // One's own, or whoever may review it.
    line("POST", "/api/v1/break-glass/{id}/end", Access::Session),
    line("POST", "/api/v1/break-glass/{id}/review", Access::Right(Right::BreakGlassReview)),
    line("GET", "/api/v1/notices", Access::Right(Right::GrantView)),
    line("GET", "/api/v1/stations", Access::Right(Right::UserAdmin)),
    line("POST", "/api/v1/stations", Access::Right(Right::UserAdmin)),
    line("DELETE", "/api/v1/stations/{id}", Access::Right(Right::UserAdmin)),
    line("POST", "/api/v1/session/station", Access::Session),
    line("GET", "/api/v1/flows", Access::Right(Right::FlowView)),
    line("POST", "/api/v1/flows", Access::Right(Right::FlowRegister)),
    line("GET", "/api/v1/flows/{id}/history", Access::Right(Right::FlowView)),
    line("POST", "/api/v1/flows/{id}/switch", Access::Right(Right::FlowStop)),
    line("GET", "/api/v1/complaints", Access::Right(Right::ComplaintHandle)),
    line("POST", "/api/v1/complaints", Access::Right(Right::ComplaintHandle)),
    line("POST", "/api/v1/complaints/{id}/answer", Access::Right(Right::ComplaintHandle)),
    line("GET", "/api/v1/subject-requests", Access::Right(Right::SubjectRequestHandle)),
    line("POST", "/api/v1/subject-requests", Access::Right(Right::SubjectRequestHandle)),
    line("GET", "/api/v1/subject-requests/{id}/footage", Access::Right(Right::SubjectRequestHandle)),
    line("POST", "/api/v1/subject-requests/{id}/answer", Access::Right(Right::SubjectRequestHandle)),
    line("GET", "/api/v1/reports/annual", Access::Right(Right::ReportView)),
    line("GET", "/api/v1/matrix", Access::Right(Right::MatrixView)),
    line("POST", "/api/v1/matrix/diff", Access::Right(Right::MatrixView)),
    line("GET", "/api/v1/matrix/abilities", Access::Right(Right::MatrixView)),
    line("GET", "/api/v1/matrix/versions", Access::Right(Right::MatrixView)),
    line("POST", "/api/v1/matrix/versions", Access::Right(Right::MatrixPropose)),
    line("GET", "/api/v1/matrix/versions/{id}", Access::Right(Right::MatrixView)),
    line("POST", "/api/v1/matrix/versions/{id}/approve", Access::Right(Right::MatrixApprove)),
    line("POST", "/api/v1/matrix/versions/{id}/refuse", Access::Right(Right::MatrixApprove)),
    line("POST", "/api/v1/matrix/versions/{id}/withdraw", Access::Right(Right::MatrixPropose)),
    line("GET", "/api/v1/users", Access::Right(Right::UserAdmin)),
    line("POST", "/api/v1/users", Access::Right(Right::UserAdmin)),
    line("PATCH", "/api/v1/users/{id}", Access::Right(Right::UserAdmin)),
    line("GET", "/api/v1/audit", Access::Right(Right::AuditView)),
    line("GET", "/api/v1/health/cameras", Access::Right(Right::HealthView)),
    line("GET", "/api/v1/events", Access::Session),
    line("GET", "/api/v1/openapi.json", Access::Public),
    line("GET", "/health", Access::Public),
];
