//! The report of a period: all that production was seen to run, drawn from and compared with what others list.

use std::path::Path;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use release::report::canonical;
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::report::making::PLACES;

use super::probing::asks;
use super::{hex, is_named_by_its_hash};
use crate::harness::process::executable;
use crate::harness::{Answer, Client, Opened, World, bodies, story};
use crate::witness;

/// What an auditor asks of a quarter in which one release went by the book but for a waiver, one was an emergency, one
/// was not deployed, and two builds ran that no release put there, of which one is no finding.
struct Quarter {
    world: World,
    from: Timestamp,
    to: Timestamp,
}

impl Quarter {
    async fn new() -> Self {
        let world = World::with_simulated_clock().await;
        let from = world.now().await;
        waived(&world).await;
        emergency(&world).await;
        ran(&world, "search", 77).await;
        asks(&world, "search", Some(600)).await;
        world.pass(60).await;
        let excused = ran(&world, "ledger", 78).await;
        let id = excused.json()["exceptions"][0]["exception"].as_str().unwrap().to_owned();
        let why =
            json!({"disposition": "false_positive", "reason": "a rehearsal that the probe took for it"});
        world.grace().post(&format!("/v1/exceptions/{id}/dispose"), why).await.ok();
        world.open_for("ledger", "1.0.0").await;
        Self { world, from, to: from + SignedDuration::from_hours(90 * 24) }
    }

    fn asked(&self) -> Value {
        json!({"kind": "period", "from": self.from, "to": self.to})
    }

    async fn generated(&self, key: &str) -> Answer {
        auditor(&self.world).post("/v1/reports", self.asked()).key(key).await.created()
    }
}

pub(super) fn auditor(world: &World) -> Client {
    world.person("audrey", &["auditor"])
}

/// Returns once facts were read out of the log again; until then who asks for a period is told to come back.
pub(super) async fn caught_up(world: &World) {
    while world.viewer().get("/v1/metrics/flow").await.status == StatusCode::SERVICE_UNAVAILABLE {
        tokio::task::yield_now().await;
    }
}

/// Deployed while an item was waived.
async fn waived(world: &World) -> Opened {
    let opened = world.open_with_candidate("2.4.0").await;
    let asked = bodies::waiver(world.now().await, 40 * 3_600);
    let asked = world.bob().post(&opened.item("1.2", "waivers"), asked).await.created();
    let ann = world.person("ann", &["approver"]);
    ann.post(&format!("{}/grant", asked.location()), json!({"note": "accepted"})).await.ok();
    world.close_step(&opened, 1, &["1.2"]).await;
    for step in [2, 3] {
        world.close_step(&opened, step, &[]).await;
    }
    world.close_items(&opened, &["4.2", "4.7"]).await;
    world.set_window(&opened).await;
    let request = world.request_approval(&opened).await;
    story::approve(&world.grace(), &request).await.ok();
    world.pass(600).await;
    world.get_ready(&opened).await;
    let given = world.alice().post(&opened.under("authorize"), json!({})).await.created();
    let start = json!({"environment": "production", "authorization": given.json()["authorization"]});
    world.the("operator").post(&opened.under("deployments"), start).await.created();
    opened
}

/// Authorized by one person, and approved afterwards.
async fn emergency(world: &World) {
    world.register_product("payments").await;
    let open = json!({"product": "payments", "version": "7.0.1", "reason": "Nobody can pay", "class": "emergency",
        "procedure": {"name": "product-release", "version": 2}});
    world.alice().post("/v1/releases", open).key("open").await.created();
    let opened = Opened::named("payments", "7.0.1");
    let mut tag = bodies::tag("7.0.1", 1);
    tag["artifacts"] = json!([{"name": "payments", "digest": digest(7)}]);
    world.bob().post(&opened.under("candidates"), tag).await.created();
    let glass = json!({"break_glass": {"incident": "INC-7", "reason": "Nobody can pay"}});
    let erin = world.person("erin", &["on_call"]);
    let given = erin.post(&opened.under("authorize"), glass).await.created();
    let start = json!({"environment": "production", "authorization": given.json()["authorization"]});
    world.the("operator").post(&opened.under("deployments"), start).await.created();
    world.grace().post(&format!("{}/approve", given.location()), json!({})).await.ok();
}

/// Seen in production, and put there by no release.
pub(super) async fn ran(world: &World, product: &str, build: u32) -> Answer {
    world.register_product(product).await;
    let artifacts = json!([{"name": product, "digest": digest(build)}]);
    let seen = json!({"kind": "deployment", "environment": "production", "artifacts": artifacts});
    let body = json!({"product": product, "seen": seen});
    world.machine("watcher", &["machine"]).post("/v1/observations", body).await.created()
}

