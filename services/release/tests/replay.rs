//! Whatever is asked by whomever in whatever order: what was recorded can be read again, and reading
//! it gives the same state, byte for byte. No gate is open over an open item, nothing goes to production
//! unapproved, and whatever runs there can be rolled back.
//!
//! 1,280 sequences, in eight tests of 160; `PROPTEST_CASES` says how many each test tries instead.

use std::sync::LazyLock;

use jiff::SignedDuration;
use proptest::prelude::*;
use release::aggregate::Aggregate as _;
use release::command::{
    AbortRelease, AddComment, AmendAnswer, AmendDeployment, AmendRelease, AnswerRollCall, ApproveAfterStart,
    AssignException, AuthorizeProduction, BreakGlass, BreakLease, CaptureBaseline, CompleteRollback,
    DecideProceed, DecideRollback, DenyWaiver, DisposeException, ExtendLease, FailRollback, FinishDeployment,
    GrantApproval, GrantWaiver, HoldRelease, LoseEnvironment, MarkNotApplicable, ObserveRollback,
    ObserveTraffic, PlanLowTraffic, ProbeLease, ProposeRollback, ReaffirmItem, RecordProbes, RecordSamples,
    RejectApproval, RejectCandidate, ReleaseLease, ReopenRelease, ReportMigrations, RequestApproval,
    RequestWaiver, ResumeRelease, RetractEvidence, RetractItem, RevokeAuthorization, RollbackObservation,
    SetWindow, StartRollback, TriggerRollback, VerifyRollback, WithdrawApproval,
};
use release::decide::Around;
use release::due::{Due, due, schedule};
use release::event::{
    Answer, ChangeClass, Compensation, DeploymentOutcome, Disposition, Meaning, Probe, ProbeKind,
    ProceedDecision, RollbackDecision, Sample, SampleSeries,
};
use release::evidence::{CiRun, Conclusion, Metric};
use release::observation::{DeploymentSeen, IncidentSeen, LinkSeen, RecordObservation, Seen, TagSeen};
use release::release::{DeploymentState, ExceptionKind, ExceptionRef, Release};
use release::spec::judged;
use release::spec::release::{
    approved, artifact, attest, bind, commit, deploy, deploying, evidence, line, link, list, name, open,
    prose, ready, sha256, tag, tagged,
};
use release::spec::{Spec, actor, dave, nothing, robot, system, who_is};
use release::value::{ItemNumber, ReleaseId};
use release::wire::{decode, encode};
use release::{Actor, ActorKind, Command, EventData, Fact, ReleaseEvent, Role, checklist};

use uuid::Uuid;

/// Numbers that pick: which command, who, which of the things that exist, and how much time passes.
type Pick = (usize, usize, usize, f64, u16);

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    let number = prop_oneof![0.0..100.0, any::<f64>().prop_filter("JSON has no other", |n| n.is_finite())];
    prop::collection::vec((0..91usize, 0..20usize, any::<usize>(), number, 0..240u16), 1..40)
}

/// Where a sequence starts, and by which version of the procedure it goes on.
struct Start {
    around: Around,
    story: Spec<Release>,
    /// The story read back from its bytes, once for all that go on from it.
    read_back: Release,
}

type Lazy = LazyLock<Start>;

fn from(around: Around, story: Spec<Release>) -> Start {
    let read_back = replayed(Release::default(), &story.facts);
    assert_eq!(read_back, story.state);
    Start { around, story, read_back }
}

fn by_version_1(story: Spec<Release>) -> Start {
    from(release::spec::release::around(), story)
}

fn by_version_2(story: Spec<Release>) -> Start {
    from(judged::around(), story)
}

