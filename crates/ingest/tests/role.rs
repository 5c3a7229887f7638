//! The ingest process between simulated cameras and a recorder that the tests play: everything over real sockets.

#[cfg(test)]
#[expect(dead_code, reason = "the measurement of cost uses what these tests do not")]
mod common;

use std::time::Duration;

use common::{Rig, START, camera, large_camera, limits, login};
use link::{Cause, Control, StreamPhase};
use sim::{CameraConfig, Faults};
use vms_core::{StreamUse, SyncState};

#[tokio::test]
async fn units_come_whole_and_in_order() {
    let rig = Rig::start(vec![camera()]).await;
    let mut recorder = rig.recorder().await;
    recorder.assign(&[rig.spec(1)]).await;
    let seen = recorder.units(1, 60).await;
    for pair in seen.windows(2) {
        assert_eq!(pair[1].counter, pair[0].counter + 1);
        assert_eq!((pair[1].unit.seq, pair[1].unit.epoch), (pair[0].unit.seq + 1, pair[0].unit.epoch));
        assert_eq!(pair[1].unit.pts.ticks_90k - pair[0].unit.pts.ticks_90k, 3600);
        assert!(pair[1].unit.clocks.mono >= pair[0].unit.clocks.mono);
    }
    assert!(seen[0].unit.is_key && seen[0].unit.seq == 0);
    assert!(seen.iter().all(|s| s.unit.lost_before == 0 && s.unit.pts == s.unit.dts && s.sets_known));
    let last = &seen[59].unit.clocks;
    assert!(last.camera.is_some_and(|at| at >= START) && last.sync == SyncState::Agrees, "{last:?}");
    assert_eq!(recorder.phases(1), [StreamPhase::Connecting, StreamPhase::NoKeyFrame, StreamPhase::Live]);
    let stats = rig.server.stats();
    assert_eq!((stats.audio_setups, rig.server.stream_stats(1, StreamUse::Main).unwrap().plays), (0, 1));
    rig.stop().await;
}

#[tokio::test]
async fn a_restarted_recorder_gets_everything_once() {
    let rig = Rig::start(vec![camera(), camera()]).await;
    let mut counters: [Vec<u64>; 2] = [vec![], vec![]];
    for restart in 0..4 {
        let mut recorder = rig.recorder().await;
        recorder.assign(&[rig.spec(1), rig.spec(2)]).await;
        for camera in [1, 2] {
            let seen = recorder.units(camera, 20).await;
            let kept = seen.len() - 4;
            let last = &seen[kept - 1].unit;
            recorder.ack(camera, last.epoch, last.seq).await;
            counters[camera - 1].extend(seen[..kept].iter().map(|s| s.counter));
            assert!(seen.iter().all(|s| s.sets_known), "restart {restart}");
        }
        // The acknowledgement has to arrive before the connection goes.
        recorder.probe_through(&rig.spec(1)).await;
        assert!(recorder.holes.is_empty());
        drop(recorder);
    }
    for seen in &counters {
        assert_eq!(seen.len(), 64);
        assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seen:?}");
    }
    // All of that was one session per camera, besides the probes.
    assert_eq!(rig.server.stream_stats(2, StreamUse::Main).unwrap().plays, 1);
    rig.stop().await;
}

