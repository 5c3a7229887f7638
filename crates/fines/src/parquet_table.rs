//! The records as one Parquet table, for whoever analyses many batches: derived from the lines, which stay the contract. Typed columns, one
//! schema for every kind of batch (what a kind does not have is null), times as microseconds in UTC. Written by the `parquet` crate without
//! Arrow and without compression, so that the same records give the same bytes with the same program.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{DEFAULT_CREATED_BY, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use crate::record::Record;

/// Version of the columns below: count it up when one changes.
const COLUMNS_VERSION: u32 = 1;

/// Who wrote a table, in its footer: another library may write the same records otherwise.
fn written_by() -> String {
    format!("belfry fines {COLUMNS_VERSION}, {DEFAULT_CREATED_BY}")
}

/// What a column holds, and how it is taken from a record.
enum Cell {
    /// UTF-8.
    Text(fn(&Record) -> Option<String>),
    /// A whole number.
    Number(fn(&Record) -> Option<i64>),
    /// RFC 3339, as microseconds since 1970 in UTC.
    Time(fn(&Record) -> Option<&str>),
}

/// Bytes at the end of a table in which its writer is named.
const FOOTER_END: usize = 65_536;

type Column = (&'static str, Cell);

fn number(value: Option<impl TryInto<i64>>) -> Option<i64> {
    value.and_then(|value| value.try_into().ok())
}

const COLUMNS: &[Column] = &[
    ("offence", Cell::Text(|r| Some(r.offence.clone()))),
    ("run", Cell::Text(|r| Some(r.run.clone()))),
    ("position", Cell::Number(|r| number(Some(r.position)))),
    ("finding", Cell::Text(|r| Some(r.finding.clone()))),
    ("kind", Cell::Text(|r| Some(r.kind.as_str().to_owned()))),
    ("fine_rule", Cell::Text(|r| r.fine_rule.clone())),
    ("amount_cents", Cell::Number(|r| number(r.amount_cents))),
    ("currency", Cell::Text(|r| r.currency.clone())),
    ("rule", Cell::Text(|r| r.rule.clone())),
    ("rule_set", Cell::Text(|r| Some(r.rule_set.clone()))),
    ("read_at", Cell::Time(|r| Some(&r.read_at))),
    ("day", Cell::Text(|r| Some(r.day.clone()))),
    ("camera_id", Cell::Text(|r| Some(r.camera.id.clone()))),
    ("camera", Cell::Text(|r| Some(r.camera.code.clone()))),
    ("place_nl", Cell::Text(|r| Some(r.camera.name_nl.clone()))),
    ("place_fr", Cell::Text(|r| Some(r.camera.name_fr.clone()))),
    ("plate", Cell::Text(|r| Some(r.plate.clone()))),
    ("country", Cell::Text(|r| Some(r.country.clone()))),
    ("reasons", Cell::Text(|r| serde_json::to_string(&r.reasons).ok())),
    ("snapshot_sha256", Cell::Text(|r| Some(r.snapshot_sha256.clone()))),
    ("approved_by", Cell::Text(|r| Some(r.approved_by.clone()))),
    ("approved_at", Cell::Time(|r| Some(&r.approved_at))),
    ("supersedes", Cell::Text(|r| r.supersedes.clone())),
    ("zone", Cell::Text(|r| r.zone.clone())),
    ("exit_at", Cell::Time(|r| r.exit.as_ref().map(|exit| exit.read_at.as_str()))),
    ("exit_camera", Cell::Text(|r| r.exit.as_ref().map(|exit| exit.camera.code.clone()))),
    ("holder_state", Cell::Text(|r| r.holder.as_ref().map(|holder| holder.state.clone()))),
    ("holder_kind", Cell::Text(|r| r.holder.as_ref().and_then(|holder| holder.kind.clone()))),
    ("holder", Cell::Text(|r| r.holder.as_ref().and_then(|holder| holder.id.clone()))),
    ("trajectory", Cell::Text(|r| r.measurement.as_ref().map(|m| m.trajectory.clone()))),
    ("certificate", Cell::Text(|r| r.measurement.as_ref().map(|m| m.certificate.clone()))),
    ("certified_mm", Cell::Number(|r| number(r.measurement.as_ref().map(|m| m.certified_mm)))),
    ("time_us", Cell::Number(|r| number(r.measurement.as_ref().map(|m| m.time_us)))),
    ("measured_kmh", Cell::Number(|r| number(r.measurement.as_ref().map(|m| m.measured_kmh)))),
    ("corrected_kmh", Cell::Number(|r| number(r.measurement.as_ref().map(|m| m.corrected_kmh)))),
    ("limit_kmh", Cell::Number(|r| number(r.measurement.as_ref().map(|m| m.limit_kmh)))),
];

fn schema() -> String {
    let column = |(name, cell): &Column| match cell {
        Cell::Text(_) => format!("optional binary {name} (STRING);"),
        Cell::Number(_) => format!("optional int64 {name};"),
        Cell::Time(_) => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
    };
    let columns: Vec<String> = COLUMNS.iter().map(column).collect();
    format!("message offences {{ {} }}", columns.join(" "))
}

/// One column: its values without the nulls, and for each record whether it has one.
fn put<T: DataType>(writer: &mut SerializedColumnWriter<'_>, values: Vec<Option<T::T>>) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let there: Vec<T::T> = values.into_iter().flatten().collect();
    writer.typed::<T>().write_batch(&there, Some(&levels), None).map(drop)
}

fn micros(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

/// The table of the records.
///
/// # Errors
/// What the library says; nothing that a record holds makes it.
pub(crate) fn parquet_of(records: &[Record]) -> Result<Vec<u8>, ParquetError> {
    let properties =
        WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).set_created_by(written_by()).build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(parse_message_type(&schema())?), Arc::new(properties))?;
    if !records.is_empty() {
        let mut group = writer.next_row_group()?;
        for (_, cell) in COLUMNS {
            let Some(mut column) = group.next_column()? else { break };
            match cell {
                Cell::Text(of) => {
                    let text = |record: &Record| of(record).map(|text| ByteArray::from(text.into_bytes()));
                    put::<ByteArrayType>(&mut column, records.iter().map(text).collect())?;
                }
                Cell::Number(of) => put::<Int64Type>(&mut column, records.iter().map(of).collect())?,
                Cell::Time(of) => {
                    put::<Int64Type>(&mut column, records.iter().map(|record| of(record).and_then(micros)).collect())?;
                }
            }
            column.close()?;
        }
        group.close()?;
    }
    writer.into_inner()
}

