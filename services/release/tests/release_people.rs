//! Two identities of one person are one person, wherever a second one is asked for.

use std::sync::Arc;

use release::command::{
    DecideRollback, GrantWaiver, MarkNotApplicable, ProposeRollback, ReaffirmItem, RequestWaiver,
};
use release::decide::Around;
use release::directory::{Directory, DirectoryCommand, LinkIdentity, People};
use release::event::{ChangeClass, Input, ReleaseEvent, RollbackDecision};
use release::procedure::NotApplicableProof;
use release::procedures::{ActivateProcedure, ProcedureCommand, Procedures, PublishProcedure, built_in};
use release::refusal::RefusalCode as No;
use release::release::Release;
use release::spec::release::{
    approved, around, attest, authorize, authorized, deploy, deploying, go, grant, item, prose, tag, tagged,
    windowed,
};
use release::spec::{Spec, actor, alice, bob, grace, heidi, id, nothing, peggy, robot};
use release::value::List;
use release::{Actor, ActorKind, Command, Role};

/// One person with two accounts.
fn ada(account: u8, roles: &[Role]) -> Actor {
    actor(&format!("ada-{account}"), ActorKind::Person, roles)
}

fn input() -> Input {
    Input { stream: "directory-default".into(), revision: Some(1) }
}

/// The directory knows that the first and the second of them are one person.
fn linked(one: &Actor, other: &Actor) -> People {
    let link = |who: &Actor| {
        DirectoryCommand::Link(LinkIdentity {
            actor: who.id.clone(),
            directory_ref: Some(id(77)),
            keys: List::default(),
        })
    };
    let story = nothing::<Directory>().when(peggy(), link(one), &()).accepted();
    let story = story.when(peggy(), link(other), &()).accepted();
    People::read(Arc::new(story.state), input())
}

/// Refused for the linked one, whom the directory knows as the first; accepted from anybody else.
#[track_caller]
fn second_person(
    story: &Spec<Release>,
    first: &Actor,
    second: &Actor,
    command: &Command,
    world: Around,
    no: No,
) -> Spec<Release> {
    let known = Around { people: linked(first, second), ..world };
    let story = story.clone().when(second.clone(), command.clone(), &known).then_refused(no).story;
    let another = Around { people: linked(first, &actor("somebody", ActorKind::Person, &[])), ..known };
    story.when(second.clone(), command.clone(), &another).accepted()
}

/// The last event says that the directory was read.
#[track_caller]
fn says_so(inputs: Option<&Vec<Input>>) {
    assert_eq!(inputs, Some(&vec![input()]));
}

fn waived(number: &str, by: &Actor) -> (Spec<Release>, Command) {
    let body = RequestWaiver {
        reason: prose("the runner is broken"),
        compensating_control: prose("ran it by hand"),
        expires_at: release::spec::monday() + jiff::SignedDuration::from_hours(8),
    };
    let story = tagged().when(by.clone(), Command::RequestWaiver { item: item(number), body }, &around());
    let story = story.accepted();
    let waiver = *story.state.waivers.keys().next().unwrap();
    (story, Command::GrantWaiver { item: item(number), waiver, body: GrantWaiver { note: None } })
}

#[test]
fn given_who_asked_for_a_waiver_when_another_identity_of_theirs_grants_it_then_refused() {
    let (first, second) = (ada(1, &[Role::Engineer]), ada(2, &[Role::Approver]));
    let (story, grant) = waived("1.2", &first);
    let story = second_person(&story, &first, &second, &grant, around(), No::SecondPersonRequired);
    let ReleaseEvent::ItemWaiverGranted(event) = &story.facts.last().unwrap().event else { panic!() };
    says_so(event.inputs.as_ref());
}

#[test]
fn given_one_grant_of_two_when_another_identity_of_theirs_grants_then_refused() {
    let (first, second) = (ada(1, &[Role::Approver]), ada(2, &[Role::ReleaseManager]));
    let (story, grant) = waived("1.4", &bob());
    let story = story.when(first.clone(), grant.clone(), &around()).accepted();
    let story = second_person(&story, &first, &second, &grant, around(), No::AlreadySigned);
    assert!(story.state.status(item("1.4")).is_closed());
}

#[test]
fn given_a_proposal_of_not_applicable_when_another_identity_of_theirs_confirms_then_refused() {
    let mut world = around();
    let mut procedure = (*world.procedure).clone();
    procedure.steps[0].items[0].not_applicable = vec![NotApplicableProof::Justification];
    world.procedure = Arc::new(procedure);
    let (first, second) = (ada(1, &[Role::Engineer]), ada(2, &[Role::Engineer]));
    let body = MarkNotApplicable { justification: Some(prose("from main")), evidence: List::default() };
    let propose = Command::MarkNotApplicable { item: item("1.1"), body };
    let story = tagged().when(first.clone(), propose, &world).accepted();
    let confirm = Command::ConfirmNotApplicable { item: item("1.1") };
    let story = second_person(&story, &first, &second, &confirm, world, No::SecondPersonRequired);
    let ReleaseEvent::ItemMarkedNotApplicable(event) = &story.facts.last().unwrap().event else { panic!() };
    says_so(event.inputs.as_ref());
}

