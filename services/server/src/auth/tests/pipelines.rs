//! Tokens of GitHub and GitLab pipelines.

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WORKFLOW: &str = "acme/pipelines/.github/workflows/release.yml";

const GITHUB: &str = "
kind = 'machine'
ci = 'github'
roles = ['machine']

[[github]]
repository_id = '700'
repository_owner_id = '70'
workflow = 'acme/pipelines/.github/workflows/release.yml'
protected_refs = ['refs/heads/main', 'refs/tags/v*']
environments = ['production']
roles = ['operator:checkout']
";

const GITLAB: &str = "
kind = 'machine'
ci = 'gitlab'
roles = ['machine:checkout']

[[gitlab]]
project_id = '900'
ci_config = 'gitlab.example/acme/checkout//.gitlab-ci.yml'
protected_refs = ['refs/heads/main']
";

fn github(changes: Value) -> Value {
    let own = json!({
        "sub": "repo:acme/checkout:environment:production", "jti": "j-1", "roles": ["admin"],
        "repository": "acme/checkout", "repository_id": "700", "repository_owner": "acme", "repository_owner_id": "70",
        "job_workflow_ref": format!("{WORKFLOW}@refs/heads/main"), "environment": "production",
        "event_name": "push", "run_id": "55", "run_attempt": "1", "ref": "refs/heads/main", "sha": COMMIT,
    });
    changed(claims(own), changes)
}

fn gitlab(changes: Value) -> Value {
    let own = json!({
        "sub": "project_path:acme/checkout:ref_type:branch:ref:main", "jti": "j-1",
        "project_id": "900", "project_path": "acme/checkout", "ref_protected": "true", "pipeline_source": "push",
        "ci_config_ref_uri": "gitlab.example/acme/checkout//.gitlab-ci.yml@refs/heads/main",
        "pipeline_id": "66", "job_id": "77", "ref": "main", "sha": COMMIT,
    });
    changed(claims(own), changes)
}

async fn check(config: &str, claims: Value) -> Result<Arc<Principal>, AuthError> {
    setup(config).verify(&RS256.token(&claims)).await
}

fn refused(reason: CiRefusal) -> Result<Arc<Principal>, AuthError> {
    Err(AuthError::CiRefused { reason })
}

#[tokio::test]
async fn given_a_bound_workflow_when_verified_then_roles_and_identity_come_from_configuration_and_numbers() {
    let principal = check(GITHUB, github(json!({}))).await.unwrap();
    assert_eq!(principal.subject, format!("repo:700:workflow:{WORKFLOW}@refs/heads/main"));
    assert_eq!(principal.id, format!("{ISSUER}#{}", principal.subject));
    assert_eq!(principal.kind, PrincipalKind::Machine);
    let granted = [RoleGrant::for_product(Role::Operator, "checkout"), RoleGrant::everywhere(Role::Machine)];
    assert_eq!(principal.roles, granted);
    let run = CiRun {
        provider: CiProvider::Github,
        run_id: "55".into(),
        run_attempt: "1".into(),
        repository_id: "700".into(),
        repository: "acme/checkout".into(),
        git_ref: "refs/heads/main".into(),
        sha: COMMIT.into(),
    };
    assert_eq!(principal.ci.as_ref(), Some(&run));
    assert!(principal.jti_sha256.is_some());
}

#[tokio::test]
async fn given_a_sub_that_promises_anything_when_the_numbers_differ_then_it_is_refused() {
    let sub = "repo:acme/checkout:environment:production";
    let stranger = github(json!({"sub": sub, "repository_id": "701"}));
    assert_eq!(check(GITHUB, stranger).await, refused(CiRefusal::RepositoryNotBound));
    assert!(check(GITHUB, github(json!({"sub": "anything"}))).await.is_ok());
}

#[tokio::test]
async fn given_one_github_claim_outside_its_binding_when_verified_then_the_reason_names_the_rule() {
    for (changes, reason) in [
        (json!({"repository_id": "701"}), CiRefusal::RepositoryNotBound),
        (json!({"repository_owner_id": "71"}), CiRefusal::OwnerMismatch),
        (
            json!({"job_workflow_ref": "acme/checkout/.github/workflows/x.yml@refs/heads/main"}),
            CiRefusal::WorkflowNotAllowed,
        ),
        (json!({"job_workflow_ref": WORKFLOW}), CiRefusal::WorkflowNotAllowed),
        (
            json!({"job_workflow_ref": format!("{WORKFLOW}@refs/heads/dev")}),
            CiRefusal::WorkflowRefNotProtected,
        ),
        (
            json!({"job_workflow_ref": format!("{WORKFLOW}@refs/pull/1/merge")}),
            CiRefusal::WorkflowRefNotProtected,
        ),
        (json!({"environment": "staging"}), CiRefusal::EnvironmentNotAllowed),
        (json!({"environment": null}), CiRefusal::EnvironmentNotAllowed),
        (json!({"event_name": "pull_request"}), CiRefusal::PullRequest),
        (json!({"event_name": "pull_request_target"}), CiRefusal::PullRequest),
        (json!({"event_name": "pull_request_review"}), CiRefusal::PullRequest),
    ] {
        assert_eq!(check(GITHUB, github(changes.clone())).await, refused(reason), "{changes}");
    }
    let tag = github(json!({"job_workflow_ref": format!("{WORKFLOW}@refs/tags/v2")}));
    assert!(check(GITHUB, tag).await.is_ok());
    let any_environment = GITHUB.replace("environments = ['production']", "");
    assert!(check(&any_environment, github(json!({"environment": null}))).await.is_ok());
}

