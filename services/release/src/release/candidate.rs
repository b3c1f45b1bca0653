//! Candidates, and what a new one did to the items.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Release, replace};
use crate::event::{
    CandidateBound, CandidateRejected, CandidateTagDeleted, CandidateTagMutated, CandidateTagged, Fact,
    ReleaseEvent,
};
use crate::evidence::Artifact;
use crate::procedure::CandidateDigest;
use crate::product::ProductSettings;
use crate::value::{ActorId, CandidateTag, GitSha, ItemNumber, Line, Name, Prose, Sha256Hex};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Candidate {
    pub number: u32,
    pub tag: CandidateTag,
    pub tag_object_sha: GitSha,
    pub commit_sha: GitSha,
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub artifacts: Vec<Artifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration_set_digest: Option<Sha256Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_schema_digest: Option<Sha256Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_digest: Option<Sha256Hex>,
    #[cfg_attr(feature = "openapi", schema(max_items = 500, value_type = Vec<crate::value::Line>))]
    pub authors: Vec<String>,
    /// Features that changed since the last candidate, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 200))]
    pub touched_features: Option<Vec<Line>>,
    pub tagged_by: ActorId,
    pub tagged_at: Timestamp,
    pub tagged_at_revision: u64,
    /// The tag was seen naming something else: nothing makes it trustworthy again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutated: Option<TagMutation>,
    #[serde(flatten)]
    pub status: CandidateStatus,
}

impl Candidate {
    /// The same artifacts in any order.
    pub fn has_artifacts(&self, others: &[Artifact]) -> bool {
        same_artifacts(&self.artifacts, others)
    }

    /// Its artifacts are known, so that what is deployed can be compared with it.
    pub fn is_bound(&self) -> bool {
        !self.artifacts.is_empty()
    }

    /// The text of its tag without its `v`.
    pub fn version(&self) -> &str {
        self.tag.as_str().trim_start_matches('v')
    }

    pub fn build(&self) -> Build<'_> {
        Build {
            artifacts: &self.artifacts,
            migration_set: self.migration_set_digest.as_ref(),
            config_schema: self.config_schema_digest.as_ref(),
            pipeline: self.pipeline_digest.as_ref(),
        }
    }
}

/// What a candidate is made of, whether it is tagged or would be.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    pub artifacts: &'a [Artifact],
    pub migration_set: Option<&'a Sha256Hex>,
    pub config_schema: Option<&'a Sha256Hex>,
    pub pipeline: Option<&'a Sha256Hex>,
}

impl<'a> Build<'a> {
    /// Both are known and the same, or both absent because the product has none.
    pub fn has_same(self, digest: CandidateDigest, other: Self) -> bool {
        match digest {
            CandidateDigest::MigrationSet => self.migration_set == other.migration_set,
            CandidateDigest::ConfigSchema => self.config_schema == other.config_schema,
            CandidateDigest::Pipeline => self.pipeline == other.pipeline,
        }
    }

    /// The target has artifacts of its own, and neither these nor what it shares with the others differ.
    pub fn is_same_for(self, target: &Name, other: Self, settings: &ProductSettings) -> bool {
        let ours = self.artifacts_of(target, settings);
        let shared =
            [CandidateDigest::MigrationSet, CandidateDigest::ConfigSchema, CandidateDigest::Pipeline];
        ours.iter().any(|artifact| settings.is_listed(&artifact.name))
            && same_artifacts(&ours, &other.artifacts_of(target, settings))
            && shared.into_iter().all(|digest| self.has_same(digest, other))
    }

