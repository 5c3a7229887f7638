//! What the engine takes from outside: time, randomness, names, transports. Only the executables read the real ones.

use std::fmt;
use std::sync::Arc;

use link::TransportKind;
use vms_core::{MonoTime, StreamId, WallTime};

use crate::guard::Resolver;
use crate::transport::Transport;

/// Both clocks of the host.
pub trait Clock: Send + Sync {
    /// Wall time.
    fn wall(&self) -> WallTime;
    /// Monotonic time since boot of the host.
    fn mono(&self) -> MonoTime;
}

/// Randomness for back-off and staggered starts; it need not be secret.
pub trait Random: Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// Makes transports.
pub trait TransportFactory: Send + Sync {
    /// A fresh transport of this kind; `None` when this process does not carry the kind.
    fn make(&self, kind: TransportKind) -> Option<Box<dyn Transport>>;

    /// The same for a stream that is known by name; `stream` is `None` for a probe.
    fn make_for(&self, stream: Option<StreamId>, kind: TransportKind) -> Option<Box<dyn Transport>> {
        let _: Option<StreamId> = stream;
        self.make(kind)
    }
}

/// Everything at once.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Names.
    pub resolver: Arc<dyn Resolver>,
    /// Transports.
    pub transports: Arc<dyn TransportFactory>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}
