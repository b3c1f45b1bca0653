use proptest::prelude::*;
use release::actor::ActorKind;
use release::directory::People;
use release::event::{ProcedureActivated, ProcedurePublished, ProcedureRetired};
use release::procedure::{CandidateEffect, PRODUCT_RELEASE_V1, Procedure, hash};
use release::procedures::{
    ActivateProcedure, BUILT_IN, BUILT_IN_FORCE, LintCode, MAX_VERSIONS, ProcedureCommand as Command,
    ProcedureDifference, PublishProcedure, RetireProcedure, built_in, lint,
};
use release::refusal::RefusalCode as No;
use release::spec::{Spec, actor, alice, grace, heidi, nothing, peggy};
use release::value::Name;
use release::{Procedures, Role, SentJson, wire};
use serde_json::{Value, json};

use crate::registry::{live, name, prose, replays, somebody, tells_all};

/// Nobody is known to be anybody else.
fn alone() -> People {
    People::default()
}

/// A procedure as short as one can be.
fn short(version: u32) -> Value {
    json!({
        "name": "hotfix", "version": version, "title": "Hotfix", "description": "One fix, at once.",
        "purpose": "Repair production.", "policy": "guided", "order": "enforced",
        "thresholds": {
            "canary_weight_min_percent": 1.0, "canary_weight_max_percent": 5, "canary_min_s": 900,
            "monitoring_min_s": {"standard": 1800, "normal": 1800, "high_risk": 3600, "emergency": 1800},
            "monitoring_max_s": 3600, "rollback_environment_min_s": 86400,
            "rollback_environment_max_s": 172800, "waiver_max_s": 86400, "availability_after_window_s": 0
        },
        "approval_quorum": {"standard": 1, "normal": 1, "high_risk": 2, "emergency": 1},
        "roll_call": ["release_manager"],
        "steps": [{
            "number": 1, "key": "repair", "name": "Repair", "instructions": "Fix it.",
            "expected_output": "It works.", "owners": ["engineer"],
            "items": [item("1.1", "fix-merged", "engineer"), item("1.2", "fix-deployed", "operator")]
        }]
    })
}

fn item(number: &str, key: &str, role: &str) -> Value {
    json!({
        "number": number, "key": key, "name": key, "true_when": "It is.", "rule": {"kind": "attestation"},
        "machine": false, "evidence": ["commit"], "roles": [role], "waiver": "w1",
        "on_new_candidate": {"effect": "stale"}
    })
}

fn with(version: u32, change: impl FnOnce(&mut Value)) -> Value {
    let mut procedure = short(version);
    change(&mut procedure);
    procedure
}

fn read(procedure: &Value) -> Procedure {
    serde_json::from_value(procedure.clone()).unwrap()
}

fn publish_text(text: &str) -> Command {
    let procedure = SentJson::new(text).unwrap();
    Command::Publish { name: name("hotfix"), body: PublishProcedure { procedure } }
}

fn publish(procedure: &Value) -> Command {
    publish_text(&procedure.to_string())
}

fn activate(version: u32) -> Command {
    Command::Activate { version, body: ActivateProcedure { note: Some(prose("as agreed")) } }
}

fn retire() -> Command {
    Command::Retire { name: name("hotfix"), body: RetireProcedure { reason: prose("nobody uses it") } }
}

fn stricter(version: u32) -> Value {
    with(version, |procedure| procedure["policy"] = json!("strict"))
}

/// Version 1, proposed.
fn proposed() -> Spec<Procedures> {
    nothing().when(peggy(), publish(&short(1)), &alone()).accepted()
}

/// Version 1, in force.
fn in_force() -> Spec<Procedures> {
    proposed().when(grace(), activate(1), &alone()).accepted()
}

fn pinned(story: &Spec<Procedures>, version: Option<u32>) -> Result<u32, No> {
    let pin = story.state.pin(&name("hotfix"), version);
    pin.map(|pinned| pinned.version).map_err(|refusal| refusal.code)
}

