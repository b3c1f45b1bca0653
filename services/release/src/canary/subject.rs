//! Which version answers.

use crate::event::Probe;
use crate::release::{Deployment, Release};
use crate::value::{GitSha, Version};

/// What the deployment brings, and what it replaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    commit: Option<GitSha>,
    /// The names under which the candidate may answer.
    candidate: Vec<String>,
    previous: Option<Version>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    Candidate,
    Previous,
    Other,
    /// The probe does not say.
    Unknown,
}

impl Subject {
    pub fn of(release: &Release, deployment: &Deployment) -> Self {
        let candidate = deployment.candidate.and_then(|number| release.candidate(number));
        let opened = release.opened.as_ref();
        let mut names: Vec<String> = opened.map(|opened| opened.version.to_string()).into_iter().collect();
        names.extend(candidate.map(|candidate| candidate.tag.to_string().trim_start_matches('v').to_owned()));
        Self {
            commit: candidate.map(|candidate| candidate.commit_sha.clone()),
            candidate: names,
            previous: opened.and_then(|opened| opened.previous.clone()),
        }
    }

    /// The commit decides where it is named; a name alone is weaker, and the previous version is never
    /// told by its commit because nobody recorded that.
    pub fn answered(&self, probe: &Probe) -> Answered {
        let version = probe.version.as_ref().map(|version| version.as_str().trim_start_matches('v'));
        if version.is_some() && version == self.previous.as_ref().map(Version::as_str) {
            return Answered::Previous;
        }
        let named = || version.is_some_and(|version| self.candidate.iter().any(|name| name == version));
        match (&probe.commit_sha, &self.commit, version) {
            (Some(seen), Some(expected), _) if seen == expected => Answered::Candidate,
            (Some(_), Some(_), Some(_)) => Answered::Other,
            (_, _, Some(_)) if named() => Answered::Candidate,
            (_, _, Some(_)) => Answered::Other,
            (_, _, None) => Answered::Unknown,
        }
    }

    /// Whether the candidate answered, where the answer is about the canary at all.
    pub fn is_candidate(&self, probe: &Probe) -> Option<bool> {
        match self.answered(probe) {
            Answered::Candidate => Some(true),
            Answered::Other => Some(false),
            Answered::Previous | Answered::Unknown => None,
        }
    }
}
