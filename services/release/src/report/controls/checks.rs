//! Checks that no single item or event answers: who approved, when, of what, and who did what beside it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::matrix::{Found, Index};
use crate::actor::ActorKind;
use crate::event::{ChangeClass, EnvironmentPurpose, Meaning, ReleaseEvent};
use crate::evidence::Facts;
use crate::procedure::STAGING_DEPLOYED;
use crate::release::{
    Approval, Authorization, Deployment, Evidence, ExceptionKind, RollbackStatus, same_artifacts,
};
use crate::value::{ActorId, Name};
use crate::verdict::{Cause, Row};

macro_rules! checks {
    ($($(#[$doc:meta])* $check:ident = $name:tt $function:ident,)*) => {
        /// What is asked of a release as a whole.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Check { $($(#[$doc])* #[serde(rename = $name)] $check,)* }

        impl Check {
            pub const ALL: &'static [Self] = &[$(Self::$check),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$check => $name,)* }
            }
        }

        pub(super) fn found(check: Check, index: &Index<'_>) -> Found {
            match check { $(Check::$check => $function(index),)* }
        }
    };
}

checks! {
    ReasonDeclared = "reason_declared" reason_declared,
    SecurityImpactDeclared = "security_impact_declared" security_impact_declared,
    /// Whoever approved asked for nothing, tagged, deployed and wrote nothing of it.
    IndependentApproval = "independent_approval" independent_approval,
    ApprovedBeforeStart = "approved_before_start" approved_before_start,
    /// Who approved neither authorized nor deployed, and who deployed wrote no commit of it.
    DutiesSeparated = "duties_separated" duties_separated,
    /// Every deployment to production used up an authorization of its own.
    ProductionAuthorized = "production_authorized" production_authorized,
    /// The digests in production are those that were authorized.
    ApprovedArtifactDeployed = "approved_artifact_deployed" approved_artifact_deployed,
    EnvironmentsSeparated = "environments_separated" environments_separated,
    /// Staging and production are deployed by different principals.
    CredentialsSeparated = "credentials_separated" credentials_separated,
    /// Every person acted in a role that the event names.
    RolesRecorded = "roles_recorded" roles_recorded,
    /// Every event says who, when and what.
    EventsAttributed = "events_attributed" events_attributed,
    /// Every signature has a name, a time and a meaning.
    SignaturesComplete = "signatures_complete" signatures_complete,
    /// Every signature is of the hash of what was asked to be approved.
    SignaturesBound = "signatures_bound" signatures_bound,
    /// Who approved had signed in within the time that the procedure asks for.
    SignedInAnew = "signed_in_anew" signed_in_anew,
    /// The release's events are sealed under one root.
    Sealed = "sealed" sealed,
    RollbackRecorded = "rollback_recorded" rollback_recorded,
    /// An emergency names its incident, who authorized it, and what was missing.
    EmergencyGoverned = "emergency_governed" emergency_governed,
    /// What an emergency started was approved in time by somebody independent.
    EmergencyApproved = "emergency_approved" emergency_approved,
}

/// What each deployment to production that was started here comes to.
fn each_start(index: &Index<'_>, judge: impl Fn(&Start<'_>) -> Found) -> Found {
    let release = index.subject.release;
    let mut all: Vec<Found> = Vec::new();
    for deployment in release.production_deployments() {
        let started = index.of(|event| match event {
            ReleaseEvent::DeploymentStarted(started) => started.deployment == deployment.deployment,
            ReleaseEvent::DeploymentObserved(observed) => observed.deployment == deployment.deployment,
            _ => false,
        });
        let authorization = deployment.authorization.and_then(|id| release.authorization(id));
        let found = match authorization {
            Some(authorization) => {
                let approval = authorization.request.and_then(|request| release.approval(request));
                judge(&Start { index, deployment, authorization, approval })
            }
            None => Found::exception("a deployment to production was not started through here"),
        };
        all.push(found.by(started));
    }
    if !all.is_empty() {
        return Found::together(all);
    }
    if release.has_ended() {
        Found::not_applicable("nothing was deployed to production")
    } else {
        Found::not_demonstrated("nothing was deployed to production yet")
    }
}

/// A deployment to production, and what it rests on.
struct Start<'a> {
    index: &'a Index<'a>,
    deployment: &'a Deployment,
    authorization: &'a Authorization,
    /// Absent when it was authorized by break-glass.
    approval: Option<&'a Approval>,
}

