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
        /// Machine only: decode a stream to read plates for one purpose.
        AnprDecode = "anpr.decode",
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
