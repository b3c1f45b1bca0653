//! Corrections: what was recorded wrongly stays in the history, and another event says what is so.

use std::sync::Arc;

use release::Command;
use release::command::{AbortRelease, AmendAnswer, AmendDeployment, AmendRelease, OpenRelease};
use release::decide::Around;
use release::event::{Answer, ChangeClass, ReleaseEvent, RevocationCause};
use release::product::ProductSettings;
use release::refusal::RefusalCode as No;
use release::release::{ApprovalStatus, AuthorizationStatus, ExceptionKind, ItemStatus, Release};
use release::spec::judged::{self, through};
use release::spec::release::{
    approved, around, artifact, authorized, deploying, grant, item, link, list, name, open, prose, ready,
    sha256, version,
};
use release::spec::{Spec, alice, bob, carol, dave, grace, id, nothing, olivia, robot, victor};
use release::value::Name;
use uuid::Uuid;

type Story = Spec<Release>;

/// The id of the answer that this person gave.
fn answer_of(story: &Story, who: &release::Actor) -> Uuid {
    story.state.answers().find(|entry| entry.by == who.id).unwrap().entry
}

fn amend(entry: Uuid, answer: Option<Answer>) -> Command {
    Command::AmendAnswer { entry, body: AmendAnswer { why: prose("the wrong button"), answer } }
}

fn correct(deployment: Uuid, digit: Option<char>, pipeline: Option<char>) -> Command {
    let body = AmendDeployment {
        why: prose("the job reported its cache"),
        artifacts: digit.map(|digit| list(vec![artifact(digit)])),
        pipeline_digest: pipeline.map(sha256),
        url: None,
    };
    Command::AmendDeployment { deployment, body }
}

/// Without what is so from the first approval on.
fn kinds(story: &Story) -> Vec<ExceptionKind> {
    let kinds = story.state.exceptions.iter().map(|one| one.kind);
    kinds.filter(|kind| *kind != ExceptionKind::IndependenceNotEstablished).collect()
}

#[test]
fn given_a_wrong_answer_whoever_gave_it_corrects_it_and_the_record_says_why() {
    let story = ready();
    let entry = answer_of(&story, &dave());
    let story = story.when(dave(), amend(entry, Some(Answer::NoGo)), &around());
    let story = story.then_types(&["roll_call.amended"]);
    let known = story.state.roll_call.iter().find(|known| known.entry == entry).unwrap();
    assert_eq!(known.answer, Answer::NoGo);
    let amended = known.amended.as_ref().unwrap();
    assert_eq!((&amended.by, &amended.why), (&dave().id, &prose("the wrong button")));
    assert!(matches!(&story.facts[story.facts.len() - 2].event, ReleaseEvent::RollCallAnswered(_)));
    let story = story.when(dave(), amend(entry, Some(Answer::NoGo)), &around());
    let story = story.then_refused(No::NothingChanged).story;
    let story = story.when(dave(), amend(entry, Some(Answer::Go)), &around()).accepted();
    story.when(alice(), release::spec::release::authorize(), &around()).accepted();
}