#[test]
fn given_one_signature_of_two_when_another_identity_of_theirs_signs_or_reaffirms_then_refused() {
    let (first, second) = (ada(1, &[Role::Engineer]), ada(2, &[Role::ReleaseManager]));
    let story = tagged().when(first.clone(), attest("1.4"), &around()).accepted();
    let story = second_person(&story, &first, &second, &attest("1.4"), around(), No::AlreadySigned);
    assert!(story.state.status(item("1.4")).is_closed());
    let ReleaseEvent::ItemAttested(event) = &story.facts.last().unwrap().event else { panic!() };
    says_so(event.inputs.as_ref());

    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let reaffirm = Command::ReaffirmItem { item: item("1.4"), body: ReaffirmItem { statement: None } };
    let story = story.when(first.clone(), reaffirm.clone(), &around()).accepted();
    second_person(&story, &first, &second, &reaffirm, around(), No::AlreadySigned);
}

#[test]
fn given_a_drill_when_another_identity_of_its_author_reviews_it_then_refused() {
    let (first, second) = (ada(1, &[Role::Operator]), ada(2, &[Role::Operator]));
    let story = tagged().step_closed(1).step_closed(2).step_closed(3);
    let story = story.when(first.clone(), attest("4.2"), &around()).accepted();
    let story = second_person(&story, &first, &second, &attest("4.2"), around(), No::AlreadySigned);
    assert!(story.state.status(item("4.2")).is_closed());
}

#[test]
fn given_who_asked_for_an_approval_when_another_identity_of_theirs_approves_then_not_independent() {
    let (first, second) = (ada(1, &[Role::ReleaseManager]), ada(2, &[Role::Approver]));
    let ask = Command::RequestApproval(release::command::RequestApproval { note: None });
    let story = windowed().when(first.clone(), ask, &around()).accepted();
    let grant = grant(&story);
    second_person(&story, &first, &second, &grant, around(), No::ApproverNotIndependent);
}

#[test]
fn given_one_approver_of_two_when_another_identity_of_theirs_approves_then_refused() {
    let body = release::command::AmendRelease {
        why: prose("it is larger than thought"),
        previous: None,
        class: Some(ChangeClass::HighRisk),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    let story = windowed().when(alice(), Command::Amend(body), &around()).accepted();
    let ask = Command::RequestApproval(release::command::RequestApproval { note: None });
    let story = story.when(alice(), ask, &around()).accepted();
    let grant = grant(&story);
    let story = story.when(grace(), grant.clone(), &around()).accepted();
    let story = second_person(&story, &grace(), &heidi(), &grant, around(), No::AlreadySigned);
    assert!(story.state.status(item("4.4")).is_closed());
}

#[test]
fn given_who_approved_when_another_identity_of_theirs_deploys_then_refused() {
    let second = ada(2, &[Role::Operator]);
    let story = authorized();
    let start = deploy("production", Some(story.authorization()));
    second_person(&story, &grace(), &second, &start, around(), No::SecondPersonRequired);
}

#[test]
fn given_a_roll_call_of_two_identities_when_they_are_one_person_then_not_enough_people() {
    let (first, second) =
        (ada(1, &[Role::ReleaseManager, Role::Operator, Role::OnCall]), ada(2, &[Role::Qa]));
    let mut story = approved().hours_later(2);
    for role in [Role::ReleaseManager, Role::Operator, Role::OnCall] {
        story = story.when(first.clone(), go(role), &around()).accepted();
    }
    let story = story.when(second.clone(), go(Role::Qa), &around()).accepted();
    let known = Around { people: linked(&first, &second), ..around() };
    let story = story.when(alice(), authorize(), &known).then_refused(No::RollCallIncomplete);
    let story = story.naming(&["roll_call/people"]);
    story.when(alice(), authorize(), &around()).accepted();
}

#[test]
fn given_a_proposed_rollback_when_two_identities_of_one_person_go_on_then_refused() {
    let (first, second) = (ada(1, &[Role::OnCall]), ada(2, &[Role::Operator]));
    let propose = ProposeRollback { reason: prose("p99 doubled"), deployment: None, trigger: None };
    let story = deploying().when(robot(), Command::ProposeRollback(propose), &around()).accepted();
    let proposal = story.state.proposals[0].proposal;
    let body = DecideRollback { decision: RollbackDecision::Continue, reason: prose("seen on the board") };
    let on = Command::DecideRollback { proposal, body };
    let story = story.when(first.clone(), on.clone(), &around()).accepted();
    let story = second_person(&story, &first, &second, &on, around(), No::AlreadySigned);
    assert_eq!(story.state.proposals[0].decided(), Some(RollbackDecision::Continue));
}

#[test]
fn given_who_published_a_procedure_when_another_identity_of_theirs_activates_it_then_refused() {
    let (first, second) = (ada(1, &[Role::Admin]), ada(2, &[Role::Approver]));
    let text = String::from_utf8(built_in(1).unwrap().to_vec()).unwrap();
    let text = text.replacen("\"product-release\"", "\"ours\"", 1);
    let procedure = release::SentJson::new(&text).unwrap();
    let name = release::spec::release::name("ours");
    let publish = ProcedureCommand::Publish { name, body: PublishProcedure { procedure } };
    let story = nothing::<Procedures>().when(first.clone(), publish, &People::default()).accepted();
    let activate = ProcedureCommand::Activate { version: 1, body: ActivateProcedure { note: None } };
    let known = linked(&first, &second);
    let story =
        story.when(second.clone(), activate.clone(), &known).then_refused(No::SecondPersonRequired).story;
    story.when(second, activate, &People::default()).accepted();
}
