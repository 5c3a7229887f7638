//! The actions that a permit can be for: one marker type each, so that a query that needs one cannot be reached with another.

use audit::LeafKind;
use vms_core::Right;

/// Something that needs a permit.
pub trait Action: Send + Sync + 'static {
    /// The right that the role table is asked for.
    const RIGHT: Right;
    /// The leaf that a yes writes.
    const GRAIN: LeafKind;
    /// This only puts something before a second person: nothing is shown or handed out by it.
    const AWAITS_SECOND: bool = false;
    /// The answer holds counts only, with small ones left out (condition a).
    const AGGREGATED: bool = false;
    /// Nothing is changed by it (condition r).
    const READS_ONLY: bool = !matches!(Self::GRAIN, LeafKind::Change);
    /// A use of it goes on whichever session the account has: a machine gets a new one with each token, every ten minutes.
    const OF_ACCOUNT: bool = false;
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $right:ident, $grain:ident;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $name {}
            impl Action for $name {
                const RIGHT: Right = Right::$right;
                const GRAIN: LeafKind = LeafKind::$grain;
            }
        )+
    };
}

actions! {
    /// See a stream as it happens.
    ViewLive = Live, Open;
    /// See a span of a stream's past.
    ViewPlayback = Playback, Open;
    /// See cameras and their state.
    ListCameras = CameraList, Use;
    /// Create or change a camera.
    EditCamera = CameraEdit, Change;
    /// Approve a draft camera.
    ApproveCamera = CameraApprove, Change;
    /// Retire a camera.
    RetireCamera = CameraRetire, Change;
    /// Share own cameras with another organisation, and take that back.
    ShareCameras = CameraShare, Change;
    /// See who shares what with whom.
    ViewGrants = GrantView, Use;
    /// Hold footage back from its erasure.
    SetHold = HoldSet, Change;
    /// Approve the release of a hold, or review it.
    ReleaseHold = HoldRelease, Change;
    /// Read footage for an evidence export that a second person approved.
    RunExport = Export, Open;
    /// Fetch the files of an export that one ordered.
    FetchExport = Export, Open;
    /// Approve or refuse somebody else's export.
    ApproveExport = ExportApprove, Change;
    /// Fetch the files of an export that one approved.
    FetchApprovedExport = ExportApprove, Open;
    /// Take a masked test picture.
    TakeTestPicture = CameraTestPicture, Open;
    /// See reads as they come.
    ListReads = ReadsLive, Use;
    /// Search reads by plate.
    SearchReads = ReadsSearch, Use;
    /// See the entries of watchlists.
    ViewWatchlist = WatchlistView, Use;
    /// See names, sizes and ages of watchlists.
    SummariseWatchlists = WatchlistSummary, Use;
    /// Be the second person of an entry.
    ApproveEntry = WatchlistApprove, Change;
    /// See hits and their pictures.
    ReviewHits = HitReview, Use;
    /// Confirm or dismiss a hit.
    DecideHits = HitReview, Change;
    /// Work the queue of findings.
    ReviewFindings = FindingReview, Use;
    /// Work the queue of restricted-access zones.
    ReviewZones = ZbtReview, Use;
    /// Work the queue of average speed.
    ReviewTrajectories = TrajectoryReview, Use;
    /// See the register of permits.
    ViewPermits = PermitView, Use;
    /// Give and end permits.
    EditPermits = PermitEdit, Change;
    /// Machine: hand approved findings over as a batch, and take the answers.
    SendFines = FineBatch, Batch;
    /// Machine: as that, of zones with restricted access.
    SendZoneFines = FineBatch, Batch;
    /// Machine: as that, of average speed.
    SendRuns = FineBatch, Batch;
    /// Machine: ask for the holders of vehicles in approved findings of zones with restricted access.
    AskHolders = AnprDecode, Batch;
    /// See the log.
    ViewAudit = AuditView, Use;
    /// See who searched for a plate.
    TracePlate = AuditPersons, Use;
    /// See system health.
    ViewHealth = HealthView, Use;
    /// Create and change accounts.
    AdminUsers = UserAdmin, Change;
    /// Connect and switch partners.
    AdminPartners = PartnerAdmin, Change;
    /// Be the second person of switching a partner on.
    ApprovePartner = PartnerApprove, Change;
    /// Be the second person of a camera's retirement.
    ApproveRetirement = CameraRetireApprove, Change;
    /// Ask a camera's owner for a share.
    AskShare = GrantRequest, Change;
    /// Answer such a wish.
    AnswerShare = GrantApprove, Change;
    /// Activate, extend or end an event.
    ActivateEvents = EventActivate, Change;
    /// See events and emergency access.
    ViewEvents = EventView, Use;
    /// Open emergency access.
    BreakGlass = BreakGlass, Change;
    /// Review emergency access.
    ReviewBreakGlass = BreakGlassReview, Change;
    /// See data flows.
    ViewFlows = FlowView, Use;
    /// Put a data flow in the register.
    RegisterFlows = FlowRegister, Change;
    /// Suspend, resume or end a data flow.
    StopFlows = FlowStop, Change;
    /// Keep the complaint register.
    HandleComplaints = ComplaintHandle, Change;
    /// Take in, search and answer data subjects' requests.
    HandleSubjectRequests = SubjectRequestHandle, Change;
    /// See one masked still of footage that a data subject asked for.
    ViewSubjectStill = SubjectRequestHandle, Open;
    /// Read the annual report's figures.
    ViewReport = ReportView, Use;
    /// Propose to keep footage behind the magistrate's gate.
    ProposeGated = GatedPropose, Change;
    /// Agree to keep footage behind the magistrate's gate, or refuse.
    ApproveGated = GatedApprove, Change;
    /// Agree to a search behind the magistrate's gate, or refuse.
    ApproveGatedSearch = GatedApprove, Change;
    /// See the role matrix and its versions.
    ViewMatrix = MatrixView, Use;
    /// Put a change of the role matrix before a second person.
    ProposeMatrix = MatrixPropose, Change;
    /// Approve or refuse a change of the role matrix.
    ApproveMatrix = MatrixApprove, Change;
    /// Machine: decode a stream for plate reading.
    DecodeAnpr = AnprDecode, Batch;
    /// Machine: say what a camera read.
    PushReads = ReadsPush, Batch;
}