static NOTHING: Lazy = LazyLock::new(|| by_version_1(nothing()));
static TAGGED: Lazy = LazyLock::new(|| by_version_1(tagged()));
static APPROVED: Lazy = LazyLock::new(|| by_version_1(approved()));
static READY: Lazy = LazyLock::new(|| by_version_1(ready()));
static DEPLOYING: Lazy = LazyLock::new(|| by_version_1(deploying()));
static JUDGED_FROM_THE_FIRST_STEP: Lazy = LazyLock::new(|| by_version_2(judged::tagged()));
static JUDGED_AND_READY: Lazy = LazyLock::new(|| by_version_2(judged::through(4).ready()));
static JUDGED_IN_PRODUCTION: Lazy = LazyLock::new(|| by_version_2(judged::through(5)));

/// Mostly people who may do everything, so that what they do is refused for other reasons.
fn actors(n: usize) -> Actor {
    match n {
        0..5 => actor(["ann", "ben", "cem"][n % 3], ActorKind::Person, &Role::ALL),
        5 | 6 => actor("runner", ActorKind::Machine, &Role::ALL),
        7 => system(),
        _ => who_is(Role::ALL[n - 8]),
    }
}

fn of<T: Copy>(existing: impl IntoIterator<Item = T>, n: usize) -> Option<T> {
    let existing: Vec<T> = existing.into_iter().collect();
    existing.get(n % existing.len().max(1)).copied()
}

