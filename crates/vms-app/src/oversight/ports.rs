//! Where oversight is kept. Methods are noun first.

use async_trait::async_trait;
use vms_core::TimeRange;

use super::model::{AccountCount, Complaint, FlowRow, SubjectRequest};
use crate::gate::Permit;
use crate::gate::action::{HandleComplaints, HandleSubjectRequests, ViewReport};
use crate::model::LogDetail;
use crate::ports::store::Stored;
use crate::words::CaseState;

/// Data flows, complaints, data subjects' requests, counts. Rows stay.
#[async_trait]
pub trait OversightStore: Send + Sync {
    /// Every flow that ever changed or was registered.
    async fn flow_list(&self) -> Stored<Vec<FlowRow>>;
    /// Writes a flow: new with version 1, else over the version before; `Stale` otherwise. The row before stays as history.
    async fn flow_put(&self, row: &FlowRow) -> Stored<()>;
    /// Every change of a flow, newest first.
    async fn flow_history(&self, id: &str) -> Stored<Vec<FlowRow>>;

    /// New.
    async fn complaint_insert(&self, permit: &Permit<HandleComplaints>, complaint: &Complaint) -> Stored<()>;
    /// Newest first, at most `limit`.
    async fn complaint_list(&self, permit: &Permit<HandleComplaints>, limit: u32) -> Stored<Vec<Complaint>>;
    /// Writes the answer of one that is in state `was`; `Stale` otherwise.
    async fn complaint_update(
        &self,
        permit: &Permit<HandleComplaints>,
        complaint: &Complaint,
        was: CaseState,
    ) -> Stored<()>;

    /// New.
    async fn subject_request_insert(
        &self,
        permit: &Permit<HandleSubjectRequests>,
        request: &SubjectRequest,
    ) -> Stored<()>;
    /// Newest first, at most `limit`.
    async fn subject_request_list(
        &self,
        permit: &Permit<HandleSubjectRequests>,
        limit: u32,
    ) -> Stored<Vec<SubjectRequest>>;
    /// Writes state and answer of one that is in state `was`; `Stale` otherwise.
    async fn subject_request_update(
        &self,
        permit: &Permit<HandleSubjectRequests>,
        request: &SubjectRequest,
        was: CaseState,
    ) -> Stored<()>;

    /// Accounts by organisation and profile.
    async fn account_counts(&self) -> Stored<Vec<AccountCount>>;
    /// Complaints and data subjects' requests by state, of a span of their intake.
    async fn case_counts(&self, range: TimeRange) -> Stored<Vec<(String, String, u64)>>;
    /// Details of leaves of a span, by index, from `above` on, at most `limit`; for counting.
    async fn log_detail_scan(
        &self,
        permit: &Permit<ViewReport>,
        range: TimeRange,
        above: Option<u64>,
        limit: u32,
    ) -> Stored<Vec<LogDetail>>;
}
