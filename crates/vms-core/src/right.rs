//! Who acts, on what, why: the words of the role matrix (`domain.md` H).

use crate::media_kind::words;
use std::fmt;
use std::str::FromStr;

words!(
    /// A profile of the role matrix (`domain.md` H1). One session has one active profile.
    Profile {
        /// Control-room operator, police zone.
        P01 = "P01",
        /// Supervisor of operators, police zone.
        P02 = "P02",
        /// Zone chief or delegate.
        P03 = "P03",
        /// Investigator.
        P04 = "P04",
        /// Keeper of watchlists.
        P05 = "P05",
        /// Verifier of average-speed findings.
        P06 = "P06",
        /// LEZ agent, tax administration.
        P07 = "P07",
        /// LEZ file manager (objections).
        P08 = "P08",
        /// Finding and sanctioning official, municipality.
        P09 = "P09",
        /// Keeper of ZBT permits.
        P10 = "P10",
        /// Mobility operator.
        P11 = "P11",
        /// MIVB dispatcher.
        P12 = "P12",
        /// Port operator.
        P13 = "P13",
        /// Fire dispatcher.
        P14 = "P14",
        /// Crisis-centre operator.
        P15 = "P15",
        /// Crisis coordinator.
        P16 = "P16",
        /// Technical administrator, operator company.
        P17 = "P17",
        /// Platform administrator.
        P18 = "P18",
        /// Local administrator of a partner.
        P19 = "P19",
        /// Data-protection officer.
        P20 = "P20",
        /// Overseer, Controlecommissie.
        P21 = "P21",
        /// Auditor of the supervisory authority.
        P22 = "P22",
        /// Writer of the annual report.
        P23 = "P23",
        /// Service account.
        P24 = "P24",
    }
);

