//! `shiplog replay`

mod lists;

use std::path::PathBuf;

use clap::Args;
use eventlog::bundle::Sealed;
use eventlog::bundle::exit;
use eventlog::{Position, Recorded, Revision, StreamId};
use jiff::Timestamp;
use release::checklist::{Checklist, checklist};
use release::event::Assurance;
use release::release::ItemStatus;
use release::value::ReleaseId;
use release::wire::FORMATS;
use release::{Aggregate, Fact, Release, ReleaseEvent};
use serde_json::Value;
use server::views::listed;
use server::{names, streams};

use self::lists::Compared;
use crate::Outcome;
use crate::audit::{self, Caller, Failure, Progress, Service, Verdict};
use crate::bundled::{pinned, recorded};
use crate::verify;

/// Print the checklist of one release as its verified events alone give it.
///
/// With --diff the service is asked for the same revision of the release, and for what its list of releases, its
/// board and its list of exceptions say of it; exit code 2 says that it answers something else than its events give.
/// Otherwise exit codes are those of `shiplog verify`.
#[derive(Args)]
pub struct Replay {
    /// The bundle; it is verified first.
    bundle: PathBuf,
    /// Whose signatures count.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The release, such as checkout-2.4.0.
    #[arg(long)]
    release: String,
    /// The tenant it belongs to.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The state by events recorded at or before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    as_of: Option<Timestamp>,
    /// The same, without facts of what happened after this time (RFC 3339); nothing is judged anew.
    #[arg(long, value_name = "TIME")]
    as_at: Option<Timestamp>,
    /// Compare with what this service answers, such as https://shiplog.example.
    #[arg(long, value_name = "URL", requires = "token_file")]
    diff: Option<String>,
    /// File with the token of somebody who may read the release.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the checklist as JSON, as the API answers it.
    #[arg(long)]
    json: bool,
}

struct Bundled {
    events: Vec<Recorded>,
    /// Those of the procedures of its tenant.
    procedures: Vec<Recorded>,
    /// Where the bundle is of the release alone.
    sealed: Option<Sealed>,
}

/// Most differences that are told.
const TOLD: usize = 20;

impl Replay {
    pub async fn run(self) -> Outcome {
        let id = ReleaseId::new(&self.release).map_err(|error| format!("{}: {error}", self.release))?;
        let stream = names::release(&self.tenant, &id)?;
        let Bundled { events, procedures, sealed } = self.verified(&stream)?;
        let facts = self.as_it_was(&events)?;
        let last = facts.len().checked_sub(1).and_then(|last| events.get(last));
        let last = last.ok_or_else(|| format!("{id} was not opened at that time"))?;
        let mut state = Release::default();
        for fact in &facts {
            match self.as_at {
                Some(instant) => state.evolve_as_at(fact, instant),
                None => state.evolve(fact),
            }
        }
        let opened = state.opened.as_ref().ok_or_else(|| format!("{id} was not opened"))?;
        let procedure = pinned(&self.tenant, &opened.procedure, &procedures)?;
        let view = checklist(&state, &procedure).ok_or_else(|| format!("{id} was not opened"))?;
        let replayed = serde_json::to_value(&view)?;
        let revision = last.revision;
        if self.json {
            println!("{}", serde_json::to_string(&view)?);
        } else {
            println!(
                "{id} {} at revision {revision}: {} of {} items closed",
                state.life.as_str(),
                view.closed,
                view.total
            );
            print(&view);
        }
        let (Some(url), Some(token_file)) = (self.diff, self.token_file) else { return Ok(()) };
        let service = Service::new(&Caller { url, token_file })?;
        let as_at = self.as_at.map(|instant| format!("&as_at={instant}")).unwrap_or_default();
        let path = format!("/v1/releases/{id}/checklist?at_revision={revision}{as_at}");
        let mut found = Differences::default();
        found.compare(&replayed, &service.json(&path).await?, "");
        let mut compared = "its checklist";
        // Lists show a release as it is, never as it was.
        if self.as_at.is_none() {
            // A bundle of one release has the place in the log only of its last event.
            let position = sealed.map_or(last.position, |sealed| Position(sealed.position));
            let listed = listed(&self.tenant, &state, &procedure, revision, position);
            let listed = listed.ok_or_else(|| format!("{id} was not opened"))?;
            match lists::compare(&service, &listed, &mut found).await? {
                Compared::All => compared = "its checklist, and in lists, board and exceptions",
                Compared::Newer(now) => {
                    eprintln!("the release is at revision {now} by now: its lists are not compared");
                }
            }
        }
        found.told(revision, compared)
    }

