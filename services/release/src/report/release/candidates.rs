//! Every candidate: what it was built of, what became of it, and what it took from the one before.

use jiff::Timestamp;
use serde::Serialize;

use super::Story;
use crate::event::{Effect, EffectKind, ReleaseEvent};
use crate::evidence::Artifact;
use crate::release::{Candidate, CandidateStatus};
use crate::value::{ActorId, CandidateTag, GitSha, Line, Prose, Sha256Hex};

shapes! {
    ReportedCandidate {
        number: u32,
        tag: CandidateTag,
        tag_object_sha: GitSha,
        commit_sha: GitSha,
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        artifacts: Vec<Artifact>,
        /// Account ids of the provider, or keyed hashes of e-mail addresses; empty where nobody said.
        #[cfg_attr(feature = "openapi", schema(max_items = 500, value_type = Vec<Line>))]
        authors: Vec<String>,
        tagged_at: Timestamp,
        tagged_by: ActorId,
        revision: u64,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
        /// The items it opened again, and how.
        #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
        invalidated: Vec<Effect>,
    } nullable {
        migration_set_digest: Sha256Hex,
        config_schema_digest: Sha256Hex,
        pipeline_digest: Sha256Hex,
        /// Features that changed since the candidate before; null where that is not known.
        #[cfg_attr(feature = "openapi", schema(max_items = 200))]
        touched_features: Vec<Line>,
        superseded_by: u32,
        rejected: Rejection,
        tag_mutated: MutatedTag,
    };

    Rejection { at: Timestamp, by: ActorId, reason: Prose, };

    /// The tag was seen naming something else; null where it was deleted.
    MutatedTag { at: Timestamp, } nullable { tag_object_sha: GitSha, commit_sha: GitSha, };
}

pub(super) fn of(story: &Story<'_>) -> Vec<ReportedCandidate> {
    story.release.candidates.iter().map(|candidate| reported(story, candidate)).collect()
}

fn reported(story: &Story<'_>, candidate: &Candidate) -> ReportedCandidate {
    let (superseded_by, rejected) = match &candidate.status {
        CandidateStatus::Current => (None, None),
        CandidateStatus::Superseded { by } => (Some(*by), None),
        CandidateStatus::Rejected { at, by, reason } => {
            (None, Some(Rejection { at: *at, by: by.clone(), reason: reason.clone() }))
        }
    };
    let status = match candidate.status {
        CandidateStatus::Current => "current",
        CandidateStatus::Superseded { .. } => "superseded",
        CandidateStatus::Rejected { .. } => "rejected",
    };
    ReportedCandidate {
        number: candidate.number,
        tag: candidate.tag.clone(),
        tag_object_sha: candidate.tag_object_sha.clone(),
        commit_sha: candidate.commit_sha.clone(),
        artifacts: candidate.artifacts.clone(),
        authors: candidate.authors.clone(),
        tagged_at: candidate.tagged_at,
        tagged_by: candidate.tagged_by.clone(),
        revision: candidate.tagged_at_revision,
        status,
        invalidated: invalidated(story, candidate.number),
        migration_set_digest: candidate.migration_set_digest.clone(),
        config_schema_digest: candidate.config_schema_digest.clone(),
        pipeline_digest: candidate.pipeline_digest.clone(),
        touched_features: candidate.touched_features.clone(),
        superseded_by,
        rejected,
        tag_mutated: candidate.mutated.as_ref().map(|mutation| MutatedTag {
            at: mutation.at,
            tag_object_sha: mutation.tag_object_sha.clone(),
            commit_sha: mutation.commit_sha.clone(),
        }),
    }
}

fn invalidated(story: &Story<'_>, number: u32) -> Vec<Effect> {
    let effects = story.events().find_map(|(fact, _)| match &fact.event {
        ReleaseEvent::CandidateTagged(tagged) if tagged.number == number => Some(&tagged.effects),
        _ => None,
    });
    let effects = effects.map_or(&[][..], Vec::as_slice);
    effects.iter().filter(|effect| effect.effect != EffectKind::Unaffected).cloned().collect()
}
