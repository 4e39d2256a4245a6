//! How the pre-provisioning hook is asked (E-9): one POST of JSON to the address in the configuration, never to one that a device or an answer names.
//! Owns the time that it may take and what counts as an answer. Refuses to know what is decided by it.

use crate::config::{Config, secret};
use anyhow::{Context as _, Result, bail};
use fleet::devices::Hook;
use futures::FutureExt as _;
use reqwest::{Certificate, Client, Response, header, redirect};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wire::enrolment::{HookAnswer, HookQuestion};

/// From the question to the whole of the answer, with the wait for a turn.
const WITHIN: Duration = Duration::from_secs(5);
/// Most questions at once: a claim in wrong hands must not become a flood elsewhere.
const AT_ONCE: usize = 32;
/// Largest answer, bytes.
const LARGEST_ANSWER: usize = 16 * 1024;

/// The hook of this configuration, if it names one.
pub fn hook(config: &Config) -> Result<Option<Hook>> {
    let Some(url) = config.claim_hook_url.clone() else { return Ok(None) };
    // No redirect and no proxy: who answers is who was named.
    let mut client = Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(WITHIN).user_agent("fleetward");
    if let Some(file) = &config.claim_hook_ca_file {
        let pem = std::fs::read(file).with_context(|| format!("claim_hook_ca_file {}", file.display()))?;
        let anchors = Certificate::from_pem_bundle(&pem).with_context(|| format!("claim_hook_ca_file {}", file.display()))?;
        if anchors.is_empty() {
            bail!("claim_hook_ca_file {} holds no certificate in PEM", file.display());
        }
        client = client.tls_certs_only(anchors);
    }
    if let Some(file) = &config.claim_hook_secret_file {
        let mut value = header::HeaderValue::try_from(format!("Bearer {}", secret(file).context("claim_hook_secret_file")?))
            .with_context(|| format!("claim_hook_secret_file {} must be one line of printable characters", file.display()))?;
        value.set_sensitive(true);
        client = client.default_headers(header::HeaderMap::from_iter([(header::AUTHORIZATION, value)]));
    }
    let client = client.build().context("claim_hook_url: the HTTP client can't be made")?;
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    Ok(Some(Hook::new(move |question| {
        let (client, url, turns) = (client.clone(), url.clone(), turns.clone());
        async move {
            let asking = async {
                let _turn = turns.acquire().await.map_err(|e| e.to_string())?;
                ask(&client, &url, &question).await
            };
            tokio::time::timeout(WITHIN, asking).await.unwrap_or_else(|_| Err(format!("no answer within {} s", WITHIN.as_secs())))
        }
        .boxed()
    })))
}

async fn ask(client: &Client, url: &str, question: &HookQuestion) -> Result<HookAnswer, String> {
    // Without the address: what stands in it is the operator's.
    let failed = |e: reqwest::Error| format!("{:#}", anyhow::Error::new(e.without_url()));
    let answer = client.post(url).json(question).send().await.map_err(failed)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("it answers {}, not 200", answer.status()));
    }
    let body = whole(answer).await?;
    serde_json::from_slice(&body).map_err(|e| format!("its answer is not {{\"allow\": true}} or {{\"allow\": false, \"reason\": …}}: {e}"))
}

async fn whole(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| e.without_url().to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            return Err(format!("its answer is longer than {LARGEST_ANSWER} bytes"));
        }
    }
    Ok(body)
}
