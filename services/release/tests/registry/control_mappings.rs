use release::SentJson;
use release::control_mappings::{
    ControlMappingCommand as Command, ControlMappings, MAX_VERSIONS, PublishControlMapping,
};
use release::event::ControlMappingPublished;
use release::refusal::RefusalCode as No;
use release::report::controls::COMMON_FRAMEWORKS_V1;
use release::spec::{Spec, alice, nothing, peggy};
use release::value::Name;
use serde_json::{Value, json};

use crate::registry::{name, replays, tells_all};

/// A mapping as short as one can be.
fn short(version: u32) -> Value {
    json!({
        "name": "policy", "version": version, "title": "Policy", "description": "What we ask ourselves.",
        "frameworks": [{"key": "policy", "name": "Change policy", "edition": format!("{version}")}],
        "controls": [{
            "framework": "policy", "id": "CP-1", "title": "CI is green.",
            "proven_by": [{"kind": "items", "items": ["ci-passing"]}]
        }]
    })
}

fn text(text: &str) -> Command {
    let mapping = SentJson::new(text).unwrap();
    Command::Publish { name: name("policy"), body: PublishControlMapping { mapping } }
}

fn publish(mapping: &Value) -> Command {
    text(&mapping.to_string())
}

fn unpublished() -> Spec<ControlMappings> {
    nothing()
}

fn published() -> Spec<ControlMappings> {
    unpublished().when(peggy(), publish(&short(1)), &()).accepted()
}

#[test]
fn given_no_version_an_admin_publishes_the_first_and_its_bytes_are_kept() {
    let sent = serde_json::to_string_pretty(&short(1)).unwrap();
    let story = unpublished().when(peggy(), text(&sent), &()).then([ControlMappingPublished {
        name: name("policy"),
        version: 1,
        hash: release::wire::sha256_hex(sent.as_bytes()),
        mapping: SentJson::new(&sent).unwrap(),
    }
    .into()]);
    let kept = &story.state.published(&name("policy"))[0];
    assert_eq!((kept.mapping.as_str(), &kept.published_by), (sent.as_str(), &peggy().id));
    replays(&story);
    tells_all(&[&story]);
}

#[test]
fn given_a_version_the_next_one_follows_it_and_other_names_count_for_themselves() {
    let story =
        published().when(peggy(), publish(&short(3)), &()).then_refused(No::ControlMappingVersionNotNext);
    let story = story.naming(&["mapping/version"]);
    let story = story.when(peggy(), publish(&short(1)), &()).then_refused(No::NothingChanged).story;
    let story = story.when(peggy(), publish(&short(2)), &()).accepted();
    let mut other = short(1);
    other["name"] = json!("other");
    let mapping = SentJson::new(&other.to_string()).unwrap();
    let first = Command::Publish { name: name("other"), body: PublishControlMapping { mapping } };
    let story = story.when(peggy(), first, &()).accepted();
    assert_eq!(story.state.published(&name("policy")).len(), 2);
    assert_eq!(story.state.published(&name("other")).len(), 1);
    replays(&story);
}

#[test]
fn given_what_was_published_a_report_reads_the_version_it_asks_for_and_the_built_in_one_without_a_name() {
    let story = published().when(peggy(), publish(&short(2)), &()).accepted();
    let (policy, built_in) = (name("policy"), Name::common_frameworks());
    let stored = |name, version| story.state.stored(name, version);
    for (name, version, bytes) in [
        (None, None, COMMON_FRAMEWORKS_V1),
        (None, Some(1), COMMON_FRAMEWORKS_V1),
        (Some(&built_in), None, COMMON_FRAMEWORKS_V1),
        (Some(&policy), None, short(2).to_string().as_bytes()),
        (Some(&policy), Some(1), short(1).to_string().as_bytes()),
    ] {
        assert_eq!(stored(name, version).unwrap(), bytes, "{name:?} {version:?}");
    }
    for (name, version) in [(Some(&policy), Some(3)), (Some(&name("other")), None), (None, Some(99))] {
        assert_eq!(stored(name, version).unwrap_err().code, No::ControlMappingUnknown);
    }
}

#[test]
fn given_the_wrong_caller_or_the_built_in_name_nothing_is_published() {
    let story = unpublished().when(alice(), publish(&short(1)), &()).then_refused(No::RoleMissing).story;
    let mapping = SentJson::new(std::str::from_utf8(COMMON_FRAMEWORKS_V1).unwrap()).unwrap();
    let body = PublishControlMapping { mapping };
    let built_in = Command::Publish { name: Name::common_frameworks(), body };
    story.when(peggy(), built_in, &()).then_refused(No::ControlMappingReserved);
}

#[test]
fn given_a_mapping_that_cannot_be_followed_the_rows_say_where() {
    let with = |change: fn(&mut Value)| {
        let mut mapping = short(1);
        change(&mut mapping);
        publish(&mapping)
    };
    let cases: [(Command, &[&str]); 6] = [
        (with(|mapping| mapping["name"] = json!("other")), &["mapping/name"]),
        (with(|mapping| mapping["controls"][0]["framework"] = json!("x")), &["mapping/controls/0/framework"]),
        (with(|mapping| mapping["controls"][0]["note"] = json!("x")), &["mapping"]),
        (with(|mapping| mapping["controls"][0]["proven_by"][0]["kind"] = json!("luck")), &["mapping"]),
        (with(|mapping| mapping["controls"][0]["proven_by"][0]["also"] = json!(1)), &["mapping"]),
        (
            text(&short(1).to_string().replacen("\"version\":1", "\"version\":1,\"version\":1", 1)),
            &["mapping"],
        ),
    ];
    for (command, inputs) in cases {
        let refused = unpublished().when(peggy(), command, &()).then_refused(No::ControlMappingInvalid);
        refused.naming(inputs);
    }
}

#[test]
fn given_as_many_versions_as_a_tenant_may_have_there_is_no_other() {
    let mut story = unpublished();
    for version in 1..=MAX_VERSIONS {
        let next = publish(&short(u32::try_from(version).unwrap()));
        story = story.when(peggy(), next, &()).accepted();
    }
    story.when(peggy(), publish(&short(201)), &()).then_refused(No::LimitReached);
}
