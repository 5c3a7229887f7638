//! The HTTP side that `openidconnect` asks through: no redirects, no proxy, bounded in time and size.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

/// The provider must answer within this time.
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// A description, a key set or a token is a few kilobytes.
const BODY_MAX: usize = 256 * 1024;

/// Why the provider could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpFault {
    /// No connection, no TLS, no answer in time.
    #[error("the request failed")]
    Request(#[from] reqwest::Error),
    /// More than any answer of a provider is.
    #[error("the answer is larger than {BODY_MAX} bytes")]
    TooLarge,
    /// An answer that is no HTTP.
    #[error("the answer is no HTTP")]
    Answer(#[from] http::Error),
}

/// A client for one provider.
#[derive(Debug)]
pub(crate) struct HttpClient(reqwest::Client);

impl HttpClient {
    pub(crate) fn new(authorities: &[reqwest::Certificate]) -> Result<Self, reqwest::Error> {
        // Another part of the program may have been first; then there is one already.
        rustls::crypto::ring::default_provider().install_default().ok();
        // A redirect would let the provider, or who poses as it, choose whom we ask.
        let mut builder =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(ANSWER_MAX);
        if !authorities.is_empty() {
            builder = builder.tls_certs_only(authorities.iter().cloned());
        }
        builder.build().map(Self)
    }

    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        let (parts, body) = request.into_parts();
        let request = self.0.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let mut response = request.send().await?;
        let mut answer = http::Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            headers.clone_from(response.headers());
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            if body.len() + piece.len() > BODY_MAX {
                return Err(HttpFault::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Ok(answer.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpFault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.fetch(request))
    }
}
