//! The command line as a client of the HTTP interface: every act is somebody's and is logged like in the console.
//!
//! Exit codes: 0 done · 1 the answer is no (a camera that does not answer) or something unforeseen · 2 wrong usage · 3 the
//! account may not · 4 what was given is refused · 5 Belfry, or the part of it that is needed, can't be reached.

use std::path::PathBuf;

use anyhow::Context as _;
use reqwest::{Client, Method, Response, header};
use serde_json::{Value, json};

/// Where Belfry is and who acts.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Address of a running Belfry.
    #[arg(long, default_value = "http://127.0.0.1:8480", env = "BELFRY_SERVER")]
    server: String,
    /// Account to act as.
    #[arg(long, env = "BELFRY_USER")]
    user: String,
    /// File that holds the account's password; without it, `BELFRY_PASSWORD`.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// Password; not on the command line, where everybody sees it.
    #[arg(long, hide = true, env = "BELFRY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// A code of the account's second factor, or a recovery code, where the account has one. Better in `BELFRY_CODE`.
    #[arg(long, env = "BELFRY_CODE", hide_env_values = true)]
    code: Option<String>,
    /// Print JSON; a failure is a problem document on stderr then.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Why a command did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody answers.
    #[error("no Belfry answers at {server}: is it running (`belfry run`), and is the address right (--server)?")]
    NotReached {
        /// Where.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server says no.
    #[error("{}", words_of(.0))]
    Refused(Value),
    /// What was given is no good, found out on this side.
    #[error("{0}")]
    Input(String),
    /// The answer is no.
    #[error("{0}")]
    No(String),
}

impl Failure {
    /// See the head of this file.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotReached { .. } => 5,
            Self::Input(_) => 4,
            Self::No(_) => 1,
            Self::Refused(problem) => match problem.get("status").and_then(Value::as_u64) {
                Some(401 | 403) => 3,
                Some(400 | 404 | 409 | 412 | 413 | 422) => 4,
                Some(429 | 503) => 5,
                Some(_) | None => 1,
            },
        }
    }

    fn as_json(&self) -> Value {
        if let Self::Refused(problem) = self {
            return problem.clone();
        }
        json!({ "title": self.to_string(), "code": "client", "exit_code": self.exit_code() })
    }
}

/// What a problem document says, in words.
fn words_of(problem: &Value) -> String {
    let word = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or("");
    let status = problem.get("status").and_then(Value::as_u64);
    let text = match word("code") {
        _ if status == Some(413) => "larger than the server takes at once (2 MiB): split it".to_owned(),
        "login_failed" => "user name or password is wrong".to_owned(),
        "not_in_table" => "the account's profile may not do this (the refusal is in the log of uses)".to_owned(),
        "not_found" => "there is none that the account may know of".to_owned(),
        "invalid" => "not taken:".to_owned(),
        "unavailable" => "a part of Belfry that is needed for this is not running".to_owned(),
        "" => format!("unexpected answer, status {}", problem.get("status").unwrap_or(&Value::Null)),
        _ if !word("detail").is_empty() => word("detail").to_owned(),
        code => format!("{} ({code})", word("title")),
    };
    let errors = problem.get("errors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    errors.iter().fold(text, |text, error| {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or("");
        format!("{text}\n  {}: {}", part("field"), sentence(part("problem")))
    })
}

