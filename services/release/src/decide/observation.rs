//! What was seen from outside, in any state of the release: it is recorded, and so is what follows for
//! the candidate it is about.

use super::authorization::go;
use super::{Around, Context, Decided, Decision, evidence, opened, role, whole};
use crate::event::{
    CandidateTagDeleted, CandidateTagMutated, EnvironmentPurpose, Governance, ObservationRecorded,
    ReleaseEvent,
};
use crate::evidence::{Defect, DefectSet, DefectStatus, Facts, NewEvidence, Source, Subject};
use crate::guard::failed;
use crate::observation::{
    DeploymentSeen, IncidentSeen, OBSERVERS, RecordObservation, Seen, TagSeen, skew_ms,
};
use crate::release::{Candidate, Deployment, DeploymentState, Release, RollbackStatus};
use crate::value::{Line, List, Prose};
use crate::verdict::{Cause, Row};

pub fn record(release: &Release, body: &RecordObservation, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(ctx, &OBSERVERS)?;
    let observation = (ctx.event_id)(0);
    let mut recorded = ObservationRecorded {
        observation,
        seen: body.seen.clone(),
        rows: Vec::new(),
        candidate: None,
        deployment: None,
        purpose: None,
        governance: None,
        url: body.url.clone(),
        skew_ms: skew_ms(body.at, ctx.now),
        inputs: ctx.around.snapshots.inputs(),
    };
    let follows = match &body.seen {
        Seen::Deployment(seen) => {
            deployed(release, seen, &mut recorded, ctx);
            Vec::new()
        }
        Seen::Tag(seen) => {
            let candidate = release.candidates.iter().find(|c| c.tag.as_str() == seen.name.as_str());
            recorded.candidate = candidate.map(|candidate| candidate.number);
            candidate.and_then(|candidate| moved(candidate, seen, observation)).into_iter().collect()
        }
        Seen::Incident(seen) => {
            let deployment = release.in_production();
            recorded.deployment = deployment.map(|deployment| deployment.deployment);
            recorded.deployment.map_or_else(Vec::new, |id| {
                reported(release, incident(seen), Some(Subject::Deployment { id }), body, ctx)
            })
        }
        // What rests on the link is derived by the fold, as any exception.
        Seen::Link(_) => Vec::new(),
        Seen::CiRun(run) => {
            let candidate = release.candidates.iter().rev().find(|c| c.commit_sha == run.head_sha);
            recorded.candidate = candidate.map(|candidate| candidate.number);
            candidate.map_or_else(Vec::new, |candidate| {
                let subject = Some(Subject::Candidate { number: candidate.number });
                reported(release, Facts::CiRun(run.clone()), subject, body, ctx)
            })
        }
    };
    let mut events = vec![Decided::at(body.at, recorded)];
    events.extend(follows);
    Ok(events)
}

/// Whether this release answers for what was seen to run, and what was missing where it does not.
fn deployed(release: &Release, seen: &DeploymentSeen, recorded: &mut ObservationRecorded, ctx: &Context<'_>) {
    let environment = ctx.around.settings.environment(&seen.environment);
    recorded.purpose = environment.map(|environment| environment.purpose);
    let mut candidates = release.candidates.iter().rev();
    let candidate = candidates.find(|c| seen.is_of(&c.artifacts, &c.commit_sha));
    recorded.candidate = candidate.map(|candidate| candidate.number);
    let answering = goes_back(release, seen).or_else(|| started(release, seen, candidate, ctx.around));
    recorded.deployment = answering.map(|deployment| deployment.deployment);
    recorded.governance = Some(if answering.is_some() { Governance::Governed } else { Governance::Orphan });
    if answering.is_some() || recorded.purpose != Some(EnvironmentPurpose::Production) {
        return;
    }
    let input = format!("environment/{}/deployment", seen.environment);
    recorded.rows.push(failed("deployment", input, "started with an authorization", "none", Cause::Absent));
    recorded.rows.extend(unlike(release, seen, candidate));
    recorded.rows.extend(go(release, ctx.around, ctx.now).rows.into_iter().filter(|row| !row.ok));
}

/// The deployment that is being rolled back there: what answers is not the candidate.
fn goes_back<'r>(release: &'r Release, seen: &DeploymentSeen) -> Option<&'r Deployment> {
    let rollback =
        release.rollbacks.iter().rev().find(|rollback| rollback.status == RollbackStatus::Running)?;
    release.deployment(rollback.deployment).filter(|deployment| deployment.environment == seen.environment)
}

