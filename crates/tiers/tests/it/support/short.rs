//! `s3s-fs` keeps a file beside each object whose name is the whole key in base64, so that keys end at about 130 bytes; S3 allows 1,024,
//! and ours have about 330. This gives it short keys and everybody else the real ones. Protocol, signatures, checksums, multipart
//! uploads and storage stay those of `s3s` and `s3s-fs`.

use std::sync::Mutex;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;

#[derive(Debug)]
pub(crate) struct Short {
    inner: FileSystem,
    /// The real key of `o0`, `o1` and so on.
    keys: Mutex<Vec<String>>,
}

impl Short {
    pub(crate) fn new(inner: FileSystem) -> Self {
        Self { inner, keys: Mutex::default() }
    }

    fn short(&self, key: &str) -> String {
        let mut keys = self.keys.lock().unwrap();
        let at = keys.iter().position(|known| known == key).unwrap_or_else(|| {
            keys.push(key.to_owned());
            keys.len() - 1
        });
        format!("o{at}")
    }

    fn long(&self, short: &str) -> String {
        let at: usize = short.strip_prefix('o').unwrap().parse().unwrap();
        self.keys.lock().unwrap()[at].clone()
    }
}

macro_rules! by_key {
    ($self:ident, $request:ident, $method:ident) => {{
        let request = $request.map_input(|mut input| {
            input.key = $self.short(&input.key);
            input
        });
        $self.inner.$method(request).await
    }};
}

#[async_trait::async_trait]
impl S3 for Short {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        by_key!(self, request, put_object)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        by_key!(self, request, get_object)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        by_key!(self, request, head_object)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        by_key!(self, request, create_multipart_upload)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        by_key!(self, request, upload_part)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        by_key!(self, request, complete_multipart_upload)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        by_key!(self, request, abort_multipart_upload)
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let request = request.map_input(|mut input| {
            for object in &mut input.delete.objects {
                object.key = self.short(&object.key);
            }
            input
        });
        let mut answer = self.inner.delete_objects(request).await?;
        for deleted in answer.output.deleted.iter_mut().flatten() {
            deleted.key = deleted.key.as_deref().map(|key| self.long(key));
        }
        Ok(answer)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let prefix = request.input.prefix.clone();
        let request = request.map_input(|mut input| {
            input.prefix = None;
            input
        });
        let mut answer = self.inner.list_objects_v2(request).await?;
        for object in answer.output.contents.iter_mut().flatten() {
            object.key = object.key.as_deref().map(|key| self.long(key));
        }
        if let (Some(objects), Some(prefix)) = (&mut answer.output.contents, &prefix) {
            objects.retain(|object| object.key.as_deref().is_some_and(|key| key.starts_with(prefix.as_str())));
            objects.sort_by(|a, b| a.key.cmp(&b.key));
        }
        answer.output.prefix = prefix;
        Ok(answer)
    }
}
