//! The report of a period: what it answers of each change, how it is written, drawn from and compared.

use std::collections::BTreeMap;
use std::process::Command as Process;

use jiff::{SignedDuration, Timestamp};
use release::command::{
    AmendRelease, ApproveAfterStart, AuthorizeProduction, BreakGlass, FinishDeployment, StartRollback,
};
use release::event::{ChangeClass, DeploymentOutcome, Interval};
use release::report::fact::{self, Noted, ReportFact};
use release::report::metrics::{DeliveryCount, FlowCount};
use release::report::population::{
    About, Answered, At, Change, ChangeKind, Framing, Orphaned, PeriodQuery, PeriodTotals, Placed, ReadRow,
    ReleaseRecord, RowsHash, Standing, Tally, record,
};
use release::report::reconciliation::{Comparison, ListedDeployment, Reconciled};
use release::report::sample::{Draw, Included, SampleMethod, Stub};
use release::report::{canonical, generated::GENERATORS};
use release::spec::release::{
    around, artifact, authorize, deploy, deploying, line, name, procedure, prose, sha256,
};
use release::spec::{Spec, alice, dave, erin, grace, judged, monday, robot};
use release::{Command, Release, Role};
use serde_json::{Value, json};
use uuid::Uuid;

type Story = Spec<Release>;

const STREAM: &str = "release-default.checkout-2.4.0";

fn quarter() -> PeriodQuery {
    let from = monday() - SignedDuration::from_hours(24);
    PeriodQuery { from, to: from + SignedDuration::from_hours(90 * 24), products: None }
}

fn period() -> Interval {
    quarter().period()
}

/// Events of others are between those of the release.
fn position(revision: u64) -> u64 {
    100 + 3 * revision
}

fn recorded(story: &Story) -> ReleaseRecord {
    let place = |fact: &release::Fact<_>| Placed { position: position(fact.revision), fact: fact.clone() };
    let entries: Vec<_> = story.facts.iter().map(place).collect();
    let pinned = story.state.opened.as_ref().unwrap().procedure.version;
    let procedure = if pinned == 1 { procedure() } else { judged::procedure() };
    record(STREAM, &entries, &procedure, period()).unwrap()
}

fn noted(story: &Story) -> Vec<Noted> {
    let of = |fact: &release::Fact<_>| {
        Some(Noted {
            position: position(fact.revision),
            event: fact.id,
            stream: STREAM.into(),
            revision: fact.revision,
            at: fact::at(fact),
            recorded_at: fact.recorded_at,
            cause: None,
            fact: fact::of_release(fact)?,
        })
    };
    story.facts.iter().filter_map(of).collect()
}

fn there(noted: &Noted) -> At<'_> {
    let (product, environment) = (name("checkout"), name("production"));
    At { until: quarter().to, noted, product, environment, seen_in: Vec::new() }
}

/// The rows of a release, as they are shown by its facts.
fn rows(story: &Story) -> Vec<Change> {
    let record = recorded(story);
    let all = noted(story);
    let of = |noted: &Noted| match &noted.fact {
        ReportFact::Started { deployment, .. } => Change::of_deployment(there(noted), &record, *deployment),
        ReportFact::RollbackStarted { rollback, .. } => Change::of_rollback(there(noted), &record, *rollback),
        _ => None,
    };
    all.iter().filter_map(of).collect()
}

fn orphan(position: u64, product: &str) -> Change {
    let noted = Noted {
        position,
        event: Uuid::nil(),
        stream: format!("environment-default.{product}.production"),
        revision: 3,
        at: monday(),
        recorded_at: monday(),
        cause: None,
        fact: ReportFact::Tagged { number: 1 },
    };
    let at = At {
        until: quarter().to,
        noted: &noted,
        product: name(product),
        environment: name("production"),
        seen_in: Vec::new(),
    };
    let orphaned = Orphaned { standing: Standing::Orphan, exclusion: None, release: None };
    Change::of_orphan(at, None, orphaned)
}

fn answers(change: &Change) -> [Answered; 5] {
    change.sheet.answers().map(|answer| answer.answer)
}

/// What each event of an answer is.
fn types(story: &Story, events: &[u64]) -> Vec<&'static str> {
    use release::EventData as _;
    let revision = |position: u64| ((position - 100) / 3) as usize;
    events.iter().map(|event| story.facts[revision(*event)].event.event_type()).collect()
}

