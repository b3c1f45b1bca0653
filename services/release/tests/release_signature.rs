//! A signature says by which printed name it was signed, and never says the name.

use std::sync::Arc;

use release::command::{RejectApproval, RequestApproval};
use release::decide::Around;
use release::directory::{
    Directory, DirectoryCommand, ErasePerson, NamePerson, People, UnlinkIdentity, name_record,
};
use release::event::{EventData as _, Input, ReleaseEvent, SignedAs};
use release::release::Release;
use release::spec::release::{
    approved, around, attest, authorize, go, grant, prose, requested, tagged, windowed,
};
use release::spec::{Spec, alice, bob, erin, grace, nothing, peggy, robot};
use release::value::{List, PersonName, Sha256Hex};
use release::wire::sha256_hex;
use release::{Actor, Command, Role};
use serde_json::Value;

/// As the vault would keep it, with a salt of its own.
fn hash_of(name: &str, salt: u8) -> Sha256Hex {
    sha256_hex(&name_record(&PersonName::new(name).unwrap(), [salt; 16]).unwrap())
}

fn named(directory: Spec<Directory>, who: &Actor, name: &str, salt: u8) -> Spec<Directory> {
    let given = NamePerson { actor: who.id.clone(), name_sha256: hash_of(name, salt) };
    directory.when(peggy(), DirectoryCommand::Name(given), &()).accepted()
}

fn known(directory: &Spec<Directory>) -> Around {
    let input = Input { stream: "directory-default".into(), revision: Some(9) };
    Around { people: People::read(Arc::new(directory.state.clone()), input), ..around() }
}

/// The signature that the command leaves, as it is stored.
#[track_caller]
fn signed_as(story: &Spec<Release>, event_type: &str) -> Option<SignedAs> {
    let found = story.facts.iter().rev().find(|fact| fact.event.event_type() == event_type);
    let mut data = Vec::new();
    found.unwrap_or_else(|| panic!("no {event_type}")).event.write_json(&mut data).unwrap();
    let data: Value = serde_json::from_slice(&data).unwrap();
    data.get("signed_as").map(|signed| serde_json::from_value(signed.clone()).unwrap())
}

fn by(revision: u64, name: &str, salt: u8) -> Option<SignedAs> {
    Some(SignedAs { revision, name_sha256: hash_of(name, salt) })
}

#[test]
fn given_people_with_names_when_they_sign_then_each_signature_says_which_entry_named_them() {
    let directory = named(nothing(), &grace(), "Grace Hopper", 1);
    let directory = named(directory, &bob(), "Bob Kahn", 2);
    let directory = named(directory, &alice(), "Alice Recoque", 3);
    let world = known(&directory);

    let story = tagged().when(bob(), attest("1.4"), &world).accepted();
    assert_eq!(signed_as(&story, "item.attested"), by(1, "Bob Kahn", 2));

    let asked = windowed().when(alice(), Command::RequestApproval(RequestApproval { note: None }), &world);
    let asked = asked.accepted();
    // To ask is not to sign.
    assert_eq!(signed_as(&asked, "approval.requested"), None);
    let story = asked.clone().when(grace(), grant(&asked), &world).accepted();
    assert_eq!(signed_as(&story, "approval.granted"), by(0, "Grace Hopper", 1));
    let no = RejectApproval { reason: prose("not on a Monday") };
    let reject = Command::RejectApproval { request: asked.request(), body: no };
    let story = asked.when(grace(), reject, &world).accepted();
    assert_eq!(signed_as(&story, "approval.rejected"), by(0, "Grace Hopper", 1));

    let mut story = approved().hours_later(2);
    for (who, role) in [
        (alice(), Role::ReleaseManager),
        (release::spec::dave(), Role::Operator),
        (erin(), Role::OnCall),
        (release::spec::carol(), Role::Qa),
    ] {
        story = story.when(who, go(role), &world).accepted();
    }
    // Carol has no name in the directory.
    assert_eq!(signed_as(&story, "roll_call.answered"), None);
    let story = story.when(alice(), authorize(), &world).accepted();
    assert_eq!(signed_as(&story, "production.authorized"), by(2, "Alice Recoque", 3));
}

#[test]
fn given_a_new_name_when_its_bearer_signs_again_then_the_older_signature_keeps_the_older_name() {
    let directory = named(nothing(), &grace(), "Grace Murray", 1);
    let asked = requested();
    let story = asked.clone().when(grace(), grant(&asked), &known(&directory)).accepted();
    let directory = named(directory, &grace(), "Grace Hopper", 2);
    let again = asked.clone().when(grace(), grant(&asked), &known(&directory)).accepted();
    assert_eq!(signed_as(&story, "approval.granted"), by(0, "Grace Murray", 1));
    assert_eq!(signed_as(&again, "approval.granted"), by(1, "Grace Hopper", 2));
}

#[test]
fn given_nobody_in_the_directory_when_they_sign_then_the_event_is_as_it_always_was() {
    let asked = requested();
    let story = asked.clone().when(grace(), grant(&asked), &known(&nothing())).accepted();
    let before = asked.clone().when(grace(), grant(&asked), &around()).accepted();
    assert_eq!(signed_as(&story, "approval.granted"), None);
    assert_eq!(signed_as(&before, "approval.granted"), None);
}

#[test]
fn given_an_erased_or_unlinked_person_when_they_sign_then_without_a_name() {
    let directory = named(nothing(), &grace(), "Grace Hopper", 1);
    let erase = ErasePerson { actor: grace().id, reason: prose("she asked for it") };
    let erased = directory.clone().when(peggy(), DirectoryCommand::Erase(erase), &()).accepted();
    let unlink = UnlinkIdentity { actor: grace().id, keys: List::default(), reason: prose("left") };
    let unlinked = directory.when(peggy(), DirectoryCommand::Unlink(unlink), &()).accepted();
    for directory in [erased, unlinked] {
        let asked = requested();
        let story = asked.clone().when(grace(), grant(&asked), &known(&directory)).accepted();
        assert_eq!(signed_as(&story, "approval.granted"), None);
    }
}

#[test]
fn given_a_machine_with_a_name_when_it_acts_then_it_signs_nothing() {
    let world = known(&named(nothing(), &robot(), "Pipeline", 1));
    assert_eq!(world.people.signed_as(&robot()), None);
    let person = Actor { kind: release::ActorKind::Person, ..robot() };
    assert_eq!(world.people.signed_as(&person), by(0, "Pipeline", 1));
}

fn written(event: &ReleaseEvent) -> String {
    let mut data = Vec::new();
    event.write_json(&mut data).unwrap();
    String::from_utf8(data).unwrap()
}

#[test]
fn given_a_batch_when_a_person_signs_in_it_then_each_signature_has_the_name() {
    let world = known(&named(nothing(), &bob(), "Bob Kahn", 2));
    let batch = Command::Batch { commands: vec![attest("1.4"), attest("1.5")] };
    let story = tagged().when(bob(), batch, &world).accepted();
    let signed = story.facts.iter().filter(|fact| matches!(fact.event, ReleaseEvent::ItemAttested(_)));
    assert_eq!(signed.clone().count(), 2);
    assert!(signed.clone().all(|fact| written(&fact.event).contains("signed_as")));
}
