//! Could the known people take a release's decisions?

use std::collections::BTreeSet;

use release::Role::{self, Approver, Engineer, OnCall, ReleaseManager};
use release::event::ChangeClass;
use release::product::readiness::{Readiness, readiness};
use release::product::settings::ProductSettings;
use release::spec::release::procedure;

fn with(people: &[&[Role]]) -> Readiness {
    let people: Vec<BTreeSet<Role>> = people.iter().map(|roles| roles.iter().copied().collect()).collect();
    readiness(&procedure(), &ProductSettings::default(), &people)
}

#[track_caller]
fn possible(readiness: &Readiness, decision: &str, class: Option<ChangeClass>) -> bool {
    let found = readiness.decisions.iter().find(|known| known.decision == decision && known.class == class);
    found.unwrap_or_else(|| panic!("{decision} is not asked about: {readiness:?}")).possible
}

#[test]
fn given_people_when_asked_then_each_decision_is_possible_only_with_enough_different_people() {
    let approval = |people: &[&[Role]], class| possible(&with(people), "item/4.4", Some(class));
    assert!(!approval(&[], ChangeClass::Normal));
    assert!(!approval(&[&[ReleaseManager, Approver]], ChangeClass::Normal));
    assert!(approval(&[&[ReleaseManager, Approver], &[ReleaseManager]], ChangeClass::Normal));
    assert!(!approval(&[&[ReleaseManager, Approver], &[Approver]], ChangeClass::HighRisk));
    assert!(approval(&[&[Approver], &[ReleaseManager, Approver], &[Approver]], ChangeClass::HighRisk));

    let not_needed = |people: &[&[Role]]| possible(&with(people), "item/6.9", None);
    assert!(!not_needed(&[&[ReleaseManager, OnCall]]));
    assert!(not_needed(&[&[ReleaseManager, OnCall], &[OnCall]]));

    let waiver = |people: &[&[Role]]| possible(&with(people), "waiver/W2", None);
    assert!(!waiver(&[&[Engineer], &[Approver]]));
    assert!(waiver(&[&[Engineer], &[Approver], &[ReleaseManager]]));
    assert!(!waiver(&[&[Engineer], &[ReleaseManager], &[ReleaseManager]]));
}

#[test]
fn given_settings_that_say_nothing_when_asked_then_each_is_named() {
    let readiness = with(&[&[Engineer], &[]]);
    assert_eq!(readiness.known_people, 1);
    for named in ["repository", "required_workflows", "environments/production/version_url"] {
        assert!(readiness.not_configured.iter().any(|missing| missing == named), "{named}");
    }
}