fn command(story: &Spec<Release>, pick: &Pick, around: &Around) -> Command {
    let (kind, _, n, number, _) = *pick;
    let judges = around.procedure.is_judged();
    let state = &story.state;
    let why = || prose("because");
    let numbers: Vec<ItemNumber> = around.procedure.items().map(|item| item.number).collect();
    // Half of the time one of the next that are open.
    let next = || numbers.iter().copied().filter(|number| !state.status(*number).is_closed()).take(6);
    let item = of(next(), n / 2).filter(|_| n % 2 == 0).unwrap_or(numbers[n % numbers.len()]);
    let some = |id: Option<Uuid>| id.unwrap_or(Uuid::nil());
    let waiver = some(of(state.waivers.keys().copied(), n));
    let waived = state.waivers.get(&waiver).map_or(item, |waiver| waiver.item);
    let known = some(of(state.evidence.keys().copied(), n));
    let deployment = some(of(state.deployments.iter().map(|d| d.deployment), n));
    let request = some(of(state.approvals.iter().map(|a| a.request), n));
    let lease = some(of(state.leases.iter().map(|lease| lease.lease), n));
    let rollback = some(of(state.rollbacks.iter().map(|r| r.rollback), n));
    let proposal = some(of(state.proposals.iter().map(|p| p.proposal), n));
    let given = some(of(state.authorizations.iter().map(|a| a.authorization), n));
    let none = ExceptionRef { kind: ExceptionKind::Waiver, revision: 0 };
    let exception = of(state.exceptions.iter().map(|shown| shown.reference()), n).unwrap_or(none);
    let candidate = u32::try_from(n % 6).unwrap();
    let hours = |hours: usize| story.now + SignedDuration::from_hours(i64::try_from(hours).unwrap());
    let role = around.procedure.roll_call[n % 4];
    match kind {
        0 => Command::Open(open()),
        1 => Command::Amend(AmendRelease {
            why: why(),
            previous: None,
            class: Some([ChangeClass::Normal, ChangeClass::HighRisk, ChangeClass::Emergency][n % 3]),
            reason: None,
            security_impact: None,
            ticket: None,
            targets: None,
        }),
        2 => Command::Hold(HoldRelease { reason: why() }),
        3 | 4 => Command::Resume(ResumeRelease { note: None }),
        5 => Command::Abort(AbortRelease { reason: why() }),
        6 => Command::Reopen(ReopenRelease { reason: why() }),
        7 => Command::Complete,
        8 => Command::Close,
        9 => Command::TagCandidate(tag(candidate + 1)),
        10 => Command::BindCandidate { number: candidate, body: bind(['1', '2'][n % 2]) },
        11 => Command::RejectCandidate { number: candidate, body: RejectCandidate { reason: why() } },
        12 => {
            let body = evidence(around.procedure.item(item).unwrap().evidence[0]);
            Command::RecordEvidence { items: if n % 3 == 0 { vec![] } else { vec![item] }, body }
        }
        13 => Command::RetractEvidence { evidence: known, body: RetractEvidence { reason: why() } },
        // What an honest machine would report, now and then with something missing.
        14..=17 | 64..=67 if judges && state.current_candidate().is_some() => {
            let number = item.to_string();
            let mut reports = judged::honest(&number, story);
            match reports.len() {
                0 => judged::sign(&number),
                len => {
                    let mut facts = reports.swap_remove(n / 7 % len);
                    let members: Vec<String> = facts.as_object().unwrap().keys().cloned().collect();
                    let member = &members[n / 11 % members.len()];
                    let broken = judged::patched(facts.clone(), &serde_json::json!({ member: null }));
                    let valid = |facts: &serde_json::Value| {
                        serde_json::from_value::<release::evidence::Facts>(facts.clone()).is_ok()
                    };
                    if n % 5 == 0 && valid(&broken) {
                        facts = broken;
                    }
                    // Far ahead of its step there is nothing yet that it could speak of.
                    if !valid(&facts) {
                        return judged::sign(&number);
                    }
                    judged::record(&number, facts)
                }
            }
        }
        18 | 19 if judges => judged::sign(&item.to_string()),
        14..=22 | 64..=67 => attest(&item.to_string()),
        23 => Command::ReaffirmItem { item, body: ReaffirmItem { statement: None } },
        24 => Command::RetractItem { item, body: RetractItem { reason: why() } },
        25 => Command::ClaimItem { item },
        26 => Command::RequestWaiver {
            item,
            body: RequestWaiver { reason: why(), compensating_control: why(), expires_at: hours(1 + n % 20) },
        },
        27 | 28 => Command::GrantWaiver { item: waived, waiver, body: GrantWaiver { note: None } },
        29 => Command::DenyWaiver { item: waived, waiver, body: DenyWaiver { reason: why() } },
        30 => Command::MarkNotApplicable {
            item,
            body: MarkNotApplicable { justification: Some(why()), evidence: list(vec![known]) },
        },
        31 => Command::Comment(AddComment { text: why(), item: Some(item), mentions: list(vec![]) }),
        32 => Command::SetWindow(SetWindow { from: story.now, to: hours(2 + n % 9) }),
        33 => Command::RequestApproval(RequestApproval { note: None }),
        34 | 35 => Command::GrantApproval {
            request,
            body: GrantApproval { meaning: Meaning::Approved, basis: None, comment: None },
        },
        36 => Command::RejectApproval { request, body: RejectApproval { reason: why() } },
        37 => Command::WithdrawApproval { request, body: WithdrawApproval { reason: why() } },
        38 | 39 => Command::AnswerRollCall(AnswerRollCall {
            role,
            answer: if n % 7 == 0 { Answer::NoGo } else { Answer::Go },
            reason: None,
        }),
        40 | 41 => Command::AuthorizeProduction(AuthorizeProduction {
            basis: None,
            preempt_reason: None,
            break_glass: (n % 3 == 0).then(|| BreakGlass { incident: line("INC-7"), reason: why() }),
        }),
        42 => deploy("staging", None),
        43 | 44 => deploy("production", Some(given).filter(|given| !given.is_nil())),
        45 | 46 => Command::FinishDeployment {
            deployment,
            body: FinishDeployment {
                outcome: [DeploymentOutcome::Succeeded, DeploymentOutcome::Failed][n % 2],
                note: None,
            },
        },
        47 => Command::ObserveTraffic {
            deployment,
            body: ObserveTraffic { weight_percent: number, at: Some(hours(n % 2)) },
        },
        48 | 49 => {
            let metrics =
                ["m", "error_rate", "latency_p50_ms", "latency_p95_ms", "restarts", "pool_utilisation"];
            let all = [SampleSeries::Canary, SampleSeries::Control, SampleSeries::Production];
            let value = if n % 3 == 0 { number } else { number.abs() % 1.0 };
            let count = (n % 2 == 0).then(|| u64::try_from(n % 5_000).unwrap());
            let sample = |series, metric: &&str, ago: i64| Sample {
                series,
                metric: line(metric),
                at: story.now - SignedDuration::from_secs(15 * ago),
                value,
                count,
            };
            // As far back as the picked time: long enough for a look, now and then for a whole run.
            let points = i64::from(pick.4) / 3;
            let all = all.into_iter().flat_map(|series| metrics.iter().map(move |metric| (series, metric)));
            let samples: Vec<_> = all
                .flat_map(|(series, metric)| (0..=points).rev().map(move |ago| (series, metric, ago)))
                .map(|(series, metric, ago)| sample(series, metric, ago))
                .take(1_000)
                .collect();
            Command::RecordSamples { deployment, body: RecordSamples { samples: list(samples) } }
        }
        50 => {
            let probe = Probe {
                kind: [ProbeKind::Health, ProbeKind::Version][n / 2 % 2],
                at: story.now,
                ok: n % 2 == 0,
                version: Some(line(["2.4.0-rc.1", "2.3.1", "9.9.9"][n / 4 % 3])),
                commit_sha: (n / 4 % 3 == 0).then(|| commit('1')),
                replicas_matched: None,
                replicas_total: None,
                http_status: None,
                latency_ms: Some(number),
            };
            Command::RecordProbes { deployment, body: RecordProbes { probes: list(vec![probe]) } }
        }
        51 => Command::DecideProceed {
            deployment,
            body: DecideProceed {
                decision: [ProceedDecision::Proceed, ProceedDecision::Abort][n % 2],
                reason: why(),
                basis: None,
            },
        },
        52 => Command::BreakLease { lease, body: BreakLease { reason: why() } },
        53 => Command::ReleaseLease { lease, body: ReleaseLease { note: None } },
        54 => Command::TriggerRollback(TriggerRollback {
            rule: line(["C2", "P1", "a person"][n % 3]),
            detail: why(),
            deployment: None,
            metric: None,
            value: Some(number),
            control: None,
            threshold: None,
            from: None,
            to: None,
            at: None,
        }),
        55 => Command::ProposeRollback(ProposeRollback { reason: why(), deployment: None, trigger: None }),
        56 => Command::DecideRollback {
            proposal,
            body: DecideRollback {
                decision: [RollbackDecision::Rollback, RollbackDecision::Continue][n % 2],
                reason: why(),
            },
        },
        57 | 58 => Command::StartRollback(StartRollback {
            reason: why(),
            deployment: None,
            to: None,
            mode: None,
            incident: None,
        }),
        59 => Command::ObserveRollback {
            rollback,
            body: ObserveRollback {
                observation: RollbackObservation::TrafficShifted { weight_percent: number },
                at: None,
            },
        },
        60 => Command::VerifyRollback {
            rollback,
            body: VerifyRollback {
                version: line("2.3.1"),
                healthy_probes: 3,
                at: None,
                url: None,
                note: None,
                artifacts: list(vec![]),
            },
        },
        61 => Command::CompleteRollback { rollback, body: CompleteRollback { note: None } },
        68 => Command::CaptureBaseline(CaptureBaseline {
            source: line("prometheus"),
            from: story.now - SignedDuration::from_hours(1),
            to: story.now,
            metrics: list(vec![Metric {
                name: line("error_rate"),
                value: number,
                unit: None,
                baseline: None,
            }]),
            url: None,
        }),
        69 => Command::ReportMigrations {
            deployment,
            body: ReportMigrations {
                tool: line("sqlx"),
                applied: list(vec![]),
                pending: 0,
                failed: u32::try_from(n % 2).unwrap(),
                at: None,
                from_version: None,
                to_version: None,
                backward_compatible: None,
                url: None,
            },
        },
        70 => Command::ExtendLease {
            lease,
            body: ExtendLease { not_before_release: hours(30 + n % 30), reason: why() },
        },
        71 => Command::ProbeLease {
            lease,
            body: ProbeLease { at: None, healthy: n % 2 == 0, version: None, url: None },
        },
        72 => Command::FailRollback { rollback, body: FailRollback { reason: why() } },
        73 => {
            Command::RevokeAuthorization { authorization: given, body: RevokeAuthorization { reason: why() } }
        }
        74 => Command::ConfirmNotApplicable { item },
        76 => Command::EvaluateGate { gate: u32::try_from(1 + n % 8).unwrap() },
        77 => Command::AssignException {
            exception,
            body: AssignException { to: who_is(Role::ALL[n % 12]).id, due_at: None },
        },
        78 | 79 => Command::DisposeException {
            exception,
            body: DisposeException {
                disposition: [Disposition::Accepted, Disposition::Remediated][n % 2],
                reason: why(),
                link: (n % 3 == 0).then(|| link("https://tracker.example/7")),
            },
        },
        80..=82 => observed(n, story),
        83 => Command::ApproveAfterStart { authorization: given, body: ApproveAfterStart { comment: None } },
        84 => Command::PlanLowTraffic(PlanLowTraffic {
            share_percent: number,
            compensation: [Compensation::SyntheticLoad, Compensation::LongerMonitoring][n % 2],
            reason: why(),
        }),
        85 => Command::LoseEnvironment(LoseEnvironment {
            environment: name(["staging", "production", "elsewhere"][n % 3]),
            by: ReleaseId::of(&name("checkout"), &release::spec::release::version("2.3.2")),
            reason: why(),
        }),
        88 => Command::AmendAnswer {
            entry: some(of(state.roll_call.iter().map(|entry| entry.entry), n)),
            body: AmendAnswer { why: why(), answer: [None, Some(Answer::Go), Some(Answer::NoGo)][n % 3] },
        },
        89 => Command::AmendDeployment {
            deployment,
            body: AmendDeployment {
                why: why(),
                artifacts: (n % 3 == 0).then(|| list(vec![artifact(['1', '2'][n / 3 % 2])])),
                pipeline_digest: (n % 3 == 1).then(|| sha256(['c', 'd'][n / 3 % 2])),
                url: (n % 3 == 2).then(|| link("https://ci.example/run/882")),
            },
        },
        90 => Command::ObserveRollback {
            rollback,
            body: ObserveRollback {
                observation: RollbackObservation::IncidentLinked {
                    incident: line(["INC-7", "INC-8"][n % 2]),
                    url: None,
                },
                at: None,
            },
        },
        86 => Command::MarkMonitoringOverrun { deployment },
        87 => Command::MarkApprovalOverdue { authorization: given },
        _ => match due(state, story.now, around).into_iter().next() {
            Some(next) => next.command,
            None => Command::CloseWindow,
        },
    }
}

