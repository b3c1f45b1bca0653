//! The story most tests start from: checkout 2.4.0, released by the built-in procedure.

use std::sync::{Arc, LazyLock, OnceLock};

use jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

use super::{Spec, alice, bob, dave, grace, monday, nothing, who_is};
use crate::actor::{Actor, Role};
use crate::command::{
    AnswerRollCall, AttestItem, AuthorizeProduction, BindCandidate, Command, GrantApproval, OpenRelease,
    RequestApproval, SetWindow, StartDeployment, TagCandidate,
};
use crate::decide::{Around, EnvironmentSnapshot, Opening, Snapshots};
use crate::directory::People;
use crate::event::{Answer, EnvironmentPurpose, EventData as _, Input, Meaning, SettingsRef};
use crate::evidence::{Artifact, EvidenceKind, NewEvidence};
use crate::procedure::{PRODUCT_RELEASE_V1, Procedure, ProcedureRef, Rule, hash};
use crate::release::Release;
use crate::value::{
    CandidateTag, Digest, GitSha, InvalidList, InvalidText, InvalidValue, ItemNumber, Line, Link, List, Name,
    Prose, ReleaseId, Sha256Hex, Version,
};

/// What a test writes is valid; when it is not, the test says so here.
pub trait Written<T> {
    fn written(self) -> T;
}

