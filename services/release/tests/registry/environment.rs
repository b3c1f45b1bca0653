use jiff::Timestamp;
use proptest::prelude::*;
use release::command::{AssignException, DisposeException};
use release::environment::{
    ConfirmReservation, EnvironmentAround, EnvironmentCommand as Command, ExpireReservation,
    HandOverEnvironment, MAX_HISTORY, RecordRunning, ReleaseReservation, ReserveEnvironment,
};
use release::event::{
    ChangeClass, Disposition, EnvironmentEvent, EnvironmentHandedOver, EnvironmentPreempted,
    EnvironmentPurpose, EnvironmentReleased, EnvironmentReservationConfirmed, EnvironmentReservationExpired,
    EnvironmentReserved, Governance, Input, LeasePurpose, Sighting,
};
use release::evidence::Artifact;
use release::refusal::RefusalCode as No;
use release::release::{ExceptionKind, ExceptionRef};
use release::spec::{
    Spec, alice, bob, dave, erin, grace, heidi, id, monday, nothing, peggy, robot, system, victor,
};
use release::value::Version;
use release::{Actor, Environment};

use crate::registry::{
    digest, hour, line, list, live, minutes, prose, release, replays, somebody, tells_all,
};

fn around(class: ChangeClass) -> EnvironmentAround {
    EnvironmentAround {
        purpose: Some(EnvironmentPurpose::Staging),
        class: Some(class),
        inputs: vec![Input { stream: "product-default.checkout".into(), revision: Some(3) }],
        ..EnvironmentAround::default()
    }
}

fn normal() -> EnvironmentAround {
    around(ChangeClass::Normal)
}

fn emergency() -> EnvironmentAround {
    around(ChangeClass::Emergency)
}

fn reserve(version: &str, expires_at: Timestamp) -> Command {
    Command::Reserve(ReserveEnvironment {
        release: release(version),
        purpose: LeasePurpose::StagingValidation,
        expires_at,
        preempt_reason: None,
    })
}

fn preempt(version: &str) -> Command {
    Command::Reserve(ReserveEnvironment {
        release: release(version),
        purpose: LeasePurpose::StagingValidation,
        expires_at: hour(2),
        preempt_reason: Some(prose("payments are down")),
    })
}

fn confirm(version: &str, expires_at: Option<Timestamp>) -> Command {
    Command::ConfirmReservation(ConfirmReservation { release: release(version), expires_at })
}

fn give_back(version: &str) -> Command {
    Command::ReleaseReservation(ReleaseReservation { release: release(version), reason: None })
}

fn hand_over(version: &str) -> Command {
    Command::HandOver(HandOverEnvironment {
        to: release(version),
        reason: prose("2.4.1 goes first"),
        expires_at: None,
    })
}

fn expire(version: &str) -> Command {
    Command::ExpireReservation(ExpireReservation { release: release(version) })
}

fn reserved(lease: u64, version: &str, expires_at: Timestamp, class: ChangeClass) -> EnvironmentReserved {
    EnvironmentReserved {
        lease: id(lease),
        release: release(version),
        purpose: LeasePurpose::StagingValidation,
        class,
        expires_at,
        inputs: normal().inputs,
    }
}

/// 2.4.0 holds the environment for an hour, unconfirmed.
fn leased() -> Spec<Environment> {
    nothing().when(dave(), reserve("2.4.0", hour(1)), &normal()).accepted()
}

fn confirmed() -> Spec<Environment> {
    leased().when(dave(), confirm("2.4.0", None), &normal()).accepted()
}

fn holder(story: &Spec<Environment>) -> Option<String> {
    story.state.held_at(story.now).map(|lease| lease.release.to_string())
}

