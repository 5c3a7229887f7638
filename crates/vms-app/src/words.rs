//! Closed sets of words that belong to the use cases and not to the domain core.

use std::fmt;
use std::str::FromStr;

/// A word that is none of the known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known {of}")]
pub struct UnknownWord {
    /// The type whose words were expected.
    pub of: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in rows, files and URLs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownWord { of: stringify!($name) }) }
            }
        }
    };
}

words!(
    /// Where a camera stands in its life (blueprint 4.1).
    CameraState {
        /// Typed in; neither records nor shows.
        Draft = "draft",
        /// Approved with its legal basis; waits for its pictogram.
        Approved = "approved",
        /// Records and shows.
        Live = "live",
        /// Ended; its footage lives out its term.
        Retired = "retired",
    }
);

words!(
    /// Where a proposed change of a camera's legal fields stands.
    ChangeState {
        /// For somebody else than its proposer to look at; the old fields are in force.
        Waiting = "waiting",
        /// In force since.
        Approved = "approved",
        /// Turned down, with a reason.
        Refused = "refused",
        /// Taken back by its proposer.
        Withdrawn = "withdrawn",
    }
);

words!(
    /// Where a hold on footage stands.
    HoldState {
        /// It keeps footage from erasure.
        Held = "held",
        /// It still does; somebody wants it released, and somebody else has to agree.
        ReleaseWaits = "release_waits",
        /// It keeps nothing any more.
        Released = "released",
    }
);

words!(
    /// Where a decision to keep footage behind the magistrate's gate stands.
    GatedState {
        /// Somebody else has to agree.
        Proposed = "proposed",
        /// Two people agreed.
        InForce = "in_force",
        /// Somebody else did not.
        Refused = "refused",
    }
);

words!(
    /// Where a version of the role matrix stands.
    MatrixState {
        /// Somebody else has to agree.
        Waiting = "waiting",
        /// Two people agreed; its time has not come.
        Approved = "approved",
        /// Somebody else did not agree, or it could not come into force.
        Refused = "refused",
        /// Taken back by its proposer.
        Withdrawn = "withdrawn",
        /// In force.
        Active = "active",
        /// It was in force.
        Superseded = "superseded",
    }
);

words!(
    /// Where an evidence export stands.
    ExportState {
        /// For somebody else than whoever ordered it to look at.
        Waits = "waits",
        /// Somebody else said no.
        Refused = "refused",
        /// Taken back before anybody answered.
        Withdrawn = "withdrawn",
        /// Approved; starts when one before it is done.
        Queued = "queued",
        /// Footage is read and written.
        Running = "running",
        /// Stopped by a person, or because the disk is full; can go on.
        Paused = "paused",
        /// The package is there.
        Done = "done",
        /// It came to nothing; what was written is gone.
        Failed = "failed",
        /// Given up by a person; what was written is gone.
        Cancelled = "cancelled",
        /// The package was removed: by a person, or at the end of its term. The digest of its manifest stays.
        Removed = "removed",
    }
);

words!(
    /// What a camera is for.
    CameraKind {
        /// Looks at a place.
        Overview = "overview",
        /// Reads plates for the low-emission zone.
        Lez = "lez",
        /// Reads plates for a zone with restricted access.
        Zbt = "zbt",
        /// Reads plates for average speed.
        Trajectory = "trajectory",
    }
);

words!(
    /// Which transport takes a stream.
    TransportKind {
        /// RTSP over TCP, the normal way in.
        Retina = "retina",
        /// RTSP over TCP by the media executable.
        GstTcp = "gst_tcp",
        /// RTP over UDP by the media executable.
        GstUdp = "gst_udp",
    }
);

words!(
    /// Language of the console.
    Language {
        /// Dutch.
        Nl = "nl",
        /// French.
        Fr = "fr",
        /// English.
        En = "en",
    }
);

words!(
    /// Where a camera session stands.
    Phase {
        /// Not asked for.
        Idle = "idle",
        /// Trying to connect.
        Connecting = "connecting",
        /// Connected, no key frame yet.
        NoKeyFrame = "no_key_frame",
        /// Frames arrive.
        Live = "live",
        /// Waiting before the next try.
        Waiting = "waiting",
    }
);

words!(
    /// Why there is a hole or a session is down.
    Cause {
        /// The camera could not be reached.
        Unreachable = "unreachable",
        /// The camera refused the log-in.
        LoginRefused = "login_refused",
        /// The guard refused the address.
        AddressRefused = "address_refused",
        /// The camera spoke something that is not RTSP or not video.
        Malformed = "malformed",
        /// The camera went silent.
        Silent = "silent",
        /// Frames came, but no key frame.
        NoKeyFrame = "no_key_frame",
        /// The camera closed the session.
        Closed = "closed",
        /// RTP packets were lost.
        PacketLoss = "packet_loss",
        /// Ingest died and came back.
        IngestRestart = "ingest_restart",
        /// The recorder died and came back later than the ring holds.
        RecorderRestart = "recorder_restart",
        /// The ring before the recorder overflowed.
        RingOverflow = "ring_overflow",
        /// The disk refused.
        Disk = "disk",
        /// The footage went before its term: the disk tier had reached its cap.
        DiskCap = "disk_cap",
        /// No key could be saved in every copy of the key store.
        Keys = "keys",
        /// The key of the footage was destroyed.
        KeyDestroyed = "key_destroyed",
        /// The key of the footage is lost or damaged.
        KeyLost = "key_lost",
        /// The camera's parameters changed.
        ParameterChange = "parameter_change",
        /// Recording was switched off.
        SwitchedOff = "switched_off",
        /// The transport cannot carry what the camera offers.
        Unsupported = "unsupported",
    }
);

