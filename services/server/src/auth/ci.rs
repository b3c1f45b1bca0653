//! What a pipeline's token must say: which repository, which definition at which ref, and never its `sub`.
//!
//! `sub` is a template the repository's owner can change, so authorisation rests on the numbered ids and on the
//! definition's path and ref.

use serde::{Deserialize, Serialize};

use super::token::{Object, is_identifier};
use super::{AuthError, CiProvider, CiRefusal, RoleGrant};

/// The run of a pipeline that a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiRun {
    pub provider: CiProvider,
    /// GitHub: the run; GitLab: the pipeline.
    pub run_id: String,
    /// GitHub: the attempt; GitLab: the job, which is a new one when it is retried.
    pub run_attempt: String,
    /// The provider's number of the repository or project.
    pub repository_id: String,
    /// `acme/checkout`. It may be renamed, so it is for people and for comparing with a product's settings.
    pub repository: String,
    #[serde(rename = "ref")]
    pub git_ref: String,
    pub sha: String,
}

/// What the `jti` of a pipeline's token is bound to at its first use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JtiBinding {
    pub run_id: String,
    pub run_attempt: String,
    pub repository_id: String,
}

impl CiRun {
    pub fn jti_binding(&self) -> JtiBinding {
        JtiBinding {
            run_id: self.run_id.clone(),
            run_attempt: self.run_attempt.clone(),
            repository_id: self.repository_id.clone(),
        }
    }
}

/// A pipeline that passed every rule.
#[derive(Debug)]
pub(super) struct Admitted {
    pub subject: String,
    pub run: CiRun,
    pub roles: Vec<RoleGrant>,
}

#[derive(Debug)]
pub(super) struct GithubRule {
    pub repository_id: String,
    pub repository_owner_id: String,
    pub workflow: String,
    pub protected_refs: Vec<RefPattern>,
    pub environments: Option<Vec<String>>,
    pub roles: Vec<RoleGrant>,
}

#[derive(Debug)]
pub(super) struct GitlabRule {
    pub project_id: String,
    pub ci_config: String,
    pub protected_refs: Vec<RefPattern>,
    pub environments: Option<Vec<String>>,
    pub roles: Vec<RoleGrant>,
}

/// A ref, or all refs that begin with one text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RefPattern {
    Exact(String),
    Prefix(String),
}

impl RefPattern {
    /// `None` for what is no full ref and for a prefix that would take in every branch or tag.
    pub fn parse(text: &str) -> Option<Self> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Some(Self::Exact(text.to_owned()));
        }
        let name = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/"))?;
        match name.split_once('*') {
            None if name.is_empty() => None,
            None => Some(Self::Exact(text.to_owned())),
            Some(("", _)) => None,
            Some((_, "")) => Some(Self::Prefix(text.trim_end_matches('*').to_owned())),
            Some(_) => None,
        }
    }

    fn matches(&self, git_ref: &str) -> bool {
        match self {
            Self::Exact(exact) => git_ref == exact,
            Self::Prefix(prefix) => git_ref.len() > prefix.len() && git_ref.starts_with(prefix.as_str()),
        }
    }
}

pub(super) fn admit_github(claims: &Object, rules: &[GithubRule]) -> Result<Admitted, AuthError> {
    // Covers pull_request_target, pull_request_review and whatever is added to the family.
    if claims.identifier("event_name")?.starts_with("pull_request") {
        return Err(refused(CiRefusal::PullRequest));
    }
    let repository_id = number(claims, "repository_id")?;
    let owner_id = number(claims, "repository_owner_id")?;
    let definition = claims.identifier("job_workflow_ref")?;
    let environment = claims.optional_text("environment")?;
    let roles = roles_of_passing(rules.iter().map(|rule| {
        if rule.repository_id != repository_id {
            return Err(CiRefusal::RepositoryNotBound);
        }
        if rule.repository_owner_id != owner_id {
            return Err(CiRefusal::OwnerMismatch);
        }
        check_definition(definition, &rule.workflow, &rule.protected_refs)?;
        check_environment(environment, rule.environments.as_deref())?;
        Ok(&rule.roles)
    }))?;
    let run = CiRun {
        provider: CiProvider::Github,
        run_id: number(claims, "run_id")?,
        run_attempt: number(claims, "run_attempt")?,
        repository: claims.identifier("repository")?.to_owned(),
        git_ref: claims.identifier("ref")?.to_owned(),
        sha: commit(claims)?,
        repository_id,
    };
    let subject = format!("repo:{}:workflow:{definition}", run.repository_id);
    Ok(Admitted { subject: short_enough(subject, "job_workflow_ref")?, run, roles })
}

