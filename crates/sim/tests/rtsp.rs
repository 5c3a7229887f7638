//! The simulator's RTSP server against the client that ingest uses.

use std::time::Duration;

use futures_util::StreamExt as _;
use retina::client::{PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions, Transport};
use retina::codec::{CodecItem, FrameFormat};
use sim::pattern::Pattern;
use sim::{CameraConfig, Counter, Credentials, Faults, Film, SimConfig, SimServer, WallClock, find_counter_in_unit};
use tokio::time::timeout;
use vms_core::{Codec, StreamUse, WallTime};

const START: WallTime = WallTime::from_secs(1_700_000_000);
const PATIENCE: Duration = Duration::from_secs(20);

async fn serve(cameras: Vec<CameraConfig>) -> SimServer {
    SimServer::start(SimConfig::new(cameras, WallClock::starting_at(START))).await.expect("a free port should be found")
}

fn pattern() -> CameraConfig {
    let film = |frames| Pattern { frames, ..Pattern::default() }.film().expect("the pattern should be a film");
    CameraConfig::new(film(50), Some(film(25)))
}

fn credentials(password: &str) -> retina::client::Credentials {
    retina::client::Credentials { username: "operator".into(), password: password.into() }
}

/// One received access unit.
#[derive(Debug)]
struct Seen {
    counter: Counter,
    ticks: i64,
    is_key: bool,
    loss: u16,
}

/// Pulls the picture track until `wanted` units with a counter have come.
async fn pull(
    url: &str,
    login: Option<retina::client::Credentials>,
    transport: Transport,
    codec: Codec,
    wanted: usize,
) -> anyhow::Result<(Vec<Seen>, usize)> {
    let group = std::sync::Arc::new(SessionGroup::default());
    let options = SessionOptions::default().creds(login).session_group(group);
    let mut session = Session::describe(url::Url::parse(url)?, options).await?;
    let video =
        session.streams().iter().position(|s| s.media() == "video").ok_or_else(|| anyhow::anyhow!("no video"))?;
    session.setup(video, SetupOptions::default().transport(transport).frame_format(FrameFormat::MP4)).await?;
    let mut session = session.play(PlayOptions::default()).await?.demuxed()?;
    let (mut seen, mut reports) = (Vec::new(), 0);
    while seen.len() < wanted {
        let item = timeout(PATIENCE, session.next()).await?.ok_or_else(|| anyhow::anyhow!("stream ended"))??;
        if let CodecItem::VideoFrame(frame) = &item {
            if let Some(counter) = find_counter_in_unit(codec, frame.data()) {
                let ticks = frame.timestamp().elapsed();
                seen.push(Seen { counter, ticks, is_key: frame.is_random_access_point(), loss: frame.loss() });
            }
        } else if matches!(item, CodecItem::Rtcp(_)) {
            reports += 1;
        }
    }
    Ok((seen, reports))
}

fn tcp() -> Transport {
    Transport::default()
}

fn udp() -> Transport {
    Transport::Udp(retina::client::UdpTransportOptions::default())
}

#[tokio::test]
async fn counters_and_times_go_on_over_the_seam() {
    let server = serve(vec![pattern(), pattern()]).await;
    for (camera, stream_use, transport) in
        [(1, StreamUse::Main, tcp()), (2, StreamUse::Sub, tcp()), (2, StreamUse::Main, udp())]
    {
        // The sub film has 25 pictures, the main film 50: 70 pictures pass at least one seam.
        let url = server.url(camera, stream_use);
        let (seen, reports) = pull(&url, None, transport, Codec::H264, 70).await.unwrap();
        for pair in seen.windows(2) {
            assert_eq!(pair[1].counter.frame, pair[0].counter.frame + 1);
            assert_eq!(pair[1].ticks - pair[0].ticks, 3600);
            assert!(pair[1].counter.sent_at > pair[0].counter.sent_at);
            assert_eq!(pair[1].loss, 0);
        }
        assert!(seen.iter().all(|s| s.counter.camera == u32::try_from(camera).unwrap() && s.counter.sent_at >= START));
        assert!(seen.iter().any(|s| s.is_key) && reports >= 1);
    }
    let stats = server.stats();
    assert_eq!((stats.audio_setups, stats.frames_skipped, stats.packets_lost), (0, 0, 0));
    assert!(stats.frames_sent >= 210);
    assert_eq!(server.stream_stats(1, StreamUse::Main).unwrap().plays, 1);
    assert_eq!(server.stream_stats(1, StreamUse::Sub).unwrap().plays, 0);
    server.stop().await;
}

#[tokio::test]
async fn two_viewers_see_the_same_counters() {
    let server = serve(vec![pattern()]).await;
    let url = server.url(1, StreamUse::Main);
    let (a, b) = tokio::join!(pull(&url, None, tcp(), Codec::H264, 30), pull(&url, None, tcp(), Codec::H264, 30));
    let (a, b) = (a.unwrap().0, b.unwrap().0);
    let last = |seen: &[Seen]| seen[29].counter.frame;
    assert!(last(&a).abs_diff(last(&b)) <= 2, "{} {}", last(&a), last(&b));
}

