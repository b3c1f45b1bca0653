//! The approval of exactly what is about to be deployed, in its window.

use uuid::Uuid;

use super::judge::reading;
use super::{
    Around, Context, Decided, Decision, current_candidate, moving, not_ended, one, person, refuse, role,
    whole,
};
use crate::actor::Role;
use crate::command::{GrantApproval, RejectApproval, RequestApproval, WithdrawApproval};
use crate::event::{
    ApprovalGranted, ApprovalRejected, ApprovalRequested, ApprovalRevoked, ApprovalWithdrawn, Assurance,
    ChangeClass, Interval, ItemJudged, Meaning, ReleaseEvent, RevocationCause, StandingApprovalApplied,
};
use crate::guard::fresh_sign_in;
use crate::procedure::{Policy, Procedure};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{
    Approval, ApprovalGrant, ApprovalStatus, Candidate, CandidateStatus, ItemStatus, Release,
};
use crate::rule::low_risk;
use crate::value::{ActorId, Digest, ItemNumber, ReleaseId, Sha256Hex};
use crate::verdict::{Cause, Row, Verdict};

/// The version of the quorum rule that recorded verdicts name.
const RULE_VERSION: u32 = 1;

/// The items that an approval closed and that open without it.
pub fn resting_on(release: &Release, approval: &Approval, procedure: &Procedure) -> Vec<ItemNumber> {
    let granted = matches!(approval.status, ApprovalStatus::Granted { .. });
    procedure
        .approval_item()
        .filter(|item| granted && release.status(item.number).is_closed())
        .map(|item| item.number)
        .into_iter()
        .collect()
}

pub fn request(release: &Release, body: &RequestApproval, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    let procedure = &ctx.around.procedure;
    if procedure.approval_item().is_none() {
        return refuse(RefusalCode::GoNotInProcedure, format!("{} has none", procedure.name));
    }
    if let Some(approval) = release.live_approval() {
        return refuse(
            RefusalCode::ApprovalOpen,
            format!("request {} is {}", approval.request, approval.status.as_str()),
        );
    }
    if let Some(running) = release.production_deployments().find(|running| running.in_progress()) {
        return refuse(RefusalCode::DeploymentRunning, format!("deployment {}", running.deployment));
    }
    let candidate = current_candidate(release)?;
    if !candidate.is_bound() {
        return refuse(RefusalCode::CandidateNotBound, format!("{} has no artifacts", candidate.tag));
    }
    let window = window_ahead(release, ctx)?;
    let rows = binding(release, ctx.around);
    let open: Vec<_> = rows.iter().filter(|row| !row.ok).cloned().collect();
    if let Some(first) = open.first() {
        let frozen = first.rule == FREEZE_EXCEPTION;
        let code = if frozen { RefusalCode::FreezeActive } else { RefusalCode::GateClosed };
        return Err(Refusal::new(code, format!("{} rows do not hold", open.len())).with_rows(open));
    }
    let request = (ctx.event_id)(0);
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(ApprovalRequested {
        request,
        candidate: candidate.number,
        window,
        class: release.class(),
        quorum: quorum(release, candidate, ctx.around),
        basis: hash(&rows),
        rows,
        note: body.note.clone(),
        inputs: ctx.around.snapshots.inputs(),
    })];
    events.extend(standing(release, candidate, request, ctx).into_iter().flatten());
    Ok(events)
}

/// The approval that the procedure was given for changes like this one, where they are no larger; nothing
/// when somebody has to sign.
fn standing(
    release: &Release,
    candidate: &Candidate,
    request: Uuid,
    ctx: &Context<'_>,
) -> Option<[Decided<ReleaseEvent>; 2]> {
    let rules = ctx.around.procedure.standing_approval.as_ref()?;
    let item = ctx.around.procedure.approval_item()?;
    let rejected = !rejections(release, candidate, ctx.around).is_empty();
    if release.class() != ChangeClass::Standard || rejected {
        return None;
    }
    let rows = low_risk(&reading(release, item, ctx), rules.changes_max).rows;
    if rows.iter().any(|row| !row.ok) {
        return None;
    }
    let reference = rules.reference.clone();
    let row = Row::ok(
        "standing_approval",
        &whole(),
        format!("approval/{request}/standing"),
        "a standing approval of changes like this".into(),
        reference.to_string(),
    );
    let judged = ItemJudged {
        item: item.number,
        assurance: Assurance::Verified,
        verdict: Verdict::of("standing_approval", RULE_VERSION, vec![row]),
        candidate: Some(candidate.number),
        rests_on: None,
        valid_until: None,
        reopens: None,
    };
    Some([Decided::now(StandingApprovalApplied { request, reference, rows }), Decided::now(judged)])
}