/// A stable word of a field's problem as a sentence for a technician; a word that is not known here stays as it is.
pub(crate) fn sentence(word: &str) -> &str {
    match word {
        "taken" => "is taken already",
        "unknown" => "is unknown",
        "empty" => "must not be empty",
        "too_long" => "is too long",
        "not_a_number" => "is no number",
        "out_of_range" => "is out of range",
        "not_a_date" => "is no date (YYYY-MM-DD)",
        "not_a_code" => "may hold only letters, digits and - _ . /, at most 40",
        "not_a_user" => "is no user name: not empty, no colon, at most 200 bytes",
        "not_a_password" => "is no password: no control characters, at most 200 bytes",
        "not_a_url" => "is no address",
        "not_rtsp" => "is no rtsp:// or rtsps:// address",
        "not_a_host" => "has no host name or address that is one",
        "network_not_allowed" => "is outside the camera networks (`cameras.allowed_networks` in belfry.toml)",
        "port_not_allowed" => "has a port that cameras may not have (`cameras.allowed_ports` in belfry.toml)",
        "credentials_in_url" => "holds a user and a password; they belong in their own fields",
        "credentials_twice" => "holds a user and a password, and others stand beside it",
        "bad_character" => "holds a character that has no place in it",
        "column_missing" => "this column is missing in the first line",
        "column_unknown" => "this column of the first line is not known",
        "number_of_columns" => "the row has too many or too few columns",
        "not_csv" => "is no CSV in UTF-8",
        "too_many_rows" => "has more than 10,000 rows",
        "one_to_three" => "one to three streams are needed",
        "use_twice" => "a use stands there twice",
        other => other,
    }
}

/// A failure, shown on stderr as the caller asked; the exit code.
pub(crate) fn report(error: &anyhow::Error, as_json: bool) -> u8 {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        crate::complain(&format!("belfry: {error:#}"));
        return 1;
    };
    if as_json {
        crate::complain(&failure.as_json().to_string());
    } else {
        crate::complain(&format!("belfry: {failure}"));
    }
    failure.exit_code()
}

/// A log-in at a running Belfry.
pub(crate) struct Session {
    http: Client,
    server: String,
    cookie: String,
    csrf: String,
}

impl Session {
    /// Logs in.
    pub(crate) async fn open(args: &ServerArgs) -> anyhow::Result<Self> {
        let password = match (&args.password_file, &args.password) {
            (Some(file), _) => std::fs::read_to_string(file)
                .map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?
                .trim_end()
                .to_owned(),
            (None, Some(password)) => password.clone(),
            (None, None) => {
                return Err(Failure::Input("give --password-file FILE or set BELFRY_PASSWORD".to_owned()).into());
            }
        };
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Client::builder().build()?;
        let server = args.server.trim_end_matches('/').to_owned();
        let body = json!({ "user_name": args.user, "password": password });
        let request = http.post(format!("{server}/api/v1/login")).header(header::CONTENT_TYPE, "application/json");
        let response = request.body(body.to_string()).send().await;
        let response = response.map_err(|source| Failure::NotReached { server: server.clone(), source })?;
        let cookie = cookies_of(&response);
        let view = answer(response).await?;
        let csrf = view.get("csrf_token").and_then(Value::as_str).unwrap_or("").to_owned();
        let session = Self { http, server, cookie, csrf };
        match view.get("pending").and_then(Value::as_str) {
            None => {}
            Some("second_factor") => return session.second_factor(args.code.as_deref()).await,
            Some(_) => {
                let words = "this account needs a second factor and has none: enrol one in the console first";
                return Err(Failure::Input(words.to_owned()).into());
            }
        }
        Ok(session)
    }

    /// Shows the second factor: six digits are a code of an app, anything else is a recovery code. The session goes on under a new token.
    async fn second_factor(self, code: Option<&str>) -> anyhow::Result<Self> {
        let words = "this account has a second factor: give --code CODE or set BELFRY_CODE";
        let code = code.ok_or_else(|| Failure::Input(words.to_owned()))?.trim();
        let is_app = code.len() == 6 && code.bytes().all(|c| c.is_ascii_digit());
        let body = if is_app { json!({ "code": code }) } else { json!({ "recovery_code": code }) };
        let request = self.http.post(format!("{}/api/v1/session/step-up", self.server));
        let request = request.header(header::COOKIE, &self.cookie).header("X-CSRF-Token", &self.csrf);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        let response = request.send().await;
        let response = response.map_err(|source| Failure::NotReached { server: self.server.clone(), source })?;
        let cookie = cookies_of(&response);
        answer(response).await?;
        Ok(Self { cookie: if cookie.is_empty() { self.cookie } else { cookie }, ..self })
    }

