//! The public REST API, as a build pipeline would use it: a bearer token, JSON in and out.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// A client with an API token.
pub struct Rest {
    agent: Agent,
    base: String,
    token: String,
}

impl Rest {
    pub fn new(operator: &str, token: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(std::time::Duration::from_secs(30))).build();
        Self { agent: config.into(), base: format!("{operator}/api/v1"), token: token.to_owned() }
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        answer("GET", path, self.agent.get(self.url(path)).header("authorization", self.bearer()).call())
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        answer("POST", path, self.agent.post(self.url(path)).header("authorization", self.bearer()).send_json(body))
    }

    pub fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<Value> {
        let request = self.agent.put(self.url(path)).header("authorization", self.bearer());
        answer("PUT", path, request.content_type("application/octet-stream").send(bytes))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// The JSON of a success; a refusal becomes an error with the server's own words.
fn answer(method: &str, path: &str, response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value> {
    let mut response = response.with_context(|| format!("{method} {path}"))?;
    let status = response.status();
    let text = response.body_mut().read_to_string().with_context(|| format!("{method} {path}"))?;
    if !status.is_success() {
        bail!("{method} {path}: {status} {text}");
    }
    if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).with_context(|| format!("{method} {path}: {text}")) }
}

/// The text at a JSON pointer.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer} in {value}"))
}