/// What somebody saw from outside, of this release or of what is none of it.
fn observed(n: usize, story: &Spec<Release>) -> Command {
    let digit = ['1', '2', '9'][n / 4 % 3];
    let seen = match n % 5 {
        0 => Seen::Deployment(DeploymentSeen {
            environment: name(["staging", "production"][n / 16 % 2]),
            version: n.is_multiple_of(5).then(|| line("2.3.1")),
            commit_sha: n.is_multiple_of(3).then(|| commit(digit)),
            artifacts: if n.is_multiple_of(7) { list(vec![]) } else { list(vec![artifact(digit)]) },
        }),
        1 => Seen::Tag(TagSeen {
            name: line(["v2.4.0-rc.1", "v2.4.0-rc.2", "v2.3.1"][n / 4 % 3]),
            tag_object_sha: (!n.is_multiple_of(3)).then(|| commit(['f', 'e'][n % 2])),
            commit_sha: (!n.is_multiple_of(5)).then(|| commit(digit)),
            deleted: n.is_multiple_of(11),
        }),
        2 => Seen::Incident(IncidentSeen {
            key: line(["INC-7", "INC-8"][n / 4 % 2]),
            severity: line(["1", "2", "5"][n / 8 % 3]),
            resolved: n.is_multiple_of(3),
        }),
        3 => Seen::Link(LinkSeen {
            url: link("https://ci.example/run/881"),
            http_status: [None, Some(200), Some(404)][n / 5 % 3],
            sha256: n.is_multiple_of(2).then(|| sha256(['d', 'e'][n / 15 % 2])),
        }),
        _ => Seen::CiRun(CiRun {
            provider: line("ci"),
            run_id: line("7"),
            attempt: u32::try_from(1 + n % 4).unwrap(),
            workflow: line("ci"),
            head_sha: commit(digit),
            conclusion: [Conclusion::Success, Conclusion::Failure][n / 4 % 2],
            started_at: None,
            completed_at: None,
            artifacts: None,
        }),
    };
    Command::RecordObservation(Box::new(RecordObservation {
        product: name("checkout"),
        seen,
        release: None,
        // At times from a clock that is ahead, or after a day.
        at: n.is_multiple_of(3).then(|| story.now + SignedDuration::from_hours([1, -1, -30][n / 3 % 3])),
        url: None,
    }))
}