#[tokio::test]
async fn given_a_github_token_when_a_required_claim_is_missing_or_malformed_then_it_is_named() {
    for claim in [
        "repository_id",
        "repository_owner_id",
        "job_workflow_ref",
        "event_name",
        "run_id",
        "run_attempt",
        "repository",
        "ref",
        "sha",
        "jti",
    ] {
        assert_eq!(check(GITHUB, github(json!({claim: null}))).await, Err(missing(claim)));
        assert_eq!(check(GITHUB, github(json!({claim: true}))).await, Err(invalid(claim)));
    }
    for (claim, value) in [("repository_id", "7 "), ("sha", "main"), ("run_id", ""), ("run_attempt", "-1")] {
        assert_eq!(check(GITHUB, github(json!({claim: value}))).await, Err(invalid(claim)));
    }
    let long = format!("{WORKFLOW}@refs/tags/v{}", "1".repeat(230));
    assert!(
        check(GITHUB, github(json!({"job_workflow_ref": long.clone() + &"1".repeat(100)}))).await.is_err()
    );
}

#[tokio::test]
async fn given_two_bindings_of_one_repository_when_both_pass_then_the_roles_of_both_are_granted() {
    let second = "
[[github]]
repository_id = '700'
repository_owner_id = '70'
workflow = 'acme/pipelines/.github/workflows/release.yml'
protected_refs = ['refs/heads/main']
roles = ['operator:billing']
";
    let both = format!("{GITHUB}{second}");
    let principal = check(&both, github(json!({}))).await.unwrap();
    assert!(
        principal.has(Role::Operator, Some("checkout")) && principal.has(Role::Operator, Some("billing"))
    );
    let staging = check(&both, github(json!({"environment": "staging"}))).await.unwrap();
    assert!(!staging.has(Role::Operator, Some("checkout")) && staging.has(Role::Operator, Some("billing")));
}

#[tokio::test]
async fn given_a_bound_gitlab_job_when_verified_then_pipeline_and_job_name_the_run() {
    let principal = check(GITLAB, gitlab(json!({}))).await.unwrap();
    assert_eq!(
        principal.subject,
        "project:900:config:gitlab.example/acme/checkout//.gitlab-ci.yml@refs/heads/main"
    );
    assert_eq!(principal.roles, [RoleGrant::for_product(Role::Machine, "checkout")]);
    let run = principal.ci.clone().unwrap();
    assert_eq!(
        (run.run_id.as_str(), run.run_attempt.as_str(), run.repository_id.as_str()),
        ("66", "77", "900")
    );
    assert_eq!(run.provider, CiProvider::Gitlab);
}

#[tokio::test]
async fn given_one_gitlab_claim_outside_its_binding_when_verified_then_the_reason_names_the_rule() {
    let config = "gitlab.example/acme/checkout//.gitlab-ci.yml";
    for (changes, reason) in [
        (json!({"project_id": "901"}), CiRefusal::RepositoryNotBound),
        (json!({"ref_protected": "false"}), CiRefusal::RefUnprotected),
        (
            json!({"ci_config_ref_uri": "gitlab.example/x/y//ci.yml@refs/heads/main"}),
            CiRefusal::WorkflowNotAllowed,
        ),
        (
            json!({"ci_config_ref_uri": format!("{config}@refs/heads/dev")}),
            CiRefusal::WorkflowRefNotProtected,
        ),
        (json!({"pipeline_source": "merge_request_event"}), CiRefusal::MergeRequest),
    ] {
        assert_eq!(check(GITLAB, gitlab(changes.clone())).await, refused(reason), "{changes}");
    }
    for claim in [
        "project_id",
        "ref_protected",
        "ci_config_ref_uri",
        "pipeline_source",
        "pipeline_id",
        "job_id",
        "project_path",
        "jti",
    ] {
        assert_eq!(check(GITLAB, gitlab(json!({claim: null}))).await, Err(missing(claim)));
    }
    assert_eq!(check(GITLAB, gitlab(json!({"ref_protected": true}))).await, Err(invalid("ref_protected")));
}

#[tokio::test]
async fn given_pipelines_when_a_token_lives_longer_than_15_minutes_then_it_is_refused() {
    assert!(check(GITHUB, github(json!({"exp": START + 900}))).await.is_ok());
    let long = github(json!({"exp": START + 901}));
    assert_eq!(check(GITHUB, long).await, Err(AuthError::LifetimeTooLong));
}

#[tokio::test]
async fn given_a_token_id_when_another_run_uses_it_then_it_is_refused_until_the_first_has_expired() {
    let setup = setup(GITHUB);
    let verify = async |changes: Value, at: i64| {
        let moved = json!({"iat": START + at, "exp": START + at + 600});
        setup.verify_at(&RS256.token(&changed(github(moved), changes)), at).await.map(|_| ())
    };
    assert_eq!(verify(json!({}), 0).await, Ok(()));
    assert_eq!(verify(json!({}), 1).await, Ok(()));
    assert_eq!(verify(json!({"run_id": "56"}), 2).await, Err(AuthError::JtiReused));
    assert_eq!(verify(json!({"run_attempt": "2"}), 3).await, Err(AuthError::JtiReused));
    assert_eq!(verify(json!({"run_id": "56", "jti": "j-2"}), 4).await, Ok(()));
    assert_eq!(verify(json!({"run_id": "56"}), 606).await, Ok(()));
}

#[tokio::test]
async fn given_a_pipeline_token_when_used_again_and_again_then_it_works_until_it_expires() {
    let setup = setup(GITHUB);
    let token = RS256.token(&github(json!({})));
    for second in [0, 1, 300, 604] {
        assert!(setup.verify_at(&token, second).await.is_ok());
    }
    assert_eq!(setup.verifier.stats().signatures, 1);
    assert_eq!(setup.verify_at(&token, 605).await, Err(AuthError::Expired));
}
