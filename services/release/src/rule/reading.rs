//! What a rule may read: the release as it will be, the item, the pinned settings, the time of judging.

use std::fmt::Display;
use std::ops::Deref;

use jiff::Timestamp;

use crate::actor::ActorKind;
use crate::event::{EnvironmentPurpose, ReleaseOpened};
use crate::evidence::of::Of;
use crate::evidence::{Artifact, CommitFacts, DeploymentStatus, Facts, Subject, of};
use crate::procedure::{CandidateEffect, Item, Policy, Procedure};
use crate::product::ProductSettings;
use crate::release::{
    Candidate, Deployment, DeploymentOrigin, DeploymentState, Evidence, ItemState, Release,
};
use crate::value::{GitSha, ItemNumber, Name, Sha256Hex, Version};

#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub release: &'a Release,
    pub procedure: &'a Procedure,
    pub item: &'a Item,
    pub settings: &'a ProductSettings,
    pub policy: Policy,
    pub now: Timestamp,
    /// The target it is about; `None` when it is about all of them at once.
    pub target: Option<&'a Name>,
}

/// One piece of evidence with its facts.
pub struct Read<'a, F> {
    pub evidence: &'a Evidence,
    facts: &'a F,
}

impl<F> Clone for Read<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for Read<'_, F> {}

impl<F> Deref for Read<'_, F> {
    type Target = F;
    fn deref(&self) -> &F {
        self.facts
    }
}

impl<'a, F> Read<'a, F> {
    /// The path of one of its facts, as rows name it.
    pub fn at(&self, member: impl Display) -> String {
        format!("evidence/{}/facts/{member}", self.evidence.recorded.evidence)
    }

    /// The path of something it has besides its facts.
    pub fn beside(&self, member: &str) -> String {
        format!("evidence/{}/{member}", self.evidence.recorded.evidence)
    }

    pub fn facts(&self) -> &'a F {
        self.facts
    }

    pub fn occurred_at(&self) -> Timestamp {
        self.evidence.occurred_at
    }
}

/// What shows a deployment: the release's own record, of a machine or not, or what was reported.
pub enum Shown<'a> {
    Record { by_machine: bool },
    Report(&'a Evidence),
}

/// A deployment, however it came to be known.
pub struct DeploymentSeen<'a> {
    pub input: String,
    pub shown_by: Shown<'a>,
    pub succeeded: bool,
    pub status: &'static str,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub commit_sha: Option<&'a GitSha>,
    pub artifacts: Option<&'a [Artifact]>,
    pub pipeline_digest: Option<&'a Sha256Hex>,
}

impl DeploymentSeen<'_> {
    pub fn at(&self, member: &str) -> String {
        format!("{}/{member}", self.input)
    }

    /// From here on what is seen of the environment is about it.
    pub fn since(&self) -> Timestamp {
        self.ended_at.unwrap_or(self.started_at)
    }
}

impl<'a> Reading<'a> {
    pub fn on(self, target: &'a Name) -> Self {
        Self { target: Some(target), ..self }
    }

    pub fn of_item(self, item: &'a Item) -> Self {
        Self { item, ..self }
    }

