use std::collections::BTreeSet;

use proptest::prelude::*;
use release::directory::{
    DirectoryCommand, ErasePerson, Identity, LinkIdentity, MAX_IDENTITIES, MAX_KEYS, MAX_NAMES, NamePerson,
    UnlinkIdentity, name_in, name_record,
};
use release::event::{IdentityLinked, IdentityUnlinked, PersonErased, PersonNamed};
use release::refusal::RefusalCode as No;
use release::spec::release::sha256;
use release::spec::{Spec, bob, carol, id, monday, nothing, peggy, who_is};
use release::value::{ActorId, AuthorKey, PersonName};
use release::{Directory, Role};
use uuid::Uuid;

use crate::registry::{list, live, prose, replays, somebody, tells_all};

fn key(n: u32) -> AuthorKey {
    AuthorKey::new(&format!("github:{n}")).unwrap()
}

fn link(actor: &ActorId, keys: &[u32], directory_ref: Option<Uuid>) -> DirectoryCommand {
    let keys = list(keys.iter().map(|n| key(*n)));
    DirectoryCommand::Link(LinkIdentity { actor: actor.clone(), directory_ref, keys })
}

fn unlink(actor: &ActorId, keys: &[u32]) -> DirectoryCommand {
    let keys = list(keys.iter().map(|n| key(*n)));
    DirectoryCommand::Unlink(UnlinkIdentity { actor: actor.clone(), reason: prose("left the company"), keys })
}

fn keys(story: &Spec<Directory>, actor: &ActorId) -> Vec<String> {
    story.state.author_keys(actor).into_iter().map(ToString::to_string).collect()
}

/// Bob, with two accounts.
/// Who is known by a key.
fn actors_with<'d>(directory: &'d Directory, key: &AuthorKey) -> Vec<&'d ActorId> {
    let holds = |identity: &Identity| identity.keys.contains(key);
    directory.identities.iter().filter(|(_, identity)| holds(identity)).map(|(actor, _)| actor).collect()
}

fn linked() -> Spec<Directory> {
    nothing().when(peggy(), link(&bob().id, &[1, 2], Some(id(77))), &()).accepted()
}

#[test]
fn given_an_unknown_actor_when_linked_its_keys_are_found_both_ways() {
    let story = nothing::<Directory>()
        .when(peggy(), link(&bob().id, &[2, 1, 2], Some(id(77))), &())
        .then([IdentityLinked { actor: bob().id, keys: vec![key(1), key(2)], directory_ref: Some(id(77)) }
            .into()]);
    assert_eq!(keys(&story, &bob().id), ["github:1", "github:2"]);
    assert_eq!(keys(&story, &carol().id), [""; 0]);
    assert_eq!(actors_with(&story.state, &key(1)), [&bob().id]);
    assert!(actors_with(&story.state, &key(3)).is_empty());
    assert_eq!(story.state.identity(&bob().id).unwrap().directory_ref, Some(id(77)));
    replays(&story);
}

#[test]
fn given_a_known_actor_when_linked_only_what_is_new_is_recorded() {
    let story = linked().when(peggy(), link(&bob().id, &[2, 3], None), &()).then([IdentityLinked {
        actor: bob().id,
        keys: vec![key(3)],
        directory_ref: None,
    }
    .into()]);
    assert_eq!(keys(&story, &bob().id), ["github:1", "github:2", "github:3"]);
    assert_eq!(story.state.identity(&bob().id).unwrap().directory_ref, Some(id(77)));
    replays(&story);
}

#[test]
fn given_links_that_exist_when_linked_again_nothing_would_change() {
    linked().when(peggy(), link(&bob().id, &[1], Some(id(77))), &()).then_refused(No::NothingChanged);
    linked().when(peggy(), link(&bob().id, &[], None), &()).then_refused(No::NothingChanged);
}

#[test]
fn given_a_person_without_accounts_when_linked_the_directory_knows_them() {
    let story = nothing::<Directory>().when(peggy(), link(&bob().id, &[], Some(id(1))), &()).accepted();
    assert!(story.state.identity(&bob().id).is_some());
}

#[test]
fn given_a_key_of_somebody_else_when_linked_it_is_refused_and_named() {
    let story = linked()
        .when(peggy(), link(&carol().id, &[3, 2], None), &())
        .then_refused(No::IdentityTaken)
        .naming(&["directory/keys/github:2"]);
    story.when(peggy(), link(&carol().id, &[3, 2], Some(id(78))), &()).then_refused(No::IdentityTaken);
}