/// What was so before, and what these say of it once they are read back from their bytes.
fn replayed(before: Release, facts: &[Fact<ReleaseEvent>]) -> Release {
    facts.iter().fold(before, |mut release, fact| {
        let bytes = encode(&fact.event, [3; 16]).unwrap();
        let event = decode(fact.event.event_type(), fact.event.schema(), &bytes).unwrap();
        release.evolve(&Fact { event, ..fact.clone() });
        release
    })
}

/// What has to be so after every command, whatever was asked.
fn holds(story: &Spec<Release>, around: &Around, before: usize) -> Result<(), TestCaseError> {
    let (state, procedure) = (&story.state, &around.procedure);
    // At most one of each is live, and an item that an approval closed rests on one.
    let live = state.approvals.iter().filter(|approval| approval.is_live()).count();
    prop_assert!(live <= 1);
    let production = state.production_deployments().filter(|d| d.in_progress()).count();
    prop_assert!(production <= 1 || !state.rollbacks.is_empty());
    // Behind an open gate nothing blocks, but for what an authorized deployment rests on until its end. A
    // rollback that was completed is the other way in which a deployment ends.
    let latched = state.production_deployments().any(|d| d.is_live() && d.authorization.is_some());
    let open = state.gates.iter().filter(|(_, gate)| gate.verdict.satisfied);
    for step in open.filter_map(|(step, _)| procedure.step(*step)) {
        let frozen = latched && step.items.iter().any(|item| procedure.is_before_go(item.number));
        prop_assert!(frozen || state.items_closed(step, procedure), "gate {}", step.number);
    }
    // Production was authorized by as many different people as the class asks for, none of them its author.
    for fact in story.facts.iter().skip(before) {
        let ReleaseEvent::ProductionAuthorized(authorized) = &fact.event else { continue };
        let approval = state.approvals.iter().find(|approval| approval.request == authorized.request);
        prop_assert!(approval.is_some());
        if let Some(approval) = approval {
            let mut people: Vec<_> = approval.grants.iter().map(|grant| &grant.by.id).collect();
            people.sort_unstable();
            people.dedup();
            let quorum = procedure.approval_quorum.of(state.class());
            prop_assert!(people.len() >= usize::try_from(quorum).unwrap(), "{approval:?}");
            prop_assert!(!people.contains(&&approval.requested_by));
            prop_assert_eq!(state.current_candidate().map(|c| c.number), Some(approval.candidate));
        }
    }
    for deployment in state.production_deployments().filter(|d| d.candidate.is_some()) {
        let known = |id: &Uuid| state.authorizations.iter().any(|given| given.authorization == *id);
        prop_assert!(deployment.authorization.as_ref().is_some_and(known));
    }
    can_go_back(story, around)?;
    is_allowed(story, around, due(state, story.now, around))
}

