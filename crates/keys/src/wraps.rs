//! The file of wrapped segment keys of one hour, `wraps-HHHHHHHH.bkw`. All integers big endian.
//!
//! ```text
//! header  magic "BELFWRP1" 8 | version u16 | hour u32 | store 16 | check 16
//! row     segment 16 | epoch u64 | wrap 60 | check 16 over store, hour and the row
//! ```
//!
//! Rows stand for themselves and have no order: two copies of a file are read as the union of their whole rows. A segment
//! key is wrapped under its hour key, so that nothing here has to change when the root does, and the whole file goes when the
//! last hour key of its hour is dead.

use std::collections::HashMap;

use vms_core::SegmentId;

use crate::codec::{CHECK_LEN, Reader, Writer, check};
use crate::frame::offset;
use crate::ids::{Hour, KeyEpoch, StoreId};
use crate::secret::{WRAPPED_LEN, Wrapped};

const MAGIC: &[u8; 8] = b"BELFWRP1";
const VERSION: u16 = 1;
/// Bytes of the header.
pub(crate) const HEADER_LEN: usize = 46;
/// Bytes of a row.
pub(crate) const ROW_LEN: usize = 100;

/// The wraps of one hour, from one copy or two.
#[derive(Clone, Debug, Default)]
pub(crate) struct HourWraps {
    pub(crate) rows: HashMap<SegmentId, (KeyEpoch, Wrapped)>,
    /// Bytes that are no whole row, over all copies.
    pub(crate) bad_rows: usize,
}

/// Name of the file.
pub(crate) fn file_name(hour: Hour) -> String {
    format!("wraps-{:08x}.bkw", hour.count())
}

pub(crate) fn head_bytes(store: StoreId, hour: Hour) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(MAGIC);
    out.u16(VERSION);
    out.u32(hour.count());
    out.bytes(&store.0);
    let sum = check(&[out.as_slice()]);
    out.bytes(&sum);
    out.into_vec()
}

pub(crate) fn row_bytes(store: StoreId, hour: Hour, segment: SegmentId, epoch: KeyEpoch, wrapped: &Wrapped) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(segment.as_bytes());
    out.u64(epoch.raw());
    out.bytes(wrapped);
    let sum = check(&[&store.0, &hour.count().to_be_bytes(), out.as_slice()]);
    out.bytes(&sum);
    out.into_vec()
}

fn read_row(row: &[u8], store: StoreId, hour: Hour) -> Option<(SegmentId, KeyEpoch, Wrapped)> {
    let (plain, sum) = row.split_at_checked(ROW_LEN - CHECK_LEN)?;
    if check(&[&store.0, &hour.count().to_be_bytes(), plain]) != *sum {
        return None;
    }
    let mut reader = Reader::new(plain);
    let segment = SegmentId::from_bytes(reader.array()?);
    let epoch = KeyEpoch::new(reader.u64()?)?;
    let wrapped = reader.array::<WRAPPED_LEN>()?;
    Some((segment, epoch, wrapped))
}

impl HourWraps {
    /// Adds the whole rows of one copy. A damaged header costs nothing: the rows carry the store and the hour themselves.
    pub(crate) fn add(&mut self, image: &[u8], store: StoreId, hour: Hour) {
        if image.get(..HEADER_LEN) != Some(&head_bytes(store, hour)[..]) {
            self.bad_rows += 1;
        }
        for row in image.get(HEADER_LEN..).unwrap_or(&[]).chunks(ROW_LEN) {
            match read_row(row, store, hour) {
                Some((segment, epoch, wrapped)) => {
                    self.rows.entry(segment).or_insert((epoch, wrapped));
                }
                None => self.bad_rows += 1,
            }
        }
    }

    /// A file with these rows, in the order of segments.
    pub(crate) fn image(&self, store: StoreId, hour: Hour) -> Vec<u8> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(segment, _)| **segment);
        let mut image = head_bytes(store, hour);
        for (segment, (epoch, wrapped)) in rows {
            image.extend_from_slice(&row_bytes(store, hour, *segment, *epoch, wrapped));
        }
        image
    }
}

/// Where the next row goes in a file of `len` bytes: behind everything, a cut row included.
pub(crate) fn next_row(len: u64) -> u64 {
    let (head, row) = (offset(HEADER_LEN), offset(ROW_LEN));
    head + len.saturating_sub(head).div_ceil(row) * row
}

/// Feeds foreign bytes to the reader of wraps (fuzz target and corpus test).
pub fn fuzz_hour_wraps(data: &[u8]) {
    let (store, hour) = (StoreId([1; 16]), Hour::from_count(5));
    let mut read = HourWraps::default();
    read.add(data, store, hour);
    let mut again = HourWraps::default();
    again.add(&read.image(store, hour), store, hour);
    assert_eq!((again.rows.len(), again.bad_rows), (read.rows.len(), 0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_and_every_flip_leaves_right_rows_or_none() {
        let (store, hour) = (StoreId([1; 16]), Hour::from_count(5));
        let mut wraps = HourWraps::default();
        for byte in 1..=3_u8 {
            let epoch = KeyEpoch::make(hour, u32::from(byte)).unwrap();
            wraps.rows.insert(SegmentId::from_bytes([byte; 16]), (epoch, [byte; WRAPPED_LEN]));
        }
        let image = wraps.image(store, hour);
        assert_eq!(image.len(), HEADER_LEN + 3 * ROW_LEN);
        let read = |images: &[&[u8]]| {
            let mut read = HourWraps::default();
            images.iter().for_each(|image| read.add(image, store, hour));
            read
        };
        for at in 0..image.len() {
            let cut = read(&[&image[..at]]);
            assert_eq!(cut.rows.len(), at.saturating_sub(HEADER_LEN) / ROW_LEN);
            let mut changed = image.clone();
            changed[at] ^= 0x10;
            fuzz_hour_wraps(&changed);
            let alone = read(&[&changed]);
            assert_eq!(alone.bad_rows, 1);
            assert!(alone.rows.iter().all(|(segment, row)| wraps.rows[segment] == *row));
            assert_eq!(read(&[&changed, &image]).rows, wraps.rows);
        }
        // Of another store or hour: nothing.
        let mut other = HourWraps::default();
        other.add(&image, StoreId([2; 16]), hour);
        other.add(&image, store, Hour::from_count(6));
        assert!(other.rows.is_empty());
        for (len, at) in [(0, 46), (46, 46), (47, 146), (146, 146), (150, 246)] {
            assert_eq!(next_row(len), at, "{len}");
        }
    }
}
