//! Shiplog's own release, recorded by Shiplog: what git, the manifests, the changelog, the API description and
//! the report of a test run say of this repository as it is goes through the public API, up to the gate
//! that a real deployment would be needed for. Ends with an error when anything is not as it should be.
//!
//! `cargo run -p tests --example own_release -- JUNIT_REPORT`

mod api;
mod facts;

use std::error::Error;
use std::path::Path;

use api::{Api, Person};
use facts::Repository;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let report = std::env::args().nth(1).ok_or("give the path of a JUnit report")?;
    let repository = Repository::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").as_path())?;
    let tests = facts::junit(Path::new(&report))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let api = Api::start().await?;
        let outcome = record(&api, &repository, &tests).await;
        api.stop().await;
        outcome
    })
}

async fn record(api: &Api, repository: &Repository, tests: &facts::Tests) -> Result<(), Box<dyn Error>> {
    let manager = api.person("manager", &["release_manager", "product_owner", "admin"])?;
    let engineer = api.person("engineer", &["engineer"])?;
    let ci = api.machine("ci", &["machine"])?;
    let version = &repository.version;
    let release = format!("/v1/releases/shiplog-{version}");

    manager.post("/v1/products", json!({"name": "shiplog"})).await?;
    let opening = json!({"product": "shiplog", "version": version, "reason": "The first running Shiplog"});
    manager.post("/v1/releases", opening).await?;

    let candidate = json!({
        "tag": repository.tag.name, "tag_object_sha": repository.tag.object_sha,
        "commit_sha": repository.head, "artifacts": [repository.specification()],
    });
    engineer.post(&format!("{release}/candidates"), candidate).await?;
    if let Some(facts) = repository.branch_facts() {
        report(&ci, &release, "1.1", facts).await?;
    }
    waive_the_branch(api, &engineer, &release).await?;
    report(&ci, &release, "1.2", repository.manifest_facts()).await?;
    sign(&engineer, &release, "1.3", repository.changelog_facts()).await?;
    let none = json!({"kind": "declaration", "statement": "The first version breaks nothing.", "count": 0});
    sign(&engineer, &release, "1.4", none.clone()).await?;
    sign(&manager, &release, "1.4", none).await?;
    report(&ci, &release, "1.5", repository.tag_facts()).await?;
    report(&ci, &release, "1.6", tests.run_facts(repository)).await?;
    sign(&manager, &release, "1.7", repository.notes_facts()).await?;
    // Evidence is taken before its step opens, and signs nothing by itself.
    report(&ci, &release, "3.2", tests.report_facts(repository)).await?;

    let closed = step_1_is_as_git_has_it(&manager, &release).await?;
    let (deployment, gates) = production_is_shut(&manager, &ci, &release).await?;
    let branch = repository.branch.as_deref().unwrap_or("an unknown branch (HEAD is detached)");
    println!(
        "shiplog {version}: {} commits on {branch}, {} tests; step 1: {closed}; \
         production is shut: a deployment is refused as {deployment}, its authorization as {gates}",
        repository.commits, tests.total,
    );
    Ok(())
}

/// Git knows neither a branch of the release nor what protects one, and nobody signs for that.
async fn waive_the_branch(api: &Api, engineer: &Person, release: &str) -> Result<(), Box<dyn Error>> {
    let approver = api.person("approver", &["approver"])?;
    let expires_at = server::clock::Clock::System.now() + jiff::SignedDuration::from_hours(24);
    let body = json!({
        "reason": "Releases are made from main until there is a branch for each",
        "compensating_control": "The candidate is bound to one commit by its tag",
        "expires_at": expires_at,
    });
    let waiver = engineer.post(&format!("{release}/items/1.1/waivers"), body).await?;
    let id = waiver["waiver"].as_str().ok_or("the waiver has no id")?;
    approver.post(&format!("{release}/items/1.1/waivers/{id}/grant"), json!({})).await?;
    Ok(())
}

/// What each item of step 1 has to be, and why 1.7 has to stay open: a draft is where readers find it, and
/// this repository is nowhere yet.
const STEP_1: [(&str, &str); 7] = [
    ("1.1", "waived"),
    ("1.2", "verified"),
    ("1.3", "attested"),
    ("1.4", "attested"),
    ("1.5", "verified"),
    ("1.6", "verified"),
    ("1.7", "pending"),
];

async fn step_1_is_as_git_has_it(manager: &Person, release: &str) -> Result<String, Box<dyn Error>> {
    let mut told = Vec::new();
    for (number, expected) in STEP_1 {
        let item = manager.get(&format!("{release}/items/{number}")).await?;
        let state = item["assurance"].as_str().or(item["status"].as_str()).unwrap_or_default();
        if state != expected {
            return Err(format!("{number} is {state}, not {expected}: {}", item["verdict"]).into());
        }
        told.push(format!("{number} {state}"));
    }
    let why = manager.get(&format!("{release}/why?item=1.7")).await?;
    let missing: Vec<_> =
        why["missing"].as_array().into_iter().flatten().filter_map(|fact| fact["fact"].as_str()).collect();
    if missing.len() != 1 || !missing.iter().all(|fact| fact.ends_with("/url")) {
        return Err(format!("1.7 lacks something else: {why}").into());
    }
    Ok(told.join(", "))
}

/// No repository has what the later steps ask for, so nothing may go to production: neither by itself nor by
/// the release manager's word. The codes of both refusals.
async fn production_is_shut(
    manager: &Person,
    ci: &Person,
    release: &str,
) -> Result<(String, String), Box<dyn Error>> {
    let start = json!({"environment": "production"});
    let deployment = ci.refused(&format!("{release}/deployments"), start).await?;
    let gates = manager.refused(&format!("{release}/authorize"), json!({})).await?;
    let code = |refusal: &Value| refusal["code"].as_str().unwrap_or_default().to_owned();
    if code(&deployment) != "authorization_required" || code(&gates) != "gate_closed" {
        return Err(format!("production was refused otherwise: {deployment} {gates}").into());
    }
    Ok((code(&deployment), code(&gates)))
}

async fn report(ci: &Person, release: &str, item: &str, facts: Value) -> Result<(), Box<dyn Error>> {
    ci.post(&format!("{release}/items/{item}/evidence"), json!({"facts": facts})).await?;
    Ok(())
}

async fn sign(person: &Person, release: &str, item: &str, facts: Value) -> Result<(), Box<dyn Error>> {
    let body = json!({"new_evidence": [{"facts": facts}]});
    person.post(&format!("{release}/items/{item}/attest"), body).await?;
    Ok(())
}