#[tokio::test]
async fn digest_opens_only_with_the_password() {
    let login = Some(Credentials { user: "operator".into(), password: "pass word".into() });
    let server = serve(vec![CameraConfig { credentials: login, ..pattern() }]).await;
    let url = server.url(1, StreamUse::Main);
    pull(&url, Some(credentials("pass word")), tcp(), Codec::H264, 3).await.unwrap();
    for wrong in [None, Some(credentials("password"))] {
        assert!(pull(&url, wrong, tcp(), Codec::H264, 1).await.is_err());
    }
    server.set_faults(1, Faults { wrong_password: true, ..Faults::default() });
    assert!(pull(&url, Some(credentials("pass word")), tcp(), Codec::H264, 1).await.is_err());
    assert!(server.stats().refused >= 4);
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let server = serve(vec![pattern()]).await;
    let url = server.url(1, StreamUse::Main);
    for words in ["off", "garbage", "huge-body", "redirect", "track-bomb", "endless-header"] {
        assert!(server.set_faults(1, words.parse().unwrap()));
        let outcome = timeout(PATIENCE, pull(&url, None, tcp(), Codec::H264, 1)).await;
        assert!(!matches!(outcome, Ok(Ok(_))), "{words}");
    }
    server.set_faults(1, "no-key-frames".parse().unwrap());
    let (seen, _) = pull(&url, None, tcp(), Codec::H264, 30).await.unwrap();
    assert!(seen.iter().all(|s| !s.is_key));
    server.set_faults(1, "udp-loss=100".parse().unwrap());
    let (seen, _) = pull(&url, None, udp(), Codec::H264, 60).await.unwrap();
    assert!(seen.windows(2).any(|w| w[1].counter.frame > w[0].counter.frame + 1));
    assert!(server.stats().packets_lost > 0);
    assert!(!server.set_faults(2, Faults::default()));
}

#[tokio::test]
async fn a_running_stream_ends_when_its_camera_is_switched_off() {
    let server = serve(vec![pattern()]).await;
    let url = server.url(1, StreamUse::Main);
    let viewer = tokio::spawn(async move { pull(&url, None, tcp(), Codec::H264, usize::MAX).await.map(|_| ()) });
    let playing = || server.stream_stats(1, StreamUse::Main).unwrap().playing;
    timeout(PATIENCE, async {
        while playing() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    server.set_faults(1, "off".parse().unwrap());
    assert!(timeout(PATIENCE, viewer).await.unwrap().unwrap().is_err());
    timeout(PATIENCE, async {
        while playing() != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// The films of `scripts/make-films.sh`: B-frames, H.265, variable rate, changes in mid-stream.
#[tokio::test]
async fn odd_films_are_served_whole() {
    let films = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/films");
    if !films.is_dir() {
        println!("NOT RUN: no target/films; make them with scripts/make-films.sh");
        return;
    }
    for (name, codec) in [
        ("main-1080p.mp4", Codec::H264),
        ("b-frames.mp4", Codec::H264),
        ("vfr.mp4", Codec::H264),
        ("pps-change.h264", Codec::H264),
        ("size-change.h264", Codec::H264),
        ("hevc.mp4", Codec::H265),
        ("hevc-b-frames.mp4", Codec::H265),
    ] {
        let film = std::sync::Arc::new(Film::open(&films.join(name)).unwrap());
        assert_eq!(film.codec(), codec);
        let reordered = film.units().iter().any(|u| u.pts > u.dts);
        assert_eq!(reordered, name.contains("b-frames"), "{name}");
        let server = serve(vec![CameraConfig::new(film, None)]).await;
        let url = server.url(1, StreamUse::Main);
        let (seen, _) = pull(&url, None, tcp(), codec, 40).await.unwrap();
        assert!(seen.windows(2).all(|w| w[1].counter.frame == w[0].counter.frame + 1), "{name}");
    }
}

/// A player that shares no code with us decodes the stream without a complaint.
#[tokio::test]
async fn ffmpeg_plays_it() {
    let login = Some(Credentials { user: "operator".into(), password: "secret".into() });
    let server = serve(vec![CameraConfig { credentials: login, ..pattern() }]).await;
    let url = server.url(1, StreamUse::Main).replace("rtsp://", "rtsp://operator:secret@");
    for transport in ["tcp", "udp"] {
        let mut command = tokio::process::Command::new("ffmpeg");
        command.args(["-hide_banner", "-loglevel", "warning", "-nostdin", "-allowed_media_types", "video"]);
        command.args(["-rtsp_transport", transport, "-i", &url, "-frames:v", "60", "-f", "null", "-"]);
        let output = match command.kill_on_drop(true).output().await {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("NOT RUN: no ffmpeg here");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaints.trim().is_empty(), "{transport}: {complaints}");
    }
    assert_eq!(server.stats().audio_setups, 0);
}

/// Proof of the proof: a client that does want sound is counted.
#[tokio::test]
async fn whoever_asks_for_sound_is_counted() {
    let server = serve(vec![pattern()]).await;
    let url = url::Url::parse(&server.url(1, StreamUse::Main)).unwrap();
    let mut session = Session::describe(url, SessionOptions::default()).await.unwrap();
    let audio = session.streams().iter().position(|s| s.media() == "audio").unwrap();
    session.setup(audio, SetupOptions::default()).await.unwrap();
    assert_eq!(server.stats().audio_setups, 1);
}