/// The deployment that put it there, unless something else has been put there since.
fn started<'r>(
    release: &'r Release,
    seen: &DeploymentSeen,
    candidate: Option<&Candidate>,
    around: &Around,
) -> Option<&'r Deployment> {
    let number = candidate?.number;
    let mut there = release.deployments.iter().rev().filter(|d| d.environment == seen.environment);
    let deployment = there.find(|deployment| deployment.candidate == Some(number) && deployment.is_live())?;
    let DeploymentState::Succeeded { at } = deployment.status else { return Some(deployment) };
    let known = around.snapshots.environments.iter().find(|known| known.name == seen.environment);
    let replaced = known.and_then(|known| known.runs.as_ref()).is_some_and(|runs| {
        // Another release may have gone back to it.
        let went_back = runs.governance == Governance::Governed
            && runs.release_version() == release.opened.as_ref().map(|opened| opened.version.clone());
        runs.deployment != Some(deployment.deployment) && runs.since > at && !went_back
    });
    (!replaced).then_some(deployment)
}

/// It says which release it is of, and is no candidate of it.
fn unlike(release: &Release, seen: &DeploymentSeen, candidate: Option<&Candidate>) -> Option<Row> {
    let says_what = seen.commit_sha.is_some() || !seen.artifacts.is_empty();
    let current = release.current_candidate().filter(|_| candidate.is_none() && says_what)?;
    let input = format!("candidate/{}/artifacts", current.number);
    let listed = |digests: Vec<String>| digests.join(" ");
    let built = current.artifacts.iter().map(|artifact| artifact.digest.to_string());
    let expected = listed(built.chain([current.commit_sha.to_string()]).collect());
    let observed = seen.digests().map(ToString::to_string);
    let observed = listed(observed.chain(seen.commit_sha.iter().map(ToString::to_string)).collect());
    Some(Row::failed("bound_values", &whole(), input, expected, observed, Cause::Mismatch))
}

/// The candidate's tag is gone, or names something else than when it was tagged.
fn moved(candidate: &Candidate, seen: &TagSeen, observation: uuid::Uuid) -> Option<Decided<ReleaseEvent>> {
    if candidate.mutated.is_some() {
        return None;
    }
    let number = candidate.number;
    if seen.deleted {
        return Some(Decided::now(CandidateTagDeleted { number, observation }));
    }
    let commit = seen.commit_sha.as_ref().unwrap_or(&candidate.commit_sha);
    // A tag without an object of its own is its commit.
    let object =
        seen.tag_object_sha.as_ref().or(seen.commit_sha.as_ref()).unwrap_or(&candidate.tag_object_sha);
    let other_object = seen.tag_object_sha.as_ref().is_some_and(|seen| *seen != candidate.tag_object_sha);
    (other_object || *commit != candidate.commit_sha).then(|| {
        Decided::now(CandidateTagMutated {
            number,
            tag_object_sha: object.clone(),
            commit_sha: commit.clone(),
            evidence: observation,
        })
    })
}

fn incident(seen: &IncidentSeen) -> Facts {
    let status = if seen.resolved { DefectStatus::Fixed } else { DefectStatus::Open };
    let (key, severity) = (seen.key.clone(), seen.severity.clone());
    let defect = Defect {
        key,
        severity,
        status,
        fix_sha: None,
        found_in: None,
        fixed_in: None,
        contained: None,
        deferred_by: None,
    };
    Facts::DefectSet(DefectSet {
        threshold: Line::new("incident").unwrap_or_else(|_| seen.severity.clone()),
        defects: List::new(vec![defect]).unwrap_or_default(),
    })
}

/// The same as evidence, for the rules; where the release takes no evidence, the observation stands alone.
fn reported(
    release: &Release,
    facts: Facts,
    subject: Option<Subject>,
    body: &RecordObservation,
    ctx: &Context<'_>,
) -> Vec<Decided<ReleaseEvent>> {
    let event_id = |n: usize| (ctx.event_id)(n + 1);
    let ctx = Context { now: ctx.now, actor: ctx.actor, event_id: &event_id, around: ctx.around };
    let late = body.at.filter(|at| ctx.now.duration_since(*at) > evidence::LATE);
    let evidence = NewEvidence {
        facts,
        url: body.url.clone(),
        sha256: None,
        // How far the source's clock is ahead stands in the observation.
        occurred_at: body.at.map(|at| at.min(ctx.now)),
        late_entry_reason: late.and_then(|_| Prose::new("Reported as an observation.").ok()),
        subject,
        source: Some(Source::Webhook),
        target: None,
    };
    evidence::record(release, &[], &evidence, &ctx).unwrap_or_default()
}