fn digest(build: u32) -> String {
    format!("sha256:{}", bodies::sha256(build))
}

fn rows(report: &Value) -> Vec<Value> {
    report["changes"].as_array().unwrap().clone()
}

fn of<'a>(rows: &'a [Value], product: &str) -> &'a Value {
    rows.iter().find(|row| row["product"] == product).unwrap()
}

fn answers(row: &Value) -> Vec<&str> {
    let sheet = &row["sheet"];
    [
        "request_and_reason",
        "approved_before_start",
        "tested_version",
        "duties_segregated",
        "deployed_as_approved",
    ]
    .map(|question| sheet[question]["answer"].as_str().unwrap())
    .to_vec()
}

#[tokio::test]
async fn given_a_period_when_a_sheet_is_asked_for_then_each_change_has_five_answers_in_a_line() {
    let quarter = Quarter::new().await;
    let made = quarter.generated("sheet").await;
    let auditor = auditor(&quarter.world);
    let report = auditor.get(&made.location()).await.ok();
    let sheet = auditor.get(&format!("{}?format=csv", made.location())).await.ok();
    is_named_by_its_hash(&sheet);
    let text = String::from_utf8(sheet.body).unwrap();
    assert!(text.contains(&hex(&report.body)), "{text}");
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("sheet,")).collect();
    assert_eq!(lines.len(), rows(&report.json()).len() + 1, "{text}");
    assert!(lines[0].contains("Duties segregated,Deployed as approved"), "{}", lines[0]);
    for form in ["html", "pdf"] {
        is_named_by_its_hash(&auditor.get(&format!("{}?format={form}", made.location())).await.ok());
    }
}

#[tokio::test]
async fn given_a_quarter_when_reported_then_each_change_is_governed_or_told_to_be_an_orphan_and_the_counts_add_up()
 {
    let quarter = Quarter::new().await;
    let made = quarter.generated("q4").await;
    let report = auditor(&quarter.world).get(&made.location()).await.ok();
    is_named_by_its_hash(&report);
    assert_eq!(made.json()["sha256"], json!(hex(&report.body)));
    let told = report.json();
    assert!(canonical(&told).unwrap() == report.body, "RFC 8785 all through");

    let rows = rows(&told);
    assert_eq!(rows.len(), 4, "{told}");
    let waived = of(&rows, "checkout");
    assert_eq!(
        (&waived["standing"], &waived["release"]["release"]),
        (&json!("governed"), &json!("checkout-2.4.0"))
    );
    assert_eq!(waived["release"]["waived"][0]["item"], "1.2");
    assert!(waived["release"]["approval_lead_s"].as_u64().unwrap() >= 600, "{waived}");
    assert_eq!(waived["digests"], json!([digest(1)]));
    // Whose commits it holds was not told, so who is independent of them is not known.
    assert_eq!(answers(waived), ["pass", "not_established", "pass", "not_established", "pass"], "{waived}");
    let urgent = of(&rows, "payments");
    assert_eq!((&urgent["release"]["class"], &urgent["result"]), (&json!("emergency"), &json!("fail")));
    assert_eq!(answers(urgent), ["pass", "fail", "fail", "fail", "pass"], "{urgent}");
    assert_eq!(urgent["release"]["approval_after_start"]["in_time"], true);
    let orphan = of(&rows, "search");
    assert_eq!((&orphan["standing"], answers(orphan)), (&json!("orphan"), vec!["fail"; 5]));
    assert_eq!((&orphan["release"], &orphan["digests"]), (&Value::Null, &json!([digest(77)])));
    let excluded = of(&rows, "ledger");
    assert_eq!((&excluded["standing"], &excluded["result"]), (&json!("excluded"), &json!("not_asked")));
    assert!(excluded["exclusion"]["by"].as_str().unwrap().ends_with("#grace"), "{excluded}");
    let undeployed = &told["undeployed"];
    assert_eq!(
        (&undeployed[0]["release"], undeployed.as_array().unwrap().len()),
        (&json!("ledger-1.0.0"), 1)
    );

    let complete = &told["completeness"];
    let counted =
        ["observed", "governed", "orphan", "declared_not_deployed"].map(|what| complete[what].clone());
    assert_eq!(counted, [json!(4), json!(2), json!(1), json!(1)]);
    assert_eq!((&complete["excluded"][0]["count"], &complete["adds_up"]), (&json!(1), &json!(true)));
    assert!(complete["statement"].as_str().unwrap().starts_with("completeness not independently tested"));
    assert_eq!(told["log"]["last"], told["position"]);
    assert_eq!(told["measures"]["without_approval"]["approved_in_time"], 1);
    assert_eq!(told["trend"][0]["waived_items"], 1);
    let lines: Vec<u8> =
        rows.iter().flat_map(|row| [canonical(row).unwrap(), b"\n".to_vec()].concat()).collect();
    assert_eq!((&told["ipe"]["rows"], &told["ipe"]["rows_sha256"]), (&json!(4), &json!(hex(&lines))));

    let listed =
        auditor(&quarter.world).get(&format!("/v1/reports?min_position={}", made.position())).await.ok();
    assert_eq!(listed.json()["reports"], json!([made.json()]));

    // One product alone, for who may read no other.
    let narrow = quarter.world.person("ida", &["auditor:search"]);
    let mut body = quarter.asked();
    narrow.post("/v1/reports", body.clone()).key("all").await.refused(403, "role_missing");
    body["product"] = json!("search");
    let one = narrow.post("/v1/reports", body).key("one").await.created();
    assert_eq!(narrow.get(&one.location()).await.ok().json()["completeness"]["observed"], 1);
    narrow.get(&made.location()).await.refused(404, "not_found");
    let listed = narrow.get(&format!("/v1/reports?min_position={}", one.position())).await.ok();
    assert_eq!(listed.json()["reports"], json!([one.json()]));
}