    /// Its own artifacts, and those of all targets.
    pub fn artifacts_of(self, target: &Name, settings: &ProductSettings) -> Vec<Artifact> {
        self.artifacts.iter().filter(|artifact| settings.is_for(&artifact.name, target)).cloned().collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagMutation {
    pub at: Timestamp,
    /// What it names instead; absent when it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag_object_sha: Option<GitSha>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<GitSha>,
    /// The evidence or the observation that showed it.
    pub evidence: Uuid,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum CandidateStatus {
    Current,
    Superseded { by: u32 },
    Rejected { at: Timestamp, by: ActorId, reason: Prose },
}

pub fn same_artifacts(one: &[Artifact], other: &[Artifact]) -> bool {
    let sorted = |artifacts: &[Artifact]| {
        let mut pairs: Vec<_> = artifacts.iter().map(|a| (a.name.clone(), a.digest.clone())).collect();
        pairs.sort();
        pairs
    };
    sorted(one) == sorted(other)
}

impl Release {
    /// The candidates before the current one that are the same to the target, newest first; none that is behind
    /// one that was not.
    pub fn same_before<'a>(
        &'a self,
        target: &'a Name,
        settings: &'a ProductSettings,
    ) -> impl Iterator<Item = &'a Candidate> {
        let current = self.current_candidate();
        let same = move |earlier: &&Candidate| {
            current.is_some_and(|current| current.build().is_same_for(target, earlier.build(), settings))
        };
        // The current one is the last, if any is.
        self.candidates.iter().rev().skip(1).take_while(same)
    }

    /// Some of what was recorded for the item names one of several targets, so that it holds target by target.
    pub fn is_told_by_target(&self, item: ItemNumber) -> bool {
        let targets = self.opened.as_ref().map_or(&[][..], |opened| &opened.targets[..]);
        let of_item = self.items.get(&item).map_or(&[][..], |state| &state.evidence[..]);
        targets.len() > 1
            && of_item.iter().filter_map(|id| self.evidence.get(id)).any(|evidence| {
                let named = evidence.recorded.target.as_ref();
                evidence.retracted.is_none() && named.is_some_and(|target| targets.contains(target))
            })
    }

    pub(super) fn candidate_tagged(&mut self, fact: &Fact<ReleaseEvent>, tagged: &CandidateTagged) {
        let at = fact.recorded_at;
        let by = &fact.by.id;
        let first = self.candidates.is_empty();
        for earlier in &mut self.candidates {
            if earlier.status == CandidateStatus::Current {
                earlier.status = CandidateStatus::Superseded { by: tagged.number };
            }
        }
        self.candidates.push(Candidate {
            number: tagged.number,
            tag: tagged.tag.clone(),
            tag_object_sha: tagged.tag_object_sha.clone(),
            commit_sha: tagged.commit_sha.clone(),
            artifacts: tagged.artifacts.clone(),
            migration_set_digest: tagged.migration_set_digest.clone(),
            config_schema_digest: tagged.config_schema_digest.clone(),
            pipeline_digest: tagged.pipeline_digest.clone(),
            authors: tagged.authors.clone(),
            touched_features: tagged.touched_features.clone(),
            tagged_by: by.clone(),
            tagged_at: at,
            tagged_at_revision: fact.revision,
            mutated: None,
            status: CandidateStatus::Current,
        });
        self.apply(&tagged.effects, fact);
        if !first {
            self.revoke_waivers(at);
        }
    }

    pub(super) fn candidate_tag_mutated(&mut self, fact: &Fact<ReleaseEvent>, mutated: &CandidateTagMutated) {
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.number == mutated.number) {
            candidate.mutated = Some(TagMutation {
                at: fact.recorded_at,
                tag_object_sha: Some(mutated.tag_object_sha.clone()),
                commit_sha: Some(mutated.commit_sha.clone()),
                evidence: mutated.evidence,
            });
        }
    }

    pub(super) fn candidate_tag_deleted(&mut self, fact: &Fact<ReleaseEvent>, deleted: &CandidateTagDeleted) {
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.number == deleted.number) {
            let (at, evidence) = (fact.recorded_at, deleted.observation);
            candidate.mutated = Some(TagMutation { at, tag_object_sha: None, commit_sha: None, evidence });
        }
    }

    pub(super) fn candidate_bound(&mut self, bound: &CandidateBound) {
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.number == bound.number) {
            if candidate.artifacts.is_empty() {
                candidate.artifacts = bound.artifacts.clone();
            }
            replace(&mut candidate.migration_set_digest, &bound.migration_set_digest);
            replace(&mut candidate.config_schema_digest, &bound.config_schema_digest);
            replace(&mut candidate.pipeline_digest, &bound.pipeline_digest);
        }
    }

    pub(super) fn candidate_rejected(&mut self, fact: &Fact<ReleaseEvent>, rejected: &CandidateRejected) {
        let at = fact.recorded_at;
        let by = &fact.by.id;
        if let Some(candidate) = self.candidates.iter_mut().find(|c| c.number == rejected.number) {
            candidate.status =
                CandidateStatus::Rejected { at, by: by.clone(), reason: rejected.reason.clone() };
        }
    }
}
