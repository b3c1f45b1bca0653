//! Releases as they would be recorded, each from one of a few stories that are told once.

use std::path::Path;
use std::time::Instant;

use eventlog::header::{Actor, DataRef};
use eventlog::{
    Embedded, EmbeddedOptions, EventStore, ExpectedRevision, Header, NewEvent, Revision, StreamId,
};
use jiff::{SignedDuration, Timestamp};
use release::command::{
    AmendRelease, ApproveAfterStart, AuthorizeProduction, BreakGlass, FinishDeployment, GrantWaiver,
    RequestWaiver, StartRollback,
};
use release::event::{
    ChangeClass, DeploymentOutcome, EnvironmentEvent, EnvironmentPurpose, EnvironmentRunningRecorded,
    Governance, Sighting,
};
use release::spec::release::{
    around, artifact, authorize, deploy, go, grant, item, line, procedure, prose, requested, tagged, window,
};
use release::spec::{Spec, alice, bob, dave, erin, grace, judged, monday, robot, who_is};
use release::{Command, EventData, Fact, Release, wire};
use uuid::Uuid;

type Story = Spec<Release>;

/// Releases take turns with these.
const PRODUCTS: u32 = 40;
/// Appends that are on their way at once.
const IN_FLIGHT: usize = 512;

pub async fn log(dir: &Path, count: u32, whole: bool) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let store = Embedded::open(dir, EmbeddedOptions::default())?;
    let stories = [by_the_book(), waived(), rolled_back(), emergency(), opened()]
        .map(|story| Template::of(&story, whole));
    let [book, waived, rolled_back, emergency, opened] = &stories;
    let apart = super::QUARTER / i32::try_from(count)?;
    let mut seen = vec![0_u64; PRODUCTS as usize];
    let mut sent = Vec::new();
    let mut events = 0;
    for n in 0..count {
        let story = match n {
            _ if n % 50 == 7 => emergency,
            _ if n % 25 == 3 => rolled_back,
            _ if n % 20 == 11 => opened,
            _ if n % 10 == 1 => waived,
            _ => book,
        };
        let at = super::quarter() + apart * i32::try_from(n)?;
        let (stream, release) = story.release(n, at)?;
        events += release.len();
        sent.push(store.append(&stream, ExpectedRevision::NoStream, release));
        if n % 200 == 5 {
            let product = n % PRODUCTS;
            let seen = &mut seen[product as usize];
            let (stream, orphan) = orphan(product, n, *seen, at)?;
            let expected = match *seen {
                0 => ExpectedRevision::NoStream,
                known => ExpectedRevision::Exact(Revision(known - 1)),
            };
            *seen += 1;
            events += 1;
            sent.push(store.append(&stream, expected, vec![orphan]));
        }
        if sent.len() >= IN_FLIGHT {
            for append in sent.drain(..) {
                append.await?;
            }
        }
    }
    for append in sent {
        append.await?;
    }
    store.close().await;
    println!("{count} releases in {events} events, written in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn product(n: u32) -> String {
    format!("product-{n:02}")
}

/// The events of a story, with what tells one release from another left out.
struct Template(Vec<Told>);

struct Told {
    event_type: &'static str,
    schema: u32,
    id: Uuid,
    /// Since the story began.
    after: SignedDuration,
    by: Actor,
    data: String,
}

/// What stands for the release in a story.
const ID: &str = "50000000-0000-8000-8000-";
const PRODUCT: &str = "checkout";
const VERSION: &str = "2.4.0";

impl Template {
    fn of(story: &Story, whole: bool) -> Self {
        Self(story.facts.iter().map(Told::of).filter(|told| whole || told.is_of_the_row()).collect())
    }

    /// The stream and the events of release `n`, which was opened at an instant.
    fn release(
        &self,
        n: u32,
        at: Timestamp,
    ) -> Result<(StreamId, Vec<NewEvent>), Box<dyn std::error::Error>> {
        let (product, version) = (product(n % PRODUCTS), format!("{}.{}.0", 2 + n / 1_000, n % 1_000));
        let stream = StreamId::new(&format!("release-default.{product}-{version}"))?;
        let ids = format!("5{n:07x}-0000-8000-8000-");
        let events = self.0.iter().zip(0..).map(|(told, revision)| {
            let id: Uuid = told.id.to_string().replace(ID, &ids).parse()?;
            let data = told.data.replace(ID, &ids).replace(PRODUCT, &product).replace(VERSION, &version);
            Ok(event(&stream, revision, (told.event_type, told.schema), id, at + told.after, &told.by, data))
        });
        let events = events.collect::<Result<_, uuid::Error>>()?;
        Ok((stream, events))
    }
}

impl Told {
    fn of(fact: &Fact<release::ReleaseEvent>) -> Self {
        let data = wire::encode(&fact.event, [7; 16]).unwrap();
        Self {
            event_type: fact.event.event_type(),
            schema: fact.event.schema(),
            id: fact.id,
            after: fact.recorded_at.duration_since(monday()),
            by: Actor {
                id: fact.by.id.to_string(),
                kind: fact.by.kind.as_str().to_owned(),
                roles: fact.by.roles.iter().map(|role| role.as_str().to_owned()).collect(),
                via: None,
            },
            data: String::from_utf8(data).unwrap(),
        }
    }

