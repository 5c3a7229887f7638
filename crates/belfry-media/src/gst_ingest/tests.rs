//! GStreamer's transports against simulated cameras.

use std::time::Duration;

use ingest::transport::next_event;
use ingest::{Credentials, Dial, Event, SystemResolver, Transport, UrlGuard};
use link::{Cause, TransportKind};
use sim::pattern::Pattern;
use sim::{CameraConfig, Faults, SimConfig, SimServer, WallClock, find_counter_in_unit};
use tokio::time::timeout;
use vms_core::{Codec, StreamUse, WallTime};

use super::GstTransport;

const START: WallTime = WallTime::from_secs(1_700_000_000);
const PATIENCE: Duration = Duration::from_secs(20);

fn camera() -> CameraConfig {
    CameraConfig::new(Pattern::default().film().expect("the pattern should be a film"), None)
}

async fn serve(camera: CameraConfig) -> SimServer {
    gstreamer::init().expect("GStreamer should start");
    let config = SimConfig::new(vec![camera], WallClock::starting_at(START));
    SimServer::start(config).await.expect("a free port should be found")
}

async fn dial(server: &SimServer, password: Option<&str>) -> Dial {
    let guard = UrlGuard::new(&["127.0.0.0/8".into()], &[(1, u16::MAX)]).expect("the network should parse");
    let url = guard.pin(&server.url(1, StreamUse::Main), &SystemResolver).await.expect("the address should be allowed");
    let credentials = password.map(|word| Credentials { user: "operator".into(), password: word.to_owned().into() });
    Dial { url, credentials, connect_max: Duration::from_secs(3) }
}

async fn event(transport: &mut GstTransport) -> Event {
    timeout(PATIENCE, next_event(transport)).await.expect("the transport should speak")
}

#[tokio::test]
async fn whole_units_come_over_tcp_and_udp() {
    for kind in [TransportKind::GstTcp, TransportKind::GstUdp] {
        let server = serve(camera()).await;
        let mut transport = GstTransport::new(kind, Vec::new().into()).unwrap();
        transport.connect(dial(&server, None).await);
        let first = event(&mut transport).await;
        let Event::Connected(info) = first else { panic!("the camera should be connected, not {first:?}") };
        assert!(info.codec == Codec::H264 && info.offers_audio && info.described_sets.len() == 2, "{info:?}");
        let (mut counters, mut ticks, mut reports) = (vec![], vec![], 0);
        while counters.len() < 60 || reports == 0 {
            match event(&mut transport).await {
                Event::Frame(frame) => {
                    assert!(media::nal::is_well_formed(&frame.payload) && frame.lost_before == 0);
                    counters.push(find_counter_in_unit(Codec::H264, &frame.payload).unwrap().frame);
                    ticks.push(frame.ticks);
                }
                Event::SenderReport { wall, .. } => {
                    assert!(wall >= START && wall < START.plus(Duration::from_secs(60)), "{wall:?}");
                    reports += 1;
                }
                other @ (Event::Connected(_) | Event::Lost(_)) => panic!("{kind:?}: {other:?}"),
            }
        }
        assert!(counters.windows(2).all(|pair| pair[1] == pair[0] + 1), "{kind:?}: {counters:?}");
        assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{kind:?}");
        transport.disconnect();
        timeout(PATIENCE, transport.farewell()).await.expect("the pipeline should stop");
        assert_eq!(server.stats().audio_setups, 0);
        server.stop().await;
    }
}

#[tokio::test]
async fn faults_become_causes() {
    let hostile = |kind| Faults { hostile: Some(kind), ..Faults::default() };
    let login = || Some(sim::Credentials { user: "operator".into(), password: "right".into() });
    for (name, camera, password, wanted) in [
        (
            "wrong password",
            CameraConfig { credentials: login(), ..camera() },
            Some("wrong"),
            &[Cause::LoginRefused][..],
        ),
        ("no password", CameraConfig { credentials: login(), ..camera() }, None, &[Cause::LoginRefused][..]),
        (
            "garbage",
            CameraConfig { faults: hostile(sim::rtsp::Hostile::Garbage), ..camera() },
            None,
            &[Cause::Malformed, Cause::Closed, Cause::Unreachable][..],
        ),
        (
            "redirect",
            CameraConfig { faults: hostile(sim::rtsp::Hostile::RedirectToLoopback), ..camera() },
            None,
            &[Cause::Unsupported, Cause::Unreachable][..],
        ),
    ] {
        let server = serve(camera).await;
        let mut transport = GstTransport::new(TransportKind::GstTcp, Vec::new().into()).unwrap();
        transport.connect(dial(&server, password).await);
        let Event::Lost(failure) = event(&mut transport).await else { panic!("{name} should end the session") };
        assert!(wanted.contains(&failure.cause), "{name}: {failure:?}");
        assert!(!failure.detail.contains("127.0.0.1") && !failure.detail.contains("right"), "{name}: {failure:?}");
        server.stop().await;
    }
}
