//! Whatever is asked by whomever in whatever order: what was recorded can be read again, and reading
//! it gives the same state, byte for byte.

#![expect(clippy::unwrap_used, reason = "the clippy exception for tests covers only test functions")]

use jiff::SignedDuration;
use proptest::prelude::*;
use release::command::{
    AbortRelease, AddComment, AmendRelease, AnswerRollCall, AuthorizeProduction, BreakLease,
    CompleteRollback, DecideProceed, DecideRollback, DenyWaiver, FinishDeployment, GrantApproval,
    GrantWaiver, HoldRelease, MarkNotApplicable, ObserveRollback, ObserveTraffic, ProposeRollback,
    ReaffirmItem, RecordProbes, RecordSamples, RejectApproval, RejectCandidate, ReleaseLease, ReopenRelease,
    RequestApproval, RequestWaiver, ResumeRelease, RetractEvidence, RetractItem, RollbackObservation,
    SetWindow, StartRollback, TriggerRollback, VerifyRollback, WithdrawApproval,
};
use release::due::{due, schedule};
use release::event::{
    Answer, ChangeClass, DeploymentOutcome, Meaning, Probe, ProbeKind, ProceedDecision, RollbackDecision,
    Sample, SampleSeries,
};
use release::release::Release;
use release::spec::release::{
    approved, around, attest, bind, deploy, deploying, evidence, line, list, open, opened, prose, ready, tag,
    tagged,
};
use release::spec::{Spec, actor, nothing, system, who_is};
use release::value::ItemNumber;
use release::wire::{decode, encode};
use release::{Actor, ActorKind, Command, EventData, Fact, ReleaseEvent, Role, checklist, fold};
use uuid::Uuid;

/// Numbers that pick: which command, who, which of the things that exist, and how much time passes.
type Pick = (usize, usize, usize, f64, u16);

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    let number = prop_oneof![0.0..100.0, any::<f64>().prop_filter("JSON has no other", |n| n.is_finite())];
    prop::collection::vec((0..64usize, 0..20usize, any::<usize>(), number, 0..240u16), 1..40)
}

fn start(n: usize) -> Spec<Release> {
    match n % 6 {
        0 => nothing(),
        1 => opened(),
        2 => tagged(),
        3 => approved(),
        4 => ready(),
        _ => deploying(),
    }
}

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

fn command(story: &Spec<Release>, pick: &Pick) -> Command {
    let (kind, _, n, number, _) = *pick;
    let state = &story.state;
    let why = || prose("because");
    let numbers: Vec<ItemNumber> = around().procedure.items().map(|item| item.number).collect();
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
    let candidate = u32::try_from(n % 6).unwrap();
    let hours = |hours: usize| story.now + SignedDuration::from_hours(i64::try_from(hours).unwrap());
    let role = around().procedure.roll_call[n % 4];
    match kind {
        0 => Command::Open(open()),
        1 => Command::Amend(AmendRelease {
            why: why(),
            previous: None,
            class: Some([ChangeClass::Normal, ChangeClass::HighRisk, ChangeClass::Emergency][n % 3]),
            reason: None,
            security_impact: None,
            ticket: None,
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
            let body = evidence(around().procedure.item(item).unwrap().evidence[0]);
            Command::RecordEvidence { items: if n % 3 == 0 { vec![] } else { vec![item] }, body }
        }
        13 => Command::RetractEvidence { evidence: known, body: RetractEvidence { reason: why() } },
        14..=22 => attest(&item.to_string()),
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
        40 | 41 => Command::AuthorizeProduction(AuthorizeProduction { basis: None, preempt_reason: None }),
        42 => deploy("staging", None),
        43 | 44 => deploy("production", of(state.authorizations.iter().map(|a| a.authorization), n)),
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
            let sample =
                |series| Sample { series, metric: line("m"), at: story.now, value: number, count: None };
            let samples = vec![sample(SampleSeries::Canary), sample(SampleSeries::Control)];
            Command::RecordSamples { deployment, body: RecordSamples { samples: list(samples) } }
        }
        50 => {
            let probe = Probe {
                kind: ProbeKind::Health,
                at: story.now,
                ok: n % 2 == 0,
                version: None,
                commit_sha: None,
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
            rule: line("C2"),
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
        57 | 58 => {
            Command::StartRollback(StartRollback { reason: why(), deployment: None, to: None, mode: None })
        }
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
        _ => match due(state, story.now, &around()).into_iter().next() {
            Some(next) => next.command,
            None => Command::CloseWindow,
        },
    }
}

/// The stream read back from its bytes.
fn replayed(story: &Spec<Release>) -> Release {
    let facts: Vec<Fact<ReleaseEvent>> = story
        .facts
        .iter()
        .map(|fact| {
            let bytes = encode(&fact.event, [3; 16]).unwrap();
            let event = decode(fact.event.event_type(), fact.event.schema(), &bytes).unwrap();
            Fact { event, ..fact.clone() }
        })
        .collect();
    fold(&facts)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn given_any_commands_by_anybody_a_replay_gives_the_same_bytes(first in 0..6usize, picks in picks()) {
        let mut story = start(first);
        for pick in &picks {
            story.now += SignedDuration::from_mins(i64::from(pick.4));
            let command = command(&story, pick);
            let actor = actors(pick.1);
            let asked = story.ask(&actor, &command, &around());
            if let Ok(decided) = asked {
                prop_assert!(!decided.is_empty());
                story.record(&actor, decided);
            }
            // At most one of each is live, and an item that an approval closed rests on one.
            let live = story.state.approvals.iter().filter(|approval| approval.is_live()).count();
            prop_assert!(live <= 1);
            let production = story.state.production_deployments().filter(|d| d.in_progress()).count();
            prop_assert!(production <= 1 || !story.state.rollbacks.is_empty());
            // Whatever is due, the server may do.
            for next in due(&story.state, story.now, &around()) {
                let answer = story.ask(&system(), &next.command, &around());
                prop_assert!(answer.is_ok(), "{}: {answer:?}", next.rule);
            }
        }
        let again = replayed(&story);
        prop_assert_eq!(serde_json::to_vec(&again).unwrap(), serde_json::to_vec(&story.state).unwrap());
        prop_assert_eq!(again.events, u64::try_from(story.facts.len()).unwrap());
        // Every view of any state can be made.
        let procedure = around().procedure;
        let _ = schedule(&again, &procedure, &around().snapshots);
        prop_assert_eq!(checklist::checklist(&again, &procedure).is_some(), again.opened.is_some());
        prop_assert_eq!(checklist::summary(&again, &procedure, "checkout-2.4.0").is_some(), again.opened.is_some());
    }
}
