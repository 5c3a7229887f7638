//! The vehicle registry behind the service integrator: the client that asks it, and a stub that plays it.
//!
//! Belongs here: [`flow`]s (one institution × one source × one purpose), the batching and caching [`client`], the wire
//! format ([`wire`]), and the [`stub`] (`belfry registry-stub`) with a synthetic fleet, delays and faults.
//!
//! Does not belong here: storing what was asked (the client hands back exact records, the caller keeps them), deciding
//! anything about a vehicle (`traffic-rules`), holders' names and addresses (no flow of this client asks for them: of a holder it gets the
//! source's own number).
//!
//! Transport is HTTP within a protected network segment: the workspace builds no TLS client yet, so a connection to a real
//! integrator needs a local TLS proxy with the institution's certificate in front.

pub mod backoff;
pub mod cache;
pub mod client;
pub mod flow;
pub mod holders;
pub mod record;
pub mod stub;
pub mod wire;

#[cfg(test)]
mod tests;

pub use cache::{CacheKey, DayCache, MemoryDayCache};
pub use client::{Ask, ClientSettings, LookUp, Query, RegistryClient, RegistryError, RegistryPorts, Reply};
pub use flow::{FlowBook, FlowId, FlowRefusal, Question};
pub use holders::{HolderLookUp, HolderReply};
pub use record::{AskEnd, AskRecord, AskedItem};
