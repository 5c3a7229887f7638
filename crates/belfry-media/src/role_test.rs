//! The reader role as a whole, against a recorder that replays prepared units and a `serve` that asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anpr::InputSize;
use anpr::role::ReaderConfig;
use base64::Engine as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use link::message::still::{Area, StillAsk};
use link::message::stored::StoredFrames;
use link::{Connection, Control, LinkListener, Message, ReaderCamera, Role, WireParameterSets};
use media::{AccessUnit, Clocks, ParamSetId, ParameterSets};
use policy::{Audience, Capability, CapabilitySigner, Scope};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use vms_core::{Codec, DecisionId, MediaTime, MonoTime, Rendition, StreamId, TimeRange, WallTime};

use crate::decode::{DecoderChoice, GstDecoders, element};
use crate::host::{HOST, mono, wall};

/// What the recorder of the test hands out.
#[derive(Clone)]
struct Material {
    sets: WireParameterSets,
    /// Payload, key, presentation time in ticks.
    units: Vec<(Bytes, bool, i64)>,
}

fn b64(raw: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(raw)
}

fn wire(sps: &[u8], pps: &[u8], (width, height): (u16, u16)) -> WireParameterSets {
    WireParameterSets {
        id: "0000000000000001".into(),
        codec: "h264".into(),
        vps: vec![],
        sps: vec![b64(sps)],
        pps: vec![b64(pps)],
        width,
        height,
        rfc6381: "avc1.42001f".into(),
        reorder_depth: 0,
    }
}

/// A moving test pattern, encoded here; `None` without an H.264 encoder.
fn pattern() -> Option<Material> {
    gst::init().unwrap();
    let pipeline = gst::Pipeline::new();
    let source = element("videotestsrc").ok()?;
    source.set_property("num-buffers", 12);
    let size = gst::Caps::builder("video/x-raw").field("width", 1280).field("height", 720).field("format", "I420");
    let filter = element("capsfilter").ok()?;
    filter.set_property("caps", size.build());
    let caps = gst::Caps::builder("video/x-h264").field("stream-format", "avc").field("alignment", "au").build();
    let sink = gst_app::AppSink::builder().caps(&caps).sync(false).build();
    let (encoder, parser) = (element("openh264enc").ok()?, element("h264parse").ok()?);
    let chain = [&source, &filter, &encoder, &parser, sink.upcast_ref()];
    pipeline.add_many(chain).unwrap();
    gst::Element::link_many(chain).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let (mut sets, mut units) = (None, Vec::new());
    while let Ok(sample) = sink.pull_sample() {
        let data = sample.caps().unwrap().structure(0).unwrap().get::<gst::Buffer>("codec_data").unwrap();
        let avcc = data.map_readable().unwrap();
        let sps_len = usize::from(u16::from_be_bytes([avcc[6], avcc[7]]));
        let pps_at = 8 + sps_len + 3;
        sets = Some(wire(&avcc[8..8 + sps_len], &avcc[pps_at..], (1280, 720)));
        let buffer = sample.buffer_owned().unwrap();
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let pts = i64::try_from(buffer.pts().unwrap().nseconds() * 9 / 100_000).unwrap();
        units.push((Bytes::copy_from_slice(&buffer.map_readable().unwrap()), key, pts));
    }
    pipeline.set_state(gst::State::Null).unwrap();
    Some(Material { sets: sets?, units })
}

/// The first seconds of the film of photographs.
fn photographs(path: &Path, seconds: i64) -> Material {
    let film = sim::Film::open(path).unwrap();
    let payload = |nals: &[Bytes]| {
        let mut out = BytesMut::new();
        for nal in nals {
            out.put_u32(u32::try_from(nal.len()).unwrap());
            out.put_slice(nal);
        }
        out.freeze()
    };
    let params = film.params();
    let within = film.units().iter().take_while(|unit| unit.dts < seconds * 90_000);
    Material {
        sets: wire(&params.sps[0], &params.pps[0], (1280, 720)),
        units: within.map(|unit| (payload(&unit.nals), unit.is_key, unit.pts)).collect(),
    }
}