#[test]
fn given_a_free_environment_when_reserved_the_release_holds_it_until_it_expires() {
    let expected = reserved(0, "2.4.0", hour(1), ChangeClass::Normal);
    let story =
        nothing::<Environment>().when(dave(), reserve("2.4.0", hour(1)), &normal()).then([expected.into()]);
    assert_eq!(holder(&story).unwrap(), "checkout-2.4.0");
    assert_eq!(story.state.held_at(hour(1)), None);
    replays(&story);
}

#[test]
fn given_a_lease_when_another_release_reserves_holder_and_expiry_are_named() {
    let refused =
        leased().when(dave(), reserve("2.4.1", hour(1)), &normal()).then_refused(No::EnvironmentLeased);
    assert_eq!(refused.refusal.detail, format!("leased by checkout-2.4.0 until {}", hour(1)));
    assert_eq!(refused.refusal.rows[0].observed, format!("checkout-2.4.0 until {}", hour(1)));
    refused.naming(&["environment/lease"]);
}

#[test]
fn given_two_releases_that_race_exactly_one_gets_the_environment() {
    let free = nothing::<Environment>();
    let first = free.ask(&dave(), &reserve("2.4.0", hour(1)), &normal());
    let second = free.ask(&erin(), &reserve("2.4.1", hour(1)), &normal());
    assert!(first.is_ok() && second.is_ok());
    // Both expect an empty stream; the log takes one of them, and the other decides again.
    let mut story = free;
    story.record(&erin(), second.unwrap());
    let story = story.when(dave(), reserve("2.4.0", hour(1)), &normal()).then_refused(No::EnvironmentLeased);
    assert_eq!(holder(&story.story).unwrap(), "checkout-2.4.1");
}

#[test]
fn given_its_own_lease_when_reserved_again_it_is_renewed_to_a_later_time_only() {
    leased().when(dave(), reserve("2.4.0", hour(1)), &normal()).then_refused(No::NothingChanged);
    leased()
        .when(dave(), reserve("2.4.0", hour(1) - minutes(1)), &normal())
        .then_refused(No::LeaseExpiryInvalid);
    let expected = reserved(0, "2.4.0", hour(3), ChangeClass::Normal);
    let story = confirmed().when(dave(), reserve("2.4.0", hour(3)), &normal()).then([expected.into()]);
    let lease = story.state.lease.as_ref().unwrap();
    assert_eq!((lease.expires_at, lease.confirmed_at), (hour(3), Some(monday())));
    replays(&story);
    // What became an emergency is no longer preempted by another.
    let story = story.when(dave(), reserve("2.4.0", hour(3)), &emergency()).accepted();
    story.when(dave(), preempt("2.3.1"), &emergency()).then_refused(No::EnvironmentLeased);
}

#[test]
fn given_a_lapsed_reservation_when_another_release_reserves_the_record_says_both() {
    let story = leased().at(hour(1)).when(dave(), reserve("2.4.1", hour(2)), &normal()).then([
        EnvironmentReservationExpired { lease: id(0), release: release("2.4.0") }.into(),
        reserved(2, "2.4.1", hour(2), ChangeClass::Normal).into(),
    ]);
    assert_eq!(holder(&story).unwrap(), "checkout-2.4.1");
    replays(&story);
}

#[test]
fn given_a_confirmed_lease_when_its_time_is_over_it_still_holds() {
    let story = confirmed().at(hour(9));
    assert_eq!(holder(&story).unwrap(), "checkout-2.4.0");
    let story = story.when(dave(), reserve("2.4.1", hour(10)), &normal()).then_refused(No::EnvironmentLeased);
    story.story.when(system(), expire("2.4.0"), &normal()).then_refused(No::ReservationNotDue);
}

