//! Handlers, one file per subject; each file's `routes()` is merged here.

pub mod audit;
pub mod cameras;
pub mod events;
pub mod exports;
pub mod findings;
pub mod fines;
pub mod gated;
pub mod gated_reads;
pub mod grants;
pub mod health;
pub mod holds;
pub mod identity;
pub mod legal_changes;
pub mod live;
pub mod login;
pub mod machines;
pub mod matrix;
pub mod oversight;
pub mod partners;
pub mod permits;
pub mod playback;
pub mod reads;
pub mod reads_in;
pub mod sharing;
pub mod statistics;
pub mod users;
pub mod watch;
pub mod watchlist;

use utoipa_axum::router::OpenApiRouter;

use crate::shell::Api;

/// Every route.
pub fn all() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(login::routes())
        .merge(identity::routes())
        .merge(machines::routes())
        .merge(reads_in::routes())
        .merge(cameras::routes())
        .merge(legal_changes::routes())
        .merge(matrix::routes())
        .merge(holds::routes())
        .merge(gated::routes())
        .merge(exports::routes())
        .merge(live::routes())
        .merge(playback::routes())
        .merge(reads::routes())
        .merge(gated_reads::routes())
        .merge(watchlist::routes())
        .merge(findings::routes())
        .merge(permits::routes())
        .merge(fines::routes())
        .merge(statistics::routes())
        .merge(partners::routes())
        .merge(grants::routes())
        .merge(sharing::routes())
        .merge(watch::routes())
        .merge(oversight::routes())
        .merge(users::routes())
        .merge(audit::routes())
        .merge(health::routes())
        .merge(events::routes())
}