#[test]
fn given_no_version_when_published_it_is_proposed_byte_for_byte() {
    let text = format!("{:#}", short(1));
    let difference = ProcedureDifference::between(None, &read(&short(1)));
    assert_eq!((difference.from, difference.steps.added.len(), difference.items.added.len()), (None, 1, 2));
    let story = nothing::<Procedures>().when(peggy(), publish_text(&format!("\n{text} ")), &alone()).then([
        ProcedurePublished {
            version: 1,
            hash: hash(text.as_bytes()),
            difference,
            procedure: SentJson::new(&text).unwrap(),
        }
        .into(),
    ]);
    assert_eq!(story.state.version(1).unwrap().procedure.as_str(), text);
    assert_eq!(
        (pinned(&story, None), pinned(&story, Some(1))),
        (Err(No::ProcedureNotActive), Err(No::ProcedureNotActive))
    );
    replays(&story);

    // The stored event holds the very bytes that were hashed.
    let stored = wire::encode(&story.facts[0].event, [3; 16]).unwrap();
    assert!(stored.windows(text.len()).any(|window| window == text.as_bytes()));
}

#[test]
fn given_a_proposed_version_when_an_approver_activates_it_releases_may_use_it() {
    let story = proposed();
    let expected = ProcedureActivated {
        version: 1,
        hash: story.state.versions[0].hash.clone(),
        difference: story.state.versions[0].difference.clone(),
        note: Some(prose("as agreed")),
        inputs: None,
    };
    let story = story.when(grace(), activate(1), &alone()).then([expected.into()]);
    assert_eq!((pinned(&story, None), pinned(&story, Some(1))), (Ok(1), Ok(1)));
    assert_eq!(pinned(&story, Some(2)), Err(No::ProcedureUnknown));
    let pin = story.state.pin(&name("hotfix"), None).unwrap();
    assert_eq!(pin.hash, story.state.versions[0].hash);
    replays(&story);
}

#[test]
fn given_a_proposed_version_only_another_person_who_approves_activates_it() {
    for nobody in [alice(), peggy()] {
        proposed().when(nobody, activate(1), &alone()).then_refused(No::RoleMissing);
    }
    let machine = actor("bot", ActorKind::Machine, &[Role::Approver]);
    proposed().when(machine, activate(1), &alone()).then_refused(No::PersonRequired);
    let both = || actor("mallory", ActorKind::Person, &[Role::Admin, Role::Approver]);
    let story = nothing::<Procedures>().when(both(), publish(&short(1)), &alone()).accepted();
    let story = story.when(both(), activate(1), &alone()).then_refused(No::SecondPersonRequired).story;
    story.when(heidi(), activate(1), &alone()).accepted();
}