#[test]
fn given_no_such_environment_or_release_or_another_purpose_when_reserved_it_is_refused() {
    let ask = |around: &EnvironmentAround, code| {
        nothing::<Environment>().when(dave(), reserve("2.4.0", hour(1)), around).then_refused(code);
    };
    ask(&EnvironmentAround { purpose: None, ..normal() }, No::EnvironmentUnknown);
    ask(&EnvironmentAround { class: None, ..normal() }, No::ReleaseUnknown);
    let production = Some(EnvironmentPurpose::Production);
    ask(&EnvironmentAround { purpose: production, ..normal() }, No::LeasePurposeMismatch);
    let Command::Reserve(mut body) = reserve("2.4.0", hour(1)) else { unreachable!() };
    body.purpose = LeasePurpose::ProductionDeployment;
    nothing::<Environment>()
        .when(dave(), Command::Reserve(body), &EnvironmentAround { purpose: production, ..normal() })
        .accepted();
}

#[test]
fn given_an_expiry_that_is_past_or_far_when_reserved_it_is_refused() {
    for expires_at in [monday(), monday() - minutes(1), hour(30 * 24) + minutes(1)] {
        nothing::<Environment>()
            .when(dave(), reserve("2.4.0", expires_at), &normal())
            .then_refused(No::LeaseExpiryInvalid);
    }
    confirmed()
        .when(dave(), confirm("2.4.0", Some(hour(31 * 24))), &normal())
        .then_refused(No::LeaseExpiryInvalid);
}

#[test]
fn given_nobody_but_those_who_deploy_may_hold_an_environment() {
    for actor in [bob(), peggy(), victor()] {
        for command in [
            reserve("2.4.1", hour(1)),
            confirm("2.4.0", None),
            give_back("2.4.0"),
            hand_over("2.4.1"),
            expire("2.4.0"),
            running("2.3.0", 1),
        ] {
            leased().when(actor.clone(), command, &normal()).then_refused(No::RoleMissing);
        }
    }
    for actor in [alice(), dave(), erin(), robot(), system()] {
        nothing::<Environment>().when(actor, reserve("2.4.0", hour(1)), &normal()).accepted();
    }
}

#[test]
fn given_a_reservation_when_confirmed_it_no_longer_lapses() {
    let story = leased().when(dave(), confirm("2.4.0", Some(hour(48))), &normal()).then([
        EnvironmentReservationConfirmed {
            lease: id(0),
            release: release("2.4.0"),
            expires_at: Some(hour(48)),
        }
        .into(),
    ]);
    assert_eq!(story.state.lease.as_ref().unwrap().expires_at, hour(48));
    let story = story.when(system(), confirm("2.4.0", None), &normal()).then_refused(No::NothingChanged);
    story.story.when(system(), confirm("2.4.0", Some(hour(50))), &normal()).accepted();
}

#[test]
fn given_a_reservation_that_nobody_took_when_confirmed_late_it_holds_again() {
    let story = leased().at(hour(2));
    assert_eq!(holder(&story), None);
    let story = story.when(system(), confirm("2.4.0", None), &normal()).accepted();
    assert_eq!(holder(&story).unwrap(), "checkout-2.4.0");
}

#[test]
fn given_the_lease_of_another_when_confirmed_or_released_it_is_refused() {
    for command in [confirm("2.4.1", None), give_back("2.4.1"), expire("2.4.1")] {
        leased().when(system(), command.clone(), &normal()).then_refused(No::EnvironmentNotLeased);
        nothing::<Environment>().when(system(), command, &normal()).then_refused(No::EnvironmentNotLeased);
    }
}

#[test]
fn given_a_lease_when_released_the_environment_is_free() {
    let story = confirmed().when(dave(), give_back("2.4.0"), &normal()).then([EnvironmentReleased {
        lease: id(0),
        release: release("2.4.0"),
        reason: None,
    }
    .into()]);
    assert_eq!(story.state.lease, None);
    story.when(dave(), reserve("2.4.1", hour(1)), &normal()).accepted();
}