/// See counts and travel times without people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewStatistics {}

impl Action for ViewStatistics {
    const RIGHT: Right = Right::StatisticsView;
    const GRAIN: LeafKind = LeafKind::Use;
    const AGGREGATED: bool = true;
}

/// Machine: fetch counts and travel times without people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliverStatistics {}

impl Action for DeliverStatistics {
    const RIGHT: Right = Right::StatisticsDeliver;
    const GRAIN: LeafKind = LeafKind::Use;
    const AGGREGATED: bool = true;
    const OF_ACCOUNT: bool = true;
}

/// Order a search of reads behind the magistrate's gate: it waits for a second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderGatedSearch {}

impl Action for OrderGatedSearch {
    const RIGHT: Right = Right::ReadsSearch;
    const GRAIN: LeafKind = LeafKind::Change;
    const AWAITS_SECOND: bool = true;
    /// It finds nothing by itself, and changes nothing that it finds.
    const READS_ONLY: bool = true;
}

/// Order an evidence export: it waits for a second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderExport {}

impl Action for OrderExport {
    const RIGHT: Right = Right::Export;
    const GRAIN: LeafKind = LeafKind::Change;
    const AWAITS_SECOND: bool = true;
}

/// Put an entry of a watchlist before the second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposeEntry {}

impl Action for ProposeEntry {
    const RIGHT: Right = Right::WatchlistEdit;
    const GRAIN: LeafKind = LeafKind::Change;
    const AWAITS_SECOND: bool = true;
}

/// End an entry before its time: the list gets smaller, so nobody else is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndEntry {}

impl Action for EndEntry {
    const RIGHT: Right = Right::WatchlistEdit;
    const GRAIN: LeafKind = LeafKind::Change;
    const AWAITS_SECOND: bool = true;
}

/// Put an urgent entry before the second person, or end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposeUrgent {}

impl Action for ProposeUrgent {
    const RIGHT: Right = Right::WatchlistUrgent;
    const GRAIN: LeafKind = LeafKind::Change;
    const AWAITS_SECOND: bool = true;
}

/// Ask for a camera's retirement: it waits for a second person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskRetirement {}

impl Action for AskRetirement {
    const RIGHT: Right = Right::CameraRetire;
    const GRAIN: LeafKind = LeafKind::Change;
    const AWAITS_SECOND: bool = true;
}