words!(
    /// What somebody wants to do.
    Right {
        /// See a stream as it happens.
        Live = "live",
        /// See a stream's past.
        Playback = "playback",
        /// See that a camera exists, where it is, and whether it works.
        CameraList = "camera.list",
        /// Create or change the technical part of a camera.
        CameraEdit = "camera.edit",
        /// Approve a draft camera, with its legal basis.
        CameraApprove = "camera.approve",
        /// Retire a camera.
        CameraRetire = "camera.retire",
        /// Share own cameras with another organisation, and take that back.
        CameraShare = "camera.share",
        /// See who shares what with whom.
        GrantView = "grant.view",
        /// Hold footage back from its erasure.
        HoldSet = "hold.set",
        /// Approve the release of a hold, and review it.
        HoldRelease = "hold.release",
        /// Propose to keep footage past its first term, behind the magistrate's gate.
        GatedPropose = "gated.propose",
        /// Be the second person of that.
        GatedApprove = "gated.approve",
        /// Take footage out of the house as evidence, with a second person.
        Export = "export",
        /// Be the second person of an export.
        ExportApprove = "export.approve",
        /// Take one masked test picture of a camera (at most 10 s, blueprint 4.7).
        CameraTestPicture = "camera.test_picture",
        /// See plate reads as they come, of one's own territory.
        ReadsLive = "reads.live",
        /// Search reads by plate.
        ReadsSearch = "reads.search",
        /// Work a queue of findings.
        FindingReview = "finding.review",
        /// See the log of uses.
        AuditView = "audit.view",
        /// See system health.
        HealthView = "health.view",
        /// Create and change accounts.
        UserAdmin = "user.admin",
        /// Connect, change or switch off a partner.
        PartnerAdmin = "partner.admin",
        /// Be the second person of switching a partner's data flow on.
        PartnerApprove = "partner.approve",
        /// Be the second person of a camera's retirement that the platform's administrator asks for.
        CameraRetireApprove = "camera.retire.approve",
        /// Machine only: decode a stream to read plates for one purpose.
        AnprDecode = "anpr.decode",
        /// Machine only: say what a camera read.
        ReadsPush = "reads.push",

        // Video (`domain.md` H3).
        /// Turn and zoom a camera.
        Ptz = "ptz",
        /// Turn a camera a little to see whether its motor works.
        PtzTest = "ptz.test",
        /// See faces and plates that the masked rendition hides.
        Unmask = "unmask",
        /// Be the second person of an unmasking.
        UnmaskApprove = "unmask.approve",
        /// Look at a sample of footage to check a logged use; no operational sight.
        OversightPlayback = "oversight.playback",
        /// Ask a camera's owner for something that no share gives.
        GrantRequest = "grant.request",
        /// Answer somebody's request for a share of own cameras.
        GrantApprove = "grant.approve",

        // Plates (`domain.md` H4).
        /// Confirm or reject a hit.
        HitReview = "hit.review",
        /// See of a hit only its category.
        HitCategory = "hit.category",
        /// See why a plate stands in a watchlist, at a hit.
        WatchlistReason = "watchlist.reason",
        /// See where and when a plate was read.
        PlateHistory = "plate.history",
        /// Be the second person of a plate search.
        PlateApprove = "plate.approve",
        /// See a watchlist.
        WatchlistView = "watchlist.view",
        /// See names, sizes and ages of watchlists, no entry.
        WatchlistSummary = "watchlist.summary",
        /// Put a plate in a watchlist.
        WatchlistEdit = "watchlist.edit",
        /// Put a plate in a watchlist for at most 24 h.
        WatchlistUrgent = "watchlist.urgent",
        /// Ask the keeper to put a plate in a watchlist.
        WatchlistRequest = "watchlist.request",
        /// Approve an entry of a watchlist.
        WatchlistApprove = "watchlist.approve",
        /// Validate average-speed findings.
        TrajectoryReview = "trajectory.review",
        /// Validate findings of a restricted-access zone.
        ZbtReview = "zbt.review",
        /// Overrule a finding after an objection.
        FindingOverrule = "finding.overrule",
        /// Work with a fine's file.
        FineFile = "fine.file",
        /// Hand a finding over to who fines.
        FineHandover = "fine.handover",
        /// Machine only: hand approved findings over as signed batches, and take the answers.
        FineBatch = "fine.batch",
        /// See permits and exemptions.
        PermitView = "permit.view",
        /// Give, change and end permits and exemptions.
        PermitEdit = "permit.edit",
        /// See statistics of traffic and findings.
        StatisticsView = "statistics.view",
        /// Machine only: fetch those statistics for whoever runs it.
        StatisticsDeliver = "statistics.deliver",
        /// See technical rates: reads per camera, confidence, delay.
        StatisticsTechnical = "statistics.technical",

        // Administration and oversight (`domain.md` H5).
        /// Change a camera's name and presets.
        CameraName = "camera.name",
        /// Approve an account.
        UserApprove = "user.approve",
        /// See accounts.
        UserView = "user.view",
        /// See how many accounts there are, by profile and organisation.
        UserCount = "user.count",
        /// See the role matrix and its history.
        MatrixView = "matrix.view",
        /// Put a change of the role matrix before a second person.
        MatrixPropose = "matrix.propose",
        /// Approve or refuse a change of the role matrix.
        MatrixApprove = "matrix.approve",
        /// See retention classes and terms.
        RetentionView = "retention.view",
        /// Put a change of a retention class before a second person.
        RetentionPropose = "retention.propose",
        /// Approve or refuse a change of a retention class.
        RetentionApprove = "retention.approve",
        /// See data flows and authorisations.
        FlowView = "flow.view",
        /// Register a data flow and its authorisation.
        FlowRegister = "flow.register",
        /// Suspend, resume or end a data flow, at once.
        FlowStop = "flow.stop",
        /// See the technical part of the log.
        AuditTechnical = "audit.technical",
        /// See changes of the platform's configuration in the log.
        AuditConfig = "audit.config",
        /// See administration of one's own organisation in the log.
        AuditAdmin = "audit.admin",
        /// See counts from the log.
        AuditCount = "audit.count",
        /// See who a pseudonym in the log is.
        AuditPersons = "audit.persons",
        /// Take the log, or a part of it, out of the house.
        AuditExport = "audit.export",
        /// Write the annual report.
        ReportDraft = "report.draft",
        /// Comment on the annual report.
        ReportComment = "report.comment",
        /// Read the annual report.
        ReportView = "report.view",
        /// Activate, extend or end an event.
        EventActivate = "event.activate",
        /// See events and their use.
        EventView = "event.view",
        /// Open emergency access for 60 minutes.
        BreakGlass = "break_glass",
        /// Review an emergency access.
        BreakGlassReview = "break_glass.review",
        /// Keep the complaint register.
        ComplaintHandle = "complaint.handle",
        /// Answer a data subject's request.
        SubjectRequestHandle = "subject_request.handle",
    }
);

words!(
    /// How the actor's organisation stands to the camera.
    Relation {
        /// The camera belongs to the actor's organisation.
        Own = "own",
        /// Another organisation's camera, shared by a grant that is in force.
        Shared = "shared",
        /// Another organisation's camera, not shared.
        Other = "other",
    }
);

words!(
    /// Purpose codes (`domain.md` H, separation rule 10).
    Purpose {
        /// Public order.
        PublicOrder = "OPENBARE_ORDE",
        /// Police intervention.
        Intervention = "INTERVENTIE",
        /// Judicial investigation.
        Investigation = "GERECHTELIJK_ONDERZOEK",
        /// Missing person.
        MissingPerson = "VERMISSING",
        /// Traffic management.
        Traffic = "VERKEERSBEHEER",
        /// Event.
        Event = "EVENEMENT",
        /// Crisis.
        Crisis = "CRISIS",
        /// Fire and medical.
        FireMedical = "BRAND_MEDISCH",
        /// Low-emission zone.
        Lez = "LEZ",
        /// Restricted-access zone.
        Zbt = "ZBT",
        /// Average-speed control.
        Trajectory = "TRAJECT",
        /// Technical.
        Technical = "TECHNISCH",
        /// Audit.
        Audit = "AUDIT",
        /// Complaint or data subject's request.
        Complaint = "KLACHT_INZAGE",
    }
);