fn by_machine() -> Story {
    let story = release::spec::release::ready();
    let story = story.when(alice(), authorize(), &around()).accepted().minutes_later(1);
    let start = deploy("production", Some(story.authorization()));
    story.when(robot(), start, &around()).accepted()
}

use Answered::{Fail, NotAsked, NotEstablished, Pass};

#[test]
fn given_a_release_by_the_book_then_each_answer_names_its_events() {
    let story = by_machine();
    let [change] = &rows(&story)[..] else { panic!("one change") };
    assert_eq!((change.kind, change.standing), (ChangeKind::Deployment, Standing::Governed));
    let sheet = &change.sheet;
    assert_eq!(types(&story, &sheet.request_and_reason.events), ["release.opened"]);
    let approved = &sheet.approved_before_start;
    assert_eq!(types(&story, &approved.events).last(), Some(&"deployment.started"));
    assert!(types(&story, &approved.events)[0] == "approval.granted", "{approved:?}");
    assert_eq!(sheet.tested_version.answer, Pass, "{:?}", sheet.tested_version);
    assert_eq!(sheet.tested_version.events.len(), 8);
    assert_eq!(sheet.deployed_as_approved.answer, Pass);
    assert_eq!(types(&story, &sheet.deployed_as_approved.events), ["candidate.tagged", "deployment.started"]);
    // Nobody told who wrote the commits, and the report does not pretend to know.
    assert_eq!([approved.answer, sheet.duties_segregated.answer], [NotEstablished; 2]);
    assert_eq!(change.result, NotEstablished);
    let release = change.release.as_ref().unwrap();
    assert!(release.approval_lead_s.unwrap() > 0);
    assert_eq!((release.deployment_state, release.candidate), (Some("running"), Some(1)));
    assert_eq!(change.digests.len(), 1);
}

#[test]
fn given_an_emergency_then_it_was_not_approved_before_it_started_and_who_signed_afterwards_is_told() {
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
    let story = act(story.clone(), robot(), deploy("production", Some(story.authorization())));
    let before = rows(&story).remove(0);
    let story = story.minutes_later(30);
    let body = ApproveAfterStart { comment: None };
    let authorization = story.authorization();
    let story = act(story, grace(), Command::ApproveAfterStart { authorization, body });
    let change = rows(&story).remove(0);
    for change in [&before, &change] {
        assert_eq!(answers(change), [Pass, Fail, Fail, Fail, Pass]);
        assert_eq!(change.result, Fail);
    }
    let late = change.release.as_ref().unwrap().approval_after_start.as_ref().unwrap();
    assert!(late.in_time && late.by.as_ref() == Some(&grace().id), "{late:?}");
    let note = &change.sheet.approved_before_start.note;
    assert!(note.contains("INC-7") && note.contains("after the start"), "{note}");
    let stub = Stub::of(&serde_json::from_slice(&canonical(&change).unwrap()).unwrap());
    assert!(stub.emergency && stub.stratum == "emergency/checkout", "{stub:?}");
}

#[test]
fn given_a_rollback_then_it_is_a_change_of_its_own_that_needs_no_approval() {
    let story = deploying().minutes_later(3);
    let back =
        StartRollback { reason: prose("errors"), deployment: None, to: None, mode: None, incident: None };
    let story = story.when(dave(), Command::StartRollback(back), &around()).accepted();
    let [deployed, back] = &rows(&story)[..] else { panic!("two changes") };
    assert_eq!(deployed.release.as_ref().unwrap().deployment_state, Some("rolling_back"));
    assert_eq!(
        (back.kind, answers(back), back.result),
        (ChangeKind::Rollback, [Pass, NotAsked, NotAsked, NotAsked, NotAsked], Pass)
    );
    assert_eq!(back.version.as_ref().unwrap().as_str(), "2.3.1");
    // A person deployed it, and nobody recorded whether that person wrote it.
    assert_eq!(deployed.sheet.duties_segregated.answer, NotEstablished);
}

fn totals(rows: &[Change], records: &[ReleaseRecord]) -> PeriodTotals {
    let (mut tally, mut hash) = (Tally::default(), RowsHash::default());
    for change in rows {
        tally.change(change);
        hash.add(&canonical(change).unwrap());
    }
    records.iter().for_each(|record| tally.release(record));
    // A release counts once, however many of its changes are in the period.
    records.iter().for_each(|record| tally.release(record));
    tally.undeployed();
    tally.finish(About {
        tenant: "default".into(),
        query: quarter(),
        position: 900,
        root: sha256('c'),
        rows: rows.len() as u64,
        rows_sha256: hash.finish(),
        delivery: DeliveryCount::of(period()).finish(),
        flow: FlowCount::of(period()).finish(),
        probing: BTreeMap::new(),
    })
}