macro_rules! written {
    ($($error:ty),*) => {$(
        impl<T> Written<T> for Result<T, $error> {
            fn written(self) -> T {
                match self {
                    Ok(value) => value,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    )*};
}
written!(InvalidValue, InvalidText, InvalidList, serde_json::Error);

pub fn item(number: &str) -> ItemNumber {
    ItemNumber::new(number).written()
}

pub fn name(text: &str) -> Name {
    Name::new(text).written()
}

pub fn line(text: &str) -> Line {
    Line::new(text).written()
}

pub fn prose(text: &str) -> Prose {
    Prose::new(text).written()
}

pub fn link(text: &str) -> Link {
    Link::new(text).written()
}

pub fn version(text: &str) -> Version {
    Version::new(text).written()
}

/// A digest of 64 equal digits.
pub fn sha256(digit: char) -> Sha256Hex {
    Sha256Hex::new(&digit.to_string().repeat(64)).written()
}

pub fn commit(digit: char) -> GitSha {
    GitSha::new(&digit.to_string().repeat(40)).written()
}

pub fn list<T, const MAX: usize>(entries: Vec<T>) -> List<T, MAX> {
    List::new(entries).written()
}

pub fn artifact(digit: char) -> Artifact {
    let digest = Digest::new(&format!("sha256:{}", sha256(digit))).written();
    Artifact { name: line("checkout"), digest }
}

pub fn procedure() -> Arc<Procedure> {
    static BUILT_IN: OnceLock<Arc<Procedure>> = OnceLock::new();
    BUILT_IN.get_or_init(|| Arc::new(serde_json::from_slice(PRODUCT_RELEASE_V1).written())).clone()
}

/// The product is registered, 2.3.1 runs in production, and production is held for this release.
pub fn around() -> Around {
    static HASH: LazyLock<Sha256Hex> = LazyLock::new(|| hash(PRODUCT_RELEASE_V1));
    let procedure = procedure();
    let opening = Opening {
        procedure: ProcedureRef {
            name: procedure.name.clone(),
            version: procedure.version,
            hash: HASH.clone(),
        },
        settings: SettingsRef { version: 3, hash: sha256('5') },
        targets: vec![Name::default_target()],
        in_production: Some(version("2.3.1")),
        people: None,
        inputs: vec![Input { stream: "product-default.checkout".into(), revision: Some(2) }],
    };
    let environment = |name: &str, purpose, held_by| EnvironmentSnapshot {
        name: Name::new(name).written(),
        purpose,
        held_by,
        runs: None,
    };
    let mine = ReleaseId::of(&name("checkout"), &version("2.4.0"));
    let snapshots = Snapshots {
        freezes: Vec::new(),
        environments: vec![
            environment("staging", EnvironmentPurpose::Staging, None),
            environment("production", EnvironmentPurpose::Production, Some(mine)),
        ],
        rejected: Vec::new(),
        inputs: vec![Input { stream: "environment-default.checkout.production".into(), revision: Some(6) }],
        role_first_used: None,
        keeping: None,
    };
    Around {
        procedure,
        settings: Arc::default(),
        opening: Some(opening),
        snapshots,
        people: People::default(),
    }
}

/// Version 1 with what version 2 says of canary and monitoring, so that nothing but these is judged.
pub fn judged_procedure() -> Arc<Procedure> {
    static JUDGED: OnceLock<Arc<Procedure>> = OnceLock::new();
    let judged = || {
        let mut procedure = (*procedure()).clone();
        procedure.thresholds = super::judged::procedure().thresholds.clone();
        Arc::new(procedure)
    };
    JUDGED.get_or_init(judged).clone()
}

/// As [`around`], with a procedure that judges canaries.
pub fn judging() -> Around {
    Around { procedure: judged_procedure(), ..around() }
}

pub fn open() -> OpenRelease {
    OpenRelease {
        product: name("checkout"),
        version: version("2.4.0"),
        reason: prose("Faster checkout"),
        previous: None,
        class: None,
        security_impact: None,
        ticket: None,
        procedure: None,
        targets: None,
    }
}

/// Candidate `n` at a commit of equal digits; migrations, configuration and pipeline as before.
pub fn tag(n: u32) -> TagCandidate {
    let digit = char::from_digit(n % 16, 16).unwrap_or('0');
    TagCandidate {
        tag: CandidateTag::of(&version("2.4.0"), n),
        tag_object_sha: commit('f'),
        commit_sha: commit(digit),
        migration_set_digest: Some(sha256('a')),
        config_schema_digest: Some(sha256('b')),
        pipeline_digest: Some(sha256('c')),
        touched_features: None,
        artifacts: List::default(),
        authors: list(vec![line("github:101")]),
        changed_paths: List::default(),
    }
}

pub fn bind(digit: char) -> BindCandidate {
    BindCandidate {
        artifacts: list(vec![artifact(digit)]),
        migration_set_digest: None,
        config_schema_digest: None,
        pipeline_digest: None,
    }
}

/// Evidence of a kind, as an honest source reports it.
pub fn evidence(kind: EvidenceKind) -> NewEvidence {
    let t = "2026-06-01T07:00:00Z";
    let u = "2026-06-01T07:30:00Z";
    let hex = "d".repeat(64);
    let sha = "1".repeat(40);
    let mut facts = match kind {
        EvidenceKind::GitRef => json!({"repository": "acme/checkout", "ref_name": "release/2.4.0",
            "head_sha": sha, "base_sha": sha, "protected": true}),
        EvidenceKind::Commit => json!({"repository": "acme/checkout", "commit_sha": sha,
            "manifests": [{"path": "Cargo.toml", "value": "2.4.0"}],
            "changes": {"merged": 12, "covered": 11, "exempt": 1}}),
        EvidenceKind::SemverTag => json!({"name": "v2.4.0-rc.1", "tag_object_sha": sha, "commit_sha": sha,
            "annotated": true, "signature": "valid"}),
        EvidenceKind::Document => json!({"title": "Release notes", "status": "draft"}),
        EvidenceKind::CiRun => json!({"provider": "github", "run_id": "881", "attempt": 1,
            "workflow": "ci", "head_sha": sha, "conclusion": "success", "started_at": t, "completed_at": u}),
        EvidenceKind::TestReport => json!({"suite": "e2e", "total": 120, "passed": 118, "failed": 0,
            "errored": 0, "skipped": 2, "flaky": 1}),
        EvidenceKind::Deployment => json!({"environment": "staging", "status": "succeeded",
            "commit_sha": sha, "started_at": t, "finished_at": u}),
        EvidenceKind::VersionProbe => json!({"environment": "staging", "version": "2.4.0-rc.1",
            "commit_sha": sha, "replicas_matched": 3, "replicas_total": 3}),
        EvidenceKind::HealthProbe => json!({"environment": "staging", "probes": 3, "healthy": 3,
            "first_at": t, "last_at": u, "latency_p95_ms": 41.5}),
        EvidenceKind::MigrationRun => json!({"environment": "staging", "tool": "sqlx",
            "applied": [{"id": "20260601_add_basket", "checksum": "9f2c"}], "pending": 0, "failed": 0}),
        EvidenceKind::ConfigSnapshot => json!({"environment": "staging", "required": 14, "present": 14,
            "digest": hex}),
        EvidenceKind::FlagSnapshot => json!({"environment": "production",
            "flags": [{"key": "new-basket", "planned": "off", "actual": "off"}]}),
        EvidenceKind::PerfComparison => json!({"profile_digest": hex, "baseline_run": "perf-77",
            "samples": 60, "duration_s": 900, "p95_ratio": 1.02, "p99_ratio": 1.05,
            "throughput_ratio": 0.99, "error_rate_delta": 0.0}),
        EvidenceKind::DefectSet => json!({"threshold": "major", "defects": []}),
        EvidenceKind::Backup => json!({"database": "checkout", "started_at": t, "completed_at": u,
            "bytes": 73_400_320u64, "verified": true}),
        EvidenceKind::Drill => json!({"environment": "staging", "from_version": "2.4.0-rc.1",
            "to_version": "2.3.1", "started_at": t, "finished_at": u, "succeeded": true}),
        EvidenceKind::Notification => json!({"channel": "#releases", "message_id": "m-1",
            "recipients": ["on-call"], "sent_at": t}),
        EvidenceKind::Approval => json!({"system": "servicenow", "reference": "CHG0042",
            "decision": "approved", "approver": "grace", "decided_at": t}),
        EvidenceKind::Availability => json!({"person": "dave", "role": "operator",
            "from": t, "to": "2026-06-01T18:00:00Z"}),
        EvidenceKind::Dashboard => json!({"name": "checkout overview", "watcher": "erin"}),
        EvidenceKind::MetricBaseline | EvidenceKind::MetricWindow => json!({"source": "prometheus",
            "from": t, "to": u, "metrics": [{"name": "error_rate", "value": 0.002, "baseline": 0.002}],
            "coverage": 0.99}),
        EvidenceKind::CanaryRun => json!({"weight_min_percent": 4.8, "weight_max_percent": 5.0,
            "from": t, "to": u, "requests": 48_000, "coverage": 0.99}),
        EvidenceKind::Timer => json!({"from": t, "to": u, "planned_s": 1800}),
        EvidenceKind::JourneyCheck => json!({"cases": [{"name": "pay by card", "result": "pass"}]}),
        EvidenceKind::Publication => json!({"version": "2.4.0", "status": "published"}),
        EvidenceKind::Ticket => json!({"key": "REL-12", "status": "done"}),
        EvidenceKind::Lease => json!({"environment": "production", "version": "2.3.1",
            "from": t, "to": u, "probes": 24, "healthy": 24}),
        EvidenceKind::Declaration => json!({"statement": "There are no breaking changes."}),
    };
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("kind".into(), kind.as_str().into());
    }
    NewEvidence {
        facts: serde_json::from_value(facts).written(),
        url: Some(link("https://ci.example/run/881")),
        sha256: None,
        occurred_at: None,
        late_entry_reason: None,
        subject: None,
        source: None,
        target: None,
    }
}

/// An attestation with new evidence of the first kind the item takes.
pub fn attest(number: &str) -> Command {
    let procedure = procedure();
    let kind = procedure.item(item(number)).and_then(|item| item.evidence.first().copied());
    let new_evidence = kind.map(evidence).into_iter().collect();
    Command::AttestItem {
        item: item(number),
        body: AttestItem {
            statement: None,
            manual_fallback: None,
            evidence: List::default(),
            new_evidence: list(new_evidence),
        },
    }
}

/// Who signs an item, in the order of their signatures.
pub fn signers(number: ItemNumber) -> Vec<Actor> {
    let procedure = procedure();
    let Some(item) = procedure.item(number) else { return Vec::new() };
    let person = |roles: &[Role]| roles.iter().map(|role| who_is(*role)).find(|who| who.is_person());
    let mut signers: Vec<_> = person(&item.roles).into_iter().collect();
    if !item.second.is_empty() {
        let another =
            item.second.iter().map(|role| who_is(*role)).find(|who| !signers.iter().any(|s| s.id == who.id));
        signers.extend(another);
    }
    signers
}

/// Opened by Alice with every default.
pub fn opened() -> Spec<Release> {
    nothing().when(alice(), Command::Open(open()), &around()).accepted()
}

/// Opened, with candidate 1 tagged and its artifacts bound.
pub fn tagged() -> Spec<Release> {
    opened()
        .when(bob(), Command::TagCandidate(tag(1)), &around())
        .accepted()
        .when(super::robot(), Command::BindCandidate { number: 1, body: bind('1') }, &around())
        .accepted()
}

/// From nine to half past twelve.
pub fn window() -> SetWindow {
    SetWindow {
        from: monday() + SignedDuration::from_hours(1),
        to: monday() + SignedDuration::from_mins(270),
    }
}

pub fn go(role: Role) -> Command {
    Command::AnswerRollCall(AnswerRollCall { role, answer: Answer::Go, reason: None })
}

pub fn authorize() -> Command {
    Command::AuthorizeProduction(AuthorizeProduction { basis: None, preempt_reason: None, break_glass: None })
}

pub fn deploy(environment: &str, authorization: Option<Uuid>) -> Command {
    Command::StartDeployment(StartDeployment {
        environment: name(environment),
        authorization,
        pipeline_digest: None,
        url: None,
        preempt_reason: None,
        artifacts: List::default(),
    })
}

/// Gate 3 is open, the rollback was rehearsed, the flags are set, and a window is planned.
pub fn windowed() -> Spec<Release> {
    static TOLD: OnceLock<Spec<Release>> = OnceLock::new();
    let tell = || {
        let closed =
            |story: Spec<Release>| story.step_closed(1).step_closed(2).step_closed(3).closed(&["4.2", "4.7"]);
        tagged().taken_as_read(closed).when(alice(), Command::SetWindow(window()), &around()).accepted()
    };
    TOLD.get_or_init(tell).clone()
}

/// Approval of the window is asked for.
pub fn requested() -> Spec<Release> {
    let request = Command::RequestApproval(RequestApproval { note: None });
    windowed().when(alice(), request, &around()).accepted()
}

pub fn grant(story: &Spec<Release>) -> Command {
    Command::GrantApproval {
        request: story.request(),
        body: GrantApproval { meaning: Meaning::Approved, basis: None, comment: None },
    }
}

/// Grace approved it, and every item of step 4 is closed.
pub fn approved() -> Spec<Release> {
    static TOLD: OnceLock<Spec<Release>> = OnceLock::new();
    let tell = || {
        let story = requested();
        let grant = grant(&story);
        story.when(grace(), grant, &around()).accepted().taken_as_read(|story| story.step_closed(4))
    };
    TOLD.get_or_init(tell).clone()
}

/// Everybody said go, inside the window.
pub fn ready() -> Spec<Release> {
    static TOLD: OnceLock<Spec<Release>> = OnceLock::new();
    let tell = || {
        let mut story = approved().hours_later(2);
        for role in procedure().roll_call.clone() {
            story = story.when(who_is(role), go(role), &around()).accepted();
        }
        story
    };
    TOLD.get_or_init(tell).clone()
}

pub fn authorized() -> Spec<Release> {
    static TOLD: OnceLock<Spec<Release>> = OnceLock::new();
    let tell = || ready().when(alice(), authorize(), &around()).accepted();
    TOLD.get_or_init(tell).clone()
}

/// Dave started the deployment to production.
pub fn deploying() -> Spec<Release> {
    static TOLD: OnceLock<Spec<Release>> = OnceLock::new();
    let tell = || {
        let story = authorized();
        let start = deploy("production", Some(story.authorization()));
        story.when(dave(), start, &around()).accepted()
    };
    TOLD.get_or_init(tell).clone()
}

impl Spec<Release> {
    /// The last request for approval.
    #[track_caller]
    pub fn request(&self) -> Uuid {
        last(self.state.approvals.last().map(|approval| approval.request))
    }

    #[track_caller]
    pub fn authorization(&self) -> Uuid {
        last(self.state.authorizations.last().map(|given| given.authorization))
    }

    #[track_caller]
    pub fn deployment(&self) -> Uuid {
        last(self.state.deployments.last().map(|deployment| deployment.deployment))
    }

    #[track_caller]
    pub fn rollback(&self) -> Uuid {
        last(self.state.rollbacks.last().map(|rollback| rollback.rollback))
    }

    #[track_caller]
    pub fn lease(&self) -> Uuid {
        last(self.state.leases.last().map(|lease| lease.lease))
    }

    /// The types of the last events, newest last.
    pub fn last_types(&self, n: usize) -> Vec<&'static str> {
        let skip = self.facts.len().saturating_sub(n);
        self.facts.iter().skip(skip).map(|fact| fact.event.event_type()).collect()
    }

    /// Each of these items is attested by whom it asks for.
    #[track_caller]
    pub fn closed(self, numbers: &[&str]) -> Self {
        let mut story = self;
        for number in numbers {
            for signer in signers(item(number)) {
                story = story.when(signer, attest(number), &around()).accepted();
            }
        }
        story
    }

    /// Every item of the step that closes by attestation and is open.
    #[track_caller]
    pub fn step_closed(self, step: u32) -> Self {
        let open: Vec<_> = procedure()
            .step(step)
            .into_iter()
            .flat_map(|step| &step.items)
            .filter(|item| item.rule == Rule::Attestation && !self.state.status(item.number).is_closed())
            .map(|item| item.number.to_string())
            .collect();
        self.closed(&open.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn minutes_later(self, minutes: i64) -> Self {
        self.after(SignedDuration::from_mins(minutes))
    }

    pub fn hours_later(self, hours: i64) -> Self {
        self.after(SignedDuration::from_hours(hours))
    }
}

#[expect(clippy::panic, reason = "a story without it fails its test here")]
#[track_caller]
fn last(id: Option<Uuid>) -> Uuid {
    match id {
        Some(id) => id,
        None => panic!("the story has none yet"),
    }
}
