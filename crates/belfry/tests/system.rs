//! The whole system, as its users meet it: real programs, real RTSP, real files, a real browser's protocol.
//!
//! Needs `target/films` (scripts/make-films.sh) and ffprobe; both come with `make test`, which fails without them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

#[expect(dead_code, reason = "the other system tests use the rest")]
mod support;

use std::time::Duration;

use futures_util::StreamExt as _;
use link::message::still::{Area, StillAsk};
use link::{Connection, Control, LiveForm, Message, Role};
use policy::{Audience, Capability, CapabilitySigner, Scope};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message as Ws;
use vms_core::{DecisionId, Rendition, StreamId, TimeRange, WallTime};
use vms_testkit::rig::Rig;

use support::{ffprobe, first_camera, now_us, open_live, options, playback, text, until_durable};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_is_recorded_and_played_back_without_a_lost_frame() {
    let mut rig = Rig::start(options(2, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &operator, 12).await;
    let stream = text(&camera, "/streams/0/id");

    let played = playback(&operator, &stream, 10).await;
    let url = text(&played, "/url");
    let whole = operator.bytes(&url, None).await.unwrap();
    assert_eq!(Some(whole.len() as u64), played.get("size").and_then(Value::as_u64));
    let part = operator.bytes(&url, Some("bytes=1000-4999")).await.unwrap();
    assert_eq!(part, whole.slice(1000..5000));
    let probe = ffprobe(&rig, &whole);
    assert_eq!(text(&probe, "/streams/0/codec_name"), "h264");
    let frames: u64 = text(&probe, "/streams/0/nb_read_packets").parse().unwrap();
    assert!(frames >= 225, "about ten seconds at 25 frames/s: {frames}");
    assert_eq!(probe.pointer("/streams/1"), None, "no sound, no second track");

    rig.stop_belfry().await.unwrap();
    let found = vms_benches::frames::walk(&rig.path().join("state/footage/media")).unwrap();
    assert_eq!(found.cameras.len(), 2);
    assert_eq!((found.damaged.len(), found.unmarked), (0, 0), "{:?}", found.damaged);
    for (camera, footage) in &found.cameras {
        assert_eq!(footage.holes(), [], "camera {camera}");
        assert_eq!(footage.doubled, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_reaches_who_may_and_ends_when_the_right_ends() {
    let rig = Rig::start(options(1, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    let camera = first_camera(&rig, &operator).await;
    let stream = text(&camera, "/streams/0/id");
    let mut socket = open_live(&rig, &operator, &stream).await;

    let (mut inits, mut fragments) = (0, 0);
    while fragments < 50 {
        match tokio::time::timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap() {
            Ws::Text(word) if word.contains("\"init\"") => {
                assert!(word.contains("avc1"), "{word}");
                let Ws::Binary(init) = socket.next().await.unwrap().unwrap() else { panic!("an init segment follows") };
                assert_eq!(&init[4..8], b"ftyp");
                inits += 1;
            }
            Ws::Binary(fragment) => {
                assert_eq!(&fragment[36..40], b"moof");
                if fragments == 0 {
                    assert_eq!(fragment[0] & 1, 1, "the first frame is a key frame");
                }
                fragments += 1;
            }
            Ws::Text(_) | Ws::Ping(_) | Ws::Pong(_) | Ws::Close(_) | Ws::Frame(_) => {}
        }
    }
    assert_eq!(inits, 1);

    operator.ask("POST", "/api/v1/logout", None).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(15), async {
        loop {
            match socket.next().await {
                None | Some(Err(_) | Ok(Ws::Close(_))) => return,
                Some(Ok(_)) => {}
            }
        }
    });
    ended.await.expect("a stream ends with its right");
}

/// A still of what the recorder has, decoded and masked by the reader: the whole way that `serve` goes for a data subject.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_masked_still_of_recorded_footage_comes_from_the_reader() {
    let rig = Rig::start(options(1, 1)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &operator, 15).await;
    let stream: StreamId = text(&camera, "/streams/0/id").parse().unwrap();
    let gate = support::gate_signer(&rig);
    let (now, at) = (now_us(), now_us() - 6_000_000);
    let (from, to) = (WallTime::from_micros(at - 5_000_000), WallTime::from_micros(at + 1));
    let sign = |audience, rendition| {
        gate.sign(&Capability {
            decision: DecisionId::from_bytes([1; 16]),
            log_index: 0,
            stream,
            scope: Scope::Range(TimeRange::new(from, to).unwrap()),
            rendition,
            audience,
            standing: false,
            gated: false,
            issued_at: WallTime::from_micros(now),
            expires_at: WallTime::from_micros(now + 15_000_000),
        })
    };
    let socket = rig.path().join("run/reader.sock");
    let mut reader = link::connect(&socket, Role::Serve, 0, Role::Reader).await.unwrap();
    let ask = |source, keep| {
        Control::Still(StillAsk {
            capability: sign(Audience::Reader, Rendition::Coarse),
            source,
            stream: stream.to_string(),
            from_us: from.micros,
            at_us: at,
            keep,
            hide: vec![],
        })
    };
    let mut pictures = Vec::new();
    for keep in [None, Some(Area { left: 250, top: 250, right: 750, bottom: 750 })] {
        reader.sender.send(ask(sign(Audience::Recorder, Rendition::Original), keep)).await.unwrap();
        let answer = reader.receiver.recv_control().await.unwrap();
        let Control::StillOf { at_us } = answer else { panic!("{answer:?}") };
        assert!((at - 60_000..=at).contains(&at_us), "the picture of the instant at 25 a second: {}", at - at_us);
        let Message::Bytes(jpeg) = reader.receiver.recv().await.unwrap() else { panic!("a picture follows") };
        assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
        pictures.push(image::load_from_memory(&jpeg).unwrap().to_luma8());
    }
    // The same picture twice: both are as coarse outside of the kept area, and within it one has its detail.
    let differ = |area: Area| {
        let (width, height) = pictures[0].dimensions();
        let [x0, x1] = [area.left, area.right].map(|thousandths| u32::from(thousandths) * width / 1_000);
        let [y0, y1] = [area.top, area.bottom].map(|thousandths| u32::from(thousandths) * height / 1_000);
        let spots = (y0..y1).flat_map(|y| (x0..x1).map(move |x| (x, y)));
        let sum: u64 = spots
            .map(|(x, y)| [0, 1].map(|n: usize| pictures[n].get_pixel(x, y).0[0]))
            .map(|[a, b]| u64::from(a.abs_diff(b)))
            .sum();
        // Hundredths of a grey level a pixel.
        sum * 100 / (u64::from(x1 - x0) * u64::from(y1 - y0))
    };
    let kept = differ(Area { left: 300, top: 300, right: 700, bottom: 700 });
    let around = [(0, 200), (800, 1_000)].map(|(left, right)| differ(Area { left, top: 0, right, bottom: 1_000 }));
    eprintln!("kept area: {kept}, left and right of it: {around:?} hundredths of a grey level");
    assert!(around.iter().all(|other| *other < 20 && kept > other * 5) && kept > 100, "{kept} {around:?}");
    // The recorder looks for itself: without its own capability the reader gets nothing.
    let refused = reader.ask(ask(sign(Audience::Reader, Rendition::Coarse), None)).await.unwrap();
    assert!(matches!(&refused, Control::Refused { code, .. } if code == "source_refused"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn internal_sockets_hand_out_nothing_without_a_capability() {
    let rig = Rig::start(options(1, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    let camera = until_durable(&rig, &operator, 5).await;
    let stream: StreamId = text(&camera, "/streams/0/id").parse().unwrap();
    let ours = support::gate_signer(&rig);
    let foreign = CapabilitySigner::from_seed(&[9; 32]);
    let now = now_us();
    let live = |audience, from_us: i64| Capability {
        decision: DecisionId::from_bytes([1; 16]),
        log_index: 0,
        stream,
        scope: Scope::Live,
        rendition: Rendition::Original,
        audience,
        standing: false,
        gated: false,
        issued_at: WallTime::from_micros(from_us),
        expires_at: WallTime::from_micros(from_us + 15_000_000),
    };
    let range = TimeRange::new(WallTime::from_micros(now - 4_000_000), WallTime::from_micros(now)).unwrap();
    let past = Capability { scope: Scope::Range(range), ..live(Audience::Recorder, now) };
    let standing = Capability { standing: true, ..live(Audience::Recorder, now) };
    for (name, role) in [("recorder", Role::Recorder), ("gateway", Role::Gateway)] {
        let audience = if role == Role::Gateway { Audience::Gateway } else { Audience::Recorder };
        let texts = [
            ("none", String::new()),
            ("garbage", "x.y".to_owned()),
            ("foreign", foreign.sign(&live(audience, now))),
            ("expired", ours.sign(&live(audience, now - 60_000_000))),
            ("of another role", ours.sign(&live(Audience::Reader, now))),
            ("for the past", ours.sign(&past)),
            ("standing, but not the reader", ours.sign(&standing)),
        ];
        for (what, capability) in texts {
            let open = Control::OpenLive {
                capability,
                stream: stream.to_string(),
                rendition: "original".to_owned(),
                form: LiveForm::Units,
            };
            assert_nothing(&rig, name, role, open, what).await;
        }
    }
    let open = |capability| Control::OpenRange {
        capability,
        stream: stream.to_string(),
        from_us: range.from.micros,
        to_us: range.to.micros,
    };
    for (what, capability) in [("live for a range", ours.sign(&live(Audience::Recorder, now))), ("none", String::new())]
    {
        assert_nothing(&rig, "recorder", Role::Recorder, open(capability), what).await;
    }
    // The same request with the right capability does give footage: the refusals above are not for another reason.
    let mut connection = connect(&rig, "recorder", Role::Recorder).await;
    let fresh = Capability { scope: past.scope, ..live(Audience::Recorder, now_us()) };
    let answer = connection.ask(open(ours.sign(&fresh))).await.unwrap();
    assert!(matches!(answer, Control::RangeInfo { size, .. } if size > 0), "{answer:?}");
}

async fn connect(rig: &Rig, name: &str, role: Role) -> Connection<tokio::net::UnixStream> {
    link::connect(&rig.path().join(format!("run/{name}.sock")), Role::Serve, 0, role).await.unwrap()
}

async fn assert_nothing(rig: &Rig, name: &str, role: Role, open: Control, what: &str) {
    let mut connection = connect(rig, name, role).await;
    connection.sender.send(open).await.unwrap();
    let mut refused = false;
    // Until it is refused, however busy the machine is; then until it stays silent.
    let patience = |refused| if refused { Duration::from_millis(700) } else { Duration::from_secs(15) };
    while let Ok(Ok(message)) = tokio::time::timeout(patience(refused), connection.receiver.recv()).await {
        match message {
            Message::Control(control) => refused |= matches!(*control, Control::Refused { .. } | Control::End { .. }),
            Message::Unit(..) | Message::Bytes(_) | Message::Fragment(_) => panic!("{name}, {what}: media came out"),
        }
    }
    assert!(refused, "{name}, {what}: must be refused in words");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cameras_record_again_with_nothing_else_running() {
    let mut rig = Rig::start(options(2, 0)).await.unwrap();
    let operator = rig.log_in("operator").await.unwrap();
    until_durable(&rig, &operator, 4).await;
    rig.stop_belfry().await.unwrap();
    let footage = rig.path().join("state/footage/media");
    let before = support::newest_frames(&footage);

    let recorder = support::role(&rig, "recorder", 0);
    let ingest = support::role(&rig, "ingest", 0);
    let waited = rig
        .until("both cameras record with serve and database off", Duration::from_secs(40), async |_: &Rig| {
            let now = support::newest_frames(&footage);
            now.len() == 2 && now.iter().all(|(camera, frame)| before.get(camera).is_some_and(|old| frame > old))
        })
        .await;
    support::end([ingest, recorder]);
    waited.unwrap();
}