#[tokio::test]
async fn given_a_report_of_a_period_when_made_again_without_views_or_vault_or_from_a_bundle_then_the_same_bytes()
 {
    let quarter = Quarter::new().await;
    let made = quarter.generated("q4").await;
    let (sha256, position) = (made.json()["sha256"].clone(), made.json()["position"].clone());
    let report = auditor(&quarter.world).get(&made.location()).await.ok();
    let policy = auditor(&quarter.world).get("/tlog/keys").await.ok();
    // What comes later changes nothing of what was.
    ran(&quarter.world, "search", 79).await;
    let later = quarter.generated("later").await;
    assert_ne!(later.json()["sha256"], sha256);
    let mut then = quarter.asked();
    then["at_position"] = position.clone();

    let Quarter { world, from, to } = quarter;
    let files = tempfile::TempDir::new().unwrap();
    std::fs::write(files.path().join("policy"), &policy.body).unwrap();
    let world = world
        .restarted_after(async |data| {
            let data_of = data.to_str().unwrap();
            shiplog(files.path(), &["export", "--data", data_of, "-o", "log"], 0);
            std::fs::remove_file(data.join("views.db")).unwrap();
            std::fs::remove_dir_all(data.join("vault")).unwrap();
        })
        .await;
    caught_up(&world).await;
    let again = auditor(&world).get(&made.location()).await.ok();
    assert!(again.body == report.body, "{again}");
    let probed = |one: &&Value| one["probing"]["gaps"][0].is_object();
    let environments = again.json()["environments"].as_array().unwrap().clone();
    assert_eq!(environments.iter().filter(probed).count(), 1, "nobody looked again at search");
    let twice = auditor(&world).post("/v1/reports", then).key("twice").await.created();
    assert_eq!(twice.json()["sha256"], sha256);

    let (from, to, at) = (from.to_string(), to.to_string(), position.to_string());
    let offline = ["report", "--bundle", "log", "--policy", "policy", "--from", &from, "--to", &to];
    let there = ["--at-position", &at, "--expect", sha256.as_str().unwrap(), "--out", "report.json"];
    let shown = shiplog(files.path(), &[&offline[..], &there].concat(), 0);
    assert!(shown.contains("changes    4\n"), "{shown}");
    assert!(std::fs::read(files.path().join("report.json")).unwrap() == report.body);
    // The command that the report names is that very one.
    let named = report.json()["ipe"]["regenerate"].as_str().unwrap().to_owned();
    let named = named.replace("LOG", "log").replace("POLICY", "policy");
    let named: Vec<_> = named.split(' ').skip(1).chain(["--json"]).collect();
    assert!(shiplog(files.path(), &named, 0).as_bytes() == report.body, "{named:?}");
    shiplog(files.path(), &[&offline[..], &["--expect", sha256.as_str().unwrap()]].concat(), 2);
    let search = [&offline[..], &["--product", "search", "--at-position", &at, "--json"]].concat();
    let one: Value = serde_json::from_str(&shiplog(files.path(), &search, 0)).unwrap();
    assert_eq!(one["completeness"]["observed"], 1);
    shiplog(
        files.path(),
        &["report", "--bundle", "log", "--policy", "policy", "--from", &to, "--to", &from],
        1,
    );
}

