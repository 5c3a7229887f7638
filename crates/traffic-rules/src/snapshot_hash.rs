//! The hash that ties an outcome to its input.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// SHA-256 over the serialised input, 64 hexadecimal digits. Struct fields keep their order and no input has a map, so equal
/// inputs give equal bytes.
pub(crate) fn snapshot_hash<T: Serialize>(input: &T) -> String {
    let bytes = serde_json::to_vec(input).expect("an input of plain fields should serialise");
    hex::encode(Sha256::digest(bytes))
}
