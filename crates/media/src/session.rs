//! One camera's connection as a function of its inputs. No socket, no clock, no task (house-style S3).
//!
//! The driver calls [`CameraSession::handle`], carries out every [`CameraSession::poll_action`], sleeps until
//! [`CameraSession::deadline`] and says [`Input::Tick`]. Time is the host's monotonic clock; randomness is a seed.

use std::collections::VecDeque;
use std::time::Duration;

use vms_core::MonoTime;

/// Why a session ended or did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossReason {
    /// No answer on the address.
    Unreachable,
    /// Connecting took too long.
    TimedOut,
    /// The camera refused the log-in.
    LoginRefused,
    /// The address guard refused.
    AddressRefused,
    /// Something else than RTSP or video was spoken.
    Malformed,
    /// No frame for [`Limits::silence_max`].
    Silent,
    /// Frames, but no key frame for [`Limits::key_first_max`] or [`Limits::key_gap_max`].
    NoKeyFrame,
    /// The camera closed.
    Closed,
    /// Nothing in the offer that this transport can carry.
    Unsupported,
}

impl LossReason {
    /// Trying again soon cannot help, and may lock an account or annoy a stranger.
    const fn is_refusal(self) -> bool {
        match self {
            Self::LoginRefused | Self::AddressRefused | Self::Unsupported => true,
            Self::Unreachable | Self::TimedOut | Self::Malformed | Self::Silent | Self::NoKeyFrame | Self::Closed => {
                false
            }
        }
    }
}

/// What the outside world tells the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Begin, or begin again after a stop.
    Start,
    /// End.
    Stop,
    /// The transport plays.
    Connected,
    /// An access unit came.
    Frame {
        /// Decoding can start there.
        is_key: bool,
    },
    /// The transport failed or closed; it is already down.
    Lost(LossReason),
    /// Nothing happened, but the deadline may have passed.
    Tick,
}

/// What the session asks the outside world to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial, log in, play; answered by `Connected` or `Lost`.
    Connect {
        /// From 1, counts tries since the last steady stream.
        attempt: u32,
    },
    /// Tear the transport down; not answered.
    Disconnect,
    /// Tell whoever wants to know.
    Report(Health),
}

/// How the session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not asked for.
    Stopped,
    /// Dialling.
    Connecting,
    /// Connected, waiting for the first key frame.
    NoKeyFrame,
    /// Frames arrive.
    Live,
    /// Down, and trying again at the deadline.
    Down(LossReason),
}

/// Every time-out, given by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From `Connect` to `Connected`.
    pub connect_max: Duration,
    /// Between two frames, and from `Connected` to the first.
    pub silence_max: Duration,
    /// From `Connected` to the first key frame.
    pub key_first_max: Duration,
    /// Between key frames of a live stream; longer than the longest key-frame interval in use.
    pub key_gap_max: Duration,
    /// First wait; doubles with every failed try.
    pub backoff_first: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
    /// Wait after a refusal (log-in, address, offer).
    pub backoff_refused: Duration,
    /// A stream that lived so long resets the count of tries.
    pub steady_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopped,
    Connecting { attempt: u32, give_up_at: MonoTime },
    AwaitingKey { attempt: u32, silent_at: MonoTime, key_by: MonoTime },
    Live { attempt: u32, steady_at: MonoTime, silent_at: MonoTime, key_by: MonoTime },
    Waiting { next_attempt: u32, retry_at: MonoTime },
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct CameraSession {
    limits: Limits,
    state: State,
    actions: VecDeque<Action>,
    jitter: u64,
}

