//! What holds around a request at this moment: events, stations, territory, data flows.
//!
//! Belongs here: facts that a use case resolved from indexed data before it asks. Does not belong here: what the facts
//! are good for; the role matrix says that.

use serde_json::json;
use uuid::Uuid;

/// Facts about the moment. The default is "nothing holds": every condition on a fact then denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The activated event that covers the camera now (condition e).
    pub event: Option<Uuid>,
    /// The emergency access under which this is asked; it stands in for an event.
    pub break_glass: Option<Uuid>,
    /// The workstation is registered as police supervised (condition p).
    pub police_station: bool,
    /// The object lies in the territory of the actor's organisation (condition z).
    pub own_territory: bool,
    /// The data flow or authorisation for this purpose is active (condition d).
    pub flow_active: bool,
    /// The object belongs to a file in the actor's own queue (condition `own_file`).
    pub own_file: bool,
    /// The overseer has suspended what is asked for: only oversight goes on.
    pub suspended: bool,
}

impl Circumstances {
    /// Nothing holds.
    pub const fn none() -> Self {
        Self {
            event: None,
            break_glass: None,
            police_station: false,
            own_territory: false,
            flow_active: false,
            own_file: false,
            suspended: false,
        }
    }

    /// Whether the condition `event` is met.
    pub const fn event_active(&self) -> bool {
        self.event.is_some() || self.break_glass.is_some()
    }

    /// For the details of a leaf.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({
            "event": self.event.map(|id| id.to_string()),
            "break_glass": self.break_glass.map(|id| id.to_string()),
            "police_station": self.police_station,
            "own_territory": self.own_territory,
            "flow_active": self.flow_active,
            "own_file": self.own_file,
            "suspended": self.suspended,
        })
    }
}
