//! Tagging, binding and rejecting candidates, and what a new one does to every item.

use std::collections::BTreeSet;

use super::{Context, Decision, has_room, moving, not_ended, one, person, refuse, role, whole};
use crate::actor::Role;
use crate::command::{BindCandidate, RejectCandidate, TagCandidate};
use crate::event::{Assurance, CandidateBound, CandidateRejected, CandidateTagged, Effect, EffectKind};
use crate::procedure::{CandidateEffect, EqualEffect, Item, Procedure};
use crate::product::ProductSettings;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Build, Candidate, CandidateStatus, ItemStatus, Life, Release};
use crate::value::{Line, Sha256Hex};
use crate::verdict::{Cause, Row};

pub const MAY_TAG: [Role; 3] = [Role::Engineer, Role::ReleaseManager, Role::Machine];

pub fn tag(release: &Release, body: &TagCandidate, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    has_room(release)?;
    role(ctx, &MAY_TAG)?;
    tagged(release, body, ctx)
}

/// The tag as it would be recorded, whoever asks.
pub fn tagged(release: &Release, body: &TagCandidate, ctx: &Context<'_>) -> Decision {
    let opened = moving(release)?;
    if matches!(release.life, Life::Completed { .. }) {
        return refuse(RefusalCode::ReleaseCompleted, "a completed release takes no new candidate");
    }
    if let Some(running) = release.production_deployments().find(|running| running.in_progress()) {
        return refuse(
            RefusalCode::CandidateFrozen,
            format!("deployment {} is {}", running.deployment, running.status.as_str()),
        );
    }
    if body.tag.version() != opened.version.as_str() {
        return refuse(
            RefusalCode::CandidateTagMismatch,
            format!("{} is not a candidate of version {}", body.tag, opened.version),
        );
    }
    let number = body.tag.number();
    let highest = release.candidates.iter().map(|candidate| candidate.number).max().unwrap_or(0);
    if number <= highest {
        return refuse(
            RefusalCode::CandidateNumberUsed,
            format!("{} does not exceed rc.{highest}, the last number used", body.tag),
        );
    }
    if let Some(current) = release.current_candidate()
        && current.commit_sha == body.commit_sha
    {
        return refuse(
            RefusalCode::CandidateSame,
            format!("{} is tagged at commit {} already", current.tag, current.commit_sha),
        );
    }
    one(CandidateTagged {
        number,
        tag: body.tag.clone(),
        tag_object_sha: body.tag_object_sha.clone(),
        commit_sha: body.commit_sha.clone(),
        artifacts: body.artifacts.to_vec(),
        authors: body.authors.iter().map(ToString::to_string).collect(),
        effects: effects(release, body, &ctx.around.procedure, &ctx.around.settings),
        migration_set_digest: body.migration_set_digest.clone(),
        config_schema_digest: body.config_schema_digest.clone(),
        pipeline_digest: body.pipeline_digest.clone(),
        touched_features: body.touched_features.as_ref().map(|touched| touched.to_vec()),
    })
}

impl TagCandidate {
    pub fn build(&self) -> Build<'_> {
        Build {
            artifacts: &self.artifacts,
            migration_set: self.migration_set_digest.as_ref(),
            config_schema: self.config_schema_digest.as_ref(),
            pipeline: self.pipeline_digest.as_ref(),
        }
    }
}

