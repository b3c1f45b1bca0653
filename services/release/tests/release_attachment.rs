//! What is attached to a release, what the vault was found to have of it, and when its content is given up.

use jiff::{SignedDuration, Timestamp};
use release::command::{AbortRelease, Attach, RecordLoss};
use release::decide::{Around, Snapshots};
use release::due::{due, next_due};
use release::event::{AttachmentFound, AttachmentRemoved, AttachmentStored, Input};
use release::evidence::EvidenceKind;
use release::refusal::RefusalCode as No;
use release::release::{ExceptionKind, MAX_ATTACHMENTS, Severity};
use release::retention::{DEFAULT_MONTHS, Keeping};
use release::spec::release::{around, evidence, item, opened, prose, sha256, tagged};
use release::spec::{Spec, actor, alice, bob, dave, id, monday, nothing, robot, system, who_is};
use release::value::{FileName, MediaType, Sha256Hex};
use release::{ActorKind, Command, Release, Role};
use uuid::Uuid;

fn attach(digit: char) -> Attach {
    Attach {
        sha256: sha256(digit),
        size: 48_213,
        media_type: MediaType::new("application/pdf").unwrap(),
        name: Some(FileName::new("pen test.pdf").unwrap()),
    }
}

fn lost(digit: char, found: AttachmentFound) -> Command {
    Command::RecordLoss(RecordLoss { sha256: sha256(digit), found })
}

fn restored(digit: char) -> Command {
    Command::RecordRestored { sha256: sha256(digit) }
}

fn attached() -> Spec<Release> {
    tagged().when(bob(), Command::Attach(attach('1')), &around()).accepted()
}

fn aborted(story: Spec<Release>) -> Spec<Release> {
    let abort = Command::Abort(AbortRelease { reason: prose("superseded by 2.5.0") });
    story.when(alice(), abort, &around()).accepted()
}