    pub fn opened(&self) -> Option<&'a ReleaseOpened> {
        self.release.opened.as_ref()
    }

    pub fn targets(&self) -> &'a [Name] {
        self.opened().map_or(&[], |opened| &opened.targets)
    }

    pub fn state(&self) -> Option<&'a ItemState> {
        self.release.items.get(&self.item.number).map(|state| &**state)
    }

    /// What the item speaks of.
    pub fn candidate(&self) -> Option<&'a Candidate> {
        self.release.judged_candidate()
    }

    pub fn version(&self) -> Option<&'a Version> {
        self.opened().map(|opened| &opened.version)
    }

    pub fn previous(&self) -> Option<&'a Version> {
        self.opened().and_then(|opened| opened.previous.as_ref())
    }

    /// The text of the candidate's tag without its `v`.
    pub fn candidate_version(&self) -> Option<&'a str> {
        self.candidate().map(Candidate::version)
    }

    /// The candidate and those before it that are the same to the target, newest first.
    fn same_candidates(&self) -> impl Iterator<Item = &'a Candidate> {
        let earlier = self.target.map(|target| self.release.same_before(target, self.settings));
        self.candidate().into_iter().chain(earlier.into_iter().flatten())
    }

    /// The candidate at the commit, among those that are the same to the target; else the current one.
    pub fn candidate_at(&self, commit: Option<&GitSha>) -> Option<&'a Candidate> {
        let at_commit = |candidate: &&Candidate| Some(&candidate.commit_sha) == commit;
        self.same_candidates().find(at_commit).or_else(|| self.candidate())
    }

    /// It is the version of the candidate, or of one that is the same to the target.
    pub fn is_candidate_version(&self, version: &str) -> bool {
        self.same_candidates().any(|candidate| candidate.version() == version)
    }

    pub fn number(&self) -> ItemNumber {
        self.item.number
    }

    /// Evidence of a kind that counts for the item, oldest first.
    pub fn all<F: 'a>(&self, of: Of<F>) -> Vec<Read<'a, F>> {
        self.each(of).collect()
    }

    pub fn latest<F: 'a>(&self, of: Of<F>) -> Option<Read<'a, F>> {
        self.each(of).next_back()
    }

    fn each<F: 'a>(&self, (_, pick): Of<F>) -> impl DoubleEndedIterator<Item = Read<'a, F>> {
        let ids = self.state().map_or(&[][..], |state| &state.evidence[..]);
        ids.iter()
            .filter_map(|id| self.release.evidence.get(id))
            .map(|evidence| &**evidence)
            .filter_map(move |evidence| pick(&evidence.recorded.facts).map(|facts| Read { evidence, facts }))
            .filter(|read| self.counts(read.evidence))
    }

    /// The latest report that tells it of the candidate's commit, else of any commit.
    pub fn latest_commit(&self, tells: impl Fn(&CommitFacts) -> bool) -> Option<Read<'a, CommitFacts>> {
        let mut all = self.all(of::Commit);
        all.retain(|read| tells(read.facts));
        let current = self.candidate().map(|candidate| &candidate.commit_sha);
        let here = all.iter().rposition(|read| Some(&read.commit_sha) == current);
        here.map(|at| all.swap_remove(at)).or_else(|| all.pop())
    }

    /// What was retracted counts no more, nor what is about another target or candidate. What a person
    /// reports proves nothing to a strict procedure where a machine could.
    fn counts(&self, evidence: &Evidence) -> bool {
        let person = evidence.by.kind == ActorKind::Person;
        let of_target = evidence.recorded.target.as_ref().is_none_or(|of| match self.target {
            Some(target) => of == target,
            None => self.targets().contains(of),
        });
        evidence.retracted.is_none()
            && of_target
            && !(person
                && self.item.machine
                && self.policy == Policy::Strict
                && !self.takes_statement(evidence))
            && self.is_about_candidate(evidence)
            && !self.is_about_undone(evidence)
            && !self.is_about_lost_staging(evidence)
    }

    /// It was seen on staging before an emergency took that.
    pub fn is_about_lost_staging(&self, evidence: &Evidence) -> bool {
        self.release.staging_lost_at_revision.is_some_and(|lost| evidence.is_before(lost))
            && self.procedure.is_shown_on_staging(self.item.number)
    }

    /// It names one target, was seen of a candidate that is the same to that as the current one, and nothing
    /// seen of the whole came after it.
    pub fn is_about_unchanged_target(&self, evidence: &Evidence) -> bool {
        let of_build =
            matches!(self.item.on_new_candidate, CandidateEffect::Stale | CandidateEffect::Reevaluate);
        let Some(target) = evidence.recorded.about_one_target().filter(|_| of_build) else { return false };
        let commit = commit_of(&evidence.recorded.facts);
        let is_of = |candidate: &Candidate| {
            let of_subject = match evidence.recorded.subject {
                Subject::Candidate { number } => number == candidate.number,
                _ => evidence.is_since(candidate),
            };
            of_subject || commit == Some(&candidate.commit_sha)
        };
        self.release.same_before(target, self.settings).any(is_of) && !self.is_outdated_by_whole(evidence)
    }

    /// What was seen of the whole since counts no more for the candidate; what it outdated does not come back.
    fn is_outdated_by_whole(&self, evidence: &Evidence) -> bool {
        let ids = self.state().map_or(&[][..], |state| &state.evidence[..]);
        let newest_first = ids.iter().rev().filter_map(|id| self.release.evidence.get(id));
        newest_first.take_while(|other| other.age() > evidence.age()).any(|other| {
            let of_whole = other.recorded.target.is_none() && other.kind() == evidence.kind();
            let before = self.candidate().is_some_and(|current| !other.is_since(current));
            of_whole && before && other.retracted.is_none()
        })
    }

    /// It was seen of a deployment to production that came to nothing since.
    fn is_about_undone(&self, evidence: &Evidence) -> bool {
        self.release.undone_at_revision.is_some_and(|undone| evidence.is_before(undone))
            && self.procedure.is_about_deployment(self.item.number)
    }

    /// A statement is a person's by nature, and so is what came with a second person's word.
    fn takes_statement(&self, evidence: &Evidence) -> bool {
        let fallback = || {
            let id = evidence.recorded.evidence;
            self.state().is_some_and(|state| {
                state.attestations.iter().any(|a| a.manual_fallback.is_some() && a.evidence.contains(&id))
            })
        };
        matches!(evidence.recorded.facts, Facts::Declaration(_)) || fallback()
    }

    fn is_about_candidate(&self, evidence: &Evidence) -> bool {
        let Some(candidate) = self.candidate() else { return true };
        if commit_of(&evidence.recorded.facts) == Some(&candidate.commit_sha)
            || self.is_about_unchanged_target(evidence)
        {
            return true;
        }
        if self.item.on_new_candidate == CandidateEffect::Features {
            return evidence.is_since(candidate) || self.is_untouched(evidence);
        }
        match (&self.item.on_new_candidate, &evidence.recorded.subject) {
            (CandidateEffect::Unaffected | CandidateEffect::Reaffirm | CandidateEffect::RiskAreas, _) => true,
            (_, Subject::Candidate { number }) if *number == candidate.number => true,
            (CandidateEffect::Conditional { equal, .. }, Subject::Candidate { number }) => {
                self.release.candidate(*number).is_some_and(|old| {
                    equal.iter().all(|digest| old.build().has_same(*digest, candidate.build()))
                })
            }
            (_, Subject::Candidate { .. }) => false,
            (CandidateEffect::Stale, _) => evidence.is_since(candidate),
            (_, _) => true,
        }
    }

    /// No candidate since changed the feature that the evidence is about, as far as all of them say so.
    fn is_untouched(&self, evidence: &Evidence) -> bool {
        let feature = match &evidence.recorded.facts {
            Facts::Ticket(ticket) => Some(&ticket.key),
            Facts::Commit(_) => None,
            _ => return false,
        };
        let later = self.release.candidates.iter().filter(|candidate| !evidence.is_since(candidate));
        later
            .map(|candidate| candidate.touched_features.as_ref())
            .all(|touched| touched.is_some_and(|touched| feature.is_none_or(|key| !touched.contains(key))))
    }

    /// Some of the evidence came after the candidate was tagged, or is about its commit.
    pub fn has_news(&self, rests_on: &[uuid::Uuid]) -> bool {
        let Some(candidate) = self.candidate() else { return true };
        let signed = self.state().is_some_and(|state| !state.attestations.is_empty());
        signed
            || rests_on.iter().filter_map(|id| self.release.evidence.get(id)).any(|evidence| {
                evidence.is_since(candidate)
                    || commit_of(&evidence.recorded.facts) == Some(&candidate.commit_sha)
            })
    }

    /// The item of the procedure that a rule of this name closes.
    pub fn item_of(&self, is: impl Fn(&crate::rule::Rule) -> bool) -> Option<&'a Item> {
        self.procedure.items().find(|item| item.rules().any(&is))
    }

    pub fn has_purpose(&self, environment: &Name, purpose: EnvironmentPurpose) -> bool {
        match self.settings.environment(environment) {
            Some(known) => known.purpose == purpose,
            None => environment.as_str() == purpose.as_str(),
        }
    }

    /// What was deployed last to environments of the purpose, as far as it counts for the target.
    pub fn deployed(&self, purpose: EnvironmentPurpose) -> Option<DeploymentSeen<'a>> {
        let gone = |d: &Deployment| matches!(d.status, DeploymentState::RolledBack { .. });
        let lost = |d: &Deployment| {
            purpose == EnvironmentPurpose::Staging
                && self.release.staging_lost_at_revision.is_some_and(|lost| d.started_before(lost))
        };
        let own = self.release.deployments.iter().filter(|d| d.purpose == purpose && !gone(d) && !lost(d));
        let own = own.map(|d| DeploymentSeen {
            input: format!("deployment/{}", d.deployment),
            shown_by: Shown::Record { by_machine: d.origin == DeploymentOrigin::Machine },
            succeeded: matches!(d.status, DeploymentState::Succeeded { .. }),
            status: d.status.as_str(),
            started_at: d.started_at,
            ended_at: match d.status {
                DeploymentState::Succeeded { at } | DeploymentState::Failed { at } => Some(at),
                _ => None,
            },
            commit_sha: d.candidate.and_then(|n| self.release.candidate(n)).map(|c| &c.commit_sha),
            artifacts: Some(&d.artifacts),
            pipeline_digest: d.pipeline_digest.as_ref(),
        });
        let deployment_item = self.item_of(
            |rule| matches!(rule, crate::rule::Rule::Deployed(deployed) if deployed.purpose == purpose),
        );
        let reported = deployment_item.map(|item| self.of_item(item).all(of::Deployment)).unwrap_or_default();
        let reported =
            reported.into_iter().filter(|read| self.has_purpose(&read.environment, purpose)).map(|read| {
                let facts = read.facts();
                DeploymentSeen {
                    input: format!("evidence/{}/facts", read.evidence.recorded.evidence),
                    shown_by: Shown::Report(read.evidence),
                    succeeded: facts.status == DeploymentStatus::Succeeded,
                    status: match facts.status {
                        DeploymentStatus::Started => "started",
                        DeploymentStatus::Succeeded => "succeeded",
                        DeploymentStatus::Failed => "failed",
                    },
                    started_at: facts.started_at.unwrap_or(read.evidence.occurred_at),
                    ended_at: facts.finished_at,
                    commit_sha: facts.commit_sha.as_ref(),
                    artifacts: facts.artifacts.as_deref(),
                    pipeline_digest: facts.pipeline_digest.as_ref(),
                }
            });
        own.chain(reported).max_by_key(|seen| (seen.started_at, seen.ended_at))
    }

    /// When the deployment to production was done: the instant that the source's times count from.
    pub fn full_rollout(&self) -> Option<(&'a crate::release::Deployment, Timestamp)> {
        let deployment = self.release.in_production()?;
        match deployment.status {
            DeploymentState::Succeeded { at } => Some((deployment, at)),
            _ => None,
        }
    }
}

/// The commit that the facts are about, where they say it.
fn commit_of(facts: &Facts) -> Option<&GitSha> {
    match facts {
        Facts::Commit(facts) => Some(&facts.commit_sha),
        Facts::SemverTag(facts) => Some(&facts.commit_sha),
        Facts::CiRun(facts) => Some(&facts.head_sha),
        Facts::VersionProbe(facts) => Some(&facts.commit_sha),
        Facts::Deployment(facts) => facts.commit_sha.as_ref(),
        Facts::TestReport(facts) => facts.head_sha.as_ref(),
        Facts::PerfComparison(facts) => facts.head_sha.as_ref(),
        Facts::JourneyCheck(facts) => facts.commit_sha.as_ref(),
        _ => None,
    }
}
