//! Whose findings a person may work.
//!
//! Each purpose has an action of its own, so the permit of one queue cannot open a finding of another.

use vms_core::{CameraId, DecisionId, OrgId, Purpose, WallTime};

use crate::gate::Permit;
use crate::gate::action::{ReviewFindings, ReviewTrajectories, ReviewZones};

/// The read at the other end of a run or stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingExit {
    /// Its camera.
    pub camera: CameraId,
    /// When.
    pub at: WallTime,
    /// A picture of the plate is kept.
    pub has_crop: bool,
    /// A picture of the vehicle is kept.
    pub has_overview: bool,
}

/// The permit under which a person works findings: of one purpose, and there of one authority.
#[derive(Clone, Copy, Debug)]
pub enum FindingPermit<'a> {
    /// Of the tax administration.
    Lez(&'a Permit<ReviewFindings>),
    /// Of a municipality's sanctioning official.
    Zbt(&'a Permit<ReviewZones>),
    /// Of a police zone's verifier.
    Trajectory(&'a Permit<ReviewTrajectories>),
}

impl FindingPermit<'_> {
    /// The purpose whose findings it opens.
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Lez(_) => Purpose::Lez,
            Self::Zbt(_) => Purpose::Zbt,
            Self::Trajectory(_) => Purpose::Trajectory,
        }
    }

    /// Whose findings, where a purpose has several authorities.
    pub fn authority(&self) -> Option<OrgId> {
        match self {
            Self::Lez(_) => None,
            Self::Zbt(permit) => permit.target().owner,
            Self::Trajectory(permit) => permit.target().owner,
        }
    }

    /// The logged decision.
    pub fn decision(&self) -> DecisionId {
        match self {
            Self::Lez(permit) => permit.decision(),
            Self::Zbt(permit) => permit.decision(),
            Self::Trajectory(permit) => permit.decision(),
        }
    }

    /// What it was asked for.
    pub fn object(&self) -> Option<&str> {
        let target = match self {
            Self::Lez(permit) => permit.target(),
            Self::Zbt(permit) => permit.target(),
            Self::Trajectory(permit) => permit.target(),
        };
        target.object.as_deref()
    }
}
