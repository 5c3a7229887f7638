//! What can be wrong with a simulated camera, and the words for it on the command line.

use std::str::FromStr;
use std::time::Duration;

/// Answers no honest camera gives, after the shapes of `reliability.md` F2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// Bytes that are no RTSP.
    Garbage,
    /// A header line that never ends.
    EndlessHeader,
    /// A body of 4 GiB is announced, 16 bytes follow.
    HugeBody,
    /// A session description with 100,000 tracks.
    TrackBomb,
    /// A redirect to a port on the client's own loopback address.
    RedirectToLoopback,
    /// One byte a second.
    SlowLoris,
}

/// Faults of one camera. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Switched off: every connection is closed at its first request, running ones at once.
    pub off: bool,
    /// Requests are read and never answered; running streams fall silent.
    pub mute: bool,
    /// Connected and playing, but no picture is sent.
    pub no_video: bool,
    /// Key pictures are left out.
    pub no_key_frames: bool,
    /// The password is always refused.
    pub wrong_password: bool,
    /// The connection is closed this long after each PLAY.
    pub drop_every: Option<Duration>,
    /// RTP packets lost on UDP, of 1,000.
    pub udp_loss_per_mille: u16,
    /// The camera's clock in sender reports jumps by `by_secs` once the server has run for `after`.
    pub clock_jump: Option<ClockJump>,
    /// RTP timestamps of 32 bits begin again at zero so long after each PLAY.
    pub rtp_wrap: Option<Duration>,
    /// Every request gets this instead of an answer.
    pub hostile: Option<Hostile>,
}

/// A jump of the camera's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// Since the server's start.
    pub after: Duration,
    /// Seconds, negative for backwards.
    pub by_secs: i64,
}

/// A fault list that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such fault: `{0}` (known: off, mute, no-video, no-key-frames, wrong-password, drop-every=SECONDS, \
     udp-loss=PER_MILLE, clock-jump=SECONDS@AFTER_SECONDS, rtp-wrap=SECONDS, garbage, endless-header, huge-body, track-bomb, redirect, slow-loris)"
)]
pub struct FaultWordError(String);

impl FromStr for Faults {
    type Err = FaultWordError;

    /// Words separated by `+`, such as `drop-every=10+udp-loss=20`.
    fn from_str(text: &str) -> Result<Self, FaultWordError> {
        let mut faults = Self::default();
        for word in text.split('+') {
            faults.add(word).ok_or_else(|| FaultWordError(word.to_owned()))?;
        }
        Ok(faults)
    }
}

impl Faults {
    fn add(&mut self, word: &str) -> Option<()> {
        let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
        match (name, value) {
            ("off", None) => self.off = true,
            ("mute", None) => self.mute = true,
            ("no-video", None) => self.no_video = true,
            ("no-key-frames", None) => self.no_key_frames = true,
            ("wrong-password", None) => self.wrong_password = true,
            ("drop-every", Some(secs)) => self.drop_every = Some(Duration::from_secs(secs.parse().ok()?)),
            ("udp-loss", Some(share)) => self.udp_loss_per_mille = share.parse().ok().filter(|s| *s <= 1000)?,
            ("clock-jump", Some(jump)) => {
                let (by, after) = jump.split_once('@').unwrap_or((jump, "0"));
                let after = Duration::from_secs(after.parse().ok()?);
                self.clock_jump = Some(ClockJump { after, by_secs: by.parse().ok()? });
            }
            ("rtp-wrap", Some(secs)) => self.rtp_wrap = Some(Duration::from_secs(secs.parse().ok()?)),
            (name, None) => self.hostile = Some(hostile(name)?),
            (_, Some(_)) => return None,
        }
        Some(())
    }

    /// Seconds that the camera's clock is off when the server has run for `since_start`.
    pub(super) fn clock_offset_secs(&self, since_start: Duration) -> i64 {
        self.clock_jump.filter(|jump| since_start >= jump.after).map_or(0, |jump| jump.by_secs)
    }
}

fn hostile(name: &str) -> Option<Hostile> {
    Some(match name {
        "garbage" => Hostile::Garbage,
        "endless-header" => Hostile::EndlessHeader,
        "huge-body" => Hostile::HugeBody,
        "track-bomb" => Hostile::TrackBomb,
        "redirect" => Hostile::RedirectToLoopback,
        "slow-loris" => Hostile::SlowLoris,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_faults() {
        let none = Faults::default();
        for (text, wanted) in [
            ("off", Some(Faults { off: true, ..none.clone() })),
            ("garbage", Some(Faults { hostile: Some(Hostile::Garbage), ..none.clone() })),
            (
                "drop-every=10+udp-loss=20",
                Some(Faults { drop_every: Some(Duration::from_secs(10)), udp_loss_per_mille: 20, ..none.clone() }),
            ),
            (
                "clock-jump=-3600@5",
                Some(Faults {
                    clock_jump: Some(ClockJump { after: Duration::from_secs(5), by_secs: -3600 }),
                    ..none.clone()
                }),
            ),
            ("rtp-wrap=8", Some(Faults { rtp_wrap: Some(Duration::from_secs(8)), ..none.clone() })),
            ("udp-loss=1001", None),
            ("drop-every", None),
            ("off=1", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Faults>().ok(), wanted, "{text}");
        }
    }

    #[test]
    fn the_clock_jumps_once_its_time_has_come() {
        let faults: Faults = "clock-jump=60@10".parse().unwrap();
        assert_eq!(faults.clock_offset_secs(Duration::from_secs(9)), 0);
        assert_eq!(faults.clock_offset_secs(Duration::from_secs(10)), 60);
    }
}