/// What retention says of it: so many months, and perhaps a hold.
fn keeping(months: u32, not_before: Option<Timestamp>, held: Option<Uuid>) -> Around {
    let input = Input { stream: "retention-default".into(), revision: Some(3) };
    let keeping = Some(Keeping { months, not_before, held, input });
    Around { snapshots: Snapshots { keeping, ..around().snapshots }, ..around() }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn kinds(story: &Spec<Release>) -> Vec<ExceptionKind> {
    story.state.exceptions.iter().map(|exception| exception.kind).collect()
}

#[test]
fn given_a_release_when_content_is_attached_it_says_what_who_and_when() {
    let expected = AttachmentStored {
        sha256: sha256('1'),
        size: 48_213,
        media_type: MediaType::new("application/pdf").unwrap(),
        name: Some(FileName::new("pen test.pdf").unwrap()),
    };
    let story = opened().when(bob(), Command::Attach(attach('1')), &around()).then([expected.into()]);
    let attachment = story.state.attachment(&sha256('1')).unwrap();
    assert_eq!((&attachment.by, attachment.at), (&bob().id, story.now));
    // The same content again tells nothing new, under any name.
    let again = Attach { name: None, ..attach('1') };
    let story = story.when(dave(), Command::Attach(again), &around()).then([]);
    assert_eq!(story.state.attachments.len(), 1);
}

#[test]
fn given_who_only_reads_when_attaching_it_is_refused() {
    for role in [Role::Viewer, Role::Auditor, Role::Admin] {
        opened().when(who_is(role), Command::Attach(attach('1')), &around()).then_refused(No::RoleMissing);
    }
    for role in [Role::Engineer, Role::Qa, Role::Approver, Role::Dba, Role::Machine] {
        opened().when(who_is(role), Command::Attach(attach('1')), &around()).accepted();
    }
    nothing::<Release>()
        .when(bob(), Command::Attach(attach('1')), &around())
        .then_refused(No::ReleaseUnknown);
}

#[test]
fn given_a_release_that_ended_when_attaching_it_is_taken_and_sealed_again() {
    let mut story = aborted(tagged());
    let asked = story.ask(&bob(), &Command::Attach(attach('1')), &around()).unwrap();
    assert!(story.sealing(&bob(), &asked, &around()).is_some());
    story.record(&bob(), asked);
    assert_eq!(story.state.attachments.len(), 1);
}

#[test]
fn given_as_many_as_a_release_takes_when_another_is_attached_it_is_refused() {
    let mut story = opened();
    for n in 0..MAX_ATTACHMENTS {
        let sha256 = Sha256Hex::new(&format!("{n:064x}")).unwrap();
        let stored =
            story.ask(&bob(), &Command::Attach(Attach { sha256, ..attach('1') }), &around()).unwrap();
        story.record(&bob(), stored);
    }
    story.clone().when(bob(), Command::Attach(attach('f')), &around()).then_refused(No::LimitReached);
    let known = Attach { sha256: Sha256Hex::new(&"0".repeat(64)).unwrap(), ..attach('1') };
    story.when(bob(), Command::Attach(known), &around()).then([]);
}

#[test]
fn given_an_attachment_when_the_vault_has_it_no_more_it_is_an_exception_with_the_item_that_names_it() {
    let mut named = evidence(EvidenceKind::Document);
    named.sha256 = Some(sha256('1'));
    let record = Command::RecordEvidence { items: vec![item("1.7")], body: named };
    let story = attached().when(alice(), record, &around()).accepted();
    let missing = lost('1', AttachmentFound::Missing);
    let story = story.when(system(), missing.clone(), &around()).then_types(&["attachment.lost"]);
    let exception = story.state.exceptions.last().unwrap();
    assert_eq!((exception.kind, exception.severity), (ExceptionKind::AttachmentLost, Severity::High));
    assert_eq!((exception.item, exception.rows[0].observed.as_str()), (Some(item("1.7")), "missing"));
    assert_eq!(exception.rows[0].input, format!("attachment/{}", sha256('1')));
    // Looked at again it is the same loss; something else in its place is another one.
    let story = story.when(system(), missing, &around()).then([]);
    let story = story.when(system(), lost('1', AttachmentFound::Changed), &around()).accepted();
    assert_eq!(kinds(&story), [ExceptionKind::AttachmentLost, ExceptionKind::AttachmentLost]);
    assert_eq!(story.state.exceptions[1].rows[0].observed, "changed");
}

#[test]
fn given_a_lost_attachment_when_it_is_found_or_attached_again_it_is_not_lost_any_more() {
    let story = attached().when(system(), restored('1'), &around()).then([]);
    let story = story.when(system(), lost('1', AttachmentFound::Missing), &around()).accepted();
    assert_eq!(story.state.attachment(&sha256('1')).unwrap().lost.as_ref().unwrap().at, story.now);
    let found = story.clone().when(system(), restored('1'), &around()).then_types(&["attachment.restored"]);
    assert!(found.state.attachment(&sha256('1')).unwrap().lost.is_none());
    let again =
        story.when(dave(), Command::Attach(attach('1')), &around()).then_types(&["attachment.stored"]);
    let attachment = again.state.attachment(&sha256('1')).unwrap();
    assert!(attachment.lost.is_none() && attachment.by == dave().id);
    // What went another way stays on record until somebody says what became of it.
    assert_eq!(kinds(&again), [ExceptionKind::AttachmentLost]);
}

#[test]
fn given_anybody_but_the_server_when_they_say_what_the_vault_has_it_is_refused() {
    for command in [lost('1', AttachmentFound::Missing), restored('1'), Command::RemoveAttachments] {
        for who in [alice(), robot(), who_is(Role::Admin)] {
            attached().when(who, command.clone(), &around()).then_refused(No::RoleMissing);
        }
    }
    attached()
        .when(system(), lost('2', AttachmentFound::Missing), &around())
        .then_refused(No::AttachmentUnknown);
    attached().when(system(), restored('2'), &around()).then_refused(No::AttachmentUnknown);
}

#[test]
fn given_a_release_in_work_then_nothing_of_it_is_ever_given_up() {
    let around = keeping(12, None, None);
    assert!(due(&attached().state, Timestamp::MAX, &around).iter().all(|due| due.rule != "retention"));
    let late = attached().after(SignedDuration::from_hours(24 * 366 * 20));
    late.when(system(), Command::RemoveAttachments, &around).then_refused(No::NotDue);
}

#[test]
fn given_a_release_that_ended_when_its_retention_is_over_its_content_is_given_up_and_that_is_recorded() {
    let around = keeping(DEFAULT_MONTHS, None, None);
    let ended = aborted(attached());
    let ended_at = ended.state.ended_at().unwrap();
    assert_eq!(ended_at.to_string()[..10], monday().to_string()[..10]);
    let over: Timestamp = ended_at.to_string().replace("2026-", "2033-").parse().unwrap();
    assert_eq!(next_due(&ended.state, &around).filter(|at| *at > ended.now), Some(over));
    let early = ended.clone().at(over - SignedDuration::from_micros(1));
    early.when(system(), Command::RemoveAttachments, &around).then_refused(No::NotDue);
    let expected = AttachmentRemoved {
        attachments: vec![sha256('1')],
        months: 84,
        inputs: vec![Input { stream: "retention-default".into(), revision: Some(3) }],
        ended_at: Some(ended_at),
    };
    let removed = ended.at(over).when(system(), Command::RemoveAttachments, &around).then([expected.into()]);
    let attachment = removed.state.attachment(&sha256('1')).unwrap();
    assert_eq!(attachment.removed_at, Some(over));
    assert!(due(&removed.state, Timestamp::MAX, &around).iter().all(|due| due.rule != "retention"));
    let command = lost('1', AttachmentFound::Missing);
    removed.clone().when(system(), command, &around).then_refused(No::AttachmentRemoved);
    // Attached again it is kept again, from then on.
    let again = removed.when(bob(), Command::Attach(attach('1')), &around).then_types(&["attachment.stored"]);
    assert!(again.state.attachment(&sha256('1')).unwrap().removed_at.is_none());
    again.when(system(), Command::RemoveAttachments, &around).then_refused(No::NotDue);
}

#[test]
fn given_what_was_attached_after_the_end_then_its_time_begins_when_it_was_stored() {
    let around = keeping(12, None, None);
    let ended = aborted(attached());
    let stored_at = ended.now + SignedDuration::from_hours(24 * 100);
    let story = ended.at(stored_at).when(bob(), Command::Attach(attach('2')), &around).accepted();
    let story = story.at(at("2027-06-30T00:00:00Z"));
    let story = story.when(system(), Command::RemoveAttachments, &around).accepted();
    let kept: Vec<_> = story.state.kept_until(12).map(|(one, _)| one.sha256.clone()).collect();
    assert_eq!(kept, [sha256('2')]);
}

#[test]
fn given_a_legal_hold_then_nothing_is_given_up_and_its_end_is_waited_for() {
    let held = keeping(12, None, Some(id(9)));
    let late = aborted(attached()).at(at("2099-01-01T00:00:00Z"));
    late.clone().when(system(), Command::RemoveAttachments, &held).then_refused(No::LegalHold);
    assert!(due(&late.state, late.now, &held).iter().all(|due| due.rule != "retention"));
    let schedule = release::due::schedule(&late.state, &held.procedure, &held.snapshots);
    assert!(schedule.iter().any(|due| due.rule == "retention"), "it stays on the agenda");
    // Lifted a moment ago.
    let lifted = keeping(12, Some(at("2099-01-31T00:00:00Z")), None);
    late.clone().when(system(), Command::RemoveAttachments, &lifted).then_refused(No::NotDue);
    late.at(at("2099-01-31T00:00:00Z")).when(system(), Command::RemoveAttachments, &lifted).accepted();
}

#[test]
fn given_an_attacher_then_they_took_part() {
    assert!(attached().state.participants.contains(&bob().id));
    let machine = actor("ci", ActorKind::Machine, &[Role::Machine]);
    let story = opened().when(machine.clone(), Command::Attach(attach('1')), &around()).accepted();
    assert!(!story.state.participants.contains(&machine.id));
}
