//! How fast an export is: an hour at 4 Mbit/s out of memory into a folder, as a multiple of real time.
//!
//! `cargo run --release -p evidence --example speed -- FOLDER [MINUTES]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut as _, Bytes, BytesMut};
use evidence::{
    Basis, CameraFacts, ExportingUnit, Footage, Frames, Job, Language, Mark, Order, Person, Piece, Place, Purpose,
    SegmentFact, Signer, SignerName, SourceError, Stage, Step, Utc,
};
use media::{AccessUnit, Clocks, Fragment, ParameterSets};
use vms_core::{Codec, MediaTime, WallTime};

const START: WallTime = WallTime::from_secs(1_795_081_600);
/// 4 Mbit/s at 25 frames a second.
const FRAME_BYTES: usize = 20_000;

/// Fragments of a second, made as they are asked for.
struct Made {
    sets: Arc<ParameterSets>,
    seconds: i64,
    at: i64,
    slice: Bytes,
}

impl Footage for Made {
    fn start(&mut self, _camera: usize, mark: Option<&Mark>) -> Result<(), SourceError> {
        self.at = mark.map_or(0, |mark| i64::try_from(mark.pieces).unwrap_or(0));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Piece>, SourceError> {
        let second = self.at;
        if second >= self.seconds {
            return Ok(None);
        }
        self.at += 1;
        if second == 0 {
            let (from, to) = (Utc(START), Utc(START));
            return Ok(Some(Piece::Segment(SegmentFact { id: "seg_1".to_owned(), from, to, digests: Vec::new() })));
        }
        let unit = |frame: i64| {
            let ticks = MediaTime::from_ticks((second * 25 + frame) * 3_600);
            let wall = WallTime::from_micros(START.micros + ticks.to_micros());
            AccessUnit {
                seq: u64::try_from(second * 25 + frame).unwrap_or(0),
                epoch: 1,
                payload: self.slice.clone(),
                is_key: frame == 0,
                pts: ticks,
                dts: ticks,
                clocks: Clocks { wall, ..Clocks::default() },
                lost_before: 0,
                param_set: self.sets.id,
            }
        };
        let fragment = Fragment::new((0..25).map(unit).collect(), 3_600);
        let fragment = fragment.ok_or_else(|| SourceError::Unavailable("no fragment".to_owned()))?;
        let record = u32::try_from(second).unwrap_or(0);
        let sets = Arc::clone(&self.sets);
        let frames = Frames { segment: "seg_1".to_owned(), record, same_clock: true, sets, fragment };
        Ok(Some(Piece::Frames(Box::new(frames))))
    }
}

fn order(minutes: i64) -> Order {
    let text = str::to_owned;
    let person = |id: &str| Person { id: text(id), role: text("P04"), organisation: text("org") };
    Order {
        export_id: text("exp_speed"),
        product: text("belfry"),
        started_at: Utc(START),
        language: Language::Nl,
        exporting_unit: ExportingUnit { name: text("speed"), url: String::new(), mac: String::new() },
        from: Utc(START),
        to: Utc(WallTime::from_micros(START.micros + minutes * 60_000_000)),
        case_number: text("1"),
        purpose: Purpose { code: text("TEST"), justification: text("measuring") },
        requested_by: person("usr_1"),
        approved_by: Some(person("usr_2")),
        decision: None,
        cameras: vec![CameraFacts {
            camera: text("cam_1"),
            stream: text("str_1"),
            number: text("1"),
            name: text("speed"),
            url: String::new(),
            mac: String::new(),
            owner: text("org"),
            place: Place { name: String::new(), latitude_e6: None, longitude_e6: None },
            basis: Basis { document: text("test"), date: text("2026-01-01"), advice: String::new() },
            retention_class: text("RC-VID-OPEN"),
        }],
        log: None,
    }
}

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a measuring program of its own")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = PathBuf::from(args.next().ok_or("which folder?")?);
    let minutes: i64 = args.next().map_or(Ok(60), |text| text.parse())?;
    let nal = |text: &str| hex::decode(text).map(Bytes::from);
    let sps = nal("6764000aacd9472f8888c044000003000400000300c83c489658")?;
    let sets = Arc::new(ParameterSets::from_nals(Codec::H264, vec![], vec![sps], vec![nal("68ebe0e4b22c")?])?);
    let mut slice = BytesMut::new();
    slice.put_u32(u32::try_from(FRAME_BYTES - 4)?);
    slice.extend((4..FRAME_BYTES).map(|at| u8::try_from(at % 251).unwrap_or(0) | 1));
    let mut footage = Made { sets, seconds: minutes * 60, at: 0, slice: slice.freeze() };
    let name = SignerName { organisation: "speed".to_owned(), installation: "speed".to_owned() };
    let signer = Arc::new(Signer::make(&[1; 32], [1; 16], &name, START)?);
    let begun = Instant::now();
    let mut job = Job::create(&out, order(minutes), signer)?;
    let mut filmed = None;
    loop {
        let step = job.step(&mut footage)?;
        if filmed.is_none() && job.progress().stage != Stage::Filming {
            filmed = Some((begun.elapsed().as_secs_f64(), job.progress().bytes));
        }
        if let Step::Done(_) = step {
            break;
        }
    }
    let (writing, bytes) = filmed.ok_or("never filmed")?;
    let whole = begun.elapsed().as_secs_f64();
    let seconds = f64::from(u32::try_from(minutes * 60)?);
    let megabytes = f64::from(u32::try_from(bytes / 1_000_000)?);
    println!(
        "{megabytes} MB: written in {writing:.2} s ({:.0} x real time), with its own check {whole:.2} s ({:.0} x)",
        seconds / writing,
        seconds / whole
    );
    Ok(())
}