impl Start<'_> {
    fn grants(&self) -> Vec<usize> {
        let request = self.authorization.request;
        let authorization = self.authorization.authorization;
        self.index.of(|event| match event {
            ReleaseEvent::ApprovalGranted(granted) => Some(granted.request) == request,
            ReleaseEvent::StandingApprovalApplied(applied) => Some(applied.request) == request,
            ReleaseEvent::ApprovedAfterStart(approved) => approved.authorization == authorization,
            ReleaseEvent::ApprovalOverdue(overdue) => overdue.authorization == authorization,
            _ => false,
        })
    }

    fn authorized(&self) -> Vec<usize> {
        let authorization = self.authorization.authorization;
        self.index.of(|event| match event {
            ReleaseEvent::ProductionAuthorized(given) => given.authorization == authorization,
            ReleaseEvent::BreakGlassAuthorized(given) => given.authorization == authorization,
            _ => false,
        })
    }

    fn approvers(&self) -> Vec<&ActorId> {
        let before = self.approval.iter().flat_map(|approval| approval.approvers());
        let used = self.authorization.break_glass.as_ref();
        let after = used.and_then(|used| used.approved_after_start.as_ref()).map(|approved| &approved.by);
        before.chain(after).collect()
    }
}

fn reason_declared(index: &Index<'_>) -> Found {
    match &index.subject.release.opened {
        Some(opened) => Found::met(format!("{}: {}", opened.class.as_str(), opened.reason)),
        None => Found::not_demonstrated("the release was not opened"),
    }
    .by(index.of(|event| match event {
        ReleaseEvent::ReleaseOpened(_) => true,
        ReleaseEvent::ReleaseAmended(amended) => amended.reason.is_some() || amended.class.is_some(),
        _ => false,
    }))
}

fn security_impact_declared(index: &Index<'_>) -> Found {
    let events = index.of(|event| match event {
        ReleaseEvent::ReleaseOpened(opened) => opened.security_impact.is_some(),
        ReleaseEvent::ReleaseAmended(amended) => amended.security_impact.is_some(),
        _ => false,
    });
    let opened = index.subject.release.opened.as_ref();
    match opened.and_then(|opened| opened.security_impact.as_ref()) {
        Some(impact) => Found::met(impact.to_string()),
        None => Found::not_demonstrated("no security impact was declared"),
    }
    .by(events)
}

/// What the rows say of one approver's independence; what could not be looked at speaks neither way.
fn independent(by: &ActorId, rows: &[Row]) -> Found {
    let failed: Vec<&Row> = rows.iter().filter(|row| !row.ok).collect();
    if failed.is_empty() {
        return Found::met(format!("{by} is independent by {} tests", rows.len()));
    }
    let why: Vec<String> = failed.iter().map(|row| format!("{}: {}", row.input, row.observed)).collect();
    if failed.iter().all(|row| row.cause == Some(Cause::Absent)) {
        return Found::not_demonstrated(format!("independence of {by} not established ({})", why.join("; ")));
    }
    Found::exception(format!("{by} is not independent ({})", why.join("; ")))
}

fn independent_approval(index: &Index<'_>) -> Found {
    each_start(index, |start| {
        let found = match (start.approval, &start.authorization.break_glass) {
            (Some(Approval { standing: Some(standing), .. }), _) => {
                vec![Found::met(format!("standing approval {standing}"))]
            }
            (Some(approval), _) => approval
                .grants
                .iter()
                .filter(|grant| grant.meaning == Meaning::Approved)
                .map(|grant| independent(&grant.by.id, &grant.independence))
                .collect(),
            (None, Some(used)) => vec![match &used.approved_after_start {
                Some(approved) => independent(&approved.by, &approved.independence),
                None if used.overdue => Found::exception("nobody approved it in time"),
                None => Found::not_demonstrated(format!("to be approved by {}", used.approval_due_at)),
            }],
            (None, None) => Vec::new(),
        };
        if found.is_empty() {
            return Found::exception("no approval is known").by(start.grants());
        }
        Found::together(found).by(start.grants())
    })
}

fn approved_before_start(index: &Index<'_>) -> Found {
    each_start(index, |start| {
        let started = start.deployment.started_at;
        let found = match (start.approval, &start.authorization.break_glass) {
            (Some(Approval { standing: Some(standing), requested_at, .. }), _) => {
                let lead = started.duration_since(*requested_at).as_secs();
                Found::met(format!("standing approval {standing}, {lead} s before the start"))
            }
            (Some(approval), _) => {
                let approved = approval.grants.iter().filter(|grant| grant.meaning == Meaning::Approved);
                match approved.map(|grant| started.duration_since(grant.at).as_secs()).min() {
                    Some(lead) if lead >= 0 => Found::met(format!("approved {lead} s before the start")),
                    Some(lead) => Found::exception(format!("approved {} s after the start", -lead)),
                    None => Found::exception("no approval is known"),
                }
            }
            (None, Some(used)) => Found::exception(match &used.approved_after_start {
                Some(approved) => {
                    let lag = approved.at.duration_since(started).as_secs();
                    format!("started by break-glass, approved {lag} s after the start")
                }
                None => "started by break-glass, not approved".to_owned(),
            }),
            (None, None) => Found::exception("no approval is known"),
        };
        found.by(start.grants())
    })
}