pub(super) fn shiplog(files: &Path, arguments: &[&str], code: i32) -> String {
    let output = Command::new(executable()).current_dir(files).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The program for auditors, as their guide prints it.
fn guide() -> &'static str {
    let guide = include_str!("../../../deploy/AUDIT.md");
    let program = guide.split("```python\n").nth(1).unwrap();
    program.split("```").next().unwrap()
}

fn by_python(report: &Answer, drawn: &[&str]) -> Value {
    let files = tempfile::TempDir::new().unwrap();
    let path = files.path().join("report.json");
    std::fs::write(&path, &report.body).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", guide()]).arg(&path).args(drawn).stderr(Stdio::inherit());
    serde_json::from_slice(&python.output().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn given_a_seed_when_a_sample_is_drawn_then_the_guides_twenty_lines_draw_the_same() {
    assert!(guide().lines().count() <= 20);
    let quarter = Quarter::new().await;
    let made = quarter.generated("q4").await;
    let (auditor, under) = (auditor(&quarter.world), |rest: &str| format!("{}/{rest}", made.location()));
    let report = auditor.get(&made.location()).await.ok();
    let seed = "ACME 2026 Q4";
    for (method, size, include) in [
        ("random", 2, &[][..]),
        ("random", 1, &["emergencies", "orphans", "waivers"]),
        ("stratified", 2, &["orphans"]),
        ("all", 1, &[]),
    ] {
        let body = json!({"method": method, "size": size, "seed": seed, "include": include});
        let key = format!("{method} {size}");
        let drawn = auditor.post(&under("samples"), body).key(&key).await.created();
        let number = size.to_string();
        let arguments = [&[method, &number, seed], include].concat();
        let expected = match method {
            "all" => rows(&report.json()).iter().map(|row| row["change"].clone()).collect(),
            _ => by_python(&report, &arguments),
        };
        let numbers: Vec<_> = expected.as_array().unwrap().iter().map(|row| format!("{row}\n")).collect();
        let told = drawn.json();
        assert_eq!(told["drawn_sha256"], json!(hex(numbers.concat().as_bytes())), "{method}: {expected}");
        assert_eq!((&told["generator"], &told["rows"]), (&json!("shiplog.sample.v1"), &json!(4)));
        assert_eq!((&told["drawn"], &told["seed"]), (&json!(numbers.len()), &json!(seed)));
        assert!(told["drawn_by"].as_str().unwrap().ends_with("#audrey"), "{told}");
        let json = auditor.get(&drawn.location()).await.ok();
        is_named_by_its_hash(&json);
        for form in ["csv", "html"] {
            let sheet = auditor.get(&format!("{}?format={form}", drawn.location())).await.ok();
            is_named_by_its_hash(&sheet);
            let text = String::from_utf8(sheet.body).unwrap();
            assert!(text.contains(&hex(&json.body)) && text.contains(seed), "{text}");
        }
        let read = json.json();
        if method == "all" {
            assert_eq!((&read["changes"], numbers.len()), (&json!([]), 4));
            continue;
        }
        assert_eq!(told["changes"], expected);
        let shown: Vec<_> = read["rows_drawn"].as_array().unwrap().clone();
        let named: Vec<_> = shown.iter().map(|row| row["change"].clone()).collect();
        assert_eq!(json!(named), expected);
        assert!(shown.iter().all(|row| rows(&report.json()).contains(row)), "as they stand in the report");
    }
    let listed = auditor.get(&under("samples?limit=3")).await.ok().json();
    assert_eq!((listed["samples"].as_array().unwrap().len(), listed["next_cursor"].is_string()), (3, true));

    let body = json!({"method": "random", "size": 2, "seed": seed});
    assert!(auditor.post(&under("samples"), body.clone()).key("random 2").await.created().replayed());
    let other = json!({"method": "random", "size": 2, "seed": "another"});
    auditor.post(&under("samples"), other).key("random 2").await.refused(422, "idempotency_key_reused");
    quarter.world.bob().post(&under("samples"), body.clone()).key("b").await.refused(403, "role_missing");
    let none = json!({"method": "random", "size": 0, "seed": seed});
    auditor.post(&under("samples"), none).key("0").await.refused(422, "sample_invalid");
    let one = json!({"kind": "release", "release": "checkout-2.4.0"});
    let one = auditor.post("/v1/reports", one).key("one").await.created();
    auditor
        .post(&format!("{}/samples", one.location()), body)
        .key("r")
        .await
        .refused(409, "report_has_no_population");
    auditor.get(&under("samples/0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01")).await.refused(404, "not_found");
}

#[tokio::test]
async fn given_a_list_from_elsewhere_when_reconciled_then_what_only_one_side_knows_is_told() {
    let quarter = Quarter::new().await;
    let made = quarter.generated("q4").await;
    let (auditor, under) = (auditor(&quarter.world), |rest: &str| format!("{}/{rest}", made.location()));
    let rows = rows(&auditor.get(&made.location()).await.ok().json());
    let listed = |product: &str, build: u32, late: i64| {
        let at: Timestamp = of(&rows, product)["at"].as_str().unwrap().parse().unwrap();
        let at = at + SignedDuration::from_secs(late);
        json!({"product": product, "environment": "production", "digest": digest(build), "at": at})
    };
    let list = json!([listed("checkout", 1, 30), listed("search", 77, -20), listed("search", 5, 0)]);
    let body = json!({"supplier": "Cluster audit log", "deployments": list, "sha256": hex(&canonical(&list).unwrap())});
    let told = auditor.post(&under("reconciliations"), body.clone()).key("list").await.created();
    let outcome = told.json();
    let counts =
        ["listed", "changes", "matched", "only_there", "only_here"].map(|what| outcome[what].clone());
    // The build that is no finding is no change that others would list.
    assert_eq!(counts, [3, 3, 2, 1, 1].map(|count| json!(count)), "{outcome}");
    assert_eq!((&outcome["complete"], &outcome["list_sha256"]), (&json!(false), &body["sha256"]));
    let entries = auditor.get(&told.location()).await.ok();
    assert_eq!(outcome["result_sha256"], json!(hex(&entries.body)));
    for form in ["csv", "html"] {
        let sheet = auditor.get(&format!("{}?format={form}", told.location())).await.ok();
        is_named_by_its_hash(&sheet);
        let text = String::from_utf8(sheet.body).unwrap();
        assert!(text.contains(&hex(&entries.body)) && text.contains("Cluster audit log"), "{text}");
    }
    let entries = entries.json();
    assert_eq!(entries["only_there"], json!([list[2]]));
    assert_eq!(entries["only_here_changes"], json!([of(&rows, "payments")["change"]]));
    assert_eq!(
        (&entries["matched"][0]["apart_s"], &entries["matched"][0]["by_digest"]),
        (&json!(30), &json!(true))
    );

    let csv = format!(
        "product,environment,digest,at,reference\nsearch,production,{},{},audit/1\n",
        digest(77),
        of(&rows, "search")["at"].as_str().unwrap()
    );
    let body = json!({"supplier": "Registry", "csv": csv, "tolerance_s": 0, "sha256": hex(csv.as_bytes())});
    let told = auditor.post(&under("reconciliations"), body.clone()).key("csv").await.created().json();
    assert_eq!((&told["matched"], &told["complete"]), (&json!(1), &json!(true)));
    let all = auditor.get(&under("reconciliations")).await.ok().json();
    assert_eq!(all["reconciliations"], json!([outcome, told]));

    let with = |member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    for (wrong, pointer) in [
        (with("sha256", json!("0".repeat(64))), "/sha256"),
        (with("csv", json!("product\nsearch")), "/csv"),
        (with("deployments", json!([])), ""),
        (with("tolerance_s", json!(604_801)), "/tolerance_s"),
    ] {
        let refused = auditor.post(&under("reconciliations"), wrong).key("wrong").await;
        assert_eq!(refused.refused(422, "invalid_body").pointers(), [pointer]);
    }
    quarter
        .world
        .viewer()
        .post(&under("reconciliations"), body.clone())
        .key("v")
        .await
        .refused(403, "role_missing");
    let stranger = quarter.world.person("sam", &["auditor:payments"]);
    stranger.post(&under("reconciliations"), body).key("s").await.refused(404, "not_found");
    // All that was done with the report is on its stream.
    let feed = auditor.get(&format!("/v1/events?after={}&limit=200", made.position() - 1)).await.ok().json();
    let events = feed["events"].as_array().unwrap();
    let types = events.iter().map(|one| one["header"]["type"].as_str().unwrap());
    // Who was denied something is noted in between.
    let types: Vec<_> = types.filter(|one| one.starts_with("report.")).collect();
    assert_eq!(types, ["report.generated", "report.reconciled", "report.reconciled"]);
}

#[tokio::test]
async fn given_what_is_no_period_or_not_theirs_to_ask_then_refused_by_name() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let asked = json!({"kind": "period", "from": "2026-10-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"});
    world.bob().post("/v1/reports", asked.clone()).key("b").await.refused(403, "role_missing");
    auditor(&world).post("/v1/reports", asked.clone()).await.refused(400, "idempotency_key_required");
    let mut backwards = asked.clone();
    backwards["from"] = json!("2027-01-01T00:00:00Z");
    auditor(&world).post("/v1/reports", backwards).key("x").await.refused(422, "period_invalid");
    let mut future = asked.clone();
    future["at_position"] = json!(1_000_000);
    auditor(&world).post("/v1/reports", future).key("f").await.refused(404, "not_found");
    let preview = auditor(&world).post("/v1/reports?dry_run=true", asked).key("d").await.ok().json();
    assert_eq!(preview["events"][0]["type"], "report.generated");
}

#[tokio::test]
async fn given_a_report_that_takes_longer_than_its_caller_waits_then_it_is_on_its_way_and_a_repetition_finds_it()
 {
    // No checkpoint is published, so no report ends.
    let world = World::configured(|config| {
        config.tlog.witnesses = vec![witness::nobody()];
        config.tlog.quorum = 1;
    })
    .await;
    world.open("2.4.0").await;
    let asked = json!({"kind": "period", "from": "2026-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"});
    let post = |world: &World| auditor(world).post("/v1/reports", asked.clone()).key("q4");
    let waiting = post(&world).header("prefer", "wait=1").await.expect(StatusCode::ACCEPTED);
    assert_eq!(waiting.json()["state"], "being_made");
    assert!(waiting.header("retry-after").is_some(), "{waiting}");
    auditor(&world).get(&waiting.location()).await.expect(StatusCode::ACCEPTED);
    world.nobody().get(&waiting.location()).await.expect(StatusCode::UNAUTHORIZED);

    let world = world.restarted().await;
    caught_up(&world).await;
    let made = post(&world).await.created();
    assert_eq!(made.location(), waiting.location());
    let report = auditor(&world).get(&made.location()).await.ok().json();
    assert_eq!(report["undeployed"][0]["release"], "checkout-2.4.0");
}

fn any_period() -> Value {
    json!({"kind": "period", "from": "2026-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"})
}

#[tokio::test]
async fn given_a_report_whose_making_fails_behind_the_answer_then_who_asks_is_told_why_and_may_try_again() {
    let world = World::configured(|config| config.vault.quota_mib = 0).await;
    world.open("2.4.0").await;
    caught_up(&world).await;
    let auditor = auditor(&world);
    let ask = || auditor.post("/v1/reports", any_period()).key("q4");
    let turn = world.making().turn().await;
    let waiting = ask().header("prefer", "wait=1").await.expect(StatusCode::ACCEPTED);
    // Somebody else's turn ends, and there is no room for what is made now.
    drop(turn);
    let report = waiting.json()["report"].as_str().unwrap().parse().unwrap();
    world.making().ended(report).await;
    for _ in 0..2 {
        auditor.get(&waiting.location()).await.refused(503, "vault_full");
    }
    world.person_of("other", "olga", &["auditor"]).get(&waiting.location()).await.refused(404, "not_found");
    let narrow = world.person("ida", &["auditor:search"]);
    narrow.get(&waiting.location()).await.refused(404, "not_found");

    // The repeated request is told too, and the one after it tries again.
    ask().await.refused(503, "vault_full");
    auditor.get(&waiting.location()).await.refused(404, "not_found");
    ask().await.refused(503, "vault_full");
}

#[tokio::test]
async fn given_reports_that_wait_for_their_turn_when_too_many_do_then_503_says_when_to_come_back() {
    let world = World::new().await;
    world.open("2.4.0").await;
    caught_up(&world).await;
    let auditor = auditor(&world);
    let places: Vec<_> = std::iter::from_fn(|| world.making().place()).collect();
    assert_eq!(places.len(), PLACES);
    let busy = auditor.post("/v1/reports", any_period()).key("q4").await.refused(503, "reports_busy");
    assert_eq!(busy.header("retry-after"), Some("15"));
    drop(places);
    auditor.post("/v1/reports", any_period()).key("q4").await.created();
}