// Two threads: reading a hostile description must not hold up the simulator that plays the neighbour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_become_causes() {
    let hostile = |kind| Faults { hostile: Some(kind), ..Faults::default() };
    for (name, faults, wanted) in [
        ("wrong password", Faults { wrong_password: true, ..Faults::default() }, Cause::LoginRefused),
        ("off", Faults { off: true, ..Faults::default() }, Cause::Closed),
        ("mute", Faults { mute: true, ..Faults::default() }, Cause::Unreachable),
        ("no video", Faults { no_video: true, ..Faults::default() }, Cause::Silent),
        ("no key frames", Faults { no_key_frames: true, ..Faults::default() }, Cause::NoKeyFrame),
        ("garbage", hostile(sim::rtsp::Hostile::Garbage), Cause::Malformed),
        ("huge body", hostile(sim::rtsp::Hostile::HugeBody), Cause::Malformed),
        ("track bomb", hostile(sim::rtsp::Hostile::TrackBomb), Cause::Malformed),
        ("redirect", hostile(sim::rtsp::Hostile::RedirectToLoopback), Cause::Unsupported),
        ("slow loris", hostile(sim::rtsp::Hostile::SlowLoris), Cause::Unreachable),
    ] {
        let faulty = CameraConfig { faults, credentials: Some(login()), ..camera() };
        let rig = Rig::start(vec![faulty, camera()]).await;
        let mut recorder = rig.recorder().await;
        recorder.assign(&[rig.spec(1), rig.spec(2)]).await;
        let cause = recorder.cause(1).await;
        assert_eq!(cause, wanted, "{name}");
        // The neighbour on the same thread loses nothing meanwhile.
        let seen = recorder.units(2, 30).await;
        assert!(seen.windows(2).all(|pair| pair[1].counter == pair[0].counter + 1), "{name}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_camera_behind_a_log_in_comes_and_comes_back() {
    let rig = Rig::start(vec![CameraConfig { credentials: Some(login()), ..camera() }]).await;
    let mut recorder = rig.recorder().await;
    recorder.assign(&[rig.spec(1)]).await;
    assert_eq!(recorder.units(1, 5).await[0].unit.seq, 0);
    for faults in [Faults { off: true, ..Faults::default() }, Faults { mute: true, ..Faults::default() }] {
        let before = recorder.epoch;
        assert!(rig.server.set_faults(1, faults));
        recorder.phase(1, StreamPhase::Waiting).await;
        assert!(rig.server.set_faults(1, Faults::default()));
        recorder.phase(1, StreamPhase::Live).await;
        let first = recorder.first_after(1, before).await;
        assert!(first.unit.is_key && first.unit.seq == 0 && first.unit.epoch > before);
    }
    rig.stop().await;
}

#[tokio::test]
async fn an_address_outside_the_list_is_never_dialled() {
    let rig = Rig::start(vec![camera()]).await;
    let mut recorder = rig.recorder().await;
    recorder.ports = vec![(1, 1)];
    recorder.assign(&[rig.spec(1)]).await;
    assert_eq!(recorder.cause(1).await, Cause::AddressRefused);
    assert_eq!(rig.server.stats().connections, 0);
    // The network is taken off the list while the camera is live: the session ends.
    recorder.ports = vec![(1, u16::MAX)];
    recorder.assign(&[]).await;
    recorder.assign(&[rig.spec(1)]).await;
    recorder.units(1, 5).await;
    recorder.networks = vec!["10.0.0.0/8".to_owned()];
    recorder.assign(&[rig.spec(1)]).await;
    assert_eq!(recorder.cause(1).await, Cause::AddressRefused);
    rig.stop().await;
}

#[tokio::test]
async fn on_demand_streams_are_pulled_only_while_somebody_watches() {
    let rig = Rig::start(vec![camera()]).await;
    let mut recorder = rig.recorder().await;
    let spec = link::StreamSpec { on_demand: true, record: false, ..rig.spec(1) };
    recorder.assign(std::slice::from_ref(&spec)).await;
    let stream = spec.stream.clone();
    recorder.send(Control::Demand { stream: stream.clone(), on: true }).await;
    recorder.units(1, 5).await;
    recorder.send(Control::Demand { stream, on: false }).await;
    recorder.phase(1, StreamPhase::Idle).await;
    rig.until(|stats| stats.playing == 0).await;
    assert_eq!(rig.server.stream_stats(1, StreamUse::Main).unwrap().plays, 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_probe_looks_and_goes() {
    let rig = Rig::start(vec![CameraConfig { credentials: Some(login()), ..camera() }]).await;
    let mut recorder = rig.recorder().await;
    recorder.assign(&[]).await;
    let report = recorder.probe_through(&rig.probe_spec(1)).await;
    assert!(report.ok && report.offers_audio && report.cause.is_none(), "{report:?}");
    assert_eq!((report.codec.as_deref(), report.width, report.height), (Some("h264"), Some(128), Some(96)));
    assert!(report.first_key_ms.is_some());
    let wrong = link::StreamSpec { sealed_credentials: Some("operator:wrong".into()), ..rig.probe_spec(1) };
    let report = recorder.probe_through(&wrong).await;
    assert_eq!((report.ok, report.cause), (false, Some(Cause::LoginRefused)));
    let other = link::StreamSpec { transport: link::TransportKind::GstUdp, ..rig.probe_spec(1) };
    let report = recorder.probe_through(&other).await;
    assert_eq!((report.ok, report.cause), (false, Some(Cause::Unsupported)));
    rig.until(|stats| stats.playing == 0).await;
    assert_eq!(rig.server.stats().audio_setups, 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_recorder_that_reads_nothing_delays_no_camera() {
    let rig = Rig::start_with(vec![large_camera()], |config| config.ring_bytes_max = 300_000).await;
    let mut recorder = rig.recorder().await;
    recorder.assign(&[rig.spec(1)]).await;
    let before = recorder.units(1, 1).await;
    // Nothing is read while the camera sends far more than the ring and the socket hold.
    rig.until(|stats| stats.frames_sent >= 120).await;
    let seen = recorder.units(1, 40).await;
    assert!(seen[0].counter > before[0].counter);
    rig.until(|stats| stats.plays == 1).await;
    rig.stop().await;
}

#[tokio::test]
async fn an_absent_recorder_costs_only_what_the_ring_does_not_hold() {
    let rig = Rig::start_with(vec![large_camera()], |config| config.ring_bytes_max = 300_000).await;
    let mut recorder = rig.recorder().await;
    recorder.assign(&[rig.spec(1)]).await;
    let before = recorder.units(1, 12).await;
    let last = before.last().unwrap();
    recorder.ack(1, last.unit.epoch, last.unit.seq).await;
    recorder.probe_through(&rig.spec(1)).await;
    drop(recorder);
    let sent = rig.server.stream_stats(1, StreamUse::Main).unwrap().frames_sent;
    rig.until(|stats| stats.frames_sent >= sent + 60).await;
    let mut recorder = rig.recorder().await;
    recorder.assign(&[rig.spec(1)]).await;
    let after = recorder.units(1, 20).await;
    assert!(after[0].unit.is_key && after[0].counter > last.counter + 1);
    let hole = recorder.holes.first().expect("the lost groups should be told");
    assert_eq!(hole.cause, Cause::RingOverflow);
    assert!(hole.from > last.unit.clocks.wall && hole.to == after[0].unit.clocks.wall, "{hole:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_stopping_process_says_good_bye() {
    let rig = Rig::start(vec![camera()]).await;
    let mut recorder = rig.recorder().await;
    recorder.assign(&[rig.spec(1)]).await;
    recorder.units(1, 5).await;
    rig.shutdown.cancel();
    recorder.phase(1, StreamPhase::Idle).await;
    while recorder.next().await.is_some() {}
    rig.until(|stats| stats.playing == 0).await;
    rig.stop().await;
}

#[test]
fn the_time_outs_of_these_tests_are_shorter_than_real_ones() {
    let real = ingest::IngestConfig::standard("/x".into(), 0, vec![]).session;
    let ours = limits();
    assert!(ours.silence_max < real.silence_max && ours.key_first_max < real.key_first_max);
    for limits in [&real, &ours] {
        assert!(limits.silence_max < limits.key_first_max, "no picture at all is silence, before it is no key frame");
    }
    assert!(real.backoff_max < Duration::from_secs(2), "R12: back within 2 s");
}
