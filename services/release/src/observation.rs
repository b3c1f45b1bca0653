//! What was seen from outside, in order or not. It is recorded whatever it says: by the release that it
//! can be joined to, else by the environment or the product.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::actor::Role;
use crate::command::commands;
use crate::evidence::{Artifact, CiRun};
use crate::strict::Tagged;
use crate::value::{Digest, GitSha, Line, Link, List, Name, ReleaseId, Sha256Hex, Version};

/// How far a source's clock may be ahead before its observation says so.
const SKEW: SignedDuration = SignedDuration::from_mins(2);

/// Who may report what they saw.
pub const OBSERVERS: [Role; 3] = [Role::Machine, Role::Operator, Role::OnCall];

commands! {
    /// Recorded whatever it says and whenever it comes.
    RecordObservation { product: Name, seen: Seen, } optional {
        /// The release it belongs to, where the source knows it; otherwise it is joined by digest, commit, tag or
        /// version.
        release: ReleaseId,
        /// When it was so at its source; a time in the future is recorded with how far it is ahead.
        at: Timestamp,
        /// Where a reader finds it.
        url: Link,
    };

    /// What runs in an environment now.
    DeploymentSeen { environment: Name, } optional {
        /// As the environment or its deploy tool states it.
        version: Line,
        commit_sha: GitSha,
    } defaulted {
        artifacts: List<Artifact, 100>,
    };

    /// What a tag names now.
    TagSeen { name: Line, } optional { tag_object_sha: GitSha, commit_sha: GitSha, } defaulted {
        /// It was there, and is no more.
        deleted: bool,
    };

    /// An incident in another system.
    IncidentSeen { key: Line, severity: Line, } defaulted { resolved: bool, };

    /// A link of some evidence, followed again.
    LinkSeen { url: Link, } optional {
        /// Absent when nothing answered.
        http_status: u16,
        /// Of what was answered.
        sha256: Sha256Hex,
    };
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Seen {
    Deployment(DeploymentSeen),
    Tag(TagSeen),
    Incident(IncidentSeen),
    CiRun(CiRun),
    Link(LinkSeen),
}

#[derive(Deserialize)]
#[serde(remote = "Seen", rename_all = "snake_case")]
enum ByKind {
    Deployment(DeploymentSeen),
    Tag(TagSeen),
    Incident(IncidentSeen),
    CiRun(CiRun),
    Link(LinkSeen),
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ByKind::deserialize(Tagged { tag: "kind", from })
    }
}

impl Seen {
    pub const KINDS: [&'static str; 5] = ["deployment", "tag", "incident", "ci_run", "link"];

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Deployment(_) => "deployment",
            Self::Tag(_) => "tag",
            Self::Incident(_) => "incident",
            Self::CiRun(_) => "ci_run",
            Self::Link(_) => "link",
        }
    }
}

impl DeploymentSeen {
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.artifacts.iter().map(|artifact| &artifact.digest)
    }

    /// Whether it is this build; what it does not say contradicts nothing, but something has to agree.
    pub fn is_of(&self, artifacts: &[Artifact], commit_sha: &GitSha) -> bool {
        let built = |digest: &Digest| artifacts.iter().any(|artifact| artifact.digest == *digest);
        let commit = self.commit_sha.as_ref().is_none_or(|seen| seen == commit_sha);
        let says_something = self.commit_sha.is_some() || !self.artifacts.is_empty();
        says_something && commit && self.digests().all(built)
    }

    /// What it calls itself, or else what it is known by.
    pub fn label(&self) -> Option<Line> {
        let known_by = || self.commit_sha.as_ref().map(ToString::to_string);
        let known_by = known_by().or_else(|| self.digests().next().map(ToString::to_string));
        self.version.clone().or_else(|| Line::new(&known_by?).ok())
    }
}

/// The version that a name stands for: `2.4.0`, `v2.4.0` or `v2.4.0-rc.1`.
pub fn version_of(name: &str) -> Option<Version> {
    let name = name.strip_prefix('v').unwrap_or(name);
    let (version, candidate) = name.split_once("-rc.").unwrap_or((name, "0"));
    candidate.parse::<u32>().ok().and_then(|_| Version::new(version).ok())
}

pub(crate) fn skew_ms(at: Option<Timestamp>, now: Timestamp) -> Option<i64> {
    let ahead = at?.duration_since(now);
    (ahead > SKEW).then(|| i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX))
}