pub(super) fn admit_gitlab(claims: &Object, rules: &[GitlabRule]) -> Result<Admitted, AuthError> {
    if claims.identifier("pipeline_source")? == "merge_request_event" {
        return Err(refused(CiRefusal::MergeRequest));
    }
    if claims.text("ref_protected")? != "true" {
        return Err(refused(CiRefusal::RefUnprotected));
    }
    let project_id = number(claims, "project_id")?;
    let definition = claims.identifier("ci_config_ref_uri")?;
    let environment = claims.optional_text("environment")?;
    let roles = roles_of_passing(rules.iter().map(|rule| {
        if rule.project_id != project_id {
            return Err(CiRefusal::RepositoryNotBound);
        }
        check_definition(definition, &rule.ci_config, &rule.protected_refs)?;
        check_environment(environment, rule.environments.as_deref())?;
        Ok(&rule.roles)
    }))?;
    let run = CiRun {
        provider: CiProvider::Gitlab,
        run_id: number(claims, "pipeline_id")?,
        run_attempt: number(claims, "job_id")?,
        repository: claims.identifier("project_path")?.to_owned(),
        git_ref: claims.identifier("ref")?.to_owned(),
        sha: commit(claims)?,
        repository_id: project_id,
    };
    let subject = format!("project:{}:config:{definition}", run.repository_id);
    Ok(Admitted { subject: short_enough(subject, "ci_config_ref_uri")?, run, roles })
}

/// The roles of every rule that passes, so that their order in the file means nothing; else the refusal of the rule
/// that came furthest.
fn roles_of_passing<'r>(
    outcomes: impl Iterator<Item = Result<&'r Vec<RoleGrant>, CiRefusal>>,
) -> Result<Vec<RoleGrant>, AuthError> {
    let mut passed: Option<Vec<RoleGrant>> = None;
    let mut furthest = CiRefusal::RepositoryNotBound;
    for outcome in outcomes {
        match outcome {
            Ok(roles) => passed.get_or_insert_default().extend(roles.iter().cloned()),
            Err(refusal) => furthest = furthest.max(refusal),
        }
    }
    passed.ok_or_else(|| refused(furthest))
}

/// The configured path has no `@`, so what follows it is the whole ref even when the ref itself contains one.
fn check_definition(definition: &str, path: &str, refs: &[RefPattern]) -> Result<(), CiRefusal> {
    let git_ref = definition
        .strip_prefix(path)
        .and_then(|rest| rest.strip_prefix('@'))
        .ok_or(CiRefusal::WorkflowNotAllowed)?;
    if refs.iter().any(|pattern| pattern.matches(git_ref)) {
        return Ok(());
    }
    Err(CiRefusal::WorkflowRefNotProtected)
}

fn check_environment(environment: Option<&str>, allowed: Option<&[String]>) -> Result<(), CiRefusal> {
    match (allowed, environment) {
        (None, _) => Ok(()),
        (Some(allowed), Some(environment)) if allowed.iter().any(|name| name == environment) => Ok(()),
        (Some(_), _) => Err(CiRefusal::EnvironmentNotAllowed),
    }
}

/// A provider's number, which is sent as a string of digits or as a JSON integer.
fn number(claims: &Object, name: &str) -> Result<String, AuthError> {
    let value = claims.required(name)?;
    let text = match (value.as_str(), value.as_u64()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(number)) => number.to_string(),
        (None, None) => return Err(AuthError::invalid(name)),
    };
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { Ok(text) } else { Err(AuthError::invalid(name)) }
}

fn commit(claims: &Object) -> Result<String, AuthError> {
    let sha = claims.text("sha")?;
    let hexadecimal = matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { Ok(sha.to_ascii_lowercase()) } else { Err(AuthError::invalid("sha")) }
}

fn short_enough(subject: String, claim: &str) -> Result<String, AuthError> {
    if is_identifier(&subject) { Ok(subject) } else { Err(AuthError::invalid(claim)) }
}

fn refused(reason: CiRefusal) -> AuthError {
    AuthError::CiRefused { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_patterns_when_matched_then_only_a_trailing_star_after_a_name_widens_them() {
        let main = RefPattern::parse("refs/heads/main").unwrap();
        assert!(main.matches("refs/heads/main"));
        assert!(!main.matches("refs/heads/main2") && !main.matches("refs/heads/x@refs/heads/main"));
        let versions = RefPattern::parse("refs/tags/v*").unwrap();
        assert!(versions.matches("refs/tags/v1.2"));
        assert!(!versions.matches("refs/tags/v") && !versions.matches("refs/heads/v1.2"));
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert!(RefPattern::parse(commit).unwrap().matches(commit));
        for text in
            ["", "*", "refs/*", "refs/heads/", "refs/heads/*", "refs/tags/*", "refs/heads/a*b", "main", "v*"]
        {
            assert_eq!(RefPattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn given_a_branch_named_after_a_protected_ref_when_checked_then_its_definition_is_refused() {
        let refs = [RefPattern::parse("refs/heads/main").unwrap()];
        let check = |definition| check_definition(definition, "o/r/w.yml", &refs);
        assert_eq!(check("o/r/w.yml@refs/heads/main"), Ok(()));
        assert_eq!(check("o/r/w.yml@refs/heads/x@refs/heads/main"), Err(CiRefusal::WorkflowRefNotProtected));
        assert_eq!(check("o/r/w.yml.evil@refs/heads/main"), Err(CiRefusal::WorkflowNotAllowed));
        assert_eq!(check("x/o/r/w.yml@refs/heads/main"), Err(CiRefusal::WorkflowNotAllowed));
        assert_eq!(check("o/r/w.yml"), Err(CiRefusal::WorkflowNotAllowed));
    }
}