#[test]
fn given_a_reservation_when_its_time_is_up_only_the_server_expires_it() {
    leased().when(system(), expire("2.4.0"), &normal()).then_refused(No::ReservationNotDue);
    leased().at(hour(1)).when(alice(), expire("2.4.0"), &normal()).then_refused(No::RoleMissing);
    let story = leased()
        .at(hour(1))
        .when(system(), expire("2.4.0"), &normal())
        .then([EnvironmentReservationExpired { lease: id(0), release: release("2.4.0") }.into()]);
    assert_eq!(story.state.lease, None);
}

#[test]
fn given_a_lease_when_a_release_manager_hands_it_over_the_other_release_holds_it() {
    let story = confirmed().when(alice(), hand_over("2.4.1"), &normal()).then([EnvironmentHandedOver {
        lease: id(0),
        from: release("2.4.0"),
        to: release("2.4.1"),
        class: ChangeClass::Normal,
        reason: prose("2.4.1 goes first"),
        expires_at: hour(1),
    }
    .into()]);
    assert_eq!(holder(&story).unwrap(), "checkout-2.4.1");
    replays(&story);
    confirmed().when(dave(), hand_over("2.4.1"), &normal()).then_refused(No::RoleMissing);
    confirmed().when(alice(), hand_over("2.4.0"), &normal()).then_refused(No::NothingChanged);
    leased().at(hour(1)).when(alice(), hand_over("2.4.1"), &normal()).then_refused(No::EnvironmentNotLeased);
    let unknown = EnvironmentAround { class: None, ..normal() };
    confirmed().when(alice(), hand_over("2.4.1"), &unknown).then_refused(No::ReleaseUnknown);
}

#[test]
fn given_a_lease_when_an_emergency_preempts_it_the_holder_loses_it() {
    let story = confirmed().when(dave(), preempt("2.3.1"), &emergency()).then([
        EnvironmentPreempted {
            lease: id(0),
            release: release("2.4.0"),
            by: release("2.3.1"),
            reason: prose("payments are down"),
        }
        .into(),
        reserved(3, "2.3.1", hour(2), ChangeClass::Emergency).into(),
    ]);
    assert_eq!(holder(&story).unwrap(), "checkout-2.3.1");
    replays(&story);
    // One emergency does not push out another; a release manager decides between them.
    let story = story.when(dave(), preempt("2.2.9"), &emergency()).then_refused(No::EnvironmentLeased);
    story.story.when(alice(), hand_over("2.2.9"), &emergency()).accepted();
}

#[test]
fn given_a_lease_only_an_emergency_with_a_reason_preempts_it() {
    confirmed().when(dave(), preempt("2.4.1"), &normal()).then_refused(No::PreemptionNotAllowed);
    confirmed().when(dave(), reserve("2.3.1", hour(2)), &emergency()).then_refused(No::EnvironmentLeased);
}

fn artifacts(nibble: u8) -> [Artifact; 1] {
    [Artifact { name: line("checkout"), digest: digest(nibble) }]
}

fn sighted(version: &str, nibble: u8, change: impl FnOnce(&mut RecordRunning)) -> Command {
    let mut body = RecordRunning {
        version: line(version),
        commit_sha: None,
        release: None,
        deployment: None,
        observed_at: None,
        artifacts: list(artifacts(nibble)),
        verified: true,
    };
    change(&mut body);
    Command::RecordRunning(body)
}

/// A probe saw it, and knows no release.
fn running(version: &str, nibble: u8) -> Command {
    sighted(version, nibble, |_| {})
}

/// 2.4.0 says that it deployed it.
fn deployed(version: &str, nibble: u8) -> Command {
    sighted(version, nibble, |body| {
        body.release = Some(release("2.4.0"));
        body.deployment = Some(id(500));
    })
}

/// Accepted with one event that says this.
#[track_caller]
fn says(story: Spec<Environment>, by: Actor, command: Command) -> (Spec<Environment>, Sighting, Governance) {
    let story = story.when(by, command, &EnvironmentAround::default()).accepted();
    let Some(EnvironmentEvent::EnvironmentRunningRecorded(recorded)) = story.facts.last().map(|f| &f.event)
    else {
        unreachable!("an observation was recorded")
    };
    let (sighting, governance) = (recorded.sighting, recorded.governance);
    (story, sighting, governance)
}