impl CameraSession {
    /// Stopped. `seed` feeds the jitter of the back-off: cameras with different seeds do not dial in step.
    pub const fn new(limits: Limits, seed: u64) -> Self {
        Self { limits, state: State::Stopped, actions: VecDeque::new(), jitter: seed }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to say [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<MonoTime> {
        match self.state {
            State::Stopped => None,
            State::Connecting { give_up_at, .. } => Some(give_up_at),
            State::AwaitingKey { silent_at, key_by, .. } | State::Live { silent_at, key_by, .. } => {
                Some(silent_at.min(key_by))
            }
            State::Waiting { retry_at, .. } => Some(retry_at),
        }
    }

    /// Takes in what happened. All transitions are in this one `match`; helpers only compute.
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        self.state = match (self.state, input) {
            (State::Stopped, Input::Start) => self.connect(now, 1),

            (State::Connecting { .. } | State::AwaitingKey { .. } | State::Live { .. }, Input::Stop) => {
                self.actions.push_back(Action::Disconnect);
                self.stop()
            }
            (State::Waiting { .. }, Input::Stop) => self.stop(),

            (State::Connecting { attempt, .. }, Input::Connected) => {
                self.actions.push_back(Action::Report(Health::NoKeyFrame));
                let (silent_at, key_by) = (after(now, self.limits.silence_max), after(now, self.limits.key_first_max));
                State::AwaitingKey { attempt, silent_at, key_by }
            }
            (State::AwaitingKey { attempt, .. }, Input::Frame { is_key: true }) => {
                self.actions.push_back(Action::Report(Health::Live));
                State::Live {
                    attempt,
                    steady_at: after(now, self.limits.steady_after),
                    silent_at: after(now, self.limits.silence_max),
                    key_by: after(now, self.limits.key_gap_max),
                }
            }
            (State::AwaitingKey { attempt, key_by, .. }, Input::Frame { is_key: false }) => {
                State::AwaitingKey { attempt, silent_at: after(now, self.limits.silence_max), key_by }
            }
            (State::Live { attempt, steady_at, key_by, .. }, Input::Frame { is_key }) => State::Live {
                attempt: if now >= steady_at { 0 } else { attempt },
                steady_at,
                silent_at: after(now, self.limits.silence_max),
                key_by: if is_key { after(now, self.limits.key_gap_max) } else { key_by },
            },

            (
                State::Connecting { attempt, .. } | State::AwaitingKey { attempt, .. } | State::Live { attempt, .. },
                Input::Lost(why),
            ) => self.wait(now, attempt, why),

            (State::Connecting { attempt, give_up_at }, Input::Tick) if now >= give_up_at => {
                self.give_up(now, attempt, LossReason::TimedOut)
            }
            (State::AwaitingKey { attempt, silent_at, .. } | State::Live { attempt, silent_at, .. }, Input::Tick)
                if now >= silent_at =>
            {
                self.give_up(now, attempt, LossReason::Silent)
            }
            (State::AwaitingKey { attempt, key_by, .. } | State::Live { attempt, key_by, .. }, Input::Tick)
                if now >= key_by =>
            {
                self.give_up(now, attempt, LossReason::NoKeyFrame)
            }
            (State::Waiting { next_attempt, retry_at }, Input::Tick) if now >= retry_at => {
                self.connect(now, next_attempt)
            }

            // Means nothing in this state: an early tick, a second start, a frame after a loss.
            (
                state,
                Input::Start | Input::Stop | Input::Connected | Input::Frame { .. } | Input::Lost(_) | Input::Tick,
            ) => state,
        };
    }

    fn connect(&mut self, now: MonoTime, attempt: u32) -> State {
        self.actions.push_back(Action::Report(Health::Connecting));
        self.actions.push_back(Action::Connect { attempt });
        State::Connecting { attempt, give_up_at: after(now, self.limits.connect_max) }
    }

    fn stop(&mut self) -> State {
        self.actions.push_back(Action::Report(Health::Stopped));
        State::Stopped
    }

    fn give_up(&mut self, now: MonoTime, attempt: u32, why: LossReason) -> State {
        self.actions.push_back(Action::Disconnect);
        self.wait(now, attempt, why)
    }

    fn wait(&mut self, now: MonoTime, failed_attempts: u32, why: LossReason) -> State {
        self.actions.push_back(Action::Report(Health::Down(why)));
        let delay = if why.is_refusal() {
            self.limits.backoff_refused
        } else {
            let doublings = failed_attempts.saturating_sub(1).min(16);
            self.limits.backoff_first.saturating_mul(2_u32.pow(doublings)).min(self.limits.backoff_max)
        };
        let delay = self.jittered(delay);
        State::Waiting { next_attempt: failed_attempts.saturating_add(1), retry_at: after(now, delay) }
    }

    /// Between three quarters and the whole of `delay`. `SplitMix64` (Steele, Lea, Flood 2014) over the seed.
    fn jittered(&mut self, delay: Duration) -> Duration {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.jitter;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let per_mille = u32::try_from((mixed >> 31) % 251).unwrap_or(0);
        delay.saturating_sub(delay.saturating_mul(per_mille) / 1000)
    }
}

fn after(now: MonoTime, span: Duration) -> MonoTime {
    MonoTime { micros: now.micros.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connect_max: Duration::from_secs(5),
        silence_max: Duration::from_secs(10),
        key_first_max: Duration::from_secs(15),
        key_gap_max: Duration::from_secs(30),
        backoff_first: Duration::from_secs(1),
        backoff_max: Duration::from_secs(8),
        backoff_refused: Duration::from_secs(60),
        steady_after: Duration::from_secs(20),
    };

    const KEY: Input = Input::Frame { is_key: true };
    const DELTA: Input = Input::Frame { is_key: false };

    /// Runs the session on its own deadlines until `until` seconds; actions with the second they came in, rounded up.
    fn play(inputs: &[(u64, Input)], until: u64) -> Vec<(u64, Action)> {
        let mut session = CameraSession::new(LIMITS, 7);
        let mut seen = Vec::new();
        let mut inputs = inputs.iter().copied().peekable();
        loop {
            let deadline = session.deadline().map_or(u64::MAX, |at| at.micros);
            let given = inputs.peek().map_or(u64::MAX, |(second, _)| second * 1_000_000);
            let at = deadline.min(given);
            if at > until * 1_000_000 {
                return seen;
            }
            let input = if given <= deadline { inputs.next().unwrap().1 } else { Input::Tick };
            session.handle(MonoTime { micros: at }, input);
            while let Some(action) = session.poll_action() {
                if action != Action::Report(Health::Connecting) {
                    seen.push((at.div_ceil(1_000_000), action));
                }
            }
        }
    }

    const CONNECT: Action = Action::Connect { attempt: 1 };

    fn down(why: LossReason) -> Action {
        Action::Report(Health::Down(why))
    }

    #[test]
    fn a_silent_camera_is_dropped_and_retried() {
        let seen = play(&[(0, Input::Start), (1, Input::Connected), (2, KEY), (4, DELTA)], 16);
        assert_eq!(
            seen,
            [
                (0, CONNECT),
                (1, Action::Report(Health::NoKeyFrame)),
                (2, Action::Report(Health::Live)),
                (14, Action::Disconnect),
                (14, down(LossReason::Silent)),
                (15, Action::Connect { attempt: 2 }),
            ]
        );
    }

    #[test]
    fn frames_without_a_key_frame_are_noticed_before_and_after_the_first() {
        let mut inputs = vec![(0, Input::Start), (0, Input::Connected)];
        inputs.extend((1..=15).map(|second| (second, DELTA)));
        let seen = play(&inputs, 15);
        assert_eq!(seen.last(), Some(&(15, down(LossReason::NoKeyFrame))));

        let mut inputs = vec![(0, Input::Start), (0, Input::Connected), (0, KEY)];
        inputs.extend((1..=30).map(|second| (second, DELTA)));
        let seen = play(&inputs, 30);
        assert_eq!(seen.last(), Some(&(30, down(LossReason::NoKeyFrame))));
    }

    #[test]
    fn back_off_doubles_to_its_maximum_and_a_steady_stream_resets_it() {
        let attempts = |seen: &[(u64, Action)]| {
            let connects = seen.iter().filter(|(_, action)| matches!(action, Action::Connect { .. }));
            connects.map(|(second, _)| *second).collect::<Vec<_>>()
        };
        // Give-up after 5 s, then waits of 1, 2, 4, 8, 8 s less up to a quarter.
        let tries = attempts(&play(&[(0, Input::Start)], 50));
        let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0] - 5).collect();
        let bounds = [(0, 1), (1, 2), (3, 4), (6, 8), (6, 8)];
        assert_eq!(waits.len(), bounds.len(), "{tries:?}");
        for (wait, (low, high)) in waits.iter().zip(bounds) {
            assert!((low..=high).contains(wait), "{waits:?}");
        }