fn window_ahead(release: &Release, ctx: &Context<'_>) -> Result<Interval, Refusal> {
    match release.open_window() {
        Some(window) if window.to > ctx.now => Ok(window),
        Some(window) => refuse(RefusalCode::WindowRequired, format!("{window} is over")),
        None => refuse(RefusalCode::WindowRequired, "no window is set"),
    }
}

/// How many approvers sign for a candidate that holds a digest which was rejected before.
pub const QUORUM_AFTER_REJECTION: u32 = 2;

fn quorum(release: &Release, candidate: &Candidate, around: &Around) -> u32 {
    let of_class = around.procedure.approval_quorum.of(release.class());
    let rejected = !rejections(release, candidate, around).is_empty();
    if rejected { of_class.max(QUORUM_AFTER_REJECTION) } else { of_class }
}

/// The rejected digests among the candidate's artifacts, and why each was rejected. What this release
/// rejected itself counts before the product has heard of it.
pub fn rejections<'c>(
    release: &Release,
    candidate: &'c Candidate,
    around: &Around,
) -> Vec<(&'c Digest, String)> {
    let own = |digest: &Digest| {
        release.candidates.iter().find_map(|earlier| match &earlier.status {
            CandidateStatus::Rejected { reason, .. } => {
                let holds = earlier.artifacts.iter().any(|artifact| artifact.digest == *digest);
                holds.then(|| format!("rejected as {}: {reason}", earlier.tag))
            }
            _ => None,
        })
    };
    let elsewhere = |digest: &Digest| {
        let rejected = around.snapshots.rejected.iter().find(|rejected| rejected.digest == *digest)?;
        let by = rejected.release.as_ref().map_or("the product", ReleaseId::as_str);
        Some(format!("rejected by {by}: {}", rejected.reason))
    };
    let digests = candidate.artifacts.iter().map(|artifact| &artifact.digest);
    digests.filter_map(|digest| Some((digest, own(digest).or_else(|| elsewhere(digest))?))).collect()
}

const FREEZE_EXCEPTION: &str = "freeze_exception";

/// What an approval binds, row by row: what the release itself says, each rejected digest that it
/// lets pass, and each freeze that it makes an exception from.
pub fn binding(release: &Release, around: &Around) -> Vec<Row> {
    let mut rows = bound(release, &around.procedure);
    let rejected = release
        .current_candidate()
        .map(|candidate| rejections(release, candidate, around))
        .unwrap_or_default();
    for (digest, why) in rejected {
        let expected = format!("{QUORUM_AFTER_REJECTION} approvers");
        rows.push(Row::ok(
            RefusalCode::DigestRejected.as_str(),
            &whole(),
            digest_input(digest),
            expected,
            why,
        ));
    }
    let window = release.open_window();
    for freeze in around.snapshots.freezes.iter().filter(|f| window.is_some_and(|w| w.overlaps(&f.span))) {
        let input = format!("freeze/{}", freeze.freeze);
        let (expected, observed) = ("exception allowed".into(), freeze.span.to_string());
        rows.push(if freeze.exceptions_allowed {
            Row::ok(FREEZE_EXCEPTION, &whole(), input, expected, observed)
        } else {
            Row::failed(FREEZE_EXCEPTION, &whole(), input, expected, observed, Cause::Value)
        });
    }
    rows
}

pub fn digest_input(digest: &Digest) -> String {
    format!("digest/{digest}")
}

pub const BINDING: &str = "binding";
pub const CLASS: &str = "release/class";

/// What an approval binds of the release itself: the candidate with its digests, the procedure, the
/// window, the class, and the verdict of every bound item. Not when or by which evidence: the same
/// verdict on newer evidence is the same row.
pub fn bound(release: &Release, procedure: &Procedure) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut bind = |input: String, observed: String| {
        rows.push(Row::ok(BINDING, &whole(), input, "as approved".into(), observed));
    };
    if let Some(candidate) = release.current_candidate() {
        for (name, value) in values_of(candidate) {
            bind(format!("candidate/{}/{name}", candidate.number), value);
        }
    }
    if let Some(opened) = &release.opened {
        bind("procedure/hash".into(), opened.procedure.hash.to_string());
    }
    if let Some(window) = release.open_window() {
        bind("window".into(), window.to_string());
    }
    if let Some(plan) = &release.low_traffic {
        let plan = format!("{} % and {}", plan.share_percent, plan.compensation.as_str());
        bind("canary/low_traffic".into(), plan);
    }
    bind(CLASS.into(), release.class().as_str().into());
    for item in procedure.items().filter(|item| procedure.is_bound_by_approval(item)) {
        rows.push(item_row(BINDING, release, item.number));
    }
    rows
}