/// A recorder that replays to everybody who opens a stream, at `pace` between units, and then stays silent.
async fn recorder(run_dir: PathBuf, material: Material, pace: Duration) {
    let listener = LinkListener::bind(&run_dir.join("recorder.sock"), Role::Recorder, vec![]).unwrap();
    let mut peers = tokio::task::JoinSet::new();
    loop {
        let Ok(stream) = listener.accept().await else { continue };
        let material = material.clone();
        peers.spawn(async move {
            let mut peer = link::socket::greet(stream, Role::Recorder, 0).await.unwrap();
            assert_eq!(peer.peer, Role::Reader);
            let asked = peer.receiver.recv_control().await.unwrap();
            if let Control::OpenLive { stream, .. } = asked {
                replay(&mut peer, &material, stream.parse().unwrap(), pace).await;
            } else if let Control::OpenStored { stream, to_us, .. } = asked {
                stored(&mut peer, &material, stream.parse().unwrap(), to_us).await;
            } else {
                return;
            }
            // Keeps the connection until the reader leaves.
            while peer.receiver.recv().await.is_ok() {}
        });
    }
}

async fn replay(peer: &mut Connection<UnixStream>, material: &Material, stream: StreamId, pace: Duration) {
    let sets = Control::ParameterSets { stream: stream.to_string(), sets: material.sets.clone() };
    peer.sender.send(sets).await.unwrap();
    let mut clock = tokio::time::interval(pace.max(Duration::from_micros(1)));
    let (base_mono, base_wall) = (mono().micros, wall());
    for (seq, (payload, is_key, pts)) in (0_u64..).zip(&material.units) {
        clock.tick().await;
        let micros = u64::try_from(pts * 100 / 9).unwrap();
        let clocks = Clocks {
            mono: MonoTime { micros: base_mono + micros },
            wall: base_wall.plus(Duration::from_micros(micros)),
            ..Clocks::default()
        };
        let unit = AccessUnit {
            seq,
            epoch: 1,
            payload: payload.clone(),
            is_key: *is_key,
            pts: MediaTime::from_ticks(*pts),
            dts: MediaTime::from_ticks(*pts),
            clocks,
            lost_before: 0,
            param_set: ParamSetId(1),
        };
        if peer.sender.send(Message::Unit(stream, unit)).await.is_err() {
            return;
        }
    }
}

/// A recorder whose past is the material, ending where the span ends: its last unit arrived a microsecond before.
async fn stored(peer: &mut Connection<UnixStream>, material: &Material, stream: StreamId, to_us: i64) {
    peer.sender.send(Control::StoredInfo { pieces: 2 }).await.unwrap();
    let asked = peer.receiver.recv_control().await.unwrap();
    assert!(matches!(asked, Control::ReadStored { .. }), "{asked:?}");
    let nal = |text: &[String]| text.iter().map(|text| Bytes::from(unb64(text))).collect::<Vec<_>>();
    let sets = ParameterSets::from_nals(Codec::H264, vec![], nal(&material.sets.sps), nal(&material.sets.pps)).unwrap();
    let last = material.units.iter().map(|(_, _, pts)| *pts).max().unwrap();
    let frames = StoredFrames {
        segment: "seg_1".to_owned(),
        record: 0,
        same_clock: true,
        units: u32::try_from(material.units.len()).unwrap(),
        last_duration: 3_600,
    };
    let wire = WireParameterSets::from(&sets);
    peer.sender.push(&Control::ParameterSets { stream: stream.to_string(), sets: wire }.into());
    peer.sender.push(&Control::StoredFrames(frames).into());
    for (seq, (payload, is_key, pts)) in (0_u64..).zip(&material.units) {
        let unit = AccessUnit {
            seq,
            epoch: 1,
            payload: payload.clone(),
            is_key: *is_key,
            pts: MediaTime::from_ticks(*pts),
            dts: MediaTime::from_ticks(*pts),
            clocks: Clocks { wall: WallTime::from_micros(to_us - 1 - (last - pts) * 100 / 9), ..Clocks::default() },
            lost_before: 0,
            param_set: sets.id,
        };
        peer.sender.push(&Message::Unit(stream, unit));
    }
    peer.sender.send(Control::StoredEnd).await.unwrap();
}

