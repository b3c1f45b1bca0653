//! `shiplog demo`: a service of its own, a release told over HTTP from its branch to its closing, and
//! the proof that the events alone give the same state.

mod acts;
mod before;
mod canary;
mod candidates;
mod cast;
mod ending;
mod facts;
mod fold;
mod rollback;
mod screen;
mod stage;
mod step_1;
mod step_2;
mod step_3;
mod step_4;
mod step_5;
mod step_6;
mod step_7;
mod waiver;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use server::telemetry::{Telemetry, TelemetryConfig};
use server::{Config, Service};
use tempfile::TempDir;

use crate::Outcome;
use crate::serve::{asked_to_stop, trust_local_issuer};
use cast::Cast;
use facts::{Build, POOL_BUG, REFUND_BUG, RELEASE};
use screen::Screen;
use stage::{DemoError, Stage};

/// Play a whole release against a service of its own, and check what it recorded.
///
/// Starts a service on a free port with a throw-away data directory and a simulated clock. Six people
/// and three machines take checkout 2.4.0 through all 49 items over HTTP, under the strict policy, with a
/// bug found on staging, a waiver, a canary that fails and is rolled back, and a third candidate that
/// closes. Ends with exit code 0 only if the release is closed and its events, folded again, give the same
/// state byte for byte.
#[derive(Args)]
pub struct Demo {
    /// Keep serving afterwards, until interrupted, and print a token and links.
    #[arg(long)]
    keep: bool,
    /// Print every request with its answer, and the service's log to standard error.
    #[arg(long)]
    verbose: bool,
    /// Play against these services instead of one of its own: nodes of one empty log, each with --dev and
    /// --simulated-clock. Requests go to them in turn, and to the next when one does not answer.
    #[arg(
        long = "node",
        value_name = "URL",
        value_delimiter = ',',
        requires = "data",
        conflicts_with = "keep"
    )]
    nodes: Vec<String>,
    /// With --node: the data directory whose issuer all of them trust.
    #[arg(long, value_name = "DIR", requires = "nodes")]
    data: Option<PathBuf>,
}

impl Demo {
    pub async fn run(self) -> Outcome {
        // Nothing is traced, so nothing is left to send at the end.
        let _telemetry = self.verbose.then(|| Telemetry::start(&TelemetryConfig::default())).transpose()?;
        if let Some(data) = &self.data {
            let screen = Screen::on_stdout(self.verbose);
            let cast = Cast::hired(data, crate::clock::now())?;
            screen.title(&self.nodes.join(", "), data)?;
            return Ok(show(Stage::new(self.nodes, cast, screen)?).await?);
        }
        let data = tempfile::Builder::new().prefix("shiplog-demo-").tempdir()?;
        let service = server::start(config(data.path())?).await?;
        let outcome = self.show_and_keep(&service, &data).await;
        service.stop().await;
        outcome
    }

    async fn show_and_keep(&self, service: &Service, data: &TempDir) -> Outcome {
        let screen = Screen::on_stdout(self.verbose);
        let base = format!("http://{}", service.addr);
        let cast = Cast::hired(data.path(), crate::clock::now())?;
        let viewer = cast.viewer_token.clone();
        screen.title(&base, data.path())?;
        tokio::select! {
            shown = show(Stage::new(vec![base.clone()], cast, screen)?) => shown?,
            () = asked_to_stop() => return Err("interrupted".into()),
        }
        if self.keep { keep_serving(service, screen, &base, &viewer).await } else { Ok(()) }
    }
}

/// Everything up to the verdict; the stage's connections are closed with it.
async fn show(mut stage: Stage) -> Result<(), DemoError> {
    play(&mut stage).await?;
    ending::check(&mut stage).await
}

/// The release, step by step.
async fn play(stage: &mut Stage) -> Result<(), DemoError> {
    let first = Build::candidate(1, &[]);
    let second = Build::candidate(2, &["src/refund/", "tests/refund/"]);
    let third = Build::candidate(3, &["src/payment/pool.rs"]);
    stage.begin().await?;
    before::play(stage).await?;
    step_1::play(stage, &first).await?;
    stage.screen.heading("Step 2  Staging Environment Deployment")?;
    step_2::play(stage, &first).await?;
    step_3::find_a_bug(stage, &first).await?;

    candidates::tag_next(stage, &second, REFUND_BUG).await?;
    let deployment = to_production(stage, &second).await?;
    canary::fail(stage, &second, &deployment).await?;
    rollback::play(stage, &second).await?;

    candidates::tag_next(stage, &third, POOL_BUG).await?;
    let deployment = to_production(stage, &third).await?;
    canary::pass(stage, &third, &deployment).await?;
    let production = step_5::roll_out(stage, &third, deployment).await?;
    step_6::play(stage, &third, &production).await?;
    step_7::play(stage, &third, &production).await
}

/// From a fixed candidate to its start in production: answers the deployment.
async fn to_production(stage: &mut Stage, build: &Build) -> Result<String, DemoError> {
    step_1::play_again(stage, build).await?;
    step_2::play(stage, build).await?;
    step_3::play(stage, build).await?;
    let authorization = step_4::play(stage, build).await?;
    step_5::start(stage, build, &authorization).await
}

fn config(data: &Path) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
    let mut config = Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data: data.to_owned(),
        workers: 2,
        // Nobody waits for an answer when the story is over.
        shutdown_s: 1,
        dev: true,
        simulated_clock: true,
        ..Config::default()
    };
    trust_local_issuer(&mut config)?;
    Ok(config)
}

async fn keep_serving(service: &Service, screen: Screen, base: &str, token: &str) -> Outcome {
    screen.heading("Still serving, until you press Ctrl-C")?;
    screen.say(&format!("API description  {base}/docs/"))?;
    screen.say(&format!("Checklist        {base}/v1/releases/{RELEASE}/checklist"))?;
    screen.say(&format!("Events           {base}/v1/releases/{RELEASE}/events"))?;
    screen.blank()?;
    screen.say("A viewer's token, good for eight hours, and how to use it:")?;
    screen.blank()?;
    screen.plain(&format!("TOKEN={token}"))?;
    screen
        .plain(&format!("curl -H \"Authorization: Bearer $TOKEN\" {base}/v1/releases/{RELEASE}/checklist"))?;
    tokio::select! {
        () = asked_to_stop() => Ok(()),
        failed = service.failed() => Err(failed.into()),
    }
}