#[test]
fn given_a_lease_when_its_release_deploys_what_runs_is_governed() {
    let (story, sighting, governance) = says(confirmed(), robot(), deployed("2.4.0-rc.2", 1));
    assert_eq!((sighting, governance), (Sighting::Started, Governance::Governed));
    let running = story.state.running.as_ref().unwrap();
    assert_eq!(running.release_version(), Some(Version::new("2.4.0").unwrap()));
    assert_eq!((running.since, running.verified), (monday(), true));
    assert_eq!(running.release, Some(release("2.4.0")));
    replays(&story);
}

#[test]
fn given_no_lease_when_something_runs_it_is_an_orphan_and_never_refused() {
    for (by, command) in [
        (robot(), running("nightly", 1)),
        (robot(), deployed("2.4.0", 1)),
        (dave(), sighted("2.4.0", 1, |body| body.release = Some(release("2.4.0")))),
    ] {
        let (story, sighting, governance) = says(nothing(), by, command);
        assert_eq!((sighting, governance), (Sighting::Started, Governance::Orphan));
        replays(&story);
    }
    let (story, ..) = says(nothing(), robot(), running("nightly", 1));
    assert_eq!(story.state.running.unwrap().release_version(), None);
    // The server reports out of the release's own record.
    let (_, _, governance) = says(nothing(), system(), deployed("2.4.0", 1));
    assert_eq!(governance, Governance::Governed);
}

#[test]
fn given_what_is_known_when_seen_again_nothing_is_recorded() {
    let (story, ..) = says(confirmed(), robot(), deployed("2.4.0", 1));
    for command in
        [running("2.4.0", 1), deployed("2.4.0", 1), sighted("2.4.0", 1, |body| body.verified = false)]
    {
        story.clone().after(minutes(5)).when(robot(), command, &normal()).then([]);
    }
    let without_digests = sighted("2.4.0", 1, |body| body.artifacts = list([]));
    story.when(robot(), without_digests, &normal()).then([]);
}

#[test]
fn given_part_of_it_known_when_seen_again_the_rest_is_added() {
    let unverified = sighted("2.4.0", 1, |body| body.verified = false);
    let (story, ..) = says(confirmed(), robot(), unverified);
    assert_eq!(story.state.running.as_ref().unwrap().governance, Governance::Orphan);
    let (story, sighting, governance) = says(story.after(minutes(5)), robot(), deployed("2.4.0", 1));
    assert_eq!((sighting, governance), (Sighting::Seen, Governance::Governed));
    let running = story.state.running.as_ref().unwrap();
    assert_eq!((running.since, running.verified, running.deployment), (monday(), true, Some(id(500))));
    assert!(story.state.history.is_empty());
    replays(&story);
}

#[test]
fn given_an_orphan_when_a_release_later_deploys_the_same_build_the_orphan_stays_one() {
    let (story, ..) = says(nothing(), robot(), running("2.4.0", 1));
    let story = story.after(minutes(10)).when(dave(), reserve("2.4.0", hour(1)), &normal()).accepted();
    let (story, sighting, governance) = says(story.after(minutes(5)), robot(), deployed("2.4.0", 1));
    assert_eq!((sighting, governance), (Sighting::Started, Governance::Governed));
    assert_eq!(story.state.history[0].governance, Governance::Orphan);
    assert_eq!(story.state.history[0].until, Some(monday() + minutes(15)));
}