    /// Logs out; what went wrong before is worth more than what goes wrong here.
    pub(crate) async fn close<T>(self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        let closed = self.call(Method::POST, "/api/v1/logout", None).await;
        let value = outcome?;
        closed.context("logging out")?;
        Ok(value)
    }

    /// One request.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        request = request.header(header::COOKIE, &self.cookie).header("X-CSRF-Token", &self.csrf);
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await;
        answer(response.map_err(|source| Failure::NotReached { server: self.server.clone(), source })?).await
    }

    /// Bytes of a file from `start` on; the answer is 2xx.
    pub(crate) async fn bytes(&self, path: &str, start: u64) -> anyhow::Result<Response> {
        let request = self.http.get(format!("{}{path}", self.server)).header(header::COOKIE, &self.cookie);
        let response = request.header(header::RANGE, format!("bytes={start}-")).send().await;
        let response = response.map_err(|source| Failure::NotReached { server: self.server.clone(), source })?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    /// All cameras that the account sees.
    pub(crate) async fn cameras(&self) -> anyhow::Result<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.call(Method::GET, &format!("/api/v1/cameras?limit=500{cursor}"), None).await?;
            all.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    /// The id of a camera that is named by id or code.
    pub(crate) async fn camera_id(&self, name: &str) -> anyhow::Result<String> {
        if name.starts_with("cam_") {
            return Ok(name.to_owned());
        }
        let cameras = self.cameras().await?;
        let found = cameras.iter().find(|camera| camera.get("code").and_then(Value::as_str) == Some(name));
        let id = found.and_then(|camera| camera.get("id")).and_then(Value::as_str);
        Ok(id.map(str::to_owned).ok_or_else(|| Failure::Input(format!("the account sees no camera `{name}`")))?)
    }

    /// The id of an organisation by its code.
    pub(crate) async fn org_id(&self, code: &str) -> anyhow::Result<String> {
        let orgs = self.call(Method::GET, "/api/v1/orgs", None).await?;
        let items = orgs.get("items").unwrap_or(&orgs).as_array().cloned().unwrap_or_default();
        let found = items.iter().find(|org| org.get("code").and_then(Value::as_str) == Some(code));
        let id = found.and_then(|org| org.get("id")).and_then(Value::as_str);
        Ok(id.map(str::to_owned).ok_or_else(|| Failure::Input(format!("there is no organisation `{code}`")))?)
    }
}

/// What an answer sets, as it is sent back.
fn cookies_of(response: &Response) -> String {
    let cookies = response.headers().get_all(header::SET_COOKIE).iter();
    cookies.filter_map(|value| value.to_str().ok()?.split(';').next()).collect::<Vec<_>>().join("; ")
}

async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    answer(response).await.err().unwrap_or_else(|| Failure::Refused(json!({ "status": status.as_u16() })).into())
}

pub(crate) async fn answer(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await?;
    let value: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::Null) };
    if status.is_success() {
        return Ok(value);
    }
    let problem = if value.is_object() { value } else { json!({ "status": status.as_u16() }) };
    Err(Failure::Refused(problem).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_become_sentences_and_exit_codes() {
        let field = json!([{ "field": "streams.main.url", "problem": "network_not_allowed" }]);
        for (problem, text, code) in [
            (json!({ "status": 401, "code": "login_failed" }), "user name or password is wrong", 3),
            (json!({ "status": 403, "code": "not_in_table" }), "may not", 3),
            (json!({ "status": 404, "code": "not_found" }), "may know of", 4),
            (json!({ "status": 422, "code": "invalid", "errors": field }), "outside the camera networks", 4),
            (json!({ "status": 409, "code": "taken", "detail": "`code` is taken" }), "`code` is taken", 4),
            (json!({ "status": 503, "code": "unavailable" }), "not running", 5),
            (json!({ "status": 413, "code": "too_large" }), "split it", 4),
            (json!({ "status": 502 }), "502", 1),
        ] {
            let failure = Failure::Refused(problem);
            assert!(failure.to_string().contains(text), "{failure}");
            assert_eq!(failure.exit_code(), code, "{failure}");
        }
    }
}
