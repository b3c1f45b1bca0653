//! What went another way is derived from what was recorded; people take charge of it and end it.

use release::RefusalCode as No;
use release::command::{AssignException, DisposeException};
use release::event::Disposition;
use release::release::{ExceptionKind, ExceptionRef};
use release::spec::judged::{around, honest, patched, record, tagged};
use release::spec::release::{commit, link, prose};
use release::spec::{Spec, alice, bob, dave, grace, heidi};
use release::{Command, Release, fold};
use serde_json::json;

fn kinds(story: &Spec<Release>) -> Vec<ExceptionKind> {
    story.state.exceptions.iter().map(|exception| exception.kind).collect()
}

fn dispose(exception: ExceptionRef, disposition: Disposition) -> Command {
    let reason = prose("It was put back.");
    let link = (disposition == Disposition::Remediated).then(|| link("https://tickets.example/OPS-7"));
    Command::DisposeException { exception, body: DisposeException { disposition, reason, link } }
}

#[test]
fn given_what_was_recorded_exceptions_follow_from_it() {
    let story = tagged();
    assert_eq!(kinds(&story), []);
    let run = patched(honest("1.6", &story).remove(0), &json!({"attempt": 3}));
    let tests = patched(honest("3.1", &story).remove(0), &json!({"previous_total": 130}));
    let moved = patched(honest("1.5", &story).remove(0), &json!({"tag_object_sha": commit('9')}));
    let story = story.reported("1.6", run).reported("3.1", tests).reported("1.5", moved);
    assert_eq!(
        kinds(&story),
        [ExceptionKind::CiRerun, ExceptionKind::TestsShrunk, ExceptionKind::TagMutated]
    );
    let first = &story.state.exceptions[0];
    assert_eq!(
        first.id("release-default.checkout-2.4.0"),
        format!("release-default.checkout-2.4.0:ci_rerun:{}", first.revision)
    );
    // They are in no event, and every fold finds them again.
    let again: Release = fold(&story.facts);
    assert_eq!(again.exceptions, story.state.exceptions);
}

#[test]
fn given_an_exception_an_approver_who_did_nothing_else_ends_it() {
    let story = tagged();
    let moved = patched(honest("1.5", &story).remove(0), &json!({"tag_object_sha": commit('9')}));
    let story = story.when(heidi(), record("1.5", moved.clone()), &around());
    let story =
        story.then_refused(No::RoleMissing).story.when(bob(), record("1.5", moved), &around()).accepted();
    let which =
        ExceptionRef { kind: ExceptionKind::TagMutated, revision: story.state.exceptions[0].revision };
    let assign = |exception| Command::AssignException {
        exception,
        body: AssignException { to: dave().id, due_at: None },
    };
    let nothing = ExceptionRef { revision: 0, ..which };
    let story = story.when(alice(), assign(nothing), &around()).then_refused(No::ExceptionUnknown).story;
    let story = story.when(alice(), assign(which), &around()).then_types(&["exception.assigned"]);
    assert_eq!(story.state.exceptions[0].owner, Some(dave().id));
    let unlinked =
        DisposeException { disposition: Disposition::Remediated, reason: prose("Done."), link: None };
    let unlinked = Command::DisposeException { exception: which, body: unlinked };
    let story = story.when(grace(), unlinked, &around()).then_refused(No::EvidenceRequired).story;
    let involved = release::spec::actor("bob", release::ActorKind::Person, &[release::Role::Approver]);
    let story = story.when(involved, dispose(which, Disposition::Accepted), &around());
    let story = story.then_refused(No::SecondPersonRequired).story;
    let story = story.when(grace(), dispose(which, Disposition::Remediated), &around()).accepted();
    assert!(story.state.exceptions[0].disposed.is_some());
    story.when(heidi(), dispose(which, Disposition::Accepted), &around()).then_refused(No::ExceptionDecided);
}
