//! Unix sockets with peer credentials: the file mode keeps strangers out, the kernel's word on the peer's user proves it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use crate::codec::{Connection, LinkError};
use crate::message::Role;

/// A peer must greet within this time, or it is a stuck or hostile process.
const GREETING_MAX: Duration = Duration::from_secs(2);

/// A listening socket of one role.
#[derive(Debug)]
pub struct LinkListener {
    listener: UnixListener,
    own: Role,
    path: PathBuf,
    /// User ids that may connect besides our own.
    users: Vec<u32>,
}

impl LinkListener {
    /// Listens at `path`, mode 0660, replacing a socket file that a dead process left.
    ///
    /// # Errors
    /// [`LinkError::Io`], for one when another live process listens there.
    pub fn bind(path: &Path, own: Role, users: Vec<u32>) -> Result<Self, LinkError> {
        use std::os::unix::fs::PermissionsExt as _;
        if path.exists() {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(std::io::Error::from(std::io::ErrorKind::AddrInUse).into());
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(Self { listener, own, path: path.to_owned(), users })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a peer of an allowed user, not yet greeted. Cancel safe.
    ///
    /// # Errors
    /// [`LinkError::NotAllowed`] for a stranger (the listener goes on); [`LinkError::Io`].
    pub async fn accept(&self) -> Result<UnixStream, LinkError> {
        let (stream, _) = self.listener.accept().await?;
        let peer = stream.peer_cred()?.uid();
        let own = rustix::process::geteuid().as_raw();
        if peer == own || self.users.contains(&peer) { Ok(stream) } else { Err(LinkError::NotAllowed) }
    }

    /// Greets an accepted peer; run it in the peer's own task, so that a slow one holds up nobody.
    ///
    /// # Errors
    /// See [`LinkError`]; a peer that does not greet within 2 s counts as closed.
    pub async fn greet(&self, stream: UnixStream) -> Result<Connection<UnixStream>, LinkError> {
        greet(stream, self.own, 0).await
    }

    /// Our role, for greeting in another task with [`greet`].
    pub const fn own(&self) -> Role {
        self.own
    }
}

/// Greets over an accepted stream within 2 s.
///
/// # Errors
/// See [`LinkError`].
pub async fn greet(stream: UnixStream, own: Role, instance: u32) -> Result<Connection<UnixStream>, LinkError> {
    tokio::time::timeout(GREETING_MAX, Connection::greet(stream, own, instance)).await.map_err(|_| LinkError::Closed)?
}

/// Connects to the role that listens at `path`, and greets.
///
/// # Errors
/// [`LinkError::Io`] when nobody listens; [`LinkError::NotAllowed`] when another role than `expected` answers.
pub async fn connect(
    path: &Path,
    own: Role,
    instance: u32,
    expected: Role,
) -> Result<Connection<UnixStream>, LinkError> {
    let stream = UnixStream::connect(path).await?;
    let connection = greet(stream, own, instance).await?;
    if connection.peer == expected { Ok(connection) } else { Err(LinkError::NotAllowed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Control;

    #[tokio::test]
    async fn a_role_answers_at_its_socket_and_a_wrong_one_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recorder.sock");
        let listener = LinkListener::bind(&path, Role::Recorder, vec![]).unwrap();
        assert!(matches!(LinkListener::bind(&path, Role::Recorder, vec![]), Err(LinkError::Io(_))));
        let served = tokio::spawn(async move {
            // The second `bind` above knocked once to see whether somebody lives here.
            for _ in 0..3 {
                let stream = listener.accept().await.unwrap();
                if let Ok(mut peer) = listener.greet(stream).await
                    && let Ok(Control::Health) = peer.receiver.recv_control().await
                {
                    peer.sender.send(Control::Done).await.unwrap();
                }
            }
        });
        let wrong = connect(&path, Role::Serve, 0, Role::Gateway).await;
        assert!(matches!(wrong, Err(LinkError::NotAllowed)));
        let mut right = connect(&path, Role::Serve, 0, Role::Recorder).await.unwrap();
        assert_eq!(right.ask(Control::Health).await.unwrap(), Control::Done);
        served.await.unwrap();
    }
}
