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
    let mut left_open = 0;
    match repository.branch_facts() {
        Some(facts) => sign(&engineer, &release, "1.1", facts).await?,
        // Nobody signs for a branch that git does not know.
        None => left_open += 1,
    }
    sign(&ci, &release, "1.2", repository.manifest_facts()).await?;
    sign(&engineer, &release, "1.3", repository.changelog_facts()).await?;
    let none = json!({"kind": "declaration", "statement": "The first version breaks nothing."});
    sign(&engineer, &release, "1.4", none.clone()).await?;
    sign(&manager, &release, "1.4", none).await?;
    sign(&ci, &release, "1.5", repository.tag_facts()).await?;
    sign(&ci, &release, "1.6", tests.run_facts(repository)).await?;
    sign(&manager, &release, "1.7", json!({"kind": "document", "title": "CHANGELOG.md", "status": "draft"}))
        .await?;
    // Evidence is taken before its step opens, and signs nothing by itself.
    ci.post(&format!("{release}/items/3.2/evidence"), json!({"facts": tests.report_facts(repository)}))
        .await?;

    let checklist = manager.get(&format!("{release}/checklist")).await?;
    let steps = checklist["steps"].as_array().ok_or("the checklist has no steps")?;
    let first = steps.first().ok_or("the checklist is empty")?;
    let (closed, total) = (first["closed"].as_u64(), first["total"].as_u64());
    if closed.map(|closed| closed + left_open) != total {
        return Err(format!("step 1 has {} of {} items closed", first["closed"], first["total"]).into());
    }
    let (deployment, gates) = production_is_shut(&manager, &ci, &release).await?;
    let branch = repository.branch.as_deref().unwrap_or("an unknown branch (HEAD is detached)");
    println!(
        "shiplog {version}: {} commits on {branch}, {} tests, step 1 closed with {} of {} items; \
         production is shut: a deployment is refused as {deployment}, its authorization as {gates}",
        repository.commits, tests.total, first["closed"], first["total"],
    );
    Ok(())
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

async fn sign(person: &Person, release: &str, item: &str, facts: Value) -> Result<(), Box<dyn Error>> {
    let body = json!({"new_evidence": [{"facts": facts}]});
    person.post(&format!("{release}/items/{item}/attest"), body).await?;
    Ok(())
}