#[test]
fn given_somebody_elses_answer_a_release_manager_stops_or_takes_it_back_and_nobody_makes_it_a_go() {
    let story = ready();
    let entry = answer_of(&story, &dave());
    let story = story.when(olivia(), amend(entry, None), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(alice(), amend(entry, None), &around()).accepted();
    assert!(story.state.answers().all(|answer| answer.by != dave().id));
    let story = story.when(alice(), amend(entry, Some(Answer::Go)), &around());
    let story = story.then_refused(No::RoleMissing).story;
    let story = story.when(alice(), amend(entry, Some(Answer::NoGo)), &around()).accepted();
    let story = story.when(alice(), amend(id(999), None), &around()).then_refused(No::AnswerUnknown).story;
    let machine = release::spec::actor("bot", release::ActorKind::Machine, &[release::Role::ReleaseManager]);
    story.when(machine, amend(entry, None), &around()).then_refused(No::PersonRequired);
}

#[test]
fn given_an_authorization_when_a_go_it_rests_on_was_none_it_ends() {
    for (answer, cause) in
        [(None, RevocationCause::RowTurnedFalse), (Some(Answer::NoGo), RevocationCause::NoGo)]
    {
        let story = authorized();
        let entry = answer_of(&story, &dave());
        let story = story.when(dave(), amend(entry, answer), &around()).accepted();
        let status = &story.state.authorizations[0].status;
        assert!(
            matches!(status, AuthorizationStatus::Revoked { cause: why, .. } if *why == cause),
            "{status:?}"
        );
    }
    // Another operator said go as well, so nothing that was decided is different.
    let story = ready().when(olivia(), release::spec::release::go(release::Role::Operator), &around());
    let story = story.accepted().when(alice(), release::spec::release::authorize(), &around()).accepted();
    let entry = answer_of(&story, &dave());
    let story = story.when(dave(), amend(entry, None), &around()).then_types(&["roll_call.amended"]);
    assert_eq!(story.state.authorizations[0].status, AuthorizationStatus::Live);
}

#[test]
fn given_production_that_started_when_a_go_was_none_it_goes_on_and_an_exception_says_so() {
    let story = deploying();
    let entry = answer_of(&story, &dave());
    let story = story.when(dave(), amend(entry, None), &around()).then_types(&["roll_call.amended"]);
    assert_eq!(kinds(&story), [ExceptionKind::AnswerAmendedAfterGo]);
    let story = story.when(dave(), amend(entry, Some(Answer::Go)), &around()).accepted();
    assert_eq!(kinds(&story).len(), 1);
    // Before production nothing had been started on it.
    let story = ready();
    let entry = answer_of(&story, &dave());
    assert!(kinds(&story.when(dave(), amend(entry, None), &around()).accepted()).is_empty());
}

#[test]
fn given_a_wrong_record_of_a_deployment_it_is_corrected_with_a_reason() {
    let story = deploying();
    let deployment = story.deployment();
    let story = story.when(carol(), correct(deployment, Some('2'), None), &around());
    let story = story.then_refused(No::RoleMissing).story;
    let story = story.when(dave(), correct(deployment, Some('1'), None), &around());
    let story = story.then_refused(No::NothingChanged).story;
    let story = story.when(dave(), correct(id(999), Some('2'), None), &around());
    let story = story.then_refused(No::DeploymentUnknown).story;
    let body = AmendDeployment {
        why: prose("the link was cut"),
        artifacts: None,
        pipeline_digest: None,
        url: Some(link("https://deploy.example/78")),
    };
    let story = story.when(dave(), Command::AmendDeployment { deployment, body }, &around());
    let story = story.then_types(&["deployment.amended"]);
    let known = story.state.deployment(deployment).unwrap();
    assert_eq!(
        (&known.artifacts, &known.url),
        (&vec![artifact('1')], &Some(link("https://deploy.example/78")))
    );
    assert_eq!(known.amended.as_ref().unwrap().why, prose("the link was cut"));
    assert!(kinds(&story).is_empty());
    let abort = Command::Abort(AbortRelease { reason: prose("enough") });
    let story = story.when(alice(), abort, &around()).accepted();
    story.when(dave(), correct(deployment, Some('2'), None), &around()).then_refused(No::ReleaseEnded);
}

#[test]
fn given_production_of_other_values_than_recorded_its_item_opens_and_exceptions_say_so() {
    let story = through(5);
    assert!(story.state.status(item("5.1")).is_closed());
    let deployment = story.deployment();
    let story = story.when(robot(), correct(deployment, Some('2'), None), &judged::around()).accepted();
    story.fails("5.1", &[("artifacts", release::verdict::Cause::Mismatch)]);
    assert!(kinds(&story).contains(&ExceptionKind::VersionMismatch));
    // What it was authorized on stays as it was.
    assert!(story.state.status(item("4.4")).is_closed());
    let story = story.when(robot(), correct(deployment, Some('1'), Some('e')), &judged::around()).accepted();
    story.fails("5.1", &[("pipeline_digest", release::verdict::Cause::Mismatch)]);
    let story = story.when(robot(), correct(deployment, None, Some('c')), &judged::around()).accepted();
    assert!(story.state.status(item("5.1")).is_closed());
}

/// The product goes to two regions.
#[test]
fn given_a_value_that_is_the_recorded_one_nothing_is_amended_and_another_one_is() {
    let body = OpenRelease {
        previous: Some(version("2.3.1")),
        security_impact: Some(prose("none")),
        ticket: Some(link("https://tickets.example/REL-1")),
        ..open()
    };
    let story = nothing::<Release>().when(alice(), Command::Open(body), &around()).accepted();
    let none = AmendRelease {
        why: prose("it was wrong"),
        previous: None,
        class: None,
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    let opened = story.state.opened.clone().unwrap();
    let recorded = [
        AmendRelease { previous: opened.previous, ..none.clone() },
        AmendRelease { class: Some(opened.class), ..none.clone() },
        AmendRelease { reason: Some(opened.reason), ..none.clone() },
        AmendRelease { security_impact: opened.security_impact, ..none.clone() },
        AmendRelease { ticket: opened.ticket, ..none.clone() },
    ];
    for body in recorded {
        story.clone().when(alice(), Command::Amend(body), &around()).then_refused(No::NothingChanged);
    }
    let others = [
        AmendRelease { previous: Some(version("2.3.0")), ..none.clone() },
        AmendRelease { class: Some(ChangeClass::HighRisk), ..none.clone() },
        AmendRelease { reason: Some(prose("Another one")), ..none.clone() },
        AmendRelease { security_impact: Some(prose("some")), ..none.clone() },
        AmendRelease { ticket: Some(link("https://tickets.example/REL-2")), ..none },
    ];
    for body in others {
        story.clone().when(alice(), Command::Amend(body), &around()).then_types(&["release.amended"]);
    }
}

fn two_regions() -> Around {
    let targets = vec![name("eu"), name("us")];
    let mut around = around();
    around.settings =
        Arc::new(ProductSettings { targets: list(targets.clone()), ..ProductSettings::default() });
    if let Some(opening) = &mut around.opening {
        opening.targets = targets;
    }
    around
}

fn scope(targets: &[&str]) -> Command {
    Command::Amend(AmendRelease {
        why: prose("the other region waits"),
        previous: None,
        class: None,
        reason: None,
        security_impact: None,
        ticket: None,
        targets: Some(list(targets.iter().map(|target| name(target)).collect())),
    })
}

fn targets(story: &Story) -> Vec<Name> {
    story.state.opened.as_ref().unwrap().targets.clone()
}

#[test]
fn given_a_product_with_targets_a_release_is_for_all_or_for_those_it_names() {
    let opened = |targets: Option<&[&str]>| {
        let named = |all: &[&str]| list(all.iter().map(|target| name(target)).collect());
        let body = OpenRelease { targets: targets.map(named), ..open() };
        nothing::<Release>().when(alice(), Command::Open(body), &two_regions())
    };
    assert_eq!(targets(&opened(None).accepted()), [name("eu"), name("us")]);
    assert_eq!(targets(&opened(Some(&["us"])).accepted()), [name("us")]);
    opened(Some(&["us", "mars"])).then_refused(No::TargetUnknown).naming(&["targets/1"]);
    opened(Some(&["us", "us"])).then_refused(No::TargetUnknown).naming(&["targets/1"]);
    opened(Some(&[])).then_refused(No::TargetUnknown).naming(&["targets"]);
}

#[test]
fn given_a_release_when_its_scope_is_amended_more_takes_another_approval_and_less_does_not() {
    let by = two_regions();
    let story = nothing::<Release>().when(alice(), Command::Open(open()), &by).accepted();
    let story = story.when(alice(), scope(&["eu", "us"]), &by).then_refused(No::NothingChanged).story;
    let story = story.when(bob(), scope(&["eu"]), &by).then_refused(No::RoleMissing).story;
    let story = story.when(alice(), scope(&["eu", "asia"]), &by).then_refused(No::TargetUnknown);
    let story = story.naming(&["targets/1"]);
    let story = story.when(alice(), scope(&["eu"]), &by).then_types(&["release.amended"]);
    assert_eq!(targets(&story), [name("eu")]);

    let story = approved();
    assert_eq!(targets(&story), [Name::default_target()]);
    let mut more = two_regions();
    more.settings = Arc::new(ProductSettings {
        targets: list(vec![Name::default_target(), name("us")]),
        ..ProductSettings::default()
    });
    let story = story.when(alice(), scope(&["default", "us"]), &more).accepted();
    let status = &story.state.approvals[0].status;
    assert!(
        matches!(status, ApprovalStatus::Revoked { cause: RevocationCause::ScopeRaised, .. }),
        "{status:?}"
    );
    assert_eq!(*story.state.status(item("4.4")), ItemStatus::Pending);
    let ask = Command::RequestApproval(release::command::RequestApproval { note: None });
    let story = story.when(alice(), ask, &more).accepted();
    let granted = grant(&story);
    let story = story.when(grace(), granted, &more).accepted();
    let story = story.when(alice(), scope(&["us"]), &more).then_types(&["release.amended"]);
    assert!(story.state.status(item("4.4")).is_closed());
    story.when(victor(), scope(&["default"]), &more).then_refused(No::RoleMissing);
}

#[test]
fn given_judged_items_of_two_targets_when_one_is_left_out_what_held_for_the_other_closes() {
    let mut by = judged::around();
    let targets = vec![name("eu"), name("us")];
    by.settings = Arc::new(ProductSettings { targets: list(targets.clone()), ..judged::settings() });
    if let Some(opening) = &mut by.opening {
        opening.targets = targets;
    }
    let mut story = nothing::<Release>().when(alice(), Command::Open(open()), &by).accepted();
    story = story.when(bob(), Command::TagCandidate(release::spec::release::tag(1)), &by).accepted();
    let bind = Command::BindCandidate { number: 1, body: release::spec::release::bind('1') };
    story = story.when(robot(), bind, &by).accepted();
    for number in ["1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7"] {
        for facts in judged::honest(number, &story) {
            story = story.when(robot(), judged::record(number, facts), &by).accepted();
        }
        for signer in judged::signers(by.procedure.item(item(number)).unwrap()) {
            if !story.state.status(item(number)).is_closed() {
                story = story.when(signer, judged::sign(number), &by).accepted();
            }
        }
        assert!(story.state.status(item(number)).is_closed(), "{number}");
    }
    let mut only_eu = judged::report(judged::honest("2.1", &story).remove(0));
    only_eu.target = Some(name("eu"));
    let report = Command::RecordEvidence { items: vec![item("2.1")], body: only_eu };
    let story = story.when(robot(), report, &by).accepted();
    assert!(!story.state.status(item("2.1")).is_closed());
    let story = story.when(alice(), scope(&["eu"]), &by).accepted();
    assert!(story.state.status(item("2.1")).is_closed(), "{:#?}", story.state.status(item("2.1")));
    let story = story.when(alice(), scope(&["eu", "us"]), &by).accepted();
    assert!(!story.state.status(item("2.1")).is_closed());
}
