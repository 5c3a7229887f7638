//! Typed ids: an id of one kind cannot be handed in where another is meant.
//!
//! The text form is `prefix_` and 32 hexadecimal digits (UUID version 7 where the program makes them, so that they sort
//! by the time of their making). Ids are made outside, by the `Ids` port of `vms-app`.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix names another kind of id, or there is none.
    #[error("expected an id that starts with `{expected}_`")]
    WrongKind {
        /// The prefix that the wanted kind has.
        expected: &'static str,
    },
    /// The part after the prefix is not a UUID.
    #[error("not a UUID after the prefix")]
    NotAUuid,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text form starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a raw UUID; the caller vouches for its kind.
            pub const fn from_uuid(raw: Uuid) -> Self {
                Self(raw)
            }

            /// The raw UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }

            /// The 16 bytes of the UUID, big endian.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Wraps 16 raw bytes, big endian.
            pub const fn from_bytes(raw: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(raw))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits =
                    text.strip_prefix(concat!($prefix, "_")).ok_or(IdError::WrongKind { expected: $prefix })?;
                Uuid::try_parse(digits).map(Self).map_err(|_| IdError::NotAUuid)
            }
        }
    };
}

typed_id!(
    /// One physical camera, whoever owns it.
    CameraId, "cam"
);
typed_id!(
    /// One stream of a camera: main, sub or ANPR. The key of everything recorded or relayed.
    StreamId, "str"
);
typed_id!(
    /// One organisation: a police zone, a partner, the operator company, the commission.
    OrgId, "org"
);
typed_id!(
    /// One person's account.
    UserId, "usr"
);
typed_id!(
    /// One log-in of one person with one active role.
    SessionId, "ses"
);
typed_id!(
    /// One decision of the gate; the same id stands in the log leaf, the permit and the capability.
    DecisionId, "dec"
);
typed_id!(
    /// One permit handed out by the gate.
    PermitId, "prm"
);
typed_id!(
    /// One segment file of one stream.
    SegmentId, "seg"
);
typed_id!(
    /// One passage of one vehicle past one ANPR camera.
    ReadId, "rea"
);
typed_id!(
    /// One picture kept with a read: crop or overview.
    CaptureId, "cap"
);
typed_id!(
    /// One finding that a person has to validate.
    FindingId, "fnd"
);
typed_id!(
    /// One grant of a right by an owner to a partner.
    GrantId, "grt"
);
typed_id!(
    /// One legal hold on footage.
    HoldId, "hld"
);
typed_id!(
    /// One evidence export.
    ExportId, "exp"
);
typed_id!(
    /// One lease of work to one process.
    LeaseId, "lea"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_refuses_another_kind() {
        let id = CameraId::from_bytes([7; 16]);
        let text = id.to_string();
        assert_eq!(text, "cam_07070707070707070707070707070707");
        assert_eq!(text.parse::<CameraId>(), Ok(id));
        assert_eq!(text.parse::<OrgId>(), Err(IdError::WrongKind { expected: "org" }));
        assert_eq!("cam_zz".parse::<CameraId>(), Err(IdError::NotAUuid));
    }
}
