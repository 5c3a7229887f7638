//! What `object_store` has no call for, by requests that its signer signs: versions in the bucket, unfinished multipart uploads.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path as ObjectPath;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use serde::Deserialize;

use crate::config::{Credentials, S3Config};
use crate::tier::OpenError;

/// Largest answer read; a page of 1,000 versions is below 1 MB.
const ANSWER_MAX: usize = 8 * 1024 * 1024;
/// Pages of one listing; past it the store turns in circles.
const PAGES_MAX: usize = 10_000;
/// How long a signature is good for.
const SIGNED_FOR: Duration = Duration::from_secs(300);

/// Why a request of this module failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    /// No answer.
    #[error("the store did not answer")]
    Away(#[source] reqwest::Error),
    /// Could not be signed.
    #[error("a request could not be signed")]
    Sign(#[source] object_store::Error),
    /// Refused.
    #[error("the store answered {0}")]
    Refused(u16),
    /// Not the XML of S3, or too much of it.
    #[error("the store's answer is not that of S3")]
    Answer,
}

/// Whether a bucket keeps what is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioning {
    /// Never was on.
    Off,
    /// On, or suspended with old versions still there.
    On,
    /// The store does not tell.
    Unknown,
}

/// A bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) store: Arc<AmazonS3>,
    client: reqwest::Client,
}

/// One version, or one delete marker, of an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Version {
    pub(crate) key: String,
    pub(crate) version_id: String,
}