    /// Evidence, and the items that no question of the sheet is about, are most of a release.
    fn is_of_the_row(&self) -> bool {
        let data: serde_json::Value = serde_json::from_str(&self.data).unwrap();
        let asked = |item: &str| item.starts_with("3.") || ["1.2", "1.6"].contains(&item);
        !self.event_type.starts_with("evidence.") && data["item"].as_str().is_none_or(asked)
    }
}

fn event(
    stream: &StreamId,
    revision: u64,
    (event_type, schema): (&str, u32),
    id: Uuid,
    at: Timestamp,
    by: &Actor,
    data: String,
) -> NewEvent {
    let header = Header {
        id,
        stream: stream.clone(),
        revision: Revision(revision),
        event_type: event_type.to_owned(),
        schema,
        recorded_at: at,
        occurred_at: at,
        actor: by.clone(),
        auth: None,
        request: eventlog::header::Request {
            operation: "told".to_owned(),
            idempotency_key: None,
            fingerprint: "0".repeat(64),
            index: 0,
            count: 1,
            entry: None,
        },
        causation: None,
        correlation: None,
        trace: None,
        data: DataRef::of(data.as_bytes()),
    };
    NewEvent { id, header: header.to_bytes(), data: data.into() }
}

/// Something runs that no release put there.
fn orphan(
    product_number: u32,
    n: u32,
    revision: u64,
    at: Timestamp,
) -> Result<(StreamId, NewEvent), Box<dyn std::error::Error>> {
    let stream = StreamId::new(&format!("environment-default.{}.production", product(product_number)))?;
    let running = EnvironmentRunningRecorded {
        version: line("unknown"),
        artifacts: vec![artifact('9')],
        since: at,
        sighting: Sighting::Started,
        governance: Governance::Orphan,
        verified: false,
        commit_sha: None,
        release: None,
        deployment: None,
        skew_ms: None,
        purpose: Some(EnvironmentPurpose::Production),
        observation: Some(Uuid::from_u128(u128::from(n))),
    };
    let told = EnvironmentEvent::from(running);
    let by = Actor { id: robot().id.to_string(), kind: "machine".to_owned(), roles: Vec::new(), via: None };
    let kind = (told.event_type(), told.schema());
    let data = String::from_utf8(wire::encode(&told, [7; 16])?)?;
    let id = Uuid::from_u128(0x6000_0000_0000_8000_8000_0000_0000_0000 | u128::from(n));
    Ok((stream.clone(), event(&stream, revision, kind, id, at, &by, data)))
}

fn act(story: Story, who: release::Actor, command: Command) -> Story {
    story.when(who, command, &around()).accepted()
}

fn deployed(story: Story) -> Story {
    let story = story.hours_later(2);
    let roles = procedure().roll_call.clone();
    let story = roles.iter().fold(story, |story, role| act(story, who_is(*role), go(*role)));
    let story = act(story, alice(), authorize());
    let start = deploy("production", Some(story.authorization()));
    act(story, robot(), start).minutes_later(20)
}

fn finished(story: Story) -> Story {
    let finish = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let deployment = story.deployment();
    act(story, robot(), Command::FinishDeployment { deployment, body: finish })
}

fn granted(story: Story) -> Story {
    let granted = grant(&story);
    act(story, grace(), granted).taken_as_read(|story| story.step_closed(4))
}

fn by_the_book() -> Story {
    finished(deployed(granted(requested())))
}

fn rolled_back() -> Story {
    let back =
        StartRollback { reason: prose("errors"), deployment: None, to: None, mode: None, incident: None };
    act(deployed(granted(requested())), dave(), Command::StartRollback(back))
}

fn waived() -> Story {
    let body = RequestWaiver {
        reason: prose("the runner is broken"),
        compensating_control: prose("ran it by hand, watched by two"),
        expires_at: monday() + SignedDuration::from_hours(8),
    };
    let story = act(tagged(), bob(), Command::RequestWaiver { item: item("1.2"), body });
    let waiver = *story.state.waivers.keys().next().unwrap();
    let body = GrantWaiver { note: None };
    let story = act(story, grace(), Command::GrantWaiver { item: item("1.2"), waiver, body });
    let closed = |story: Story| story.step_closed(1).step_closed(2).step_closed(3).closed(&["4.2", "4.7"]);
    let story = act(story.taken_as_read(closed), alice(), Command::SetWindow(window()));
    let request = Command::RequestApproval(release::command::RequestApproval { note: None });
    finished(deployed(granted(act(story, alice(), request))))
}

fn emergency() -> Story {
    let act = |story: Story, who, command| story.when(who, command, &judged::around()).accepted();
    let amend = AmendRelease {
        why: prose("Nobody can pay"),
        previous: None,
        class: Some(ChangeClass::Emergency),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    let story = act(judged::tagged(), alice(), Command::Amend(amend));
    let glass = BreakGlass { incident: line("INC-7"), reason: prose("Nobody can pay.") };
    let alone = AuthorizeProduction { basis: None, preempt_reason: None, break_glass: Some(glass) };
    let story = act(story, erin(), Command::AuthorizeProduction(alone));
    let authorization = story.authorization();
    let story = act(story, robot(), deploy("production", Some(authorization))).minutes_later(30);
    let body = ApproveAfterStart { comment: None };
    act(story, grace(), Command::ApproveAfterStart { authorization, body })
}

fn opened() -> Story {
    release::spec::release::opened()
}
