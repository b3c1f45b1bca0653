//! `POST /dev/clock`: moves a simulated clock. Not part of the API, and absent unless the process was
//! started for development with a simulated clock.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, Json};
use crate::http::problem::{Code, Problem};

/// The answer waits for what became due, so that a simulation reads what it caused.
const SETTLES: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(untagged)]
pub enum Advance {
    By {
        advance_s: u32,
    },
    /// What several nodes of one simulation are told, so that their clocks agree.
    To {
        to: jiff::Timestamp,
    },
}

#[derive(Serialize)]
struct Now {
    now: jiff::Timestamp,
}

pub async fn handler(app: Data<App>, call: Call<(), Json<Advance>>) -> Answer {
    let advance = || match call.body.0 {
        Advance::By { advance_s } => app.clock.advance(advance_s),
        Advance::To { to } => app.clock.advance_to(to),
    };
    let advanced = app.config.dev.then(advance).flatten();
    let Some(now) = advanced else {
        return Err(Problem::new(Code::NotFound, "there is nothing at this path").on(&call.caller));
    };
    let head = app.store.head();
    let mut reactor = app.reactor.subscribe();
    let settled = reactor.wait_for(|seen| seen.time >= now && seen.position >= head);
    if tokio::time::timeout(SETTLES, settled).await.is_err() {
        let problem = Problem::new(Code::Internal, "what was due at that time is not done yet");
        return Err(problem.on(&call.caller));
    }
    Ok(HttpResponse::Ok().json(Now { now }))
}