words!(
    /// Why a live stream ended.
    EndWhy {
        /// The right was taken away, or the session ended.
        Revoked = "revoked",
        /// The capability was not renewed in time.
        Expired = "expired",
        /// Nobody could say any more whether it may go on: the database or the log did not answer.
        Unavailable = "unavailable",
        /// The camera or its stream is no longer there.
        CameraGone = "camera_gone",
        /// The partner that the camera is pulled from was switched off.
        PartnerOff = "partner_off",
        /// The other side closed it.
        Stopped = "stopped",
        /// The role table says no.
        NotAllowed = "not_allowed",
    }
);

words!(
    /// Kind of an event for the console.
    EventKind {
        /// Health of a camera changed.
        CameraHealth = "camera.health",
        /// A read was made; never the plate.
        Read = "read",
        /// A finding changed.
        Finding = "finding",
        /// A plate of a watchlist was read, or somebody decided on such a hit; never the plate.
        Hit = "hit",
        /// The receiver's own session.
        Session = "session",
        /// Grants, requests, events, emergency access, notices or data flows changed.
        Sharing = "sharing",
    }
);

words!(
    /// Kind of an organisation.
    OrgKind {
        /// A police zone.
        PoliceZone = "police_zone",
        /// A partner that keeps its own system.
        Partner = "partner",
        /// The operator company or the platform.
        Platform = "platform",
        /// A tax or municipal authority.
        Authority = "authority",
        /// An overseer.
        Overseer = "overseer",
    }
);

words!(
    /// Why an event gives more sight than usual (`domain.md` H5 rule 8).
    SharingEventKind {
        /// A gathering, match or summit.
        Event = "event",
        /// A crisis under the governor or a mayor.
        Crisis = "crisis",
        /// An incident of the fire service that is going on.
        Incident = "incident",
    }
);

words!(
    /// Where a wish for a share stands.
    ShareRequestState {
        /// For the owner to answer.
        Waiting = "waiting",
        /// The owner's local administrator agrees; the zone chief has to as well.
        WaitsSecond = "waits_second",
        /// Given: grants are in force.
        Approved = "approved",
        /// Turned down, with a reason.
        Refused = "refused",
        /// Taken back by whoever asked.
        Withdrawn = "withdrawn",
    }
);

words!(
    /// Where a data flow stands (`domain.md` D5): only a granted one flows.
    FlowState {
        /// Registered; nobody has authorised it yet.
        Requested = "requested",
        /// Authorised, also after it was resumed.
        Granted = "granted",
        /// Stopped for the moment.
        Suspended = "suspended",
        /// The authorisation was taken back.
        Withdrawn = "withdrawn",
        /// The term of the authorisation is over.
        Expired = "expired",
        /// Ended for good.
        Ended = "ended",
    }
);

words!(
    /// What a notice is about.
    NoticeKind {
        /// A use of one's cameras under the condition "the owner is told".
        Use = "use",
        /// Emergency access to one's cameras.
        BreakGlass = "break_glass",
        /// The uses of one's cameras during an event, the day after.
        EventSummary = "event_summary",
        /// Somebody asks for a share, or it was answered.
        ShareRequest = "share_request",
        /// A data flow changed its state.
        Flow = "flow",
    }
);

words!(
    /// Under which law a data subject's request is answered.
    SubjectRegime {
        /// The controller answers.
        Gdpr = "gdpr",
        /// Police images: indirect access, through the supervisory body (COC).
        Police = "police",
    }
);

words!(
    /// Where a complaint or a data subject's request stands.
    CaseState {
        /// Taken in.
        Received = "received",
        /// Handed to the body that is competent.
        Routed = "routed",
        /// Answered.
        Answered = "answered",
        /// Turned down, with a reason.
        Refused = "refused",
    }
);

words!(
    /// What waits for a second person.
    SecondKind {
        /// A partner's data flow is switched on.
        PartnerOn = "partner_on",
        /// A camera ends, asked for by the platform's administrator.
        CameraRetire = "camera_retire",
    }
);

words!(
    /// Where an alarm about somebody's unusual use stands.
    AnomalyState {
        /// Nobody has looked at it yet.
        Open = "open",
        /// Somebody did, and said what it was.
        Settled = "settled",
    }
);

words!(
    /// How an entry came about, which bounds its term.
    EntryKind {
        /// By the keeper of watchlists.
        Regular = "regular",
        /// By an operator, for a day at most.
        Urgent = "urgent",
    }
);

words!(
    /// Where an entry stands.
    EntryState {
        /// For the second person to settle; matches nothing yet.
        Proposed = "proposed",
        /// Reads are compared with it.
        InForce = "in_force",
        /// The second person said no.
        Refused = "refused",
    }
);

words!(
    /// Where a hit stands.
    HitState {
        /// An indication: nobody has compared it with the picture.
        Open = "open",
        /// A person saw the plate of the entry in the picture.
        Confirmed = "confirmed",
        /// A person saw another plate, or the entry no longer holds.
        Dismissed = "dismissed",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for cause in Cause::ALL {
            assert_eq!(cause.as_str().parse::<Cause>(), Ok(*cause));
        }
        assert_eq!("gone".parse::<CameraState>(), Err(UnknownWord { of: "CameraState" }));
    }
}