fn unb64(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

struct Bench {
    _dir: tempfile::TempDir,
    run_dir: PathBuf,
    gate: CapabilitySigner,
    stop: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
}

const STREAM: StreamId = StreamId::from_bytes([3; 16]);

/// Starts recorder and reader.
async fn start(material: Material, pace: Duration, models: PathBuf, library: PathBuf) -> Bench {
    gst::init().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let run_dir = dir.path().to_owned();
    let gate = CapabilitySigner::from_seed(&[9; 32]);
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(recorder(run_dir.clone(), material, pace));
    let config = ReaderConfig {
        run_dir: run_dir.clone(),
        state_dir: dir.path().join("state"),
        models,
        library,
        threads: 1,
        size: InputSize::NORMAL,
        fine_for: vec![],
        time_tracking: None,
        users: vec![],
    };
    let decoders = Arc::new(GstDecoders { choice: DecoderChoice::Auto });
    let (verifier, token) = (gate.verifier(), stop.clone());
    tasks.spawn(async move { anpr::role::run(config, HOST, verifier, decoders, token).await.unwrap() });
    Bench { _dir: dir, run_dir, gate, stop, tasks }
}

impl Bench {
    async fn serve(&self) -> Connection<UnixStream> {
        let path = self.run_dir.join("reader.sock");
        let patience = Duration::from_secs(10);
        let dial = async {
            loop {
                match link::connect(&path, Role::Serve, 0, Role::Reader).await {
                    Ok(connection) => return connection,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(patience, dial).await.expect("the reader should listen")
    }

    fn capability(&self, audience: Audience, rendition: Rendition, life_s: i64) -> String {
        self.gate.sign(&token(audience, rendition, life_s))
    }

    /// Opens the spool.
    fn reads(&self) -> String {
        self.gate.sign(&Capability { scope: Scope::Reads, ..token(Audience::Reader, Rendition::Original, 10) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coarse_picture_needs_the_gates_word() {
    let Some(material) = pattern() else {
        println!("not run: needs the GStreamer element openh264enc");
        return;
    };
    let nowhere = PathBuf::from("/nonexistent");
    let mut bench = start(material, Duration::from_millis(1), nowhere.clone(), nowhere).await;
    let mut serve = bench.serve().await;
    let source = bench.capability(Audience::Recorder, Rendition::Original, 10);
    let other = CapabilitySigner::from_seed(&[8; 32]);
    let foreign = Bench { gate: other, ..start_nothing() }.capability(Audience::Reader, Rendition::Coarse, 10);
    for (capability, wanted) in [
        (bench.capability(Audience::Recorder, Rendition::Coarse, 10), "capability_wrong_audience"),
        (bench.capability(Audience::Reader, Rendition::Original, 10), "capability_out_of_scope"),
        (bench.capability(Audience::Reader, Rendition::Coarse, 0), "capability_expired"),
        (foreign, "capability_foreign"),
        ("rubbish".to_owned(), "capability_malformed"),
    ] {
        let ask = Control::Picture { capability, source: source.clone(), stream: STREAM.to_string() };
        let Control::Refused { code, .. } = serve.ask(ask).await.unwrap() else { panic!("{wanted}") };
        assert_eq!(code, wanted);
    }
    let capability = bench.capability(Audience::Reader, Rendition::Coarse, 10);
    serve.sender.send(Control::Picture { capability, source, stream: STREAM.to_string() }).await.unwrap();
    let Message::Bytes(jpeg) = serve.receiver.recv().await.unwrap() else { panic!("a picture was asked for") };
    let picture = image::load_from_memory(&jpeg).unwrap().to_luma8();
    assert_eq!((picture.width(), picture.height()), (320, 180));
    let (dark, bright) = (picture.pixels().map(|p| p.0[0]).min(), picture.pixels().map(|p| p.0[0]).max());
    assert!(dark < Some(60) && bright > Some(180), "a test pattern has both: {dark:?} {bright:?}");
    let Control::ReaderReport { problem, .. } = serve.ask(Control::ReaderHealth).await.unwrap() else { panic!() };
    assert!(problem.is_some(), "without models the reader says so");
    assert!(matches!(serve.ask(Control::Health).await.unwrap(), Control::Refused { .. }));
    bench.stop.cancel();
    while bench.tasks.len() > 1 {
        bench.tasks.join_next().await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_still_of_the_past_shows_one_area_and_needs_the_gates_word() {
    let Some(material) = pattern() else {
        println!("not run: needs the GStreamer element openh264enc");
        return;
    };
    let nowhere = PathBuf::from("/nonexistent");
    let mut bench = start(material, Duration::from_millis(1), nowhere.clone(), nowhere).await;
    let mut serve = bench.serve().await;
    let at = wall().micros - 60_000_000;
    let span = |from, to| {
        Scope::Range(TimeRange::new(WallTime::from_micros(from), WallTime::from_micros(to)).expect("a span"))
    };
    let sign = |bench: &Bench, audience, rendition, scope| {
        bench.gate.sign(&Capability { scope, ..token(audience, rendition, 10) })
    };
    let whole = span(at - 12_000_000, at + 1);
    let ask = |capability: String, keep: Option<Area>, hide: Vec<Area>| {
        Control::Still(StillAsk {
            capability,
            source: "the recorder of this test takes any".into(),
            stream: STREAM.to_string(),
            from_us: at - 12_000_000,
            at_us: at,
            keep,
            hide,
        })
    };
    let area = |left, top, right, bottom| Area { left, top, right, bottom };
    let good = sign(&bench, Audience::Reader, Rendition::Coarse, whole);
    for (capability, hide, wanted) in [
        (sign(&bench, Audience::Recorder, Rendition::Coarse, whole), vec![], "capability_wrong_audience"),
        (sign(&bench, Audience::Reader, Rendition::Original, whole), vec![], "capability_out_of_scope"),
        (sign(&bench, Audience::Reader, Rendition::Coarse, span(at, at + 1)), vec![], "capability_out_of_scope"),
        (bench.capability(Audience::Reader, Rendition::Coarse, 10), vec![], "capability_out_of_scope"),
        ("rubbish".to_owned(), vec![], "capability_malformed"),
        (good.clone(), vec![area(0, 0, 1_001, 1)], "bad_request"),
    ] {
        let Control::Refused { code, .. } = serve.ask(ask(capability, None, hide)).await.unwrap() else {
            panic!("{wanted}")
        };
        assert_eq!(code, wanted);
    }
    // The colour bars of the pattern have edges everywhere; where it is pixelated, the squares are flat.
    let edges = |picture: &image::GrayImage, (x0, x1): (u32, u32)| {
        (x0..x1).filter(|x| picture.get_pixel(*x, 500).0[0].abs_diff(picture.get_pixel(x + 1, 500).0[0]) > 12).count()
    };
    let mut found = Vec::new();
    for (keep, hide) in [
        (None, vec![]),
        (Some(area(600, 800, 1_000, 1_000)), vec![]),
        (Some(area(600, 800, 1_000, 1_000)), vec![area(600, 0, 1_000, 1_000)]),
    ] {
        serve.sender.send(ask(good.clone(), keep, hide)).await.unwrap();
        let Message::Control(answer) = serve.receiver.recv().await.unwrap() else { panic!("a word comes first") };
        let Control::StillOf { at_us } = *answer else { panic!("{answer:?}") };
        assert!((at - 100_000..=at).contains(&at_us), "the last picture of the span: {}", at - at_us);
        let Message::Bytes(jpeg) = serve.receiver.recv().await.unwrap() else { panic!("a picture was asked for") };
        let picture = image::load_from_memory(&jpeg).unwrap().to_luma8();
        assert_eq!((picture.width(), picture.height()), (960, 540));
        found.push((edges(&picture, (600, 950)), edges(&picture, (10, 500))));
    }
    println!("edges in the kept area and outside: {found:?}");
    assert!(found[1].0 > 4 * found[0].0.max(8) && found[2].0 <= 2 * found[0].0.max(8), "{found:?}");
    assert!(found.iter().all(|(_, outside)| *outside < 60), "{found:?}");
    bench.stop.cancel();
    while bench.tasks.len() > 1 {
        bench.tasks.join_next().await.unwrap().unwrap();
    }
}

fn token(audience: Audience, rendition: Rendition, life_s: i64) -> Capability {
    let now = wall();
    Capability {
        decision: DecisionId::from_bytes([1; 16]),
        log_index: 1,
        stream: STREAM,
        scope: Scope::Live,
        rendition,
        audience,
        standing: false,
        gated: false,
        issued_at: WallTime::from_micros(now.micros - 1_000_000),
        expires_at: WallTime::from_micros(now.micros + life_s * 1_000_000),
    }
}

/// A bench without tasks, for its signer's form only.
fn start_nothing() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    Bench {
        run_dir: dir.path().to_owned(),
        _dir: dir,
        gate: CapabilitySigner::from_seed(&[0; 32]),
        stop: CancellationToken::new(),
        tasks: tokio::task::JoinSet::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passages_are_read_spooled_and_acknowledged() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let film = repository.join("../shared/data/plates-eu.mp4");
    let library = repository.join(".onnxruntime/lib/libonnxruntime.so.1.31.1");
    let models = repository.join("models");
    if !film.exists() || !library.exists() || !models.join("plate-reader/card.toml").exists() {
        println!("not run: needs ../shared/data/plates-eu.mp4, models/ and scripts/fetch-onnxruntime.sh");
        return;
    }
    // Three photographs; a third faster than life.
    let material = photographs(&film, 6);
    let mut bench = start(material, Duration::from_millis(30), models, library).await;
    let mut serve = bench.serve().await;
    let camera = ReaderCamera {
        camera: "cam_1".into(),
        stream: STREAM.to_string(),
        purposes: vec![],
        capability: "the recorder of this test takes any".into(),
        region: None,
        rate_max: 25,
    };
    assert_eq!(serve.ask(Control::ReaderAssign { cameras: vec![camera] }).await.unwrap(), Control::Done);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let mut spooled = 0;
    while spooled < 2 {
        assert!(tokio::time::Instant::now() < deadline, "two of three plates should be read");
        let Control::ReaderReport { spooled: now, problem, .. } = serve.ask(Control::ReaderHealth).await.unwrap()
        else {
            panic!()
        };
        assert_eq!(problem, None);
        spooled = now;
        tokio::time::timeout(Duration::from_millis(50), std::future::pending::<()>()).await.unwrap_err();
    }
    for (capability, wanted) in [
        ("rubbish".to_owned(), "capability_malformed"),
        (bench.capability(Audience::Reader, Rendition::Original, 10), "capability_out_of_scope"),
        (bench.capability(Audience::Reader, Rendition::Original, 0), "capability_expired"),
    ] {
        for ask in [
            Control::ReadsSince { capability: capability.clone(), after: 0, limit: 2 },
            Control::ReadsAck { capability: capability.clone(), upto: u64::MAX },
        ] {
            let Control::Refused { code, .. } = serve.ask(ask).await.unwrap() else { panic!("{wanted}") };
            assert_eq!(code, wanted);
        }
    }
    let capability = bench.reads();
    serve.sender.send(Control::ReadsSince { capability: capability.clone(), after: 0, limit: 2 }).await.unwrap();
    let mut last = 0;
    for _ in 0..2 {
        let Message::Control(control) = serve.receiver.recv().await.unwrap() else { panic!() };
        let Control::Read(row) = *control else { panic!() };
        assert!(row.looks >= 2 && row.read.starts_with("rea_") && row.plate.len() >= 5);
        last = row.spool;
        for length in [row.crop_len, row.overview_len] {
            let Message::Bytes(jpeg) = serve.receiver.recv().await.unwrap() else { panic!() };
            assert_eq!(u32::try_from(jpeg.len()).unwrap(), length);
            assert!(image::load_from_memory(&jpeg).is_ok());
        }
    }
    assert_eq!(serve.receiver.recv_control().await.unwrap(), Control::Done);
    assert_eq!(serve.ask(Control::ReadsAck { capability, upto: last }).await.unwrap(), Control::Done);
    let Control::ReaderReport { spooled, cameras, .. } = serve.ask(Control::ReaderHealth).await.unwrap() else {
        panic!()
    };
    assert!(spooled <= 1 && cameras[0].1 > 50 && cameras[0].3 >= 2, "{cameras:?}");
    bench.stop.cancel();
    while bench.tasks.len() > 1 {
        bench.tasks.join_next().await.unwrap().unwrap();
    }
}