#[test]
fn given_one_person_with_two_actors_they_share_their_keys() {
    let story = linked().when(peggy(), link(&carol().id, &[2, 5], Some(id(77))), &()).accepted();
    assert_eq!(keys(&story, &bob().id), ["github:1", "github:2", "github:5"]);
    assert_eq!(keys(&story, &carol().id), ["github:1", "github:2", "github:5"]);
    assert!(story.state.same_person(&bob().id, &carol().id));
    assert!(!story.state.same_person(&bob().id, &peggy().id));
    assert!(story.state.same_person(&peggy().id, &peggy().id));
    // They share a key, so they cannot become two people.
    story
        .when(peggy(), link(&carol().id, &[], Some(id(78))), &())
        .then_refused(No::IdentityTaken)
        .naming(&["directory/keys/github:2"]);
}

#[test]
fn given_links_when_unlinked_they_are_gone_and_the_rest_stays() {
    let story = linked().when(peggy(), unlink(&bob().id, &[2, 9]), &()).then([IdentityUnlinked {
        actor: bob().id,
        keys: vec![key(2)],
        entire: false,
        reason: prose("left the company"),
    }
    .into()]);
    assert_eq!(keys(&story, &bob().id), ["github:1"]);
    story.when(peggy(), link(&carol().id, &[2], None), &()).accepted();
}

#[test]
fn given_an_entry_when_unlinked_without_keys_all_of_it_is_gone() {
    let story = linked().when(peggy(), unlink(&bob().id, &[]), &()).then([IdentityUnlinked {
        actor: bob().id,
        keys: vec![key(1), key(2)],
        entire: true,
        reason: prose("left the company"),
    }
    .into()]);
    assert_eq!(story.state.identity(&bob().id), None);
    replays(&story);
}

#[test]
fn given_no_such_entry_or_link_when_unlinked_it_is_refused() {
    linked().when(peggy(), unlink(&carol().id, &[]), &()).then_refused(No::IdentityUnknown);
    linked().when(peggy(), unlink(&bob().id, &[9]), &()).then_refused(No::NothingChanged);
}