fn duties_separated(index: &Index<'_>) -> Found {
    each_start(index, |start| {
        let (deployment, authorization) = (start.deployment, start.authorization);
        let deployers: BTreeSet<&ActorId> =
            [&deployment.started_by, &authorization.authorized_by].into_iter().collect();
        let candidate = deployment.candidate.and_then(|number| start.index.subject.release.candidate(number));
        let authors = candidate.map_or(&[][..], |candidate| &candidate.authors[..]);
        let mut found = Vec::new();
        for approver in start.approvers() {
            if deployers.contains(approver) {
                found.push(Found::exception(format!("{approver} approved and deployed")));
            }
        }
        for deployer in &deployers {
            if authors.iter().any(|author| author == deployer.as_str()) {
                found.push(Found::exception(format!("{deployer} wrote and deployed")));
            }
        }
        if found.is_empty() {
            found.push(if authors.is_empty() {
                Found::not_demonstrated("the authors of the commits are not known")
            } else {
                let names: Vec<&str> = deployers.iter().map(|deployer| deployer.as_str()).collect();
                Found::met(format!("deployed by {}, by none of {} authors", names.join(", "), authors.len()))
            });
        }
        Found::together(found).by(start.grants()).by(start.authorized())
    })
}

fn production_authorized(index: &Index<'_>) -> Found {
    let mut used = BTreeSet::new();
    for deployment in index.subject.release.production_deployments() {
        if let Some(authorization) = deployment.authorization
            && !used.insert(authorization)
        {
            return Found::exception(format!("authorization {authorization} was used twice"));
        }
    }
    each_start(index, |start| {
        let given = start.authorization;
        let found = if start.deployment.started_at > given.expires_at {
            Found::exception(format!("the authorization had expired at {}", given.expires_at))
        } else if given.break_glass.is_some() {
            Found::exception(format!("authorized by break-glass by {}", given.authorized_by))
        } else {
            Found::met(format!("authorized by {} at {}", given.authorized_by, given.authorized_at))
        };
        found.by(start.authorized())
    })
}

fn approved_artifact_deployed(index: &Index<'_>) -> Found {
    each_start(index, |start| {
        let found = if same_artifacts(&start.deployment.artifacts, &start.authorization.artifacts) {
            Found::met(format!("{} digests as authorized", start.deployment.artifacts.len()))
        } else {
            Found::exception("the digests differ from those that were authorized")
        };
        found.by(start.authorized())
    })
}

