use proptest::prelude::*;
use release::event::{
    EnvironmentPurpose, ProductDigestRejected, ProductRegistered, ProductSettingsPublished,
};
use release::procedure::Policy;
use release::product::settings::{
    ArtifactSettings, EnvironmentSettings, MAX_BYTES, MetricQuery, ProductSettings, Slo,
};
use release::product::{ProductCommand, PublishSettings, RegisterProduct, RejectDigest};
use release::refusal::RefusalCode as No;
use release::spec::{Spec, alice, bob, given, grace, monday, nothing, peggy, robot};
use release::value::List;
use release::{Product, wire};

use crate::registry::{digest, line, list, live, name, prose, release, replays, somebody, tells_all};

fn register(json: &str) -> ProductCommand {
    ProductCommand::Register(serde_json::from_str(json).unwrap())
}

fn publish(settings: ProductSettings) -> ProductCommand {
    ProductCommand::PublishSettings(Box::new(PublishSettings {
        settings,
        why: Some(prose("a second region")),
    }))
}

fn reject(nibble: u8) -> ProductCommand {
    let reason = prose("loses orders");
    ProductCommand::RejectDigest(RejectDigest {
        digest: digest(nibble),
        reason,
        release: Some(release("2.4.0")),
    })
}

fn settings(change: impl FnOnce(&mut ProductSettings)) -> ProductSettings {
    let mut settings = ProductSettings::default();
    change(&mut settings);
    settings
}

fn two_regions() -> ProductSettings {
    settings(|settings| settings.targets = list([name("eu"), name("us")]))
}