#[test]
fn given_an_orphan_when_its_deployment_is_reported_late_it_is_that_deployment() {
    let (story, ..) = says(nothing().after(minutes(5)), robot(), running("2.4.0", 1));
    let late = |body: &mut RecordRunning| {
        body.release = Some(release("2.4.0"));
        body.deployment = Some(id(500));
        body.observed_at = Some(monday() + minutes(4));
    };
    let (story, sighting, governance) = says(story.after(minutes(1)), system(), sighted("2.4.0", 1, late));
    assert_eq!((sighting, governance), (Sighting::Seen, Governance::Governed));
    assert_eq!(story.state.running.as_ref().unwrap().since, monday() + minutes(4));
}

#[test]
fn given_the_word_of_a_person_digests_are_not_verified() {
    let (story, ..) = says(nothing(), dave(), running("2.4.0", 1));
    assert!(!story.state.running.as_ref().unwrap().verified);
    let none = sighted("2.4.0", 1, |body| body.artifacts = list([]));
    let (story, ..) = says(nothing(), robot(), none);
    assert!(!story.state.running.as_ref().unwrap().verified);
}

#[test]
fn given_a_late_report_of_what_ran_before_it_changes_nothing_now() {
    let (story, ..) = says(nothing().at(hour(5)), robot(), running("2.4.0", 4));
    let late = || sighted("2.3.0", 3, |body| body.observed_at = Some(hour(2)));
    let (story, sighting, _) = says(story, robot(), late());
    assert_eq!(sighting, Sighting::Earlier);
    assert_eq!(story.state.running.as_ref().unwrap().version.as_str(), "2.4.0");
    assert_eq!(story.state.history[0].version.as_str(), "2.3.0");
    assert_eq!(story.facts.last().unwrap().occurred_at, hour(2));
    let story = story.when(robot(), late(), &normal()).then([]);
    replays(&story);
}

#[test]
fn given_a_source_whose_clock_is_ahead_the_skew_is_recorded() {
    for (ahead, skew) in [(1, None), (2, None), (3, Some(180_000))] {
        let observed = monday() + minutes(ahead);
        let command = sighted("2.4.0", 4, |body| body.observed_at = Some(observed));
        let (story, ..) = says(nothing(), robot(), command);
        let EnvironmentEvent::EnvironmentRunningRecorded(recorded) = &story.facts[0].event else {
            unreachable!("an observation was recorded")
        };
        assert_eq!((recorded.skew_ms, recorded.since), (skew, monday()));
        assert_eq!(story.facts[0].occurred_at, observed);
    }
}

#[test]
fn given_more_history_than_is_kept_what_was_verified_goes_last() {
    let mut story = nothing::<Environment>();
    for n in 0..(MAX_HISTORY + 10) {
        let command = sighted(&format!("build-{n}"), 1, |body| body.verified = n == 0);
        story = says(story.after(minutes(1)), robot(), command).0;
    }
    assert_eq!(story.state.history.len(), MAX_HISTORY);
    assert_eq!(story.state.history[0].version.as_str(), "build-0");
    assert_eq!(story.state.history[1].version.as_str(), "build-10");
    replays(&story);
}

#[test]
fn given_all_stories_every_event_was_told() {
    let lapsed = leased().at(hour(1)).when(system(), expire("2.4.0"), &normal()).accepted();
    let handed = confirmed().when(alice(), hand_over("2.4.1"), &normal()).accepted();
    let preempted = confirmed().when(dave(), preempt("2.3.1"), &emergency()).accepted();
    let released = says(confirmed(), robot(), deployed("2.4.0", 1)).0;
    let released = released.when(dave(), give_back("2.4.0"), &normal()).accepted();
    let seen: Spec<Environment> = nothing().when(robot(), found("9.9.9"), &production()).accepted();
    let exception = seen.state.exceptions[0].reference();
    let body = AssignException { to: dave().id, due_at: None };
    let seen = seen.when(alice(), Command::AssignException { exception, body }, &production()).accepted();
    let body =
        DisposeException { disposition: Disposition::FalsePositive, reason: prose("a test"), link: None };
    let seen = seen.when(grace(), Command::DisposeException { exception, body }, &production()).accepted();
    replays(&seen);
    tells_all(&[&lapsed, &handed, &preempted, &released, &seen]);
}