#[test]
fn given_nobody_but_an_admin_may_publish_or_retire() {
    for nobody in [alice(), grace()] {
        nothing::<Procedures>()
            .when(nobody.clone(), publish(&short(1)), &alone())
            .then_refused(No::RoleMissing);
        in_force().when(nobody, retire(), &alone()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_a_version_when_the_next_is_published_it_says_what_differs() {
    let next = with(2, |procedure| {
        procedure["thresholds"]["canary_min_s"] = json!(1200);
        procedure["roll_call"] = json!(["release_manager", "operator"]);
        procedure["steps"][0]["name"] = json!("Repair it");
        procedure["steps"][0]["items"] =
            json!([item("1.1", "fix-reviewed", "engineer"), with_roles(item("1.2", "fix-merged", "qa")),]);
    });
    let story = in_force().when(peggy(), publish(&next), &alone()).accepted();
    let difference = serde_json::to_value(&story.state.version(2).unwrap().difference).unwrap();
    assert_eq!(
        difference,
        json!({
            "from": 1,
            "procedure": ["roll_call", "thresholds.canary_min_s"],
            "steps": {
                "added": [], "removed": [],
                "changed": [{"number": "1", "key": "repair", "fields": ["name"]}]
            },
            "items": {
                "added": [{"number": "1.1", "key": "fix-reviewed"}],
                "removed": [{"number": "1.2", "key": "fix-deployed"}],
                "changed": [{
                    "number": "1.2", "key": "fix-merged",
                    "fields": ["number", "on_new_candidate", "roles", "second"]
                }]
            }
        })
    );
    // It is proposed: until it is activated, version 1 stays in force.
    assert_eq!(pinned(&story, None), Ok(1));
    let story = story.when(heidi(), activate(2), &alone()).accepted();
    assert_eq!((pinned(&story, None), pinned(&story, Some(1))), (Ok(2), Ok(1)));
    replays(&story);
}

fn with_roles(mut item: Value) -> Value {
    item["second"] = json!(["operator"]);
    item["on_new_candidate"] = json!({"effect": "conditional", "equal": ["pipeline"], "then": "unaffected"});
    item
}

#[test]
fn given_a_version_that_was_never_activated_activating_the_next_shows_both_changes() {
    let third = with(3, |procedure| {
        procedure["policy"] = json!("strict");
        procedure["title"] = json!("Hot fix");
    });
    let story = in_force().when(peggy(), publish(&stricter(2)), &alone()).accepted();
    let story = story.when(peggy(), publish(&third), &alone()).accepted();
    assert_eq!(story.state.version(3).unwrap().difference.procedure, ["title"]);
    let story = story.when(grace(), activate(3), &alone()).accepted();
    let activated = story.state.version(3).unwrap().activated.as_ref().unwrap();
    assert_eq!(
        (activated.difference.from, activated.difference.procedure.clone()),
        (Some(1), vec!["policy".into(), "title".into()])
    );
    story.when(grace(), activate(2), &alone()).then_refused(No::ProcedureSuperseded);
}

#[test]
fn given_a_version_when_it_is_not_the_next_one_it_is_refused() {
    for wrong in [1, 3] {
        in_force()
            .when(peggy(), publish(&stricter(wrong)), &alone())
            .then_refused(No::ProcedureVersionNotNext)
            .naming(&["procedure/version"]);
    }
    nothing::<Procedures>()
        .when(peggy(), publish(&short(2)), &alone())
        .then_refused(No::ProcedureVersionNotNext);
}

#[test]
fn given_a_version_when_it_says_the_same_again_nothing_would_change() {
    in_force().when(peggy(), publish(&short(1)), &alone()).then_refused(No::NothingChanged);
    in_force().when(peggy(), publish(&short(2)), &alone()).then_refused(No::NothingChanged);
    in_force().when(grace(), activate(1), &alone()).then_refused(No::NothingChanged);
}

#[test]
fn given_no_such_version_when_activated_it_is_unknown() {
    proposed().when(grace(), activate(2), &alone()).then_refused(No::ProcedureUnknown);
    assert_eq!(pinned(&nothing(), None), Err(No::ProcedureUnknown));
}

#[test]
fn given_the_built_in_name_nothing_is_published_under_it() {
    let text = String::from_utf8(PRODUCT_RELEASE_V1.to_vec()).unwrap();
    let procedure = SentJson::new(&text).unwrap();
    let command = Command::Publish { name: Name::product_release(), body: PublishProcedure { procedure } };
    nothing::<Procedures>().when(peggy(), command, &alone()).then_refused(No::ProcedureReserved);
}

#[test]
fn given_the_built_in_procedure_its_versions_come_with_the_program() {
    let built_in_name = Name::product_release();
    let none = Procedures::default();
    let pin = none.pin(&built_in_name, None).unwrap();
    let bytes = built_in(BUILT_IN_FORCE).unwrap();
    assert_eq!((pin.version, pin.hash), (BUILT_IN_FORCE, hash(bytes)));
    assert_eq!(BUILT_IN.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(none.pin(&built_in_name, Some(2)).unwrap().version, 2);
    assert_eq!(none.pin(&built_in_name, Some(1)).unwrap().hash, hash(PRODUCT_RELEASE_V1));
    assert_eq!(none.pin(&built_in_name, Some(99)).unwrap_err().code, No::ProcedureUnknown);
    assert_eq!(built_in(99), None);

    let retire = Command::Retire {
        name: built_in_name.clone(),
        body: RetireProcedure { reason: prose("we have our own") },
    };
    let story = nothing::<Procedures>().when(peggy(), retire, &alone()).accepted();
    assert_eq!(story.state.pin(&built_in_name, None).unwrap_err().code, No::ProcedureRetired);
}

#[test]
fn given_a_procedure_when_retired_no_release_uses_it_and_nothing_follows() {
    let story = in_force()
        .when(peggy(), retire(), &alone())
        .then([ProcedureRetired { reason: prose("nobody uses it") }.into()]);
    assert_eq!(pinned(&story, Some(1)), Err(No::ProcedureRetired));
    replays(&story);
    tells_all(&[&story]);
    for (who, command) in [(peggy(), publish(&stricter(2))), (grace(), activate(1)), (peggy(), retire())] {
        story.clone().when(who, command, &alone()).then_refused(No::ProcedureRetired);
    }
    nothing::<Procedures>().when(peggy(), retire(), &alone()).then_refused(No::ProcedureUnknown);
}

#[test]
fn given_as_many_versions_as_one_stream_holds_one_more_is_refused() {
    let mut story = in_force();
    for _ in 1..MAX_VERSIONS {
        story.state.versions.push(story.state.versions[0].clone());
    }
    story.when(peggy(), publish(&stricter(2)), &alone()).then_refused(No::LimitReached);
}

#[test]
fn given_json_that_is_too_long_it_is_no_procedure() {
    let long = format!("\"{}\"", "x".repeat(SentJson::MAX_BYTES));
    assert!(SentJson::new(&long).is_err());
    assert!(SentJson::new("{").is_err());
    let body = format!("{{\"procedure\":{long}}}");
    assert!(serde_json::from_str::<PublishProcedure>(&body).is_err());
    let body: PublishProcedure = serde_json::from_str(r#"{"procedure": {"a":  1.0} }"#).unwrap();
    assert_eq!(body.procedure.as_str(), r#"{"a":  1.0}"#);
}

#[test]
fn given_two_versions_with_nothing_in_common_the_difference_may_not_fit_in_an_event() {
    let items = |count: usize, key: &str| {
        let long = "x".repeat(50);
        with(1, |procedure| {
            let step = procedure["steps"][0].clone();
            let steps = (1..=20).map(|number| {
                let mut step = step.clone();
                step["number"] = json!(number);
                step["key"] = json!(format!("s{key}-{number}"));
                let numbered = (1..=count).map(|place| {
                    let key = format!("{key}-{long}-{number}-{place}");
                    let mut item = item(&format!("{number}.{place}"), &key, "qa");
                    item["name"] = json!("x");
                    item
                });
                step["items"] = numbered.collect();
                step
            });
            procedure["steps"] = steps.collect();
        })
    };
    let story = nothing::<Procedures>().when(peggy(), publish(&items(30, "a")), &alone()).accepted();
    let mut second = items(30, "b");
    second["version"] = json!(2);
    story.when(peggy(), publish(&second), &alone()).then_refused(No::TooLarge);
}

/// The only finding that a change to the short procedure brings.
#[track_caller]
fn finds(change: impl FnOnce(&mut Value), code: LintCode, pointer: &str) {
    let wrong = with(1, change);
    let findings = lint(&read(&wrong));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].code, findings[0].pointer.as_str()), (code, pointer), "{findings:#?}");
    nothing::<Procedures>()
        .when(peggy(), publish(&wrong), &alone())
        .then_refused(No::ProcedureInvalid)
        .naming(&[&format!("procedure{pointer}")]);
}

#[test]
fn given_what_is_built_in_or_short_there_is_nothing_to_find() {
    for (_, bytes) in BUILT_IN {
        assert_eq!(lint(&serde_json::from_slice(bytes).unwrap()), []);
    }
    assert_eq!(lint(&read(&short(1))), []);
}

#[test]
fn given_a_rule_that_is_broken_each_is_found_where_it_is() {
    let items = "/steps/0/items";
    finds(|p| p["version"] = json!(0), LintCode::VersionNumber, "/version");
    finds(|p| p["steps"] = json!([]), LintCode::StepCount, "/steps");
    finds(|p| p["steps"][0]["number"] = json!(2), LintCode::StepNumber, "/steps/0/number");
    finds(|p| p["steps"][0]["items"] = json!([]), LintCode::ItemCount, items);
    finds(
        |p| {
            p["steps"][0]["items"] =
                (1..=51).map(|n| item(&format!("1.{n}"), &format!("k{n}"), "qa")).collect()
        },
        LintCode::ItemCount,
        items,
    );
    finds(
        |p| p["steps"][0]["items"][1]["number"] = json!("1.3"),
        LintCode::ItemNumber,
        "/steps/0/items/1/number",
    );
    finds(
        |p| p["steps"][0]["items"][1]["key"] = json!("fix-merged"),
        LintCode::KeyRepeated,
        "/steps/0/items/1/key",
    );
    finds(
        |p| p["steps"][0]["items"][0]["key"] = json!("repair"),
        LintCode::KeyRepeated,
        "/steps/0/items/0/key",
    );
    finds(|p| p["steps"][0]["owners"] = json!([]), LintCode::RoleMissing, "/steps/0/owners");
    finds(|p| p["roll_call"] = json!([]), LintCode::RoleMissing, "/roll_call");
    finds(|p| p["roll_call"] = json!(["machine"]), LintCode::RoleUnsuited, "/roll_call");
    finds(|p| p["roll_call"] = json!(["qa", "qa"]), LintCode::EntryRepeated, "/roll_call/1");
    finds(|p| p["approval_quorum"]["normal"] = json!(0), LintCode::Quorum, "/approval_quorum/normal");
    finds(|p| p["approval_quorum"]["emergency"] = json!(11), LintCode::Quorum, "/approval_quorum/emergency");

    let first = |member: &'static str, value: Value, code, at: &str| {
        finds(|p| p["steps"][0]["items"][0][member] = value, code, &format!("{items}/0/{at}"));
    };
    first("evidence", json!([]), LintCode::EvidenceMissing, "evidence");
    first("evidence", json!(["commit", "commit"]), LintCode::EntryRepeated, "evidence/1");
    first("roles", json!([]), LintCode::RoleMissing, "roles");
    first("roles", json!(["machine"]), LintCode::RoleMissing, "roles");
    first("roles", json!(["qa", "auditor"]), LintCode::RoleUnsuited, "roles");
    first("second", json!(["machine"]), LintCode::RoleUnsuited, "second");
    first("second", json!(["qa", "qa"]), LintCode::EntryRepeated, "second/1");
    first("not_applicable", json!(["machine", "machine"]), LintCode::EntryRepeated, "not_applicable/1");
    first("rule", json!({"kind": "approval"}), LintCode::ApprovalRoles, "roles");
    let digests = |equal: Value| json!({"effect": "conditional", "equal": equal, "then": "unaffected"});
    first("on_new_candidate", digests(json!([])), LintCode::DigestMissing, "on_new_candidate/equal");
    let twice = digests(json!(["pipeline", "pipeline"]));
    first("on_new_candidate", twice, LintCode::EntryRepeated, "on_new_candidate/equal/1");

    let weight = "canary_weight_min_percent";
    for (member, value, at) in [
        (weight, json!(0), weight),
        (weight, json!(6), weight),
        ("canary_weight_max_percent", json!(101), weight),
        ("canary_min_s", json!(59), "canary_min_s"),
        ("rollback_environment_min_s", json!(172_801), "rollback_environment_min_s"),
        ("rollback_environment_max_s", json!(31 * 86_400), "rollback_environment_max_s"),
        ("waiver_max_s", json!(0), "waiver_max_s"),
        ("availability_after_window_s", json!(86_401), "availability_after_window_s"),
    ] {
        finds(|p| p["thresholds"][member] = value, LintCode::Threshold, &format!("/thresholds/{at}"));
    }
    finds(
        |p| p["thresholds"]["monitoring_min_s"]["high_risk"] = json!(3601),
        LintCode::Threshold,
        "/thresholds/monitoring_min_s/high_risk",
    );
    finds(
        |p| {
            p["steps"] = (1..=21)
                .map(|n| {
                    let key = |what: &str| format!("{what}-{n}");
                    json!({
                        "number": n, "key": key("step"), "name": "Step", "instructions": "Do.",
                        "expected_output": "Done.", "owners": ["qa"],
                        "items": [item(&format!("{n}.1"), &key("item"), "qa")]
                    })
                })
                .collect()
        },
        LintCode::StepCount,
        "/steps",
    );
}

#[test]
fn given_an_approval_item_only_approvers_close_it() {
    let approved = with(1, |p| {
        p["steps"][0]["items"][0]["rule"] = json!({"kind": "approval"});
        p["steps"][0]["items"][0]["roles"] = json!(["approver"]);
    });
    assert_eq!(lint(&read(&approved)), []);
}

#[test]
fn given_json_that_is_no_procedure_or_another_one_it_is_refused() {
    let refused = |procedure: &Value, input: &str| {
        nothing::<Procedures>()
            .when(peggy(), publish(procedure), &alone())
            .then_refused(No::ProcedureInvalid)
            .naming(&[input]);
    };
    refused(&json!([]), "procedure");
    refused(&with(1, |p| p["colour"] = json!("red")), "procedure");
    refused(&with(1, |p| p["title"] = json!("x".repeat(201))), "procedure");
    refused(&with(1, |p| p["name"] = json!("other")), "procedure/name");
    let by_place = json!({"standard": 1, "normal": 1, "high_risk": 2, "emergency": 1});
    let by_place: Vec<_> = by_place.as_object().unwrap().values().cloned().collect();
    refused(&with(1, |p| p["approval_quorum"] = json!(by_place)), "procedure/approval_quorum");
    refused(
        &with(1, |p| p["steps"][0]["items"][0]["rule"] = json!(["attestation"])),
        "procedure/steps/0/items/0/rule",
    );
    // A rule that takes no members would let them pass unread.
    refused(
        &with(1, |p| p["steps"][0]["items"][0]["rule"]["quorum"] = json!(3)),
        "procedure/steps/0/items/0/rule/quorum",
    );
    let spelt_out = with(1, |p| {
        p["steps"][0]["items"][0]["second"] = json!([]);
        p["steps"][0]["items"][0]["early"] = json!(false);
    });
    nothing::<Procedures>().when(peggy(), publish(&spelt_out), &alone()).accepted();
    let twice = short(1).to_string().replacen('{', r#"{"version":1,"#, 1);
    nothing::<Procedures>().when(peggy(), publish_text(&twice), &alone()).then_refused(No::ProcedureInvalid);
    assert_eq!(read(&short(1)).steps[0].items[0].on_new_candidate, CandidateEffect::Stale);
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => (1u32..6, 850u32..1000).prop_map(|(version, canary)| {
            publish(&with(version, |p| p["thresholds"]["canary_min_s"] = json!(canary)))
        }),
        4 => (1u32..6).prop_map(activate),
        1 => Just(publish(&json!({"name": "hotfix"}))),
        1 => prop::bool::weighted(0.1).prop_map(|last| if last { retire() } else { activate(1) }),
    ]
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn given_any_commands_the_versions_replay(
        commands in prop::collection::vec((somebody([peggy(), grace(), heidi()]), command(), 0i64..30), 0..25)
    ) {
        live::<Procedures>(commands, |_| alone(), |state, _, _, _| {
            let numbers: Vec<_> = state.versions.iter().map(|version| version.version).collect();
            assert!(numbers.iter().copied().eq(1..=u32::try_from(numbers.len()).unwrap()));
        });
    }
}
