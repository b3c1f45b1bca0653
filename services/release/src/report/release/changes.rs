//! What changed since the version before, as far as evidence says it. The log holds counts and tickets, and no list
//! of commits; what it does not hold is named, so that nobody takes silence for none.

use serde::Serialize;
use uuid::Uuid;

use super::Story;
use crate::evidence::{Facts, Subject};
use crate::release::Evidence;
use crate::value::{GitSha, Line, Link, Version};

shapes! {
    ChangesIncluded {
        /// Ranges of commits as they were read, oldest first.
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        ranges: Vec<CommitRange>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        pull_requests: Vec<ReportedPullRequest>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        tickets: Vec<ReportedTicket>,
        /// What an auditor may look for and the log does not hold.
        #[cfg_attr(feature = "openapi", schema(max_items = 10, value_type = Vec<Line>))]
        not_recorded: Vec<&'static str>,
    } nullable { previous: Version, };

    CommitRange {
        evidence: Uuid,
        repository: Line,
        to: GitSha,
        /// Tickets of the features in the range.
        #[cfg_attr(feature = "openapi", schema(max_items = 200))]
        features: Vec<Line>,
        /// Changes that no entry of the changelog covers.
        #[cfg_attr(feature = "openapi", schema(max_items = 200))]
        missing: Vec<Line>,
    } nullable {
        /// The first commit, exclusive.
        from: GitSha,
        candidate: u32,
        merged: u32,
        covered: u32,
        exempt: u32,
    };

    ReportedPullRequest { evidence: Uuid, repository: Line, url: Link, } nullable {
        /// Somebody other than its author approved it; null where nobody said.
        reviewed: bool,
    };

    ReportedTicket { evidence: Uuid, key: Line, status: Line, } nullable {
        /// Its status counts as done; null where nobody said.
        done: bool,
        url: Link,
    };
}

const NOT_RECORDED: [&str; 4] = [
    "each commit with its author",
    "who reviewed each change",
    "commits without a pull request or ticket, other than those that the changelog misses",
    "pull requests other than those that evidence names",
];

pub(super) fn of(story: &Story<'_>) -> ChangesIncluded {
    let mut standing: Vec<&Evidence> = story
        .release
        .evidence
        .values()
        .map(|known| &**known)
        .filter(|known| known.retracted.is_none())
        .collect();
    standing.sort_by_key(|known| known.revision);
    let mut changes = ChangesIncluded {
        ranges: Vec::new(),
        pull_requests: Vec::new(),
        tickets: Vec::new(),
        not_recorded: NOT_RECORDED.to_vec(),
        previous: story.release.opened.as_ref().and_then(|opened| opened.previous.clone()),
    };
    for known in standing {
        let evidence = known.recorded.evidence;
        match &known.recorded.facts {
            Facts::Commit(facts) if facts.changes.is_some() || facts.features.is_some() => {
                let coverage = facts.changes.as_ref();
                let missing = coverage.and_then(|changes| changes.missing.as_ref());
                changes.ranges.push(CommitRange {
                    evidence,
                    repository: facts.repository.clone(),
                    to: facts.commit_sha.clone(),
                    features: facts.features.iter().flat_map(|features| features.iter()).cloned().collect(),
                    missing: missing.into_iter().flat_map(|missing| missing.iter()).cloned().collect(),
                    from: facts.range_from.clone(),
                    candidate: match known.recorded.subject {
                        Subject::Candidate { number } => Some(number),
                        _ => None,
                    },
                    merged: coverage.map(|changes| changes.merged),
                    covered: coverage.map(|changes| changes.covered),
                    exempt: coverage.map(|changes| changes.exempt),
                });
            }
            Facts::GitRef(facts) => changes.pull_requests.extend(facts.pull_request.as_ref().map(|url| {
                let (repository, reviewed) = (facts.repository.clone(), facts.reviewed);
                ReportedPullRequest { evidence, repository, url: url.clone(), reviewed }
            })),
            Facts::Ticket(facts) => changes.tickets.push(ReportedTicket {
                evidence,
                key: facts.key.clone(),
                status: facts.status.clone(),
                done: facts.done,
                url: known.recorded.url.clone(),
            }),
            _ => {}
        }
    }
    changes
}