fn command() -> impl Strategy<Value = Command> {
    let version = || prop::sample::select(vec!["2.3.0", "2.4.0", "2.4.1"]);
    prop_oneof![
        4 => (version(), 1i64..20, any::<bool>()).prop_map(|(version, hours, forced)| {
            Command::Reserve(ReserveEnvironment {
                release: release(version),
                purpose: LeasePurpose::StagingValidation,
                expires_at: hour(hours),
                preempt_reason: forced.then(|| prose("payments are down")),
            })
        }),
        2 => (version(), prop::option::of(1i64..20)).prop_map(|(v, hours)| confirm(v, hours.map(hour))),
        1 => version().prop_map(give_back),
        1 => version().prop_map(hand_over),
        1 => version().prop_map(expire),
        4 => (version(), 1u8..4, prop::option::of(-3i64..20), any::<bool>(), any::<bool>()).prop_map(
            |(version, nibble, at, verified, by_release)| sighted(version, nibble, |body| {
                body.observed_at = at.map(hour);
                body.verified = verified;
                body.release = by_release.then(|| release(version));
                body.deployment = by_release.then(|| id(nibble.into()));
            })
        ),
    ]
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn given_any_commands_an_environment_replays_and_has_one_holder(
        commands in prop::collection::vec(
            (somebody([alice(), dave(), robot(), system()]), command(), 0i64..90), 0..40)
    ) {
        let around = |command: &Command| match command {
            Command::Reserve(body) if body.release == release("2.3.0") => emergency(),
            _ => normal(),
        };
        live::<Environment>(commands, around, |state, command, events, now| {
            // Whoever gets it from a holder either is the holder or says that it took it.
            if let (Command::Reserve(body), Some(lease)) = (command, state.held_at(now)) {
                let taken = matches!(events[0], EnvironmentEvent::EnvironmentPreempted(_));
                assert!(lease.release == body.release || taken);
            }
            if let Command::RecordRunning(_) = command {
                assert!(events.len() <= 1);
            }
        });
    }

    #[test]
    fn given_any_observation_of_those_who_may_report_it_is_never_refused(
        commands in prop::collection::vec(command(), 0..30)
    ) {
        let mut story = nothing::<Environment>();
        for command in commands {
            story.now += minutes(20);
            let answer = story.ask(&robot(), &command, &EnvironmentAround::default());
            if matches!(command, Command::RecordRunning(_)) {
                prop_assert!(answer.is_ok());
            }
            if let Ok(decided) = answer {
                story.record(&robot(), decided);
            }
        }
    }
}

fn production() -> EnvironmentAround {
    EnvironmentAround { purpose: Some(EnvironmentPurpose::Production), ..EnvironmentAround::default() }
}

fn observe(seen: serde_json::Value) -> Command {
    let body = serde_json::json!({"product": "checkout", "seen": seen});
    Command::RecordObservation(serde_json::from_value(body).unwrap())
}

fn found(version: &str) -> Command {
    observe(serde_json::json!({"kind": "deployment", "environment": "production", "version": version}))
}

fn shown(story: &Spec<Environment>) -> Vec<ExceptionKind> {
    story.state.exceptions.iter().map(|one| one.kind).collect()
}

