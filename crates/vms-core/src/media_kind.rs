//! What a stream is and how it may be shown.

use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in configuration, rows, messages and URLs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }

        impl FromStr for $name {
            type Err = $crate::media_kind::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err($crate::media_kind::UnknownWord { of: stringify!($name) }) }
            }
        }
    };
}
pub(crate) use words;

/// A word that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a known {of}")]
pub struct UnknownWord {
    /// The type whose words were expected.
    pub of: &'static str,
}

words!(
    /// Video codec of a stream.
    Codec {
        /// ITU-T H.264.
        H264 = "h264",
        /// ITU-T H.265.
        H265 = "h265",
    }
);

words!(
    /// What a stream of a camera is for.
    StreamUse {
        /// Full picture; recorded.
        Main = "main",
        /// Small picture for tiles; pulled on demand, never recorded.
        Sub = "sub",
        /// Stream for plate reading where the camera has a third one.
        Anpr = "anpr",
    }
);

words!(
    /// How a stream may be shown; part of request, permit and capability.
    Rendition {
        /// The bytes as received.
        Original = "original",
        /// The whole picture coarse: at most 320×180 at 5 frames/s (blueprint 4.3).
        Coarse = "coarse",
    }
);
