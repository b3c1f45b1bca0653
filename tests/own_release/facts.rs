//! What can be read of this repository and of a test run.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub struct Repository {
    root: PathBuf,
    pub version: String,
    /// Unknown on a detached HEAD that no branch ends at.
    pub branch: Option<String>,
    pub head: String,
    first: String,
    pub commits: u32,
    pub tag: Tag,
    changelog_section: String,
    specification: Vec<u8>,
}

pub struct Tag {
    pub name: String,
    pub object_sha: String,
}

pub struct Tests {
    pub total: u32,
    failed: u32,
    errored: u32,
    skipped: u32,
    sha256: String,
}

impl Repository {
    pub fn read(root: &Path) -> Result<Self, Box<dyn Error>> {
        let version = manifest_version(root)?;
        let head = git(root, &["rev-parse", "HEAD"])?;
        let changelog = std::fs::read_to_string(root.join("CHANGELOG.md"))?;
        Ok(Self {
            branch: branch(root)?,
            first: git(root, &["rev-list", "--max-parents=0", "HEAD"])?
                .lines()
                .last()
                .unwrap_or_default()
                .to_owned(),
            commits: git(root, &["rev-list", "--count", "HEAD"])?.parse()?,
            tag: tag(root, &version, &head)?,
            changelog_section: section(&changelog, &version)?,
            specification: std::fs::read(root.join("openapi/shiplog.json"))?,
            root: root.to_owned(),
            version,
            head,
        })
    }

    /// The API description is what others build on.
    pub fn specification(&self) -> Value {
        json!({"name": "openapi/shiplog.json", "digest": format!("sha256:{}", sha256(&self.specification))})
    }

    pub fn branch_facts(&self) -> Option<Value> {
        let branch = self.branch.as_ref()?;
        Some(json!({"kind": "git_ref", "repository": "shiplog", "ref_name": branch, "head_sha": self.head,
                    "base_sha": self.first}))
    }

    pub fn manifest_facts(&self) -> Value {
        let manifest = std::fs::read(self.root.join("Cargo.toml")).unwrap_or_default();
        let described: Value = serde_json::from_slice(&self.specification).unwrap_or_default();
        json!({"kind": "commit", "repository": "shiplog", "commit_sha": self.head, "manifests": [
            {"path": "Cargo.toml", "value": self.version, "sha256": sha256(&manifest)},
            {"path": "openapi/shiplog.json", "value": described["info"]["version"],
             "sha256": sha256(&self.specification)},
        ]})
    }

    pub fn changelog_facts(&self) -> Value {
        json!({"kind": "commit", "repository": "shiplog", "commit_sha": self.head, "range_from": self.first,
               "changelog_section_sha256": sha256(self.changelog_section.as_bytes())})
    }

    pub fn tag_facts(&self) -> Value {
        json!({"kind": "semver_tag", "name": self.tag.name, "tag_object_sha": self.tag.object_sha,
               "commit_sha": self.head, "annotated": true, "signature": "unsigned", "branch_head_sha": self.head})
    }

    /// The section of the changelog is what the notes will say.
    pub fn notes_facts(&self) -> Value {
        json!({"kind": "document", "title": "CHANGELOG.md", "status": "draft", "mentions": [self.version],
               "bytes": self.changelog_section.len()})
    }
}

impl Tests {
    pub fn run_facts(&self, repository: &Repository) -> Value {
        let conclusion = if self.failed + self.errored == 0 { "success" } else { "failure" };
        json!({"kind": "ci_run", "provider": "tests/run", "run_id": self.sha256, "attempt": 1,
               "workflow": "tests/run", "head_sha": repository.head, "conclusion": conclusion,
               "artifacts": [repository.specification()]})
    }

    pub fn report_facts(&self, repository: &Repository) -> Value {
        let passed = self.total - self.failed - self.errored - self.skipped;
        json!({"kind": "test_report", "suite": "integration", "total": self.total, "passed": passed,
               "failed": self.failed, "errored": self.errored, "skipped": self.skipped,
               "head_sha": repository.head, "report_sha256": self.sha256})
    }
}

/// The totals of a JUnit report.
pub fn junit(path: &Path) -> Result<Tests, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let document = roxmltree::Document::parse(&text)?;
    let suites = document.root_element();
    let count = |name: &str| -> Result<u32, Box<dyn Error>> {
        let of = |node: roxmltree::Node<'_, '_>| node.attribute(name).map_or(Ok(0), str::parse::<u32>);
        suites
            .children()
            .filter(|node| node.has_tag_name("testsuite"))
            .try_fold(0, |sum, suite| Ok(sum + of(suite)?))
    };
    let tests = Tests {
        total: count("tests")?,
        failed: count("failures")?,
        errored: count("errors")?,
        skipped: count("disabled")?,
        sha256: sha256(text.as_bytes()),
    };
    if tests.total == 0 { Err("the report holds no test".into()) } else { Ok(tests) }
}

fn manifest_version(root: &Path) -> Result<String, Box<dyn Error>> {
    let manifest: toml::Table = std::fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let version = manifest["workspace"]["package"]["version"].as_str();
    Ok(version.ok_or("the workspace has no version")?.to_owned())
}

/// The branch that is checked out. A clean clone of CI has none, so there its environment is asked, and then git
/// for a branch that ends at the same commit.
fn branch(root: &Path) -> Result<Option<String>, Box<dyn Error>> {
    match git(root, &["rev-parse", "--abbrev-ref", "HEAD"])?.as_str() {
        "HEAD" => {}
        branch => return Ok(Some(branch.to_owned())),
    }
    let given =
        ["GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_BRANCH"].map(|name| std::env::var(name).ok());
    if let Some(branch) = given.into_iter().flatten().find(|branch| !branch.is_empty()) {
        return Ok(Some(branch));
    }
    let ends_here =
        ["for-each-ref", "--points-at", "HEAD", "--format", "%(refname)", "refs/heads", "refs/remotes"];
    let refs = git(root, &ends_here)?;
    let names = refs.lines().filter_map(|name| match name.strip_prefix("refs/remotes/") {
        Some(remote) => remote.split_once('/').map(|(_, branch)| branch),
        None => name.strip_prefix("refs/heads/"),
    });
    Ok(names.filter(|name| *name != "HEAD").map(str::to_owned).next())
}

/// An annotated tag needs a repository to be made in; a throw-away clone leaves this one as it is.
fn tag(root: &Path, version: &str, head: &str) -> Result<Tag, Box<dyn Error>> {
    let clone = tempfile::tempdir()?;
    let path = clone.path().join("clone");
    let target = path.to_string_lossy().into_owned();
    git(root, &["clone", "--quiet", "--no-checkout", ".", &target])?;
    let name = format!("v{version}-rc.1");
    let identity = ["-c", "user.name=Shiplog", "-c", "user.email=release@shiplog.example"];
    let mut arguments = identity.to_vec();
    arguments.extend(["tag", "--annotate", "--message", "Release candidate", &name, head]);
    git(&path, &arguments)?;
    Ok(Tag { object_sha: git(&path, &["rev-parse", &format!("refs/tags/{name}")])?, name })
}

fn section(changelog: &str, version: &str) -> Result<String, Box<dyn Error>> {
    let heading = format!("## {version}");
    let from = changelog.find(&heading).ok_or_else(|| format!("CHANGELOG.md has no section {heading}"))?;
    let section = &changelog[from..];
    let to = section[heading.len()..].find("\n## ").map_or(section.len(), |end| heading.len() + end);
    Ok(section[..to].to_owned())
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new("git").current_dir(directory).args(arguments).output()?;
    if !output.status.success() {
        return Err(
            format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