/// One row per item. A waiver, a justification and a lone first signature bind one candidate and go
/// with it. The last candidate is what the new one is compared with, even when it was rejected.
pub fn effects(
    release: &Release,
    new: &TagCandidate,
    procedure: &Procedure,
    settings: &ProductSettings,
) -> Vec<Effect> {
    let old = release.candidates.last();
    let touches_risk = touches_risk(&new.changed_paths, settings);
    procedure
        .items()
        .map(|item| {
            let effect = match release.status(item.number) {
                _ if old.is_none() => EffectKind::Unaffected,
                ItemStatus::Pending => on_pending(release, item),
                // Only another deployment gives it another chance.
                ItemStatus::Failed { .. } => EffectKind::Unaffected,
                ItemStatus::Waived { .. } => EffectKind::Revoked,
                ItemStatus::NotApplicable { proof, .. } => match proof {
                    crate::procedure::NotApplicableProof::Justification => EffectKind::Revoked,
                    crate::procedure::NotApplicableProof::Machine => EffectKind::Stale,
                },
                ItemStatus::Satisfied { assurance, .. } => {
                    let verified = item.is_judged() && *assurance == Assurance::Verified;
                    if let (CandidateEffect::Stale, Some(old)) = (&item.on_new_candidate, old) {
                        return on_targets(release, item, old, new, settings, verified);
                    }
                    on_candidate(&item.on_new_candidate, old, new, verified, touches_risk)
                }
                ItemStatus::Stale { reaffirmable: true, .. } => {
                    on_candidate(&item.on_new_candidate, old, new, false, touches_risk)
                }
                // It was not shown for the last candidate, so equality with that shows nothing.
                ItemStatus::Stale { reaffirmable: false, .. } => EffectKind::Stale,
            };
            Effect::on(item.number, effect)
        })
        .collect()
}

/// What needs new evidence needs it of the targets that the candidate changed.
fn on_targets(
    release: &Release,
    item: &Item,
    old: &Candidate,
    new: &TagCandidate,
    settings: &ProductSettings,
    verified: bool,
) -> Effect {
    let whole = Effect::on(item.number, EffectKind::Stale);
    let rests_on = release.items.get(&item.number).map_or(&[][..], |state| &state.rests_on[..]);
    let seen = rests_on.iter().filter_map(|id| release.evidence.get(id));
    let Some(shown) =
        seen.map(|evidence| evidence.recorded.about_one_target()).collect::<Option<BTreeSet<_>>>()
    else {
        return whole;
    };
    let (kept, changed): (Vec<_>, Vec<_>) =
        shown.into_iter().partition(|target| new.build().is_same_for(target, old.build(), settings));
    match (kept.is_empty(), changed.is_empty()) {
        (true, _) => whole,
        (false, false) => Effect { targets: Some(changed.into_iter().cloned().collect()), ..whole },
        (false, true) if verified => Effect::on(item.number, EffectKind::Unaffected),
        (false, true) => Effect::on(item.number, EffectKind::Reaffirm),
    }
}

fn on_pending(release: &Release, item: &Item) -> EffectKind {
    let begun = release.items.get(&item.number).is_some_and(|state| {
        state.proposed.is_some()
            || (!state.attestations.is_empty() && item.on_new_candidate != CandidateEffect::Unaffected)
    });
    if begun { EffectKind::Revoked } else { EffectKind::Unaffected }
}

/// A changed path lies in a risk area of the product.
fn touches_risk(changed: &[Line], settings: &ProductSettings) -> bool {
    let risky = |path: &Line| {
        let mut paths = settings.risk_areas.iter().flat_map(|area| area.paths.iter());
        paths.any(|prefix| path.as_str().starts_with(prefix.as_str().trim_end_matches('*')))
    };
    changed.iter().any(risky)
}

fn on_candidate(
    effect: &CandidateEffect,
    old: Option<&Candidate>,
    new: &TagCandidate,
    verified: bool,
    touches_risk: bool,
) -> EffectKind {
    match effect {
        CandidateEffect::Unaffected => EffectKind::Unaffected,
        CandidateEffect::Reevaluate if verified => EffectKind::Reevaluate,
        // What was closed by attestation alone cannot be judged again without a person.
        CandidateEffect::Reevaluate | CandidateEffect::Reaffirm => EffectKind::Reaffirm,
        CandidateEffect::RiskAreas if touches_risk => EffectKind::Stale,
        CandidateEffect::RiskAreas => EffectKind::Reaffirm,
        CandidateEffect::Features
            if new.touched_features.as_ref().is_some_and(|touched| touched.is_empty()) =>
        {
            EffectKind::Reaffirm
        }
        CandidateEffect::Stale | CandidateEffect::Features => EffectKind::Stale,
        CandidateEffect::Revoke => EffectKind::Revoked,
        CandidateEffect::Conditional { equal, then } => {
            let unchanged =
                old.is_some_and(|old| equal.iter().all(|digest| new.build().has_same(*digest, old.build())));
            match (unchanged, then) {
                (true, EqualEffect::Unaffected) => EffectKind::Unaffected,
                (true, EqualEffect::Reevaluate) if verified => EffectKind::Reevaluate,
                (true, EqualEffect::Reevaluate) => EffectKind::Reaffirm,
                (false, _) => EffectKind::Stale,
            }
        }
    }
}

