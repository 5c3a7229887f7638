//! The camera's clock, from RTCP sender reports (RFC 3550 section 6.4.1).

use std::time::Duration;

use vms_core::{SyncState, WallTime};

/// Seconds from 1900 to 1970 (RFC 5905 figure 4).
const NTP_TO_UNIX_S: i64 = 2_208_988_800;
/// Length of an NTP era, seconds.
const NTP_ERA_S: i64 = 1 << 32;

/// An NTP timestamp (32 bits of seconds, 32 of fraction) as wall time. Seconds below 2³¹ belong to the era that begins in
/// 2036 (RFC 4330 section 3).
pub fn wall_of_ntp(ntp: u64) -> WallTime {
    let high = ntp >> 32;
    let fraction = ntp & 0xffff_ffff;
    let mut secs = i64::try_from(high).unwrap_or(0) - NTP_TO_UNIX_S;
    if high < 1 << 31 {
        secs += NTP_ERA_S;
    }
    let micros = i64::try_from((fraction * 1_000_000) >> 32).unwrap_or(0);
    WallTime::from_micros(secs * 1_000_000 + micros)
}

/// The newest sender report of one session.
#[derive(Clone, Copy, Debug)]
pub struct CameraClock {
    report: Option<(WallTime, i64)>,
    agrees_within: Duration,
}

impl CameraClock {
    /// No report yet. `agrees_within`: how far camera and host may differ and still agree.
    pub const fn new(agrees_within: Duration) -> Self {
        Self { report: None, agrees_within }
    }

    /// Takes a report: the camera's wall time at the unwrapped RTP time `ticks`.
    pub const fn report(&mut self, wall: WallTime, ticks: i64) {
        self.report = Some((wall, ticks));
    }

    /// The camera's time of a picture, and what it is worth beside the host's time of its arrival.
    pub fn at(&self, ticks: i64, host: WallTime) -> (Option<WallTime>, SyncState) {
        let Some((wall, at_ticks)) = self.report else { return (None, SyncState::Unknown) };
        let step_us = ticks.saturating_sub(at_ticks).saturating_mul(100) / 9;
        let camera = WallTime::from_micros(wall.micros.saturating_add(step_us));
        let apart = u128::from(camera.micros_since(host).unsigned_abs());
        let sync = if apart <= self.agrees_within.as_micros() { SyncState::Agrees } else { SyncState::Differs };
        (Some(camera), sync)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_times_of_both_eras() {
        for (ntp, micros) in [
            (2_208_988_800 << 32, 0),
            ((2_208_988_801 << 32) | 0x8000_0000, 1_500_000),
            (0xffff_ffff << 32, 2_085_978_495_000_000),
            (0, 2_085_978_496_000_000), // 2036-02-07T06:28:16Z
        ] {
            assert_eq!(wall_of_ntp(ntp), WallTime::from_micros(micros));
        }
    }

    #[test]
    fn a_picture_gets_the_camera_time_and_its_worth() {
        let host = WallTime::from_secs(1_000);
        let mut clock = CameraClock::new(Duration::from_millis(500));
        assert_eq!(clock.at(0, host), (None, SyncState::Unknown));
        clock.report(WallTime::from_secs(1_000), 90_000);
        for (ticks, host_s, camera_us, sync) in [
            (90_000, 1_000, 1_000_000_000, SyncState::Agrees),
            (180_000, 1_001, 1_001_000_000, SyncState::Agrees),
            (90_000 - 9, 1_000, 999_999_900, SyncState::Agrees),
            (180_000, 1_002, 1_001_000_000, SyncState::Differs),
            (90_000, 999, 1_000_000_000, SyncState::Differs),
        ] {
            let got = clock.at(ticks, WallTime::from_secs(host_s));
            assert_eq!(got, (Some(WallTime::from_micros(camera_us)), sync), "{ticks} {host_s}");
        }
    }
}