        let mut inputs = vec![(0, Input::Start), (14, Input::Connected), (15, KEY)];
        inputs.extend((16..=36).map(|second| (second, KEY)));
        inputs.push((36, Input::Lost(LossReason::Closed)));
        let seen = play(&inputs, 37);
        assert_eq!(seen.last(), Some(&(37, CONNECT)));
    }

    #[test]
    fn a_refused_log_in_is_not_hammered() {
        let seen = play(&[(0, Input::Start), (1, Input::Lost(LossReason::LoginRefused))], 120);
        let connects: Vec<u64> =
            seen.iter().filter(|(_, a)| matches!(a, Action::Connect { .. })).map(|(second, _)| *second).collect();
        assert!(connects[1] >= 46, "{connects:?}");
    }

    #[test]
    fn stop_is_heeded_in_every_state_and_start_works_again() {
        let stopped = Action::Report(Health::Stopped);
        for (inputs, wanted) in [
            (vec![(0, Input::Start), (1, Input::Stop)], vec![Action::Disconnect, stopped]),
            (vec![(0, Input::Start), (1, Input::Connected), (1, Input::Stop)], vec![Action::Disconnect, stopped]),
            (vec![(0, Input::Start), (1, Input::Lost(LossReason::Closed)), (1, Input::Stop)], vec![stopped]),
            (vec![(0, Input::Start), (1, Input::Stop), (2, Input::Start)], vec![stopped, CONNECT]),
        ] {
            let seen: Vec<Action> = play(&inputs, 2).into_iter().map(|(_, action)| action).collect();
            assert!(seen.ends_with(&wanted), "{seen:?}");
        }
        assert_eq!(play(&[(0, Input::Stop), (0, Input::Connected), (0, KEY)], 100), []);
    }
}
