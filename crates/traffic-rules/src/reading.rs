//! How a plate was read: what every rule family needs to know of the reading, without the text.

use serde::{Deserialize, Serialize};

use crate::grammar::PlateKind;

/// How the plate was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlateReading {
    /// Kind by the text alone ([`crate::plate_type`]); the registry's word goes before.
    pub kind: PlateKind,
    /// A character was corrected by its position.
    pub corrected: bool,
    /// The country is sure enough.
    pub country_sure: bool,
    /// The kind may be taken from a picture without a person ([`crate::grammar::Classified::auto_accept`]).
    pub auto_accept: bool,
    /// A person has compared text and country with the picture.
    pub confirmed: bool,
}

impl PlateReading {
    /// Whether a person must compare text and country with the picture before anything is made of the read.
    pub fn needs_confirmation(&self) -> bool {
        !self.confirmed && (self.corrected || !self.country_sure || !self.auto_accept)
    }
}