/// One unfinished upload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Unfinished {
    pub(crate) key: String,
    pub(crate) upload_id: String,
    /// RFC 3339.
    pub(crate) initiated: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersioningAnswer {
    #[serde(default)]
    status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionsAnswer {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: Option<String>,
    #[serde(default)]
    next_version_id_marker: Option<String>,
    #[serde(default, rename = "Version")]
    versions: Vec<Version>,
    #[serde(default, rename = "DeleteMarker")]
    markers: Vec<Version>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UploadsAnswer {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: Option<String>,
    #[serde(default)]
    next_upload_id_marker: Option<String>,
    #[serde(default, rename = "Upload")]
    uploads: Vec<Unfinished>,
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BucketError> {
    quick_xml::de::from_str(text).map_err(|_| BucketError::Answer)
}

fn versioning(text: &str) -> Result<Versioning, BucketError> {
    let answer: VersioningAnswer = read(text)?;
    // "Suspended" still has the versions from before.
    Ok(if answer.status.is_some_and(|status| !status.is_empty()) { Versioning::On } else { Versioning::Off })
}

/// For fuzzing: any text is an answer or none, without a panic.
pub fn fuzz_s3_answers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(versioning(text));
    drop(read::<VersionsAnswer>(text));
    drop(read::<UploadsAnswer>(text));
}

fn certificates(config: &S3Config) -> Result<Option<Vec<u8>>, OpenError> {
    let Some(path) = &config.ca_file else { return Ok(None) };
    std::fs::read(path).map(Some).map_err(|source| OpenError::CaFile { path: path.clone(), source })
}

impl Bucket {
    /// Prepares; asks nothing.
    pub(crate) fn open(config: &S3Config, credentials: &Credentials, timeout: Duration) -> Result<Self, OpenError> {
        // Another part of the program may have chosen already, with the same choice.
        rustls::crypto::ring::default_provider().install_default().ok();
        let connect = timeout.min(Duration::from_secs(10));
        let ca = certificates(config)?;
        let mut options = ClientOptions::new()
            .with_allow_http(config.allow_http)
            .with_timeout(timeout)
            .with_connect_timeout(connect)
            .with_http1_only();
        let mut client = reqwest::Client::builder().timeout(timeout).connect_timeout(connect).http1_only();
        client = client.redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = ca {
            let bad = || OpenError::Ca { path: config.ca_file.clone().unwrap_or_default() };
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|_| bad())?;
            // A file without any would be taken without a word.
            if authorities.is_empty() {
                return Err(bad());
            }
            for one in authorities {
                options = options.with_root_certificate(one);
            }
            client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| bad())?);
        }
        // Few and short: the breaker and the reconciler repeat, and know why.
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
            max_retries: 2,
            retry_timeout: timeout,
        };
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(endpoint(config)?)
            .with_region(&config.region)
            .with_bucket_name(&config.bucket)
            .with_access_key_id(&credentials.access_key_id)
            .with_secret_access_key(credentials.secret_access_key.as_str())
            .with_virtual_hosted_style_request(!config.path_style)
            .with_allow_http(config.allow_http)
            // The store itself refuses a part whose bytes changed on the way.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(token) = &credentials.session_token {
            builder = builder.with_token(token.as_str());
        }
        let store = Arc::new(builder.build().map_err(OpenError::Store)?);
        let client = client.build().map_err(OpenError::Client)?;
        Ok(Self { store, client })
    }

    async fn ask(&self, method: Method, key: &str, query: &[(&str, &str)]) -> Result<String, BucketError> {
        let path = ObjectPath::parse(key).map_err(|error| BucketError::Sign(error.into()))?;
        let options = SignedUrlOptions::new().with_query(query.iter().copied());
        let url = self.store.signed_url_opts(method.clone(), &path, SIGNED_FOR, &options).await;
        let url = url.map_err(BucketError::Sign)?;
        // The URL carries a signature: it must not reach a log by way of the error.
        let away = |error: reqwest::Error| BucketError::Away(error.without_url());
        let answer = self.client.request(method, url).send().await.map_err(away)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(BucketError::Refused(status.as_u16()));
        }
        let mut body = Vec::new();
        let mut stream = answer.bytes_stream();
        while let Some(bytes) = stream.try_next().await.map_err(away)? {
            if body.len() + bytes.len() > ANSWER_MAX {
                return Err(BucketError::Answer);
            }
            body.extend_from_slice(&bytes);
        }
        String::from_utf8(body).map_err(|_| BucketError::Answer)
    }

    /// Whether deleted objects stay as versions.
    pub(crate) async fn versioning(&self) -> Result<Versioning, BucketError> {
        match self.ask(Method::GET, "", &[("versioning", "")]).await {
            Ok(text) => versioning(&text),
            // Stores that know no versions answer with an error of theirs.
            Err(BucketError::Refused(400 | 403 | 404 | 405 | 501)) => Ok(Versioning::Unknown),
            Err(error) => Err(error),
        }
    }

    /// Every version and delete marker of exactly this key.
    pub(crate) async fn versions(&self, key: &str) -> Result<Vec<Version>, BucketError> {
        let mut found = Vec::new();
        let (mut key_marker, mut version_marker) = (String::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mut query = vec![("versions", ""), ("prefix", key)];
            if !key_marker.is_empty() {
                query.extend([("key-marker", key_marker.as_str()), ("version-id-marker", version_marker.as_str())]);
            }
            let text = self.ask(Method::GET, "", &query).await?;
            let page: VersionsAnswer = read(&text)?;
            found.extend(page.versions.into_iter().chain(page.markers).filter(|version| version.key == key));
            if !page.is_truncated {
                return Ok(found);
            }
            key_marker = page.next_key_marker.unwrap_or_default();
            version_marker = page.next_version_id_marker.unwrap_or_default();
        }
        Err(BucketError::Answer)
    }

    /// Deletes one version for good.
    pub(crate) async fn delete_version(&self, version: &Version) -> Result<(), BucketError> {
        match self.ask(Method::DELETE, &version.key, &[("versionId", &version.version_id)]).await {
            Ok(_) | Err(BucketError::Refused(404)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Unfinished multipart uploads below `prefix`. A store without this call has an error in its answer.
    pub(crate) async fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, BucketError> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (String::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mut query = vec![("uploads", ""), ("prefix", prefix)];
            if !key_marker.is_empty() {
                query.extend([("key-marker", key_marker.as_str()), ("upload-id-marker", id_marker.as_str())]);
            }
            let text = self.ask(Method::GET, "", &query).await?;
            let page: UploadsAnswer = read(&text)?;
            found.extend(page.uploads);
            if !page.is_truncated {
                return Ok(found);
            }
            key_marker = page.next_key_marker.unwrap_or_default();
            id_marker = page.next_upload_id_marker.unwrap_or_default();
        }
        Err(BucketError::Answer)
    }
}

/// The endpoint as `object_store` takes it: with the bucket in the host for the virtual hosted style.
fn endpoint(config: &S3Config) -> Result<String, OpenError> {
    let mut url = url::Url::parse(&config.endpoint).map_err(|_| OpenError::Endpoint)?;
    if !config.path_style {
        let host = format!("{}.{}", config.bucket, url.host_str().ok_or(OpenError::Endpoint)?);
        url.set_host(Some(&host)).map_err(|_| OpenError::Endpoint)?;
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_s3_are_read() {
        let text = r#"<?xml version="1.0"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Name>b</Name><IsTruncated>true</IsTruncated><NextKeyMarker>k2</NextKeyMarker>
            <Version><Key>k</Key><VersionId>1</VersionId><IsLatest>false</IsLatest></Version>
            <DeleteMarker><Key>k</Key><VersionId>2</VersionId></DeleteMarker>
            <Version><Key>k</Key><VersionId>3</VersionId></Version></ListVersionsResult>"#;
        let answer: VersionsAnswer = read(text).unwrap();
        let ids: Vec<&str> = answer.versions.iter().chain(&answer.markers).map(|one| one.version_id.as_str()).collect();
        assert_eq!(ids, ["1", "3", "2"]);
        assert!(answer.is_truncated && answer.next_key_marker.as_deref() == Some("k2"));

        let text = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>k</Key><UploadId>u</UploadId>\
            <Initiated>2026-11-22T10:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>";
        let answer: UploadsAnswer = read(text).unwrap();
        assert_eq!(answer.uploads[0].upload_id, "u");

        let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let cases = [
            (on.to_owned(), Versioning::On),
            (on.replace("Enabled", "Suspended"), Versioning::On),
            ("<VersioningConfiguration/>".to_owned(), Versioning::Off),
        ];
        for (text, wanted) in cases {
            assert_eq!(versioning(&text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn damaged_answers_do_no_harm() {
        let seed =
            "<ListVersionsResult><IsTruncated>true</IsTruncated><Version><Key>k</Key></Version></ListVersionsResult>";
        for cut in 0..seed.len() {
            fuzz_s3_answers(&seed.as_bytes()[..cut]);
            let mut bytes = seed.as_bytes().to_vec();
            bytes[cut] ^= 0x11;
            fuzz_s3_answers(&bytes);
        }
        fuzz_s3_answers(&[0xff, 0, 0xfe]);
        fuzz_s3_answers("<a>".repeat(2_000).as_bytes());
    }
}