    /// What a bundle that holds says of the release.
    fn verified(&self, release: &StreamId) -> Result<Bundled, Failure> {
        let published = format!("procedure-{}.", self.tenant);
        let (mut of_release, mut of_procedures) = (Vec::new(), Vec::new());
        let mut progress = Progress::new("verified");
        let verified = verify::read(&self.bundle, &audit::policy(&self.policy)?, None, |event| {
            progress.event();
            let stream = &event.header.stream;
            let kept = if stream == release {
                &mut of_release
            } else if stream.as_str().starts_with(&published) {
                &mut of_procedures
            } else {
                return;
            };
            kept.push(recorded(event));
        })?;
        let verified = verified.map_err(Verdict::of)?;
        Ok(Bundled { events: of_release, procedures: of_procedures, sealed: verified.sealed })
    }

    /// What one command recorded stays together, as in the API's answers.
    fn as_it_was(&self, events: &[Recorded]) -> Result<Vec<Fact<ReleaseEvent>>, Failure> {
        let mut inside_command = false;
        let mut facts = Vec::new();
        for event in events {
            let (fact, header) = streams::fact(&FORMATS, event)?;
            let later = self.as_of.is_some_and(|as_of| header.recorded_at > as_of);
            if later && !inside_command {
                break;
            }
            inside_command = header.request.index + 1 < header.request.count;
            facts.push(fact);
        }
        Ok(facts)
    }
}

/// One line an item.
fn print(view: &Checklist) {
    for step in &view.steps {
        println!("\n{}. {} ({} of {})", step.number, step.name, step.closed, step.total);
        for item in &step.items {
            let status = match &item.status {
                ItemStatus::Satisfied { assurance: Assurance::Verified, .. } => "verified",
                ItemStatus::Satisfied { assurance: Assurance::Attested, .. } => "attested",
                other => other.as_str(),
            };
            println!("{:>5}  {status:<14} {}", item.number.to_string(), item.name);
        }
    }
}

/// Where what the service answers is not what the events give.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    /// One line for each place that is not the same.
    fn compare(&mut self, ours: &Value, theirs: &Value, at: &str) {
        match (ours, theirs) {
            (Value::Object(ours), Value::Object(theirs)) => {
                let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
                for name in names {
                    let of = |object: &serde_json::Map<String, Value>| {
                        object.get(name).cloned().unwrap_or_default()
                    };
                    self.compare(&of(ours), &of(theirs), &format!("{at}/{name}"));
                }
            }
            (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
                for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                    self.compare(ours, theirs, &format!("{at}/{index}"));
                }
            }
            _ if ours == theirs => {}
            _ => self.0.push(format!("{at}: events give {ours}, the service answers {theirs}")),
        }
    }

    fn told(&self, revision: Revision, compared: &str) -> Outcome {
        let Self(found) = self;
        if found.is_empty() {
            eprintln!("the service answers the same at revision {revision}: {compared}");
            return Ok(());
        }
        found.iter().take(TOLD).for_each(|difference| eprintln!("{difference}"));
        let what = format!("{} differences to what the service answers at revision {revision}", found.len());
        Err(Verdict::failure(exit::TAMPERED, what))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn given_two_answers_then_each_place_that_differs_is_named() {
        let ours = json!({"a": 1, "b": [{"c": "x"}, 2], "d": {"e": null}});
        let theirs = json!({"a": 1, "b": [{"c": "y"}, 2], "f": true});
        let mut found = Differences::default();
        found.compare(&ours, &ours, "");
        assert!(found.told(Revision(0), "all").is_ok());
        found.compare(&ours, &theirs, "");
        assert_eq!(
            found.0,
            [
                r#"/b/0/c: events give "x", the service answers "y""#,
                r#"/d: events give {"e":null}, the service answers null"#,
                "/f: events give null, the service answers true",
            ]
        );
        assert!(found.told(Revision(0), "all").is_err());
    }
}