fn values_of(candidate: &Candidate) -> Vec<(&'static str, String)> {
    let digest = |digest: &Option<Sha256Hex>| digest.as_ref().map_or("none".to_owned(), ToString::to_string);
    let mut artifacts: Vec<_> =
        candidate.artifacts.iter().map(|artifact| format!("{}@{}", artifact.name, artifact.digest)).collect();
    artifacts.sort();
    vec![
        ("commit_sha", candidate.commit_sha.to_string()),
        ("artifacts", artifacts.join(" ")),
        ("migration_set_digest", digest(&candidate.migration_set_digest)),
        ("config_schema_digest", digest(&candidate.config_schema_digest)),
        ("pipeline_digest", digest(&candidate.pipeline_digest)),
    ]
}

/// One item as a row: closed by what, or why it is not.
pub fn item_row(rule: &str, release: &Release, number: ItemNumber) -> Row {
    let status = release.status(number);
    let input = format!("item/{number}");
    let observed = match status {
        ItemStatus::Satisfied { assurance: Assurance::Verified, .. } => "verified".to_owned(),
        ItemStatus::Satisfied { assurance: Assurance::Attested, .. } => "attested".to_owned(),
        ItemStatus::Waived { waiver, .. } => format!("waived by {waiver}"),
        other => other.as_str().to_owned(),
    };
    match status {
        _ if status.is_closed() => Row::ok(rule, &whole(), input, "closed".into(), observed),
        ItemStatus::Stale { .. } => {
            Row::failed(rule, &whole(), input, "closed".into(), observed, Cause::Stale)
        }
        _ => Row::failed(rule, &whole(), input, "closed".into(), observed, Cause::Absent),
    }
}

/// The hash by which a caller says what it saw.
pub fn hash(rows: &[Row]) -> Sha256Hex {
    // Rows are strings and booleans, which always serialize.
    crate::wire::sha256_hex(&serde_json::to_vec(rows).unwrap_or_default())
}

/// The rows of `now` that `seen` did not have.
fn changed(seen: &[Row], now: &[Row]) -> Vec<Row> {
    now.iter().filter(|row| !seen.contains(row)).cloned().collect()
}

pub fn grant(release: &Release, id: Uuid, body: &GrantApproval, ctx: &Context<'_>) -> Decision {
    let opened = moving(release)?;
    role(ctx, &[Role::Approver])?;
    person(ctx)?;
    fresh_sign_in(ctx, ctx.around.procedure.sign_in_max_age_s)?;
    let approval = undecided(release, id)?;
    window_ahead(release, ctx)?;
    let same = |grant: &&ApprovalGrant| {
        grant.meaning == body.meaning && ctx.around.people.same(&grant.by.id, &ctx.actor.id)
    };
    if let Some(grant) = approval.grants.iter().find(same) {
        let meaning = grant.meaning.as_str();
        return refuse(RefusalCode::AlreadySigned, format!("{} {meaning} it before", grant.by.id));
    }
    let rows = binding(release, ctx.around);
    let basis = hash(&rows);
    if basis != approval.basis || body.basis.as_ref().is_some_and(|seen| *seen != basis) {
        let seen = body.basis.as_ref().and_then(|seen| release.approvals.iter().find(|a| a.basis == *seen));
        let seen = seen.map_or(&approval.rows[..], |earlier| &earlier.rows);
        let mut differ = changed(seen, &rows);
        if differ.is_empty() {
            differ = rows;
        }
        return Err(
            Refusal::new(RefusalCode::BasisChanged, format!("the basis is {basis}")).with_rows(differ)
        );
    }
    let candidate = current_candidate(release)?;
    let input = format!("approval/{}/requested_by", approval.request);
    let independence = independence(release, (input, &approval.requested_by), candidate, ctx);
    people_against(&independence, ctx)?;
    let approves = body.meaning == Meaning::Approved;
    let people = u32::try_from(approval.approvers().count() + usize::from(approves)).unwrap_or(u32::MAX);
    let effective = approves && people >= approval.quorum;
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(ApprovalGranted {
        request: id,
        meaning: body.meaning,
        basis,
        independence,
        effective,
        comment: body.comment.clone(),
        signed_in_s_ago: ctx.actor.signed_in_s_ago,
        inputs: ctx.around.snapshots.inputs(),
        role_first_used_at: ctx.around.snapshots.role_first_used,
        signed_as: None,
    })];
    if let Some(item) = ctx.around.procedure.approval_item().filter(|_| effective) {
        let rows = opened.targets.iter().map(|target| {
            let input = format!("approval/{id}/grants");
            let expected = format!("at least {} independent approvers", approval.quorum);
            Row::ok("approval_quorum", target, input, expected, format!("{people} approvers"))
        });
        events.push(Decided::now(ItemJudged {
            item: item.number,
            assurance: Assurance::Verified,
            verdict: Verdict::of("approval_quorum", RULE_VERSION, rows.collect()),
            candidate: Some(approval.candidate),
            rests_on: None,
            valid_until: None,
            reopens: None,
        }));
    }
    Ok(events)
}