/// Whether a table says that it was written by this program: then its bytes can be made again.
pub(crate) fn is_ours(table: &[u8]) -> bool {
    let word = written_by();
    // In the footer, behind what is told of the columns.
    table.windows(word.len()).rev().take(FOOTER_END).any(|part| part == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    use super::*;
    use crate::record::tests::{lez, trajectory};

    #[test]
    fn a_table_reads_back_with_types_and_nulls() {
        let records = [lez(1), trajectory(2)];
        let table = parquet_of(&records).unwrap();
        assert_eq!(parquet_of(&records).unwrap(), table, "the same records, the same bytes");
        assert!(is_ours(&table) && !is_ours(&table[..table.len() / 2]) && !is_ours(b""));
        let reader = SerializedFileReader::new(bytes::Bytes::from(table)).unwrap();
        let names: Vec<String> = reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .columns()
            .iter()
            .map(|one| one.name().to_owned())
            .collect();
        assert_eq!(names, COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
        let at = |name: &str| names.iter().position(|one| one == name).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].get_string(at("offence")).unwrap(), &records[0].offence);
        assert_eq!(rows[0].get_long(at("amount_cents")).unwrap(), 35_000);
        assert_eq!(rows[0].get_timestamp_micros(at("read_at")).unwrap(), micros(&records[0].read_at).unwrap());
        assert!(rows[0].get_long(at("certified_mm")).is_err(), "null");
        assert_eq!(rows[1].get_long(at("certified_mm")).unwrap(), 1_200_000);
        assert!(rows[1].get_long(at("amount_cents")).is_err(), "null");
        let none = SerializedFileReader::new(bytes::Bytes::from(parquet_of(&[]).unwrap())).unwrap();
        assert_eq!(none.metadata().file_metadata().num_rows(), 0);
    }
}