pub fn bind(release: &Release, number: u32, body: &BindCandidate, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    has_room(release)?;
    role(ctx, &MAY_TAG)?;
    let candidate = known(release, number)?;
    let mut rows = Vec::new();
    if candidate.is_bound() && !body.artifacts.is_empty() && !candidate.has_artifacts(&body.artifacts) {
        rows.push(mismatch(number, "artifacts", &digests(&candidate.artifacts), &digests(&body.artifacts)));
    }
    let mut compare = |name: &str, bound: &Option<Sha256Hex>, given: &Option<Sha256Hex>| {
        if let (Some(bound), Some(given)) = (bound, given)
            && bound != given
        {
            rows.push(mismatch(number, name, bound.as_str(), given.as_str()));
        }
    };
    compare("migration_set_digest", &candidate.migration_set_digest, &body.migration_set_digest);
    compare("config_schema_digest", &candidate.config_schema_digest, &body.config_schema_digest);
    compare("pipeline_digest", &candidate.pipeline_digest, &body.pipeline_digest);
    if !rows.is_empty() {
        return Err(Refusal::new(
            RefusalCode::CandidateDigestMismatch,
            format!("{} values differ from those bound to {}", rows.len(), candidate.tag),
        )
        .with_rows(rows));
    }
    let adds = |bound: &Option<Sha256Hex>, given: &Option<Sha256Hex>| bound.is_none() && given.is_some();
    let something_new = (!candidate.is_bound() && !body.artifacts.is_empty())
        || adds(&candidate.migration_set_digest, &body.migration_set_digest)
        || adds(&candidate.config_schema_digest, &body.config_schema_digest)
        || adds(&candidate.pipeline_digest, &body.pipeline_digest);
    if !something_new {
        return refuse(RefusalCode::NothingChanged, format!("{} has these values", candidate.tag));
    }
    one(CandidateBound {
        number,
        artifacts: body.artifacts.to_vec(),
        migration_set_digest: body.migration_set_digest.clone(),
        config_schema_digest: body.config_schema_digest.clone(),
        pipeline_digest: body.pipeline_digest.clone(),
    })
}

pub fn reject(release: &Release, number: u32, body: &RejectCandidate, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    let candidate = known(release, number)?;
    if let CandidateStatus::Rejected { at, .. } = candidate.status {
        return refuse(RefusalCode::CandidateRejected, format!("{} was rejected at {at}", candidate.tag));
    }
    one(CandidateRejected { number, reason: body.reason.clone() })
}

fn known(release: &Release, number: u32) -> Result<&Candidate, Refusal> {
    release.candidate(number).ok_or_else(|| {
        Refusal::new(RefusalCode::CandidateUnknown, format!("the release has no candidate rc.{number}"))
    })
}

fn digests(artifacts: &[crate::evidence::Artifact]) -> String {
    artifacts.iter().map(|a| format!("{}@{}", a.name, a.digest)).collect::<Vec<_>>().join(" ")
}

fn mismatch(number: u32, field: &str, bound: &str, given: &str) -> Row {
    let input = format!("candidate/{number}/{field}");
    Row::failed("bound_values", &whole(), input, bound.into(), given.into(), Cause::Mismatch)
}