/// Whatever runs in production can be taken back, in any state of the release.
fn can_go_back(story: &Spec<Release>, around: &Around) -> Result<(), TestCaseError> {
    let state = &story.state;
    let serves = |status: &DeploymentState| {
        matches!(status, DeploymentState::Running | DeploymentState::Succeeded { .. })
    };
    if state.production_deployments().any(|d| serves(&d.status)) && state.running_rollback().is_none() {
        let body = StartRollback {
            reason: prose("because"),
            deployment: None,
            to: None,
            mode: None,
            incident: None,
        };
        let command = Command::StartRollback(body);
        // Either may, and each is asked in half of the states.
        let who = if story.facts.len().is_multiple_of(2) { dave() } else { robot() };
        let answer = story.ask(&who, &command, around);
        prop_assert!(answer.is_ok(), "{answer:?}");
    }
    Ok(())
}

/// Whatever is due, the server may do.
fn is_allowed(story: &Spec<Release>, around: &Around, due: Vec<Due>) -> Result<(), TestCaseError> {
    for next in due {
        let answer = story.ask(&system(), &next.command, around);
        prop_assert!(answer.is_ok(), "{}: {answer:?}", next.rule);
    }
    Ok(())
}

fn whatever_is_asked(start: &Start, picks: &[Pick]) -> Result<(), TestCaseError> {
    let around = &start.around;
    let mut story = start.story.clone();
    for pick in picks {
        let since = story.now;
        story.now += SignedDuration::from_mins(i64::from(pick.4));
        let command = command(&story, pick, around);
        let actor = actors(pick.1);
        let before = story.facts.len();
        if let Ok(decided) = story.ask(&actor, &command, around) {
            let sealing = story.sealing(&actor, &decided, around);
            prop_assert!(!decided.is_empty() || sealing.is_some());
            story.remember(&actor, decided);
            if let Some(sealing) = sealing {
                story.seal(&actor, sealing);
            }
            holds(&story, around, before)?;
        } else {
            // Nothing happened but time: only what has become due by it is new.
            let mut now_due = due(&story.state, story.now, around);
            now_due.retain(|due| due.at > since);
            is_allowed(&story, around, now_due)?;
        }
    }
    holds(&story, around, story.facts.len())?;
    let again = replayed(start.read_back.clone(), story.facts.get(start.story.facts.len()..).unwrap());
    prop_assert_eq!(&again, &story.state);
    // Two states that are equal differ in their bytes by the sign of a zero at most: a few of them show it.
    if picks.len().is_multiple_of(13) {
        prop_assert_eq!(serde_json::to_vec(&again).unwrap(), serde_json::to_vec(&story.state).unwrap());
    }
    prop_assert_eq!(again.events, u64::try_from(story.facts.len()).unwrap());
    // Every view of any state can be made.
    let procedure = &around.procedure;
    let _ = schedule(&again, procedure, &around.snapshots);
    prop_assert_eq!(checklist::checklist(&again, procedure).is_some(), again.opened.is_some());
    let summary = checklist::summary(&again, procedure, "checkout-2.4.0");
    prop_assert_eq!(summary.is_some(), again.opened.is_some());
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases(96))]

    #[test]
    fn given_nothing_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&NOTHING, &picks)?;
    }

    #[test]
    fn given_a_candidate_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&TAGGED, &picks)?;
    }

    #[test]
    fn given_an_approval_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&APPROVED, &picks)?;
    }

    #[test]
    fn given_everybody_said_go_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&READY, &picks)?;
    }

    #[test]
    fn given_a_deployment_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&DEPLOYING, &picks)?;
    }

    #[test]
    fn given_version_2_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&JUDGED_FROM_THE_FIRST_STEP, &picks)?;
    }

    #[test]
    fn given_version_2_and_go_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&JUDGED_AND_READY, &picks)?;
    }

    #[test]
    fn given_version_2_in_production_whatever_is_asked_a_replay_gives_the_same_bytes(picks in picks()) {
        whatever_is_asked(&JUDGED_IN_PRODUCTION, &picks)?;
    }
}