/// Who took part does not approve. Commits of the approver refuse under a strict procedure, and are shown
/// under a guided one.
pub fn people_against(independence: &[Row], ctx: &Context<'_>) -> Result<(), Refusal> {
    let strict = ctx.around.policy() == Policy::Strict;
    let against: Vec<_> =
        independence.iter().filter(|row| !row.ok && (strict || row.input != AUTHORS)).cloned().collect();
    if against.is_empty() {
        return Ok(());
    }
    let detail = format!("{} took part in what is approved", ctx.actor.id);
    Err(Refusal::new(RefusalCode::ApproverNotIndependent, detail).with_rows(against))
}

const AUTHORS: &str = "candidate/authors";

/// Not who asked, tagged or deployed. Whether the approver wrote a commit is known only as far as
/// authors and their keys are; the row then says that it is not established.
pub fn independence(
    release: &Release,
    (input, asked): (String, &ActorId),
    candidate: &Candidate,
    ctx: &Context<'_>,
) -> Vec<Row> {
    let me = &ctx.actor.id;
    let differs = |other: &ActorId| !ctx.around.people.same(other, me);
    let expected = || format!("not {me}");
    let not_me = |input: String, who: String, holds: bool| {
        if holds {
            Row::ok("independence", &whole(), input, expected(), who)
        } else {
            Row::failed("independence", &whole(), input, expected(), who, Cause::Mismatch)
        }
    };
    let mut rows = vec![
        not_me(input, asked.to_string(), differs(asked)),
        not_me(
            format!("candidate/{}/tagged_by", candidate.number),
            candidate.tagged_by.to_string(),
            differs(&candidate.tagged_by),
        ),
    ];
    for deployment in release.deployments.iter().filter(|d| d.candidate == Some(candidate.number)) {
        let input = format!("deployment/{}/started_by", deployment.deployment);
        rows.push(not_me(input, deployment.started_by.to_string(), differs(&deployment.started_by)));
    }
    let unknown = |observed: &str| {
        let expected = "no commit of the approver".to_owned();
        Row::failed("independence", &whole(), AUTHORS.into(), expected, observed.into(), Cause::Absent)
    };
    rows.push(match (&candidate.authors[..], &ctx.actor.author_keys[..]) {
        ([], _) => unknown("no authors are known"),
        (_, []) => unknown("the approver's author keys are not known"),
        (authors, keys) => {
            let wrote = authors.iter().filter(|author| keys.contains(author)).count();
            not_me(AUTHORS.into(), format!("{wrote} of {} authors", authors.len()), wrote == 0)
        }
    });
    rows
}

pub fn reject(release: &Release, id: Uuid, body: &RejectApproval, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::Approver])?;
    person(ctx)?;
    undecided(release, id)?;
    one(ApprovalRejected { request: id, reason: body.reason.clone(), signed_as: None })
}

/// By who asked or the release manager; one that was granted is revoked, because items rest on it.
pub fn withdraw(release: &Release, id: Uuid, body: &WithdrawApproval, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    let approval = known(release, id)?;
    if approval.requested_by != ctx.actor.id {
        role(ctx, &[Role::ReleaseManager])?;
    }
    match approval.status {
        ApprovalStatus::Requested => one(ApprovalWithdrawn { request: id, reason: body.reason.clone() }),
        ApprovalStatus::Granted { .. } => one(ApprovalRevoked {
            request: id,
            cause: RevocationCause::Withdrawn,
            rows: Vec::new(),
            reopened: resting_on(release, approval, &ctx.around.procedure),
            reason: Some(body.reason.clone()),
        }),
        _ => Err(decided(approval)),
    }
}

fn known(release: &Release, id: Uuid) -> Result<&Approval, Refusal> {
    release
        .approval(id)
        .ok_or_else(|| Refusal::new(RefusalCode::ApprovalUnknown, format!("no request for approval {id}")))
}

fn undecided(release: &Release, id: Uuid) -> Result<&Approval, Refusal> {
    let approval = known(release, id)?;
    match approval.status {
        ApprovalStatus::Requested => Ok(approval),
        _ => Err(decided(approval)),
    }
}

fn decided(approval: &Approval) -> Refusal {
    Refusal::new(
        RefusalCode::ApprovalDecided,
        format!("request {} is {}", approval.request, approval.status.as_str()),
    )
}
