//! Prints the OpenAPI document: `cargo run -p vms-api --example openapi > web/openapi.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let text = vms_api::openapi().to_pretty_json().map_err(std::io::Error::other)?;
    writeln!(std::io::stdout(), "{text}")
}
