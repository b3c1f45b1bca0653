//! `/v1/reports` and `/v1/releases/{release}/report`: the same bytes for one query at one position, for ever.

mod period;
mod probing;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Answer, Opened, World, bodies};

/// Aborted, and therefore sealed, with something on record.
async fn ended(world: &World) -> Opened {
    let opened = world.open_with_candidate("2.4.0").await;
    world.alice().post(&opened.under("comments"), bodies::comment("Not today")).key("note").await.created();
    world.alice().post(&opened.under("abort"), json!({"reason": "The supplier is late"})).await.ok();
    opened
}

fn of(opened: &Opened) -> Value {
    json!({"kind": "release", "release": opened.id})
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The header says what the bytes are.
fn is_named_by_its_hash(answer: &Answer) {
    let digest = STANDARD.encode(Sha256::digest(&answer.body));
    assert_eq!(answer.header("content-digest"), Some(format!("sha-256=:{digest}:").as_str()));
    assert_eq!(answer.header("etag"), Some(format!("\"{}\"", hex(&answer.body)).as_str()));
}

#[tokio::test]
async fn given_a_release_when_its_report_is_read_then_the_bytes_depend_on_query_and_position_alone() {
    let world = World::new().await;
    let opened = ended(&world).await;
    let path = opened.under("report");
    let report = world.viewer().get(&path).await.ok();
    is_named_by_its_hash(&report);
    let (told, position) = (report.json(), report.position());
    assert_eq!(told["report"], json!({"kind": "release", "schema": 1}));
    assert_eq!((&told["position"], &told["query"]["release"]), (&json!(position), &json!(opened.id)));
    assert_eq!(
        (&told["summary"]["life"], &told["summary"]["outcome"]),
        (&json!("aborted"), &json!("aborted"))
    );
    let events = told["integrity"]["events"].as_array().unwrap();
    assert_eq!(told["integrity"]["seal"]["count"], json!(events.len() - 1));
    let opening = &told["timeline"][0];
    assert_eq!((&opening["type"], &opening["operation"]), (&json!("release.opened"), &json!("openRelease")));
    assert!(
        opening["authentication"]["issuer"].is_string() && opening["by"]["roles"].is_array(),
        "{opening}"
    );

    // Others write, and whoever asks, however often, has the same bytes; that an auditor did is on record elsewhere.
    world.open("2.5.0").await;
    let head = world.person("audrey", &["auditor"]).get("/v1/events?limit=200").await.ok().position();
    for asked in [String::new(), format!("?at_position={position}"), format!("?at_position={head}")] {
        let again = world.person("audrey", &["auditor"]).get(&format!("{path}{asked}")).await.ok();
        assert!(again.body == report.body, "{asked}: {again}");
        assert_eq!(again.position(), position);
    }
    world.reads_recorded().await;
    let since =
        world.person("audrey", &["auditor"]).get(&format!("/v1/events?after={head}")).await.ok().json();
    let since: Vec<_> =
        since["events"].as_array().unwrap().iter().map(|one| &one["header"]["type"]).collect();
    assert_eq!(since, ["record.accessed"]);
    assert!(world.viewer().get(&path).await.ok().body == report.body);
    let etag = report.header("etag").unwrap();
    let known = world.viewer().get(&path).header("if-none-match", etag).await;
    assert_eq!(known.status, 304);

    let earlier = world.viewer().get(&format!("{path}?at_revision=1")).await.ok();
    assert_eq!(earlier.json()["summary"]["standing"], "in_progress");
    assert!(earlier.position() < position);
    world.viewer().get(&format!("{path}?at_position=0")).await.refused(404, "not_found");
    world.viewer().get("/v1/releases/checkout-9.9.9/report").await.refused(404, "release_unknown");
    world.viewer().get(&path).header("accept", "text/plain").await.refused(406, "not_acceptable");
    world.viewer().get(&format!("{path}?format=docx")).await.refused(400, "invalid_parameter");
    world
        .viewer()
        .get(&format!("{path}?at_revision=1&at_position=1"))
        .await
        .refused(400, "invalid_parameter");
}

#[tokio::test]
async fn given_a_report_that_was_generated_then_it_is_on_record_and_read_again_for_ever() {
    let world = World::new().await;
    let opened = ended(&world).await;
    let auditor = world.person("audrey", &["auditor"]);
    let read = world.viewer().get(&opened.under("report")).await.ok();

    let made = auditor.post("/v1/reports", of(&opened)).key("q4").await.created();
    let envelope = made.json();
    assert_eq!(
        (&envelope["sha256"], &envelope["position"]),
        (&json!(hex(&read.body)), &json!(read.position()))
    );
    assert_eq!((&envelope["size"], &envelope["schema"]), (&json!(read.body.len()), &json!(1)));
    assert!(envelope["generated_by"].as_str().unwrap().ends_with("#audrey"), "{envelope}");
    assert!(envelope["checkpoint"].as_str().unwrap().contains("\n\n— "), "{envelope}");
    assert_eq!(envelope["query"]["kind"], "release");
    let location = made.location();
    let kept = world.viewer().get(&location).await.ok();
    is_named_by_its_hash(&kept);
    assert!(kept.body == read.body, "{kept}");
    assert_eq!(world.viewer().get(&format!("{location}/envelope")).await.ok().json(), envelope);

    // Twice at the same position: two records, one content.
    let twice = auditor.post("/v1/reports", of(&opened)).key("q4 again").await.created();
    assert_ne!(twice.location(), location);
    assert_eq!(twice.json()["sha256"], envelope["sha256"]);
    let repeated = auditor.post("/v1/reports", of(&opened)).key("q4").await.created();
    assert!(repeated.replayed() && repeated.json() == envelope, "{repeated}");
    let other = json!({"kind": "release", "release": opened.id, "at_position": read.position()});
    auditor.post("/v1/reports", other.clone()).key("q4").await.refused(422, "idempotency_key_reused");
    let at = auditor.post("/v1/reports", other).key("at").await.created();
    assert_eq!(at.json()["sha256"], envelope["sha256"]);

    let listed =
        auditor.get(&format!("/v1/reports?min_position={}&limit=2", at.position())).await.ok().json();
    let ids: Vec<_> = listed["reports"].as_array().unwrap().iter().map(|one| one["report"].clone()).collect();
    assert_eq!(ids, [at.json()["report"].clone(), twice.json()["report"].clone()]);
    let rest = format!("/v1/reports?product=checkout&cursor={}", listed["next_cursor"].as_str().unwrap());
    assert_eq!(auditor.get(&rest).await.ok().json()["reports"], json!([envelope]));
}

#[tokio::test]
async fn given_who_may_not_then_no_report_is_generated_or_read() {
    let world = World::new().await;
    let opened = ended(&world).await;
    let auditor = world.person("audrey", &["auditor"]);
    world.bob().post("/v1/reports", of(&opened)).key("b").await.refused(403, "role_missing");
    auditor.post("/v1/reports", of(&opened)).await.refused(400, "idempotency_key_required");
    let unknown = json!({"kind": "release", "release": "checkout-9.9.9"});
    auditor.post("/v1/reports", unknown).key("u").await.refused(404, "release_unknown");
    let strange = json!({"kind": "release", "release": opened.id, "since": 1});
    auditor.post("/v1/reports", strange).key("s").await.refused(422, "invalid_body");
    let preview = auditor.post("/v1/reports?dry_run=true", of(&opened)).key("d").await.ok().json();
    assert_eq!(preview["events"][0]["type"], "report.generated");

    let made = auditor.post("/v1/reports", of(&opened)).key("made").await.created();
    // What somebody of another product, or of another tenant, may not read does not exist for them.
    let stranger = world.person("sam", &["viewer:payments"]);
    stranger.get(&made.location()).await.refused(404, "not_found");
    let listed = stranger.get(&format!("/v1/reports?min_position={}", made.position())).await.ok().json();
    assert_eq!(listed["reports"], json!([]));
    world.person_of("other", "olga", &["auditor"]).get(&made.location()).await.refused(404, "not_found");
    let nothing = "/v1/reports/0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01";
    auditor.get(nothing).await.refused(404, "not_found");
}

#[tokio::test]
async fn given_views_and_vault_that_are_gone_then_the_report_is_the_same_again() {
    let world = World::new().await;
    let opened = ended(&world).await;
    let auditor = |world: &World| world.person("audrey", &["auditor"]);
    let made = auditor(&world).post("/v1/reports", of(&opened)).key("q4").await.created();
    let kept = auditor(&world).get(&made.location()).await.ok();
    let world = world
        .restarted_after(async |data| {
            std::fs::remove_file(data.join("views.db")).unwrap();
            std::fs::remove_dir_all(data.join("vault")).unwrap();
        })
        .await;
    let again = auditor(&world).get(&made.location()).await.ok();
    is_named_by_its_hash(&again);
    assert!(again.body == kept.body, "{again}");
    assert!(auditor(&world).get(&opened.under("report")).await.ok().body == kept.body);
    let listed =
        auditor(&world).get(&format!("/v1/reports?min_position={}", made.position())).await.ok().json();
    assert_eq!(listed["reports"], json!([made.json()]));
}

#[tokio::test]
async fn given_a_report_when_another_form_is_asked_for_then_it_is_a_rendering_that_says_the_hash_of_the_json()
{
    let world = World::new().await;
    let opened = ended(&world).await;
    let path = opened.under("report");
    let canonical = world.viewer().get(&path).await.ok();
    let recorded = world.person("audrey", &["auditor"]).post("/v1/reports", of(&opened)).key("made").await;
    let made = recorded.created();
    let recorded = format!("/v1/reports/{}", made.json()["report"].as_str().unwrap());
    let envelope = world.viewer().get(&format!("{recorded}/envelope")).await.ok();
    for (format, media_type) in [("html", "text/html"), ("csv", "text/csv"), ("pdf", "application/pdf")] {
        for path in [&path, &recorded] {
            let rendered = world.viewer().get(&format!("{path}?format={format}")).await.ok();
            is_named_by_its_hash(&rendered);
            assert!(rendered.header("content-type").is_some_and(|told| told.starts_with(media_type)));
            let policy = rendered.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
            assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
            assert_eq!(rendered.header("x-content-type-options"), Some("nosniff"));
            // The words of a PDF are compressed.
            if let Ok(text) = std::str::from_utf8(&rendered.body) {
                assert!(text.contains(&hex(&canonical.body)), "{format}");
                assert_eq!(text.contains(&hex(&envelope.body)), *path == recorded, "{format}");
            } else {
                assert!(format == "pdf" && rendered.body.starts_with(b"%PDF-1.7"));
            }
            let liked = world.viewer().get(path).header("accept", media_type).await.ok();
            assert!(liked.body == rendered.body);
            let etag = rendered.header("etag").unwrap();
            let known =
                world.viewer().get(path).header("accept", media_type).header("if-none-match", etag).await;
            assert_eq!(known.status, 304);
        }
    }
    assert!(world.viewer().get(&format!("{recorded}?format=json")).await.ok().body == canonical.body);
    world.viewer().get(&format!("{recorded}?format=docx")).await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn given_a_control_mapping_of_a_team_then_a_report_that_names_it_says_which_version_and_stays_as_it_is()
{
    let world = World::new().await;
    let opened = ended(&world).await;
    let admin = world.person("root", &["admin"]);
    let publish = async |version: u32| {
        let mapping = json!({"mapping": bodies::policy(version)});
        let path = "/v1/control-mappings/policy/versions";
        admin.post(path, mapping).await.created().json()["reference"].clone()
    };
    let first = publish(1).await;
    let path = opened.under("report");
    let report = world.viewer().get(&format!("{path}?control_mapping=policy")).await.ok();
    let told = report.json();
    assert_eq!(told["query"]["control_mapping"], first);
    let controls: Vec<_> = told["controls"].as_array().unwrap().iter().map(|row| &row["control"]).collect();
    assert_eq!(controls, ["CP-1"]);
    assert_eq!(
        (&told["controls"][0]["status"], &told["controls"][0]["events"][0]["type"]),
        (&json!("met"), &json!("release.opened"))
    );
    let command = told["integrity"]["regenerate"].as_str().unwrap();
    assert!(command.contains("--control-mapping policy --control-mapping-version 1"), "{command}");

    let auditor = world.person("audrey", &["auditor"]);
    let of_policy = json!({"kind": "release", "release": opened.id, "control_mapping": "policy"});
    let made = auditor.post("/v1/reports", of_policy.clone()).key("first").await.created();
    assert_eq!(made.json()["query"]["control_mapping"], first);
    assert_eq!(made.json()["sha256"], hex(&report.body));
    let second = publish(2).await;
    let newest = auditor.post("/v1/reports", of_policy).key("second").await.created();
    assert_eq!(newest.json()["query"]["control_mapping"], second);
    let asked = format!("{path}?control_mapping=policy&control_mapping_version=1");
    assert!(world.viewer().get(&asked).await.ok().body == report.body);
    let default = world.viewer().get(&path).await.ok().json();
    assert_eq!(default["query"]["control_mapping"]["name"], "common-frameworks");

    // Made again from the log, it reads the version that it named.
    let world =
        world.restarted_after(async |data| std::fs::remove_dir_all(data.join("vault")).unwrap()).await;
    let again = world.person("audrey", &["auditor"]).get(&made.location()).await.ok();
    assert!(again.body == report.body, "{again}");

    let viewer = world.viewer();
    for unknown in ["control_mapping=policy&control_mapping_version=3", "control_mapping=theirs"] {
        viewer.get(&format!("{path}?{unknown}")).await.refused(404, "control_mapping_unknown");
    }
    for wrong in ["control_mapping_version=x", "control_mapping=Not%20a%20name"] {
        viewer.get(&format!("{path}?{wrong}")).await.refused(400, "invalid_parameter");
    }
}
