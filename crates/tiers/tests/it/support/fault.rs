//! A store that is down, slow or lying.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What is wrong now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// No connection.
    Down,
    /// Refuses everything (a clock that is off, a wrong key).
    Forbidden,
    /// Each answer takes so long.
    Slow(Duration),
    /// Every third request fails after it took effect.
    FailsAfter,
    /// Says yes and stores nothing.
    Swallows,
    /// Says yes and stores other bytes.
    Flips,
    /// Says yes and stores one byte less.
    Cuts,
    /// Gives other bytes than it has.
    GivesOther,
    /// The body ends early.
    GivesLess,
    /// The body does not end.
    GivesMore,
    /// A listing shows only so many.
    ListsOnly(usize),
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    requests: u64,
    open_uploads: usize,
}

/// Honest memory behind a fault that can be set at any time.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultStore {
    pub(crate) inner: Arc<InMemory>,
    state: Arc<Mutex<State>>,
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

fn broken(what: &'static str) -> Error {
    Error::Generic { store: "fault", source: what.into() }
}

impl FaultStore {
    pub(crate) fn set(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.lock().unwrap().requests
    }

    /// Multipart uploads neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.state.lock().unwrap().open_uploads
    }

    fn uploads(&self, change: isize) {
        let mut state = self.state.lock().unwrap();
        state.open_uploads = state.open_uploads.saturating_add_signed(change);
    }

    /// Before a request. Gives the fault, and whether this one fails after it took effect.
    async fn before(&self) -> Result<(Fault, bool)> {
        let (fault, number) = {
            let mut state = self.state.lock().unwrap();
            state.requests += 1;
            (state.fault, state.requests)
        };
        match fault {
            Fault::Down => Err(broken("connection refused")),
            Fault::Forbidden => {
                Err(Error::PermissionDenied { path: String::new(), source: "RequestTimeTooSkewed".into() })
            }
            Fault::Slow(pause) => {
                tokio::time::sleep(pause).await;
                Ok((fault, false))
            }
            Fault::FailsAfter => Ok((fault, number.is_multiple_of(3))),
            Fault::None
            | Fault::Swallows
            | Fault::Flips
            | Fault::Cuts
            | Fault::GivesOther
            | Fault::GivesLess
            | Fault::GivesMore
            | Fault::ListsOnly(_) => Ok((fault, false)),
        }
    }
}

fn after<T>(value: T, fails: bool) -> Result<T> {
    if fails { Err(broken("connection reset after the request")) } else { Ok(value) }
}

fn spoil(payload: PutPayload, fault: Fault) -> PutPayload {
    let mut bytes: Vec<u8> = payload.iter().flat_map(|part| part.iter().copied()).collect();
    if fault == Fault::Flips {
        bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
    }
    if fault == Fault::Cuts {
        bytes.pop();
    }
    PutPayload::from(bytes)
}

fn put_result() -> PutResult {
    PutResult { e_tag: Some("\"0\"".to_owned()), version: None, extensions: Default::default() }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let (fault, fails) = self.before().await?;
        if fault == Fault::Swallows {
            return Ok(put_result());
        }
        after(self.inner.put_opts(location, spoil(payload, fault), opts).await?, fails)
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        panic!("the tier should use multipart uploads by id");
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (fault, fails) = self.before().await?;
        let got = after(self.inner.get_opts(location, options).await?, fails)?;
        let GetResult { payload, meta, range, attributes, extensions } = got;
        let GetResultPayload::Stream(stream) = payload else { panic!("memory gives streams") };
        let bytes: Vec<Bytes> = stream.try_collect().await?;
        let mut bytes = bytes.concat();
        let endless = fault == Fault::GivesMore;
        if fault == Fault::GivesOther {
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        }
        if fault == Fault::GivesLess {
            bytes.pop();
        }
        let first = futures_util::stream::once(async move { Ok(Bytes::from(bytes)) });
        let rest = futures_util::stream::repeat_with(|| Ok(Bytes::from(vec![0; 65_536])));
        let stream = if endless { first.chain(rest).boxed() } else { first.boxed() };
        Ok(GetResult { payload: GetResultPayload::Stream(stream), meta, range, attributes, extensions })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let one = move |location: Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                let (fault, fails) = this.before().await?;
                if fault != Fault::Swallows {
                    use object_store::ObjectStoreExt as _;
                    this.inner.delete(&location).await?;
                }
                after(location, fails)
            }
        };
        locations.then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, all) = (self.clone(), self.inner.list(prefix));
        let start = async move {
            let (fault, fails) = this.before().await?;
            let keep = if let Fault::ListsOnly(count) = fault { count } else { usize::MAX };
            after(all.take(keep), fails)
        };
        futures_util::stream::once(start).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl MultipartStore for FaultStore {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        let (_, fails) = self.before().await?;
        let id = self.inner.create_multipart(path).await?;
        self.uploads(1);
        after(id, fails)
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, part_idx: usize, data: PutPayload) -> Result<PartId> {
        let (fault, fails) = self.before().await?;
        let part = self.inner.put_part(path, id, part_idx, spoil(data, fault)).await?;
        after(part, fails)
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        let (fault, fails) = self.before().await?;
        self.uploads(-1);
        if fault == Fault::Swallows {
            self.inner.abort_multipart(path, id).await?;
            return Ok(put_result());
        }
        after(self.inner.complete_multipart(path, id, parts).await?, fails)
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        let (_, fails) = self.before().await?;
        let known = self.inner.abort_multipart(path, id).await;
        if known.is_ok() {
            self.uploads(-1);
        }
        after((), fails)
    }
}