#[test]
fn given_rows_then_the_document_is_canonical_and_its_counts_add_up() {
    let story = by_machine();
    let finish = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let body = Command::FinishDeployment { deployment: story.deployment(), body: finish };
    let story = story.when(robot(), body, &around()).accepted();
    let mut changes = rows(&story);
    changes.push(orphan(7, "search"));
    let records = [recorded(&story)];
    let totals = totals(&changes, &records);
    let mut framing = Framing::default();
    let mut document = Framing::begin().to_vec();
    changes.iter().for_each(|change| document.append(&mut framing.row(change).unwrap()));
    document.append(&mut framing.totals(&totals).unwrap());
    document.append(&mut framing.row(&records[0].undeployed()).unwrap());
    document.extend_from_slice(Framing::end());

    let parsed: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(canonical(&parsed).unwrap(), document, "members are sorted, whatever is between them");
    let complete = &parsed["completeness"];
    assert_eq!(
        [&complete["observed"], &complete["governed"], &complete["orphan"], &complete["adds_up"]],
        [&json!(2), &json!(1), &json!(1), &json!(true)]
    );
    assert!(complete["statement"].as_str().unwrap().starts_with("completeness not independently tested"));
    assert_eq!(parsed["counts"]["by_outcome"][0]["of"], "succeeded");
    assert_eq!(parsed["measures"]["passed_rate"], json!(0));
    assert!(parsed["ipe"]["regenerate"].as_str().unwrap().contains("--at-position 900"));
    assert_eq!(parsed["environments"][0]["interval_s"], Value::Null);
    let operated = parsed["control_operation"].as_array().unwrap();
    let e2e = operated.iter().find(|one| one["item"] == "3.1").unwrap();
    assert_eq!((&e2e["releases"], &e2e["operated"], &e2e["failed"]), (&json!(1), &json!(1), &json!(0)));
    // The rows alone, one a line, have the hash that the report states of them.
    let lines: Vec<u8> =
        changes.iter().flat_map(|change| [canonical(change).unwrap(), b"\n".to_vec()].concat()).collect();
    assert_eq!(parsed["ipe"]["rows_sha256"], json!(release::wire::sha256_hex(&lines)));
    assert!(GENERATORS.contains(&Role::Auditor));
}

fn stub(change: u64) -> Stub {
    let class = if change.is_multiple_of(10) { "emergency" } else { "normal" };
    let product = if change.is_multiple_of(3) { "search" } else { "checkout" };
    Stub {
        change,
        stratum: format!("{class}/{product}"),
        emergency: class == "emergency",
        orphan: change == 17,
        waived: false,
    }
}

fn drawn(method: SampleMethod, size: u32, include: Vec<Included>) -> Vec<u64> {
    let mut draw = Draw::new(method, size, line("ACME 2026 Q4"), include);
    (0..400).for_each(|change| draw.take(stub(change)));
    let drawn = draw.finish();
    assert_eq!(drawn.rows, 400);
    drawn.sample.into_iter().map(|row| row.change).collect()
}

/// What an auditor would write down to draw the same.
const REPRODUCTION: &str = r#"
import hashlib, json, sys
method, size, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rows = json.load(sys.stdin)                      # [[row, stratum], ...]
draw = lambda row: hashlib.sha256(f"{seed}:{row}".encode()).hexdigest()
strata = {}
for row, stratum in rows:
    strata.setdefault(stratum if method == "stratified" else "", []).append(row)
