//! The partner's side for tests and demonstrations: one file, served as its catalogue. The file is read at every request,
//! so that whoever edits it plays the partner adding, changing and withdrawing cameras.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// Where the catalogue is served.
pub const PATH: &str = "/catalogue.json";

/// Serves `file` until the listener fails.
///
/// # Errors
/// The listener.
pub async fn serve(listener: TcpListener, file: PathBuf) -> std::io::Result<()> {
    axum::serve(listener, Router::new().route(PATH, get(catalogue)).with_state(Arc::new(file))).await
}

async fn catalogue(State(file): State<Arc<PathBuf>>) -> Response {
    match tokio::fs::read(file.as_ref()).await {
        Ok(document) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        Err(error) => {
            tracing::warn!(%error, "the partner stub's catalogue can't be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
