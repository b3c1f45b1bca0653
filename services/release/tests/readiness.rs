//! Could the known people take a release's decisions?

use std::collections::BTreeSet;

use release::Role::{self, Approver, Engineer, OnCall, ReleaseManager};
use release::decide::Around;
use release::event::ChangeClass;
use release::product::readiness::{Readiness, readiness, warnings};
use release::product::settings::ProductSettings;
use release::spec::release::{around, open, procedure};
use release::spec::{alice, nothing};
use release::{Command, Release};

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

#[test]
fn given_few_people_when_a_release_is_opened_what_they_cannot_decide_is_recorded() {
    let roles = |people: &[&[Role]]| people.iter().map(|roles| roles.iter().copied().collect()).collect();
    let warned = |class, people: &[&[Role]]| -> Vec<String> {
        let people: Vec<BTreeSet<Role>> = roles(people);
        let warnings = warnings(&procedure(), class, &people);
        warnings.iter().map(|warning| warning.decision.to_string()).collect()
    };
    assert_eq!(warned(ChangeClass::Normal, &[]), ["item/4.4", "item/6.9", "waiver/W2"]);
    let three: [&[Role]; 3] = [&[Engineer, ReleaseManager], &[Approver, OnCall], &[ReleaseManager]];
    assert_eq!(warned(ChangeClass::Normal, &three), [""; 0]);
    assert_eq!(warned(ChangeClass::HighRisk, &three), ["item/4.4"]);

    let mut around = around();
    let opened = |around: &Around| {
        nothing::<Release>().when(alice(), Command::Open(open()), around).accepted().state.opened.unwrap()
    };
    assert_eq!(opened(&around).warnings, None);
    around.opening.as_mut().unwrap().people = Some(roles(&three));
    assert_eq!(opened(&around).warnings, None);
    around.opening.as_mut().unwrap().people = Some(roles(&three[..2]));
    let warnings = opened(&around).warnings.unwrap();
    assert_eq!(warnings.iter().map(|one| one.decision.as_str()).collect::<Vec<_>>(), ["waiver/W2"]);
    assert_eq!(warnings[0].takes.len(), 3);
}