sample = []
for stratum in sorted(strata):
    of = sorted(strata[stratum], key=draw)
    take = -(-size * len(of) // len(rows)) if method == "stratified" else size
    sample += of[:take]
print(json.dumps(sample))
"#;

#[test]
fn given_a_seed_then_twenty_lines_of_python_draw_the_same_rows() {
    let rows: Vec<_> = (0..400).map(|change| (change, stub(change).stratum)).collect();
    for (method, name) in [(SampleMethod::Random, "random"), (SampleMethod::Stratified, "stratified")] {
        let mut python = Process::new("python3");
        python.args(["-c", REPRODUCTION, name, "25", "ACME 2026 Q4"]);
        python.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = python.spawn().unwrap();
        serde_json::to_writer(child.stdin.take().unwrap(), &rows).unwrap();
        let said = child.wait_with_output().unwrap();
        let expected: Vec<u64> = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(drawn(method, 25, Vec::new()), expected, "{name}");
        assert!(expected.len() >= 25);
    }
}

#[test]
fn given_what_is_included_then_it_comes_on_top_of_the_draw_and_once() {
    let plain = drawn(SampleMethod::Random, 25, Vec::new());
    let with = drawn(SampleMethod::Random, 25, vec![Included::Emergencies, Included::Orphans]);
    assert_eq!(with[..25], plain[..]);
    let missing = |change: &u64| !plain.contains(change);
    let emergencies = (0..400_u64).filter(|change| change.is_multiple_of(10)).chain([17]);
    let expected: std::collections::BTreeSet<_> = emergencies.filter(missing).collect();
    assert_eq!(with[25..].iter().copied().collect::<std::collections::BTreeSet<_>>(), expected);
    assert_eq!(with.len(), 25 + expected.len());
    let mut all = Draw::new(SampleMethod::All, 1, line("ACME 2026 Q4"), Vec::new());
    (0..400).for_each(|change| all.take(stub(change)));
    let all = all.finish();
    assert_eq!((all.rows, all.drawn, all.sample.len()), (400, 400, 0));
    let numbers: String = (0..400).map(|change| format!("{change}\n")).collect();
    assert_eq!(all.sha256, release::wire::sha256_hex(numbers.as_bytes()));
}

fn at(minute: i64) -> Timestamp {
    monday() + SignedDuration::from_mins(minute)
}

fn listed(minute: i64, digit: char) -> ListedDeployment {
    ListedDeployment {
        product: name("checkout"),
        environment: name("production"),
        digest: artifact(digit).digest,
        at: at(minute),
        reference: None,
    }
}

fn ours(change: u64, minute: i64, digits: &[char]) -> ReadRow {
    ReadRow {
        change,
        kind: ChangeKind::Deployment,
        standing: Standing::Governed,
        product: name("checkout"),
        environment: name("production"),
        at: at(minute),
        digests: digits.iter().map(|digit| artifact(*digit).digest).collect(),
        release: None,
    }
}

fn reconcile(list: &[ListedDeployment], tolerance_s: u64, population: &[ReadRow]) -> Reconciled {
    let mut comparison = Comparison::new(list.to_vec(), tolerance_s);
    population.iter().for_each(|row| comparison.take(row.clone()));
    comparison.finish()
}

#[test]
fn given_a_list_then_entries_go_to_the_nearest_change_with_their_digest_within_the_tolerance() {
    let population = [ours(1, 0, &['1']), ours(2, 60, &['1']), ours(3, 200, &['2', '3']), ours(4, 300, &[])];
    let list = [
        listed(58, '1'),
        listed(1, '1'),
        listed(201, '2'),
        listed(202, '3'),
        listed(305, '9'),
        listed(500, '2'),
        listed(61, '7'),
    ];
    let told = reconcile(&list, 15 * 60, &population);
    let matched: Vec<_> =
        told.matched.iter().map(|one| (one.entry, one.change, one.apart_s, one.by_digest)).collect();
    assert_eq!(
        matched,
        [(0, 2, -120, true), (1, 1, 60, true), (2, 3, 60, true), (3, 3, 120, true), (4, 4, 300, false)]
    );
    assert_eq!(told.only_there, [listed(500, '2'), listed(61, '7')]);
    assert_eq!((told.only_here, told.complete), (0, false));
    let alone = reconcile(&[], 900, &population);
    assert_eq!((alone.only_here, alone.complete), (4, true), "a list of nothing finds nothing missing");
    assert_eq!(alone.only_here_changes, [1, 2, 3, 4]);
    let excluded = ReadRow { standing: Standing::Excluded, ..ours(5, 0, &['1']) };
    assert_eq!(reconcile(&list, 900, &[excluded]).changes, 0, "no list would have it");
    assert_eq!(reconcile(&list[..2], 0, &population).matched.len(), 0);
    let other = ListedDeployment { environment: name("eu"), ..listed(0, '1') };
    assert_eq!(reconcile(&[other], 900, &population).only_there.len(), 1);
}