#[test]
fn given_a_deployment_to_production_that_nobody_answers_for_it_is_an_exception_once() {
    let story = nothing().when(robot(), found("9.9.9"), &production());
    let story = story.then_types(&["observation.recorded", "environment.running_recorded"]);
    assert_eq!(shown(&story), [ExceptionKind::OrphanDeployment]);
    assert_eq!(story.state.running.as_ref().unwrap().governance, Governance::Orphan);
    let story = story.when(robot(), found("9.9.9"), &production()).then_types(&["observation.recorded"]);
    assert_eq!(shown(&story), [ExceptionKind::OrphanDeployment]);
    let staging = EnvironmentAround { purpose: Some(EnvironmentPurpose::Staging), ..production() };
    let elsewhere = nothing().when(robot(), found("9.9.9"), &staging).accepted();
    assert_eq!(shown(&elsewhere), []);
    story.when(bob(), found("9.9.9"), &production()).then_refused(No::RoleMissing);
}

#[test]
fn given_what_runs_in_production_when_first_reported_the_record_begins_and_a_change_is_an_exception() {
    let story = nothing().when(robot(), running("2.3.1", 1), &production()).accepted();
    assert_eq!(shown(&story), []);
    let story = story.after(minutes(5)).when(robot(), running("2.3.2", 2), &production()).accepted();
    assert_eq!(shown(&story), [ExceptionKind::OrphanDeployment]);
}

#[test]
fn given_the_release_that_holds_production_when_its_version_is_seen_it_is_no_exception() {
    let lease = EnvironmentAround { class: Some(ChangeClass::Normal), ..production() };
    let reserve = Command::Reserve(ReserveEnvironment {
        release: release("2.4.0"),
        purpose: LeasePurpose::ProductionDeployment,
        expires_at: hour(2),
        preempt_reason: None,
    });
    let story = nothing().when(robot(), running("2.3.1", 1), &production()).accepted();
    let story = story.when(dave(), reserve, &lease).accepted().after(minutes(5));
    let canary = story.clone().when(robot(), running("2.4.0-rc.1", 4), &production()).accepted();
    assert_eq!(shown(&canary), []);
    let other = story.when(robot(), running("2.5.0", 5), &production()).accepted();
    assert_eq!(shown(&other), [ExceptionKind::OrphanDeployment]);
}

#[test]
fn given_an_orphan_an_approver_who_did_not_report_it_ends_it() {
    let story: Spec<Environment> = nothing().when(robot(), found("9.9.9"), &production()).accepted();
    let exception = story.state.exceptions[0].reference();
    let body = AssignException { to: dave().id, due_at: Some(hour(9)) };
    let story = story.when(alice(), Command::AssignException { exception, body }, &production());
    let story = story.then_types(&["exception.assigned"]);
    assert_eq!(story.state.exceptions[0].owner, Some(dave().id));
    assert_eq!(story.state.exceptions[0].due_at, hour(9));
    let body = DisposeException {
        disposition: Disposition::Accepted,
        reason: prose("a hotfix by hand"),
        link: None,
    };
    let dispose = |revision| Command::DisposeException {
        exception: ExceptionRef { revision, ..exception },
        body: body.clone(),
    };
    let story = story.when(grace(), dispose(77), &production()).then_refused(No::ExceptionUnknown).story;
    let own = exception.revision;
    let story = story.when(dave(), dispose(own), &production()).then_refused(No::RoleMissing).story;
    let story = story.when(grace(), dispose(own), &production()).then_types(&["exception.disposed"]);
    story.when(heidi(), dispose(own), &production()).then_refused(No::ExceptionDecided);
}

#[test]
fn given_an_observation_of_the_future_it_is_recorded_with_how_far_it_is_ahead() {
    let mut command = found("9.9.9");
    if let Command::RecordObservation(body) = &mut command {
        body.at = Some(hour(3));
    }
    let story = nothing().when(robot(), command, &production()).accepted();
    let EnvironmentEvent::ObservationRecorded(recorded) = &story.facts[0].event else {
        panic!("no observation")
    };
    assert_eq!(recorded.skew_ms, Some(3 * 3_600_000));
    assert_eq!(story.facts[0].occurred_at, hour(3));
    assert_eq!(shown(&story), [ExceptionKind::ClockSkew, ExceptionKind::OrphanDeployment]);
}
