//! `shiplog health`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::Client;
use reqwest::redirect::Policy;
use server::telemetry::chain;

use crate::Outcome;
use crate::audit;

/// Ask a service, signer or witness on this machine whether it is well.
///
/// For images without a shell: exit code 0 when the answer is 2xx, 1 when it is another or none.
#[derive(Args)]
pub struct Health {
    /// What is asked for: /health/ready of a service, /signed of a signer, /keys of a witness.
    #[arg(long, env = "SHIPLOG_HEALTH_URL", default_value = "http://127.0.0.1:8080/health/ready")]
    url: String,
    /// File with a token, or with the secret of a signer.
    #[arg(long, env = "SHIPLOG_HEALTH_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Seconds until no answer is one.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

impl Health {
    pub async fn run(self) -> Outcome {
        // Neither a proxy of the environment nor a redirect gets to see the token.
        let http = Client::builder().no_proxy().redirect(Policy::none());
        let mut request = http.timeout(Duration::from_secs(self.timeout)).build()?.get(&self.url);
        if let Some(file) = &self.token_file {
            request = request.bearer_auth(String::from_utf8(audit::read(file)?)?.trim());
        }
        let answer =
            request.send().await.map_err(|cause| format!("{}: {}", self.url, chain(&cause.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{} answered {status}: {}", self.url, answer.text().await?).into())
    }
}
