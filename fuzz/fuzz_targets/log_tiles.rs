//! What a restart reads back of the log: size, edge tiles, entry bundle, all of them possibly damaged.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((size, rest)) = data.split_first_chunk::<8>() else { return };
    let size = u64::from_le_bytes(*size);
    let (paths, _) = audit::Tree::edge_paths(size);
    let mut tiles = Vec::new();
    let mut rest = rest;
    for (level, _) in &paths {
        let width = usize::try_from((size >> (8 * level)) & 255).unwrap_or(0) * 32;
        let (tile, after) = rest.split_at(width.min(rest.len()));
        tiles.push((*level, tile.to_vec()));
        rest = after;
    }
    drop(audit::tree::unbundle(rest));
    if let Some(mut tree) = audit::Tree::from_edge(size, &tiles, Some(rest)) {
        tree.push(b"one more");
        drop((tree.root(), tree.take_tiles()));
    }
});
