use release::event::{
    ClockSimulated, FormatEnabled, LogRestored, NoteText, SigningKeyCompromised, SigningKeyRotated,
};
use release::installation::{DeclareCompromise, EnableFormat, Installation, InstallationCommand};
use release::refusal::RefusalCode as No;
use release::spec::{Spec, monday, nothing, peggy, system};
use release::value::{Origin, VerifierKey};

use crate::registry::{prose, replays};

/// The n-th key of a log.
fn key(n: u8) -> VerifierKey {
    VerifierKey::new(&format!("log.example/shiplog+0000000{n}+{}", "A".repeat(44))).unwrap()
}

fn rotation(old: u8, new: u8, from_size: u64) -> InstallationCommand {
    InstallationCommand::RecordRotation { old: key(old), new: key(new), from_size }
}

fn compromise(n: u8, from_size: u64) -> InstallationCommand {
    let body = DeclareCompromise { from_size, reason: prose("the signer's disk was stolen") };
    InstallationCommand::DeclareCompromise { key: key(n), body }
}

/// The first key signed 1,042 events.
fn rotated() -> Spec<Installation> {
    nothing().when(system(), rotation(1, 2, 1_043), &()).accepted()
}

fn ranges(story: &Spec<Installation>) -> Vec<(u64, Option<u64>)> {
    story.state.signing_keys.iter().map(|key| (key.from_size, key.to_size)).collect()
}

#[test]
fn given_a_log_then_it_is_marked_as_simulated_once_and_by_the_server_alone() {
    let mark = InstallationCommand::SimulateClock;
    nothing::<Installation>().when(peggy(), mark.clone(), &()).then_refused(No::RoleMissing);
    let expected = ClockSimulated { from: monday() };
    let story = nothing::<Installation>().when(system(), mark.clone(), &()).then([expected.into()]);
    assert_eq!(story.state.simulated_from, Some(monday()));
    story.when(system(), mark, &()).then_refused(No::NothingChanged);
}

#[test]
fn given_the_first_key_when_it_is_rotated_then_each_has_its_sizes() {
    let expected = SigningKeyRotated { old: key(1), new: key(2), from_size: 1_043 };
    let story = nothing::<Installation>().when(system(), rotation(1, 2, 1_043), &()).then([expected.into()]);
    assert_eq!(ranges(&story), [(0, Some(1_042)), (1_043, None)]);
    let story = story.when(system(), rotation(2, 3, 2_000), &()).accepted();
    assert_eq!(ranges(&story), [(0, Some(1_042)), (1_043, Some(1_999)), (2_000, None)]);
    assert_eq!(story.state.signing_key(&key(3).id().unwrap()).unwrap().key, key(3));
    replays(&story);
}

#[test]
fn given_a_rotation_when_it_is_seen_again_then_it_is_recorded_once() {
    rotated().when(system(), rotation(1, 2, 1_043), &()).then_refused(No::NothingChanged);
    rotated().when(system(), rotation(1, 3, 1_050), &()).then_refused(No::SigningKeyUnknown);
    rotated().when(peggy(), rotation(2, 3, 2_000), &()).then_refused(No::RoleMissing);
}

#[test]
fn given_a_key_when_it_is_declared_compromised_then_it_says_from_which_size_on_and_never_less_of_it() {
    let reason = prose("the signer's disk was stolen");
    let expected = SigningKeyCompromised { key: key(1), from_size: 1_001, reason };
    let story = rotated().when(peggy(), compromise(1, 1_001), &()).then([expected.into()]);
    let declared = story.state.signing_keys[0].compromised.clone().unwrap();
    assert_eq!((declared.from_size, declared.by), (1_001, peggy().id));
    let story = story.when(peggy(), compromise(1, 1_001), &()).then_refused(No::NothingChanged).story;
    let story = story.when(peggy(), compromise(1, 2_000), &()).then_refused(No::NothingChanged).story;
    let story = story.when(peggy(), compromise(1, 900), &()).accepted();
    assert_eq!(story.state.signing_keys[0].compromised.as_ref().unwrap().from_size, 900);
    replays(&story);
}

#[test]
fn given_the_only_key_when_it_is_compromised_before_it_is_rotated_then_both_are_known() {
    let story = nothing::<Installation>().when(peggy(), compromise(1, 0), &()).accepted();
    let story = story.when(system(), rotation(1, 2, 1_043), &()).accepted();
    assert_eq!(ranges(&story), [(0, Some(1_042)), (1_043, None)]);
    assert!(story.state.signing_keys[0].compromised.is_some());
    replays(&story);
}

#[test]
fn given_a_key_of_another_log_or_another_role_then_no_compromise_is_declared() {
    rotated().when(peggy(), compromise(7, 0), &()).then_refused(No::SigningKeyUnknown);
    rotated().when(release::spec::alice(), compromise(1, 0), &()).then_refused(No::RoleMissing);
}

#[test]
fn given_a_backup_in_the_logs_place_when_it_is_recorded_then_the_log_has_another_name_and_no_key_of_the_old_one()
 {
    let restored = LogRestored {
        events: 1_500,
        root: release::wire::sha256_hex(b"root"),
        origin: Origin::new("log.example/again").unwrap(),
        checkpoint: NoteText::new("log.example/shiplog\n1600\nroot").unwrap(),
    };
    let restore = InstallationCommand::RecordRestore(restored.clone());
    rotated().when(peggy(), restore.clone(), &()).then_refused(No::RoleMissing);
    let story = rotated().when(system(), restore, &()).then([restored.clone().into()]);
    assert_eq!(story.state.restored_as, Some(restored.origin));
    assert!(story.state.signing_keys.is_empty());
    replays(&story);
    // The new name's keys are counted from 0 again.
    let story = story.when(system(), rotation(3, 4, 2_000), &()).accepted();
    assert_eq!(ranges(&story), [(0, Some(1_999)), (2_000, None)]);
}

#[test]
fn given_a_log_when_a_format_is_enabled_then_it_only_goes_up() {
    let enable = |format| InstallationCommand::EnableFormat(EnableFormat { format });
    assert_eq!(Installation::default().format(), 1);
    nothing::<Installation>().when(system(), enable(2), &()).then_refused(No::RoleMissing);
    nothing::<Installation>().when(peggy(), enable(1), &()).then_refused(No::NothingChanged);
    let story = nothing::<Installation>().when(peggy(), enable(3), &());
    let story = story.then([FormatEnabled { format: 3 }.into()]);
    assert_eq!(story.state.format(), 3);
    replays(&story);
    for format in [0, 2, 3] {
        story.clone().when(peggy(), enable(format), &()).then_refused(No::NothingChanged);
    }
    assert_eq!(story.when(peggy(), enable(4), &()).accepted().state.format(), 4);
}