/// Staging and production compared by what tells them apart. Staging is deployed to through here, or a machine
/// reports it as evidence.
fn apart<'r, T: Ord + std::fmt::Display + 'r>(
    index: &Index<'r>,
    what: &str,
    of: impl Fn(&'r Deployment) -> &'r T,
    of_evidence: impl Fn(&'r Evidence, &'r Name) -> &'r T,
) -> Found {
    let release = index.subject.release;
    let staged = index.subject.procedure.item_by_key(STAGING_DEPLOYED);
    let rests_on = staged.and_then(|item| release.items.get(&item.number)).map(|state| &state.rests_on[..]);
    let seen = rests_on.unwrap_or_default().iter().filter_map(|id| release.evidence.get(id)).filter_map(
        |evidence| match &evidence.recorded.facts {
            Facts::Deployment(facts) => Some(of_evidence(evidence, &facts.environment)),
            _ => None,
        },
    );
    let by_purpose =
        |purpose| release.deployments.iter().filter(move |deployment| deployment.purpose == purpose).map(&of);
    let staging: BTreeSet<&T> = by_purpose(EnvironmentPurpose::Staging).chain(seen).collect();
    let production: BTreeSet<&T> = by_purpose(EnvironmentPurpose::Production).collect();
    let reported = rests_on.unwrap_or_default().iter().filter_map(|id| index.evidence(*id));
    let events = index.of(|event| matches!(event, ReleaseEvent::DeploymentStarted(_)));
    let found = if staging.is_empty() || production.is_empty() {
        Found::not_demonstrated("staging and production were not both deployed to")
    } else if let Some(both) = staging.intersection(&production).next() {
        Found::not_demonstrated(format!("staging and production have the same {what}, {both}"))
    } else {
        let names = |all: &BTreeSet<&T>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Found::met(format!(
            "the {what} of staging is {}, of production {}",
            names(&staging),
            names(&production)
        ))
    };
    found.by(events).by(reported)
}

fn environments_separated(index: &Index<'_>) -> Found {
    apart(index, "environment", |deployment| &deployment.environment, |_, environment| environment)
}

fn credentials_separated(index: &Index<'_>) -> Found {
    apart(index, "deployer", |deployment| &deployment.started_by, |evidence, _| &evidence.by.id)
}

fn roles_recorded(index: &Index<'_>) -> Found {
    let mut people: BTreeSet<&ActorId> = BTreeSet::new();
    let mut first = Vec::new();
    let mut without = Vec::new();
    for (place, fact) in index.subject.facts.iter().enumerate() {
        if fact.by.kind != ActorKind::Person {
            continue;
        }
        if fact.by.roles.is_empty() {
            without.push(place);
        } else if people.insert(&fact.by.id) {
            first.push(place);
        }
    }
    if !without.is_empty() {
        return Found::exception(format!("{} events of people without a role", without.len())).by(without);
    }
    Found::met(format!("{} people, each event with their roles at the time", people.len())).by(first)
}

fn events_attributed(index: &Index<'_>) -> Found {
    let facts = index.subject.facts;
    match facts.len().checked_sub(1) {
        Some(last) => {
            Found::met(format!("{} events, each with actor, role, time and kind", facts.len())).by([0, last])
        }
        None => Found::not_demonstrated("no events"),
    }
}

/// Every signature under an approval, with what is judged of it.
fn each_signature(index: &Index<'_>, judge: impl Fn(&ActorId, Signature<'_>) -> Found) -> Found {
    let mut all = Vec::new();
    let mut standing = Vec::new();
    for (place, fact) in index.subject.facts.iter().enumerate() {
        let signature = match &fact.event {
            ReleaseEvent::ApprovalGranted(granted) => Signature {
                meaning: granted.meaning.as_str(),
                bound: index
                    .subject
                    .release
                    .approval(granted.request)
                    .is_some_and(|approval| approval.basis == granted.basis),
                signed_in_s_ago: granted.signed_in_s_ago,
                at: fact.recorded_at.to_string(),
                of: granted.basis.as_str(),
            },
            ReleaseEvent::ApprovedAfterStart(approved) => {
                let given = index.subject.release.authorization(approved.authorization);
                Signature {
                    meaning: "approved after start",
                    bound: given.is_some(),
                    signed_in_s_ago: approved.signed_in_s_ago,
                    at: fact.recorded_at.to_string(),
                    of: given.map_or("", |given| given.basis.as_str()),
                }
            }
            ReleaseEvent::StandingApprovalApplied(_) => {
                standing.push(place);
                continue;
            }
            _ => continue,
        };
        all.push(judge(&fact.by.id, signature).by([place]));
    }
    if !all.is_empty() {
        return Found::together(all);
    }
    if !standing.is_empty() {
        return Found::not_applicable("a standing approval, which nobody signs").by(standing);
    }
    if index.subject.release.has_ended() {
        Found::not_applicable("nobody signed")
    } else {
        Found::not_demonstrated("nobody signed yet")
    }
}

struct Signature<'a> {
    meaning: &'a str,
    bound: bool,
    signed_in_s_ago: Option<u64>,
    at: String,
    /// The hash that was signed.
    of: &'a str,
}

fn signatures_complete(index: &Index<'_>) -> Found {
    each_signature(index, |by, signature| {
        Found::met(format!("{by} {} at {}", signature.meaning, signature.at))
    })
}

fn signatures_bound(index: &Index<'_>) -> Found {
    each_signature(index, |by, signature| {
        if signature.bound {
            Found::met(format!("{by} signed {}", signature.of))
        } else {
            Found::exception(format!("{by} signed {}, which was not asked for", signature.of))
        }
    })
}

fn signed_in_anew(index: &Index<'_>) -> Found {
    let Some(limit) = index.subject.procedure.sign_in_max_age_s else {
        return Found::not_demonstrated("the procedure asks for no recent sign-in");
    };
    each_signature(index, |by, signature| match signature.signed_in_s_ago {
        Some(ago) if ago <= limit => Found::met(format!("{by} had signed in {ago} s before")),
        Some(ago) => Found::exception(format!("{by} had signed in {ago} s before, {limit} s are allowed")),
        None => Found::not_demonstrated(format!("when {by} had signed in is not known")),
    })
}

