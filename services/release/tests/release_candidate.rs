//! Tagging, binding and rejecting candidates, and what a new one does to every item.

use release::Command;
use release::command::{BindCandidate, RejectCandidate, TagCandidate};
use release::event::{CandidateBound, CandidateRejected, EffectKind, ReleaseEvent};
use release::procedure::{CandidateDigest, CandidateEffect, EqualEffect};
use release::refusal::RefusalCode as No;
use release::release::{CandidateStatus, ItemStatus, Release};
use release::spec::release::{
    around, artifact, attest, bind, item, list, opened, procedure, prose, sha256, signers, tag, tagged,
};
use release::spec::{Spec, alice, bob, carol, monday, robot};
use release::value::{CandidateTag, ItemNumber};

fn bound(digit: char) -> Command {
    Command::BindCandidate { number: 1, body: bind(digit) }
}

fn reject(number: u32) -> Command {
    Command::RejectCandidate { number, body: RejectCandidate { reason: prose("leaks memory") } }
}

/// The effects a new candidate had, as recorded.
fn effects(story: &Spec<Release>) -> Vec<(ItemNumber, EffectKind)> {
    match &story.facts.last().unwrap().event {
        ReleaseEvent::CandidateTagged(tagged) => {
            tagged.effects.iter().map(|row| (row.item, row.effect)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn given_a_release_when_tagged_the_candidate_is_current() {
    let story = opened().when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    let candidate = story.state.current_candidate().unwrap();
    assert_eq!((candidate.number, candidate.tagged_by.clone()), (1, bob().id));
    assert!(!candidate.is_bound());
    assert_eq!(effects(&story).len(), 49);
}

#[test]
fn given_candidates_when_tagged_with_a_gap_the_earlier_is_superseded() {
    let story = tagged().when(robot(), Command::TagCandidate(tag(4)), &around()).accepted();
    assert_eq!(story.state.candidates[0].status, CandidateStatus::Superseded { by: 4 });
    assert_eq!(story.state.current_candidate().unwrap().number, 4);
    story.when(bob(), Command::TagCandidate(tag(3)), &around()).then_refused(No::CandidateNumberUsed);
}

#[test]
fn given_another_version_when_tagged_then_refused() {
    let mut other = tag(1);
    other.tag = CandidateTag::new("v2.5.0-rc.1").unwrap();
    opened().when(bob(), Command::TagCandidate(other), &around()).then_refused(No::CandidateTagMismatch);
}

#[test]
fn given_the_same_commit_when_tagged_again_then_refused() {
    let mut same = tag(2);
    same.commit_sha = tag(1).commit_sha;
    tagged().when(bob(), Command::TagCandidate(same), &around()).then_refused(No::CandidateSame);
}

#[test]
fn given_another_role_when_tagged_then_refused() {
    opened().when(carol(), Command::TagCandidate(tag(1)), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_a_tag_when_its_artifacts_are_known_they_are_bound_once() {
    let story = opened().when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    let story = story.when(robot(), bound('1'), &around()).then([CandidateBound {
        number: 1,
        artifacts: vec![artifact('1')],
        migration_set_digest: None,
        config_schema_digest: None,
        pipeline_digest: None,
    }
    .into()]);
    assert!(story.state.current_candidate().unwrap().is_bound());
    let story = story.when(robot(), bound('1'), &around()).then_refused(No::NothingChanged).story;
    story
        .when(robot(), bound('2'), &around())
        .then_refused(No::CandidateDigestMismatch)
        .naming(&["candidate/1/artifacts"]);
}

#[test]
fn given_bound_artifacts_when_a_digest_follows_they_need_not_be_repeated() {
    let mut untagged = tag(1);
    untagged.pipeline_digest = None;
    let story = opened().when(bob(), Command::TagCandidate(untagged), &around()).accepted();
    let story = story.when(robot(), bound('1'), &around()).accepted();
    let body = BindCandidate { artifacts: list(vec![]), pipeline_digest: Some(sha256('9')), ..bind('1') };
    let story = story.when(robot(), Command::BindCandidate { number: 1, body }, &around()).accepted();
    let candidate = story.state.current_candidate().unwrap();
    assert_eq!(candidate.pipeline_digest, Some(sha256('9')));
    assert_eq!(candidate.artifacts, [artifact('1')]);
}

#[test]
fn given_two_artifacts_when_bound_again_in_another_order_nothing_changes() {
    let pair = |first, second| BindCandidate { artifacts: list(vec![first, second]), ..bind('1') };
    let mut worker = artifact('2');
    worker.name = release::spec::release::line("worker");
    let story = opened().when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    let body = pair(artifact('1'), worker.clone());
    let story = story.when(robot(), Command::BindCandidate { number: 1, body }, &around()).accepted();
    let body = pair(worker, artifact('1'));
    story
        .when(robot(), Command::BindCandidate { number: 1, body }, &around())
        .then_refused(No::NothingChanged);
}

#[test]
fn given_a_bound_digest_when_another_is_given_then_refused() {
    let body = BindCandidate { pipeline_digest: Some(sha256('9')), ..bind('1') };
    tagged()
        .when(robot(), Command::BindCandidate { number: 1, body }, &around())
        .then_refused(No::CandidateDigestMismatch)
        .naming(&["candidate/1/pipeline_digest"]);
}

#[test]
fn given_a_candidate_when_rejected_there_is_no_current_one() {
    let story = tagged().when(alice(), reject(1), &around()).then([CandidateRejected {
        number: 1,
        reason: prose("leaks memory"),
    }
    .into()]);
    assert!(story.state.current_candidate().is_none());
    story.clone().when(alice(), reject(1), &around()).then_refused(No::CandidateRejected);
    story.clone().when(alice(), reject(7), &around()).then_refused(No::CandidateUnknown);
    story.when(bob(), reject(1), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_items_closed_on_a_rejected_candidate_when_the_next_is_tagged_they_do_not_carry_over() {
    let story = tagged().closed(&["1.1", "1.2", "1.6"]);
    let story = story.when(alice(), reject(1), &around()).accepted();
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    assert!(story.state.status(item("1.1")).is_closed());
    assert!(matches!(story.state.status(item("1.2")), ItemStatus::Stale { reaffirmable: true, .. }));
    assert!(matches!(story.state.status(item("1.6")), ItemStatus::Stale { reaffirmable: false, .. }));
}

#[test]
fn given_one_of_two_signatures_when_a_candidate_is_tagged_it_does_not_count_for_the_next() {
    let story = tagged().when(bob(), attest("1.4"), &around()).accepted();
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let story = story.when(alice(), attest("1.4"), &around()).accepted();
    assert_eq!(story.state.status(item("1.4")), &ItemStatus::Pending);
}

#[test]
fn given_a_changed_digest_when_the_next_candidate_equals_it_the_item_still_needs_evidence() {
    // 2.3 was shown for migrations A; rc.2 and rc.3 have migrations B, which nobody has shown.
    let story = tagged().step_closed(1).step_closed(2);
    let next = |n| {
        let mut next = tag(n);
        next.migration_set_digest = Some(sha256('e'));
        Command::TagCandidate(next)
    };
    let story = story.when(bob(), next(2), &around()).accepted();
    assert!(matches!(story.state.status(item("2.3")), ItemStatus::Stale { reaffirmable: false, .. }));
    let story = story.when(bob(), next(3), &around()).accepted();
    assert!(matches!(story.state.status(item("2.3")), ItemStatus::Stale { reaffirmable: false, .. }));
}

/// What a new candidate does to each item closed by attestation: with equal digests, and with every
/// digest changed. The summary of the procedure, as a table.
const EFFECTS: &str = "
1.1 - -
1.2 RA RA
1.3 RA RA
1.4 RA RA
1.5 RA RA
1.6 ST ST
1.7 RA RA
2.1 ST ST
2.2 ST ST
2.3 RA ST
2.4 RA ST
2.5 ST ST
3.1 ST ST
3.2 ST ST
3.3 ST ST
3.4 ST ST
3.5 RA RA
3.6 ST ST
3.7 RA RA
4.1 - -
4.2 - ST
4.3 RA RA
4.4 REV REV
4.5 - -
4.6 - -
4.7 RA RA
5.1 ST ST
5.2 ST ST
5.3 ST ST
5.4 ST ST
5.5 ST ST
5.6 ST ST
5.7 ST ST
6.1 ST ST
6.2 ST ST
6.3 ST ST
6.4 ST ST
6.5 ST ST
6.6 ST ST
6.7 ST ST
6.8 ST ST
6.9 ST ST
7.1 ST ST
7.2 ST ST
7.3 ST ST
7.4 ST ST
7.5 ST ST
7.6 ST ST
7.7 ST ST
";

#[test]
fn given_every_item_closed_when_a_candidate_is_tagged_each_is_affected_as_agreed() {
    let mut closed = tagged();
    for row in procedure().items() {
        let status = ItemStatus::Satisfied {
            assurance: release::event::Assurance::Attested,
            at: monday(),
            candidate: Some(1),
        };
        closed.state.items.entry(row.number).or_default().status = status;
    }
    let mut changed = tag(2);
    changed.migration_set_digest = Some(sha256('0'));
    changed.config_schema_digest = Some(sha256('0'));
    changed.pipeline_digest = None;
    let decided = |command| {
        let decided = closed.ask(&bob(), &Command::TagCandidate(command), &around()).unwrap();
        match &decided[0].event {
            ReleaseEvent::CandidateTagged(tagged) => tagged.effects.clone(),
            other => panic!("{other:?}"),
        }
    };
    let word = |effect| match effect {
        EffectKind::Unaffected => "-",
        EffectKind::Reaffirm => "RA",
        EffectKind::Stale => "ST",
        EffectKind::Reevaluate => "RE",
        EffectKind::Revoked => "REV",
        EffectKind::Failed => "FAILED",
    };
    let rows: Vec<String> = decided(tag(2))
        .iter()
        .zip(decided(changed))
        .map(|(equal, changed)| format!("{} {} {}", equal.item, word(equal.effect), word(changed.effect)))
        .collect();
    assert_eq!(rows, EFFECTS.trim().lines().collect::<Vec<_>>());
    assert_eq!(rows.len(), 49);
}

#[test]
fn given_either_digest_of_two_when_it_differs_the_item_is_stale() {
    let conditional = |effect: &CandidateEffect| {
        *effect
            == CandidateEffect::Conditional {
                equal: vec![CandidateDigest::MigrationSet, CandidateDigest::Pipeline],
                then: EqualEffect::Unaffected,
            }
    };
    assert!(conditional(&procedure().item(item("4.2")).unwrap().on_new_candidate));
    let story = tagged().closed(&["4.2"]);
    assert_eq!(signers(item("4.2")).len(), 2);
    let mut next = tag(2);
    next.pipeline_digest = Some(sha256('0'));
    let story = story.when(bob(), Command::TagCandidate(next), &around()).accepted();
    assert!(matches!(story.state.status(item("4.2")), ItemStatus::Stale { reaffirmable: false, .. }));
}

#[test]
fn given_a_candidate_what_follows_its_tag_is_bound_piece_by_piece_in_any_order() {
    let bare = TagCandidate {
        migration_set_digest: None,
        config_schema_digest: None,
        pipeline_digest: None,
        ..tag(1)
    };
    let nothing = BindCandidate {
        artifacts: list(vec![]),
        migration_set_digest: None,
        config_schema_digest: None,
        pipeline_digest: None,
    };
    let pieces = [
        BindCandidate { migration_set_digest: Some(sha256('a')), ..nothing.clone() },
        BindCandidate { config_schema_digest: Some(sha256('b')), ..nothing.clone() },
        BindCandidate { pipeline_digest: Some(sha256('c')), ..nothing.clone() },
        BindCandidate { artifacts: list(vec![artifact('1')]), ..nothing.clone() },
    ];
    for first in 0..pieces.len() {
        let mut story = opened().when(bob(), Command::TagCandidate(bare.clone()), &around()).accepted();
        for n in 0..pieces.len() {
            let body = pieces[(first + n) % pieces.len()].clone();
            let command = Command::BindCandidate { number: 1, body };
            story = story.when(robot(), command.clone(), &around()).then_types(&["candidate.bound"]);
            story = story.when(robot(), command, &around()).then_refused(No::NothingChanged).story;
        }
    }
}