/// Registered with nothing but its name.
fn checkout() -> Spec<Product> {
    nothing().when(peggy(), register(r#"{"name":"checkout"}"#), &()).accepted()
}

#[test]
fn given_only_a_name_when_registered_the_product_is_usable() {
    let story = checkout();
    let current = story.state.current().unwrap();
    assert_eq!((story.state.name.clone(), current.version), (Some(name("checkout")), 1));
    let settings = &current.settings;
    assert_eq!(*settings.targets, [name("default")]);
    let environments: Vec<_> =
        settings.environments.iter().map(|known| (known.name.as_str(), known.purpose)).collect();
    assert_eq!(
        environments,
        [("staging", EnvironmentPurpose::Staging), ("production", EnvironmentPurpose::Production)]
    );
    assert_eq!((settings.procedure.name.as_str(), settings.procedure.version), ("product-release", None));
    assert!(
        settings.allows_procedure(&name("product-release")) && !settings.allows_procedure(&name("hotfix"))
    );
    assert!(settings.allows_policy(Policy::Guided) && settings.allows_policy(Policy::Strict));
    assert_eq!(settings.environment(&name("production")).unwrap().purpose, EnvironmentPurpose::Production);
    assert_eq!(settings.environment(&name("qa")), None);
    assert_eq!(**settings, ProductSettings::default());
    replays(&story);
}

#[test]
fn given_a_product_when_registered_again_it_is_refused() {
    checkout().when(peggy(), register(r#"{"name":"checkout"}"#), &()).then_refused(No::ProductExists);
}

#[test]
fn given_nobody_but_an_admin_may_register_or_publish() {
    nothing::<Product>()
        .when(alice(), register(r#"{"name":"checkout"}"#), &())
        .then_refused(No::RoleMissing)
        .naming(&["actor/roles"]);
    checkout().when(alice(), publish(two_regions()), &()).then_refused(No::RoleMissing);
}

#[test]
fn given_no_product_when_settings_are_published_or_a_digest_rejected_it_is_unknown() {
    nothing::<Product>().when(peggy(), publish(two_regions()), &()).then_refused(No::ProductUnknown);
    nothing::<Product>().when(alice(), reject(1), &()).then_refused(No::ProductUnknown);
}

#[test]
fn given_new_settings_when_published_they_are_the_next_version_and_the_old_one_stays() {
    let settings = two_regions();
    let expected = ProductSettingsPublished {
        version: 2,
        hash: settings.hash(),
        settings: settings.clone(),
        why: Some(prose("a second region")),
    };
    let story = checkout().when(peggy(), publish(settings), &()).then([expected.into()]);
    assert_eq!(story.state.current().unwrap().version, 2);
    assert_eq!(*story.state.version(1).unwrap().settings, ProductSettings::default());
    assert_eq!(story.state.version(3), None);
    let reference = story.state.version(1).unwrap().reference();
    assert_eq!((reference.version, reference.hash), (1, ProductSettings::default().hash()));
    replays(&story);
}

#[test]
fn given_the_current_settings_when_published_again_nothing_would_change() {
    checkout().when(peggy(), publish(ProductSettings::default()), &()).then_refused(No::NothingChanged);
}

#[test]
fn given_no_interval_of_probing_the_bytes_of_settings_are_what_they_were() {
    let text = String::from_utf8(ProductSettings::default().bytes()).unwrap();
    assert!(!text.contains("probe_interval_s"));
}

#[test]
fn given_older_settings_when_published_again_they_are_a_new_version() {
    let story = checkout().when(peggy(), publish(two_regions()), &()).accepted();
    let story = story.when(peggy(), publish(ProductSettings::default()), &()).accepted();
    let (first, third) = (story.state.version(1).unwrap(), story.state.version(3).unwrap());
    assert_eq!(first.hash, third.hash);
}

#[test]
fn given_settings_that_contradict_themselves_when_published_every_entry_is_named() {
    let slo =
        Slo { name: line("availability"), metric: line("up"), objective_ppm: 1_000_000, window_days: 0 };
    let wrong = settings(|settings| {
        settings.targets = List::default();
        settings.environments = list([EnvironmentSettings {
            name: name("staging"),
            purpose: EnvironmentPurpose::Staging,
            version_url: None,
            health_url: None,
            probe_interval_s: Some(9),
        }]);
        settings.artifacts = list([
            ArtifactSettings { name: line("cart"), targets: List::default() },
            ArtifactSettings { name: line("pay"), targets: list([name("pay")]) },
            ArtifactSettings { name: line("pay"), targets: List::default() },
        ]);
        settings.required_workflows = list([line("ci"), line("e2e"), line("ci")]);
        settings.slos = list([slo]);
        settings.procedure.version = Some(0);
    });
    checkout().when(peggy(), publish(wrong), &()).then_refused(No::SettingsInvalid).naming(&[
        "settings/targets",
        "settings/artifacts/0/targets",
        "settings/artifacts/1/targets",
        "settings/artifacts/2/targets",
        "settings/environments",
        "settings/environments/0/probe_interval_s",
        "settings/artifacts/2",
        "settings/required_workflows/2",
        "settings/slos/0/objective_ppm",
        "settings/slos/0/window_days",
        "settings/slos/0/metric",
        "settings/procedure/version",
    ]);
}

#[test]
fn given_settings_that_no_event_can_hold_when_published_they_are_too_large() {
    let query = |n: u32| MetricQuery { name: line(&format!("metric-{n}")), query: prose(&"x".repeat(4000)) };
    let large = settings(|settings| settings.metric_queries = list((0..100).map(query)));
    assert!(large.bytes().len() > MAX_BYTES);
    checkout().when(peggy(), publish(large), &()).then_refused(No::TooLarge);
}

#[test]
fn given_a_product_when_a_digest_is_rejected_it_says_why() {
    let expected = ProductDigestRejected {
        digest: digest(7),
        reason: prose("loses orders"),
        release: Some(release("2.4.0")),
    };
    let story = checkout().when(alice(), reject(7), &()).then([expected.into()]);
    let rejection = story.state.rejection(&digest(7)).unwrap();
    assert_eq!((rejection.reason.as_str(), &rejection.by), ("loses orders", &alice().id));
    assert_eq!(story.state.rejection(&digest(8)), None);
    replays(&story);
    let story = story.when(robot(), seen(), &()).then_types(&["observation.recorded"]);
    tells_all(&[&story, &checkout().when(peggy(), publish(two_regions()), &()).accepted()]);
}

#[test]
fn given_a_rejected_digest_when_rejected_again_nothing_would_change() {
    let story = checkout().when(alice(), reject(7), &()).accepted();
    story.when(alice(), reject(7), &()).then_refused(No::NothingChanged);
}

#[test]
fn given_nobody_but_a_release_manager_may_reject_a_digest() {
    for actor in [bob(), grace(), peggy()] {
        checkout().when(actor, reject(7), &()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_as_many_versions_or_digests_as_one_stream_holds_one_more_is_refused() {
    let settings = two_regions();
    let full = (2..=release::product::MAX_VERSIONS).map(|version| {
        let version = u32::try_from(version).unwrap();
        let (hash, settings) = (settings.hash(), settings.clone());
        (peggy(), ProductSettingsPublished { version, hash, settings, why: None })
    });
    let mut story = given::<Product, ProductSettingsPublished>(full);
    let registered = registered();
    story.state.versions.insert(0, registered.state.versions[0].clone());
    story.state.name = registered.state.name;
    story.when(peggy(), publish(ProductSettings::default()), &()).then_refused(No::LimitReached);

    let mut story = checkout();
    let rejection =
        checkout().when(alice(), reject(1), &()).accepted().state.rejected_digests.remove(&digest(1));
    for n in 0..release::product::MAX_REJECTED_DIGESTS {
        let digest = release::value::Digest::new(&format!("sha256:{n:064x}")).unwrap();
        story.state.rejected_digests.insert(digest, rejection.clone().unwrap());
    }
    story.when(alice(), reject(7), &()).then_refused(No::LimitReached);
}

fn registered() -> Spec<Product> {
    let settings = ProductSettings::default();
    let event = ProductRegistered { product: name("checkout"), version: 1, hash: settings.hash(), settings };
    given([(peggy(), event)])
}

#[test]
fn given_stored_settings_when_read_and_written_again_bytes_and_hash_are_the_same() {
    let json = r#"{"name":"checkout","settings":{
        "repository":{"url":"https://git.example/checkout","provider_id":"4711"},
        "targets":["eu","us"],
        "artifacts":[{"name":"checkout-eu","targets":["eu"]}],
        "required_workflows":["ci.yml"],
        "manifests":[{"path":"Cargo.toml"}],
        "databases":[{"name":"orders"}],
        "critical_flows":["pay by card — “3-D Secure”"],
        "risk_areas":[{"name":"payment","paths":["src/pay/**"]},{"name":"login"}],
        "notification_groups":[{"name":"support","channel":"slack:C024BE91L"}],
        "metric_queries":[{"name":"error_rate","query":"sum(rate(errors[5m]))\n/ sum(rate(requests[5m]))"}],
        "slos":[{"name":"availability","metric":"error_rate","objective_ppm":999500,"window_days":30}],
        "flags":{"provider":"unleash","url":"https://flags.example/"},
        "procedure":{"name":"card-release","version":3},
        "allowed_procedures":["hotfix"],
        "minimum_policy":"strict"}}"#;
    let story = nothing::<Product>().when(peggy(), register(json), &()).accepted();
    let event = &story.facts[0].event;
    let stored = wire::encode(event, [1; 16]).unwrap();
    let read = wire::decode::<release::event::ProductEvent>("product.registered", 1, &stored).unwrap();
    assert_eq!(wire::encode(&read, [1; 16]).unwrap(), stored);

    // What is hashed stands in the stored event as it is.
    let current = story.state.current().unwrap();
    let bytes = current.settings.bytes();
    assert!(stored.windows(bytes.len()).any(|window| window == bytes));
    assert_eq!(wire::sha256_hex(&bytes), current.hash);
    assert_eq!(current.hash, current.settings.hash());
    assert!(!current.settings.allows_policy(Policy::Guided));
    assert!(current.settings.allows_procedure(&name("hotfix")));
    assert_eq!(current.published_at, monday());
}

#[test]
fn given_the_default_settings_their_hash_never_changes() {
    let hash = "17fe0601609f9fb34556a2f725d33f63328258278adaa1db8bffa7359fc34706";
    assert_eq!(ProductSettings::default().hash().as_str(), hash);
}

#[test]
fn given_a_member_that_settings_do_not_have_when_read_it_is_refused() {
    for json in [
        r#"{"name":"checkout","colour":"red"}"#,
        r#"{"name":"checkout","settings":{"colour":"red"}}"#,
        r#"{"name":"checkout","settings":{"environments":[{"name":"qa","purpose":"testing"}]}}"#,
        r#"{"name":"Checkout"}"#,
        r#"{}"#,
    ] {
        assert!(serde_json::from_str::<RegisterProduct>(json).is_err(), "{json}");
    }
}

fn command() -> impl Strategy<Value = ProductCommand> {
    let targets = prop::collection::vec(prop::sample::select(vec!["eu", "us", "asia"]), 0..4);
    prop_oneof![
        Just(register(r#"{"name":"checkout"}"#)),
        targets.prop_map(|names| {
            publish(settings(|settings| settings.targets = list(names.into_iter().map(name))))
        }),
        (0u8..16).prop_map(reject),
    ]
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn given_any_commands_a_product_replays(
        commands in prop::collection::vec((somebody([alice(), peggy()]), command(), 0i64..30), 0..25)
    ) {
        live::<Product>(commands, |_| (), |_, _, _, _| ());
    }
}

fn seen() -> ProductCommand {
    let body = serde_json::json!({"product": "checkout", "seen": {"kind": "tag", "name": "nightly"}});
    ProductCommand::RecordObservation(serde_json::from_value(body).unwrap())
}

#[test]
fn given_an_observation_of_no_release_the_product_records_it() {
    let story = checkout().when(robot(), seen(), &()).then_types(&["observation.recorded"]);
    replays(&story);
    story.when(peggy(), seen(), &()).then_refused(No::RoleMissing);
    nothing::<Product>().when(robot(), seen(), &()).then_refused(No::ProductUnknown);
}