fn sealed(index: &Index<'_>) -> Found {
    let release = index.subject.release;
    match (&release.sealed, &release.unsealed) {
        (Some(seal), None) => Found::met(format!("{} events under root {}", seal.count, seal.root))
            .by(index.revision(seal.revision)),
        (Some(seal), Some(_)) => {
            Found::not_demonstrated(format!("only the first {} events are sealed", seal.count))
                .by(index.revision(seal.revision))
        }
        (None, _) => Found::not_demonstrated("a release is sealed when it ends"),
    }
}

fn rollback_recorded(index: &Index<'_>) -> Found {
    let release = index.subject.release;
    let events = index.of(|event| {
        matches!(
            event,
            ReleaseEvent::RollbackTriggered(_)
                | ReleaseEvent::RollbackProposed(_)
                | ReleaseEvent::RollbackDecided(_)
                | ReleaseEvent::RollbackStarted(_)
                | ReleaseEvent::RollbackVerified(_)
                | ReleaseEvent::RollbackFailed(_)
                | ReleaseEvent::RollbackCompleted(_)
        )
    });
    if events.is_empty() {
        return Found::not_applicable("nothing called for a rollback");
    }
    let mut found: Vec<Found> = release
        .rollbacks
        .iter()
        .map(|rollback| match &rollback.status {
            RollbackStatus::Completed { duration_s, .. } => {
                Found::met(format!("rolled back in {duration_s} s: {}", rollback.reason))
            }
            RollbackStatus::Running => Found::not_demonstrated("the rollback has not ended"),
            RollbackStatus::Failed { reason, .. } => {
                Found::exception(format!("the rollback failed: {reason}"))
            }
        })
        .collect();
    let kinds = [
        ExceptionKind::RollbackStepMissing,
        ExceptionKind::WentOnAgainstRule,
        ExceptionKind::RolledBackElsewhere,
    ];
    for exception in release.exceptions.iter().filter(|exception| kinds.contains(&exception.kind)) {
        found.push(Found::exception(exception.kind.as_str()).by(index.revision(exception.revision)));
    }
    for proposal in release.proposals.iter() {
        found.push(match proposal.decided() {
            Some(decision) => Found::met(format!("decided: {}", decision.as_str())),
            None if !release.rollbacks.is_empty() => continue,
            None => Found::not_demonstrated("a rollback was proposed, and nobody decided yet"),
        });
    }
    if found.is_empty() {
        found.push(Found::not_demonstrated("a rule fired, and what was decided is not recorded"));
    }
    Found::together(found).by(events)
}

/// How production was authorized in an emergency; of other classes there is nothing to show.
fn emergency(index: &Index<'_>, judge: impl Fn(&Authorization) -> Found) -> Found {
    let release = index.subject.release;
    let given: Vec<&Authorization> =
        release.authorizations.iter().filter(|given| given.break_glass.is_some()).collect();
    if given.is_empty() {
        return if release.class() == ChangeClass::Emergency {
            Found::not_applicable("an emergency that was approved before it started")
        } else {
            Found::not_applicable(format!("a change of class {}", release.class().as_str()))
        };
    }
    let events = index.of(|event| {
        matches!(
            event,
            ReleaseEvent::BreakGlassAuthorized(_)
                | ReleaseEvent::ApprovedAfterStart(_)
                | ReleaseEvent::ApprovalOverdue(_)
        )
    });
    Found::together(given.into_iter().map(judge).collect()).by(events)
}

fn emergency_governed(index: &Index<'_>) -> Found {
    emergency(index, |given| match &given.break_glass {
        Some(used) => Found::met(format!(
            "{} authorized it for incident {}, with {} items missing: {}",
            given.authorized_by,
            used.incident,
            used.missing.len(),
            used.reason
        )),
        None => Found::not_applicable("approved"),
    })
}

fn emergency_approved(index: &Index<'_>) -> Found {
    emergency(index, |given| match &given.break_glass {
        Some(used) => match &used.approved_after_start {
            Some(approved) if used.overdue => {
                Found::exception(format!("{} approved it too late, at {}", approved.by, approved.at))
            }
            Some(approved) => Found::met(format!("{} approved it at {}", approved.by, approved.at)),
            None if used.overdue => Found::exception(format!("not approved by {}", used.approval_due_at)),
            None => Found::not_demonstrated(format!("to be approved by {}", used.approval_due_at)),
        },
        None => Found::not_applicable("approved"),
    })
}