#[test]
fn given_nobody_but_an_admin_may_link_or_unlink() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Admin) {
        linked().when(who_is(role), link(&carol().id, &[7], None), &()).then_refused(No::RoleMissing);
        linked().when(who_is(role), unlink(&bob().id, &[]), &()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_as_many_entries_or_keys_as_the_directory_holds_one_more_is_refused() {
    let mut story = linked();
    let count = u32::try_from(MAX_KEYS).unwrap();
    let full = story.state.identities.get_mut(&bob().id).unwrap();
    full.keys.extend((3..=count).map(key));
    story.clone().when(peggy(), link(&bob().id, &[count + 1], None), &()).then_refused(No::LimitReached);

    for n in 1..MAX_IDENTITIES {
        let actor = ActorId::new(&format!("https://id.example#{n}")).unwrap();
        let at = monday();
        let identity = Identity { keys: BTreeSet::new(), directory_ref: None, since: at, updated_at: at };
        story.state.identities.insert(actor, identity);
    }
    story.when(peggy(), link(&carol().id, &[9_999], None), &()).then_refused(No::LimitReached);
}

#[test]
fn given_a_name_or_an_address_it_is_no_key() {
    for json in [
        r#"{"actor":"https://id.example#bob","keys":["bob@example.org"]}"#,
        r#"{"actor":"https://id.example#bob","keys":["github:bob"]}"#,
        r#"{"actor":"https://id.example#bob","name":"Bob"}"#,
    ] {
        assert!(serde_json::from_str::<LinkIdentity>(json).is_err(), "{json}");
    }
}

fn command() -> impl Strategy<Value = DirectoryCommand> {
    let actor = || (0u32..5).prop_map(|n| ActorId::new(&format!("https://id.example#{n}")).unwrap());
    let keys = || prop::collection::vec(0u32..6, 0..4);
    let person = prop::option::of((0u64..3).prop_map(id));
    prop_oneof![
        3 => (actor(), keys(), person).prop_map(|(actor, keys, person)| link(&actor, &keys, person)),
        1 => (actor(), keys()).prop_map(|(actor, keys)| unlink(&actor, &keys)),
    ]
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn given_any_commands_the_directory_replays_and_a_key_has_one_owner(
        commands in prop::collection::vec((somebody([peggy()]), command(), 0i64..30), 0..30)
    ) {
        live::<Directory>(commands, |_| (), |state, _, _, _| {
            for n in 0..6 {
                let key = key(n);
                let holders: Vec<_> = actors_with(state, &key);
                assert!(holders.iter().all(|holder| state.same_person(holders[0], holder)), "{key}");
            }
        });
    }
}

fn give(actor: &ActorId, hash: char) -> DirectoryCommand {
    DirectoryCommand::Name(NamePerson { actor: actor.clone(), name_sha256: sha256(hash) })
}

fn erase(actor: &ActorId) -> DirectoryCommand {
    DirectoryCommand::Erase(ErasePerson { actor: actor.clone(), reason: prose("asked for it") })
}

#[test]
fn given_a_name_when_another_is_given_the_newest_is_printed_and_both_are_kept() {
    let story = nothing::<Directory>().when(peggy(), give(&bob().id, 'a'), &()).then([PersonNamed {
        actor: bob().id,
        name_sha256: sha256('a'),
    }
    .into()]);
    let story = story.when(peggy(), give(&bob().id, 'b'), &()).accepted();
    let name = story.state.name(&bob().id).unwrap();
    assert_eq!((&name.sha256, name.revision), (&sha256('b'), 1));
    assert!(story.state.given_name(&bob().id, &sha256('a')).unwrap().erased_at.is_none());
    assert_eq!(story.state.name(&carol().id), None);
    replays(&story);
}

#[test]
fn given_a_person_with_two_accounts_when_erased_the_names_of_both_are_and_links_stay() {
    let story = linked().when(peggy(), link(&carol().id, &[], Some(id(77))), &()).accepted();
    let story = story.when(peggy(), give(&bob().id, 'a'), &()).accepted();
    let story = story.when(peggy(), give(&bob().id, 'b'), &()).accepted();
    let story = story.when(peggy(), give(&carol().id, 'c'), &()).accepted();
    let reason = prose("asked for it");
    let story = story.when(peggy(), erase(&carol().id), &()).then([
        PersonErased { actor: bob().id, names: vec![sha256('a'), sha256('b')], reason: reason.clone() }
            .into(),
        PersonErased { actor: carol().id, names: vec![sha256('c')], reason }.into(),
    ]);
    assert_eq!((story.state.name(&bob().id), story.state.name(&carol().id)), (None, None));
    assert!(story.state.given_name(&bob().id, &sha256('a')).unwrap().erased_at.is_some());
    assert!(story.state.same_person(&bob().id, &carol().id));
    let story = story.when(peggy(), erase(&bob().id), &()).then_refused(No::NothingChanged).story;
    // Who comes back is named again, and the erased name stays erased.
    let story = story.when(peggy(), give(&bob().id, 'd'), &()).accepted();
    assert_eq!(story.state.name(&bob().id).unwrap().sha256, sha256('d'));
    let story = story.when(peggy(), unlink(&bob().id, &[]), &()).accepted();
    tells_all(&[&story]);
    replays(&story);
}

#[test]
fn given_an_entry_that_is_taken_away_its_name_is_printed_no_more_and_can_still_be_erased() {
    let story = nothing::<Directory>().when(peggy(), give(&bob().id, 'a'), &()).accepted();
    let story = story.when(peggy(), unlink(&bob().id, &[]), &()).accepted();
    assert_eq!(story.state.name(&bob().id), None);
    let story = story.when(peggy(), erase(&bob().id), &()).accepted();
    assert!(story.state.given_name(&bob().id, &sha256('a')).unwrap().erased_at.is_some());
    replays(&story);
}

#[test]
fn given_somebody_who_is_no_admin_when_they_name_or_erase_then_refused() {
    let story =
        nothing::<Directory>().when(carol(), give(&carol().id, 'a'), &()).then_refused(No::RoleMissing);
    story.story.when(carol(), erase(&carol().id), &()).then_refused(No::RoleMissing);
}

#[test]
fn given_as_many_names_as_an_actor_may_have_when_another_is_given_then_refused() {
    let mut story = nothing::<Directory>();
    for _ in 0..MAX_NAMES {
        story = story.when(peggy(), give(&bob().id, 'a'), &()).accepted();
    }
    story.when(peggy(), give(&bob().id, 'b'), &()).then_refused(No::LimitReached);
}

#[test]
fn given_a_name_when_it_is_kept_then_with_its_salt_and_the_command_has_no_hash_of_it() {
    let name = PersonName::new("Bob Kahn").unwrap();
    let (one, other) = (name_record(&name, [1; 16]).unwrap(), name_record(&name, [2; 16]).unwrap());
    assert_eq!(one, br#"{"name":"Bob Kahn","salt":"01010101010101010101010101010101"}"#);
    assert_ne!(one, other);
    assert_eq!(name_in(&one).unwrap(), name);
    let command = serde_json::to_string(&give(&bob().id, 'a')).unwrap();
    assert!(!command.contains("aaaa"), "{command}");
    for no in ["", " Bob", "Bob ", "Bob\nKahn", "Bob \u{202e}nhaK"] {
        assert!(PersonName::new(no).is_err(), "{no:?}");
    }
}
