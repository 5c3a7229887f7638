//! HTTP, WebSocket and SSE: routes, DTOs, problem documents, `OpenAPI`. The contract is `docs/API-DESIGN.md`.
//!
//! Belongs here: turning requests into use cases and their outcomes into answers. Does not belong here: rules, SQL.
//!
//! How a route is added: a handler in `routes/SUBJECT.rs` with `#[utoipa::path]`, taking [`session::Session`] (which
//! refuses and logs strangers and checks the form token), calling one use case, returning `Result<_, Problem>`; its line in
//! the `routes()` function of that file, which [`routes::all`] merges; and its line in [`table::ROUTES`], from which a test
//! walks every route without a session and as a stranger. DTOs stand in `dto/`, strict both ways.

pub mod dto;
pub mod machines;
pub mod problem;
pub mod routes;
pub mod session;
pub mod settings;
pub mod shell;
pub mod socket;
pub mod table;
pub mod waiting;

pub use problem::Problem;
pub use settings::Settings;
pub use shell::{Api, openapi, router};
pub use waiting::waiting_router;
