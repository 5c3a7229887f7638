//! The HTTP side on the real router and a real SQLite database; only the clock, the log and the media side are fakes.

#[cfg(test)]
mod asvs;
#[cfg(test)]
mod bounded;
#[cfg(test)]
mod cameras;
#[cfg(test)]
mod cells;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod exports_cameras;
#[cfg(test)]
mod fines_fake;
#[cfg(test)]
mod four_eyes;
#[cfg(test)]
mod gated;
#[cfg(test)]
mod gated_reads;
#[cfg(test)]
mod hardware;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod hidden;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod legal;
#[cfg(test)]
mod live;
#[cfg(test)]
mod log_away;
#[cfg(test)]
mod login;
#[cfg(test)]
mod machines;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod oidc;
#[cfg(test)]
mod oversight;
#[cfg(test)]
mod partners;
#[cfg(test)]
mod permits;
#[cfg(test)]
mod playback;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod revoke;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod timing;
#[cfg(test)]
mod town;
#[cfg(test)]
mod traced;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod watchlist;
