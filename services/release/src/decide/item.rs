//! Signing items: attest, reaffirm, retract, not applicable, assign and claim.

use uuid::Uuid;

use super::deployment::is_latched;
use super::judge::reading;
use super::{
    Context, Decided, Decision, ahead, current_candidate, evidence, fold_ahead, gate_open, has_room, item_of,
    moving, not_ended, not_held, one, person, refuse, role, roles_of, takes_facts,
};
use crate::actor::{ActorKind, Role};
use crate::command::{AssignItem, AttestItem, MarkNotApplicable, ReaffirmItem, RetractItem};
use crate::event::{
    Assurance, Input, ItemAssigned, ItemAttested, ItemClaimed, ItemMarkedNotApplicable,
    ItemNotApplicableProposed, ItemReaffirmed, ItemRetracted, Outcome, ReleaseEvent, ReleaseOpened,
};
use crate::evidence::{EvidenceKind, Subject};
use crate::guard::{failed, second_person};
use crate::procedure::{CandidateEffect, Item, NotApplicableProof, Policy, Rule};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Attestation, ItemStatus, Release};
use crate::rule;
use crate::value::ItemNumber;
use crate::verdict::{Cause, Row, Verdict};

/// The version of the attestation rule that recorded verdicts name.
const RULE_VERSION: u32 = 1;

pub fn attest(release: &Release, number: ItemNumber, body: &AttestItem, ctx: &Context<'_>) -> Decision {
    let opened = takes_facts(release, &[number], ctx)?;
    not_held(release)?;
    has_room(release)?;
    let item = item_of(ctx, number)?;
    role(ctx, &roles_of(item))?;
    if item.rule == Rule::Approval {
        return refuse(
            RefusalCode::ItemNotAttestable,
            format!("item {number} closes by {}", item.rule.as_str()),
        );
    }
    let deferred = release.items.get(&number).is_some_and(|state| state.deferred.is_some());
    let put_off = deferred && matches!(release.status(number), ItemStatus::Waived { .. });
    if release.status(number).is_closed() && !put_off {
        return refuse(
            RefusalCode::ItemClosed,
            format!("item {number} is {}", release.status(number).as_str()),
        );
    }
    if matches!(release.status(number), ItemStatus::Failed { .. }) {
        return refuse(RefusalCode::ItemFailed, format!("item {number} has failed"));
    }
    let provable = item.machine && (item.is_judged() || item.roles.contains(&Role::Machine)) && !item.signed;
    let stands_in = item.is_judged() && body.manual_fallback.is_some();
    if ctx.around.policy() == Policy::Strict && provable && ctx.actor.is_person() && !stands_in {
        return Err(machine_required(number));
    }
    gate_open(release, item, ctx)?;
    let candidate = bound_to(release, item, ctx)?;
    let signed = signatures(release, number);
    not_signed(signed, number, ctx)?;

    let mut events = Vec::with_capacity(body.new_evidence.len() + 1);
    let mut cited = Vec::with_capacity(body.evidence.len() + body.new_evidence.len());
    for id in &body.evidence {
        usable(release, item, *id, candidate, ctx)?;
        if !cited.iter().any(|(known, _)| known == id) {
            cited.push((*id, release.evidence.get(id).map(|evidence| evidence.kind())));
        }
    }
    for new in &body.new_evidence {
        evidence::accepts(item, new)?;
        let id = (ctx.event_id)(events.len());
        events.push(evidence::recorded(release, vec![number], new, id, ctx)?);
        cited.push((id, Some(new.facts.kind())));
    }
    let verdict = judge(opened, item, &cited, signed, ctx);
    let attested = ItemAttested {
        item: number,
        evidence: cited.into_iter().map(|(id, _)| id).collect(),
        assurance: Assurance::Attested,
        verdict,
        candidate,
        statement: body.statement.clone(),
        inputs: read_people(signed, ctx),
        manual_fallback: body.manual_fallback.clone(),
        signed_as: None,
    };
    if item.is_judged() {
        return attest_facts(release, item, events, attested, ctx);
    }
    if attested.evidence.is_empty() {
        return Err(evidence_required(item));
    }
    events.push(Decided::<ReleaseEvent>::now(attested));
    Ok(events)
}

fn machine_required(number: ItemNumber) -> Refusal {
    let code = RefusalCode::MachineRequired;
    let expected = "a machine that reports the facts, or two people with manual_fallback";
    let row = failed(code.as_str(), "actor/kind", expected, ActorKind::Person.as_str(), Cause::Mismatch);
    Refusal::new(code, format!("item {number} takes a machine's word")).with_rows(vec![row])
}

/// What a person attests of judged facts: the rules speak first. A row that says otherwise refuses the
/// signature; what is absent stays open, unless the person's word may stand in for it.
fn attest_facts(
    release: &Release,
    item: &Item,
    mut events: Vec<Decided<ReleaseEvent>>,
    mut attested: ItemAttested,
    ctx: &Context<'_>,
) -> Decision {
    attested.verdict.satisfied = false;
    let mut after = ahead(release, &events, ctx);
    if attested.evidence.is_empty() {
        attested.evidence = rule::facts(&reading(&after, item, ctx)).rests_on;
    }
    if attested.evidence.is_empty() {
        return Err(evidence_required(item));
    }
    let at = events.len();
    events.push(Decided::now(attested.clone()));
    fold_ahead(&mut after, &events, at, ctx);
    let outcome = rule::judge(&reading(&after, item, ctx));
    contradicted(item, &outcome.verdict)?;
    attested.verdict = outcome.verdict;
    attested.assurance = outcome.assurance;
    if let Some(signature) = events.last_mut() {
        signature.event = attested.into();
    }
    Ok(events)
}

/// Facts that are there and say otherwise are not attested away.
fn contradicted(item: &Item, verdict: &Verdict) -> Result<(), Refusal> {
    let against: Vec<_> =
        verdict.rows.iter().filter(|row| !row.ok && row.cause != Some(Cause::Absent)).cloned().collect();
    if against.is_empty() {
        return Ok(());
    }
    let detail = format!("{} facts of item {} say otherwise", against.len(), item.number);
    Err(Refusal::new(RefusalCode::RuleNotSatisfied, detail).with_rows(against))
}

/// What the attestation rule reads: evidence of a listed kind, and the second signature where the
/// procedure asks for one. One row per target and input.
fn judge(
    opened: &ReleaseOpened,
    item: &Item,
    cited: &[(Uuid, Option<EvidenceKind>)],
    signed: &[Attestation],
    ctx: &Context<'_>,
) -> Verdict {
    let kinds = item.evidence.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let mut rows = Vec::new();
    for target in &opened.targets {
        for (id, kind) in cited {
            let observed = kind.map_or("none", EvidenceKind::as_str).to_owned();
            rows.push(Row::ok(
                "evidence_kind",
                target,
                format!("evidence/{id}"),
                format!("any of: {kinds}"),
                observed,
            ));
        }
        if !item.second.is_empty() {
            rows.push(second_signature(item, target, signed, ctx));
        }
    }
    Verdict::of("attestation", RULE_VERSION, rows)
}

/// Two different people, one in a listed role and the other in a role of the second signature,
/// whichever signs first.
fn second_signature(
    item: &Item,
    target: &crate::value::Name,
    signed: &[Attestation],
    ctx: &Context<'_>,
) -> Row {
    let input = format!("item/{}/attestations", item.number);
    let names = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ");
    let expected =
        format!("signatures of {} and, by another person, {}", names(&item.roles), names(&item.second));
    let first = |roles: &[Role]| roles.iter().any(|role| item.roles.contains(role));
    let second = |roles: &[Role]| roles.iter().any(|role| item.second.contains(role));
    let own = &ctx.actor.roles;
    let complete = signed.iter().any(|earlier| {
        let theirs = &earlier.by.roles;
        let people = ctx.actor.is_person() && earlier.by.kind == ActorKind::Person;
        people && ((first(own) && second(theirs)) || (second(own) && first(theirs)))
    });
    let observed = format!("{} signatures", signed.len() + 1);
    if complete {
        Row::ok("second_signature", target, input, expected, observed)
    } else {
        Row::failed("second_signature", target, input, expected, observed, Cause::Absent)
    }
}

/// Nor by another identity of the same person.
fn not_signed(signed: &[Attestation], number: ItemNumber, ctx: &Context<'_>) -> Result<(), Refusal> {
    match signed.iter().find(|signature| ctx.around.people.same(&signature.by.id, &ctx.actor.id)) {
        Some(signature) => {
            refuse(RefusalCode::AlreadySigned, format!("{} signed item {number} before", signature.by.id))
        }
        None => Ok(()),
    }
}

/// The directory matters once there is a signature to compare with.
fn read_people(signed: &[Attestation], ctx: &Context<'_>) -> Option<Vec<Input>> {
    ctx.around.people.inputs().filter(|_| !signed.is_empty())
}

fn signatures(release: &Release, number: ItemNumber) -> &[Attestation] {
    release.items.get(&number).map_or(&[], |state| &state.attestations)
}

/// The candidate the signature binds; items that no candidate touches bind none.
fn bound_to(release: &Release, item: &Item, ctx: &Context<'_>) -> Result<Option<u32>, Refusal> {
    if item.on_new_candidate == CandidateEffect::Unaffected {
        return Ok(release.current_candidate().map(|candidate| candidate.number));
    }
    let procedure = &ctx.around.procedure;
    let ends = !procedure.is_before_go(item.number) && !procedure.is_about_deployment(item.number);
    let over = release.outcome == Some(Outcome::RolledBack) || release.ended_early();
    if ends && over && release.current_candidate().is_none() {
        // What ends a release that went back is about the candidate that was taken back.
        return Ok(release.candidates.last().map(|candidate| candidate.number));
    }
    let candidate = current_candidate(release)?;
    if item.needs_bound_candidate && !candidate.is_bound() {
        return refuse(
            RefusalCode::CandidateNotBound,
            format!("no artifacts are bound to {} yet", candidate.tag),
        );
    }
    Ok(Some(candidate.number))
}

fn usable(
    release: &Release,
    item: &Item,
    id: Uuid,
    candidate: Option<u32>,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    let Some(evidence) = release.evidence.get(&id) else {
        return refuse(RefusalCode::EvidenceUnknown, format!("no evidence {id}"));
    };
    if let Some(retraction) = &evidence.retracted {
        return refuse(RefusalCode::EvidenceRetracted, format!("{id} was retracted at {}", retraction.at));
    }
    if !item.evidence.contains(&evidence.kind()) {
        return refuse(
            RefusalCode::EvidenceKindNotAccepted,
            format!("item {} does not take {}", item.number, evidence.kind().as_str()),
        );
    }
    let reading = reading(release, item, ctx);
    if reading.is_about_lost_staging(evidence) {
        let detail = format!("{id} was seen on staging before an emergency took that");
        return refuse(RefusalCode::EvidenceStale, detail);
    }
    let about_old_candidate = match evidence.recorded.subject {
        Subject::Candidate { number } => Some(number) != candidate,
        // What needs new evidence for each candidate does not take what was known before it.
        _ if item.on_new_candidate == CandidateEffect::Stale => candidate
            .and_then(|number| release.candidate(number))
            .is_some_and(|candidate| !evidence.is_since(candidate)),
        _ => false,
    };
    let affected = item.on_new_candidate != CandidateEffect::Unaffected;
    if about_old_candidate && affected && !reading.is_about_unchanged_target(evidence) {
        return Err(Refusal::new(
            RefusalCode::EvidenceStale,
            format!("{id} is not about the current candidate"),
        )
        .with_rows(vec![Row::failed(
            "evidence_subject",
            &super::whole(),
            format!("evidence/{id}/subject"),
            candidate.map_or_else(|| "release".to_owned(), |number| format!("candidate {number}")),
            match evidence.recorded.subject {
                Subject::Candidate { number } => format!("candidate {number}"),
                _ => "release".to_owned(),
            },
            Cause::Stale,
        )]));
    }
    Ok(())
}

fn evidence_required(item: &Item) -> Refusal {
    let kinds = item.evidence.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    Refusal::new(
        RefusalCode::EvidenceRequired,
        format!("item {} needs evidence of any of: {kinds}", item.number),
    )
    .with_rows(vec![Row::failed(
        "evidence_kind",
        &super::whole(),
        format!("item/{}/evidence", item.number),
        format!("any of: {kinds}"),
        "none".into(),
        Cause::Absent,
    )])
}

/// A person confirms for the new candidate what an earlier candidate closed.
pub fn reaffirm(release: &Release, number: ItemNumber, body: &ReaffirmItem, ctx: &Context<'_>) -> Decision {
    let opened = moving(release)?;
    let item = item_of(ctx, number)?;
    role(ctx, &roles_of(item))?;
    person(ctx)?;
    if !matches!(release.status(number), ItemStatus::Stale { reaffirmable: true, .. }) {
        return refuse(
            RefusalCode::ItemNotReaffirmable,
            format!("item {number} is {}", release.status(number).as_str()),
        );
    }
    gate_open(release, item, ctx)?;
    let candidate = current_candidate(release)?;
    if item.needs_bound_candidate && !candidate.is_bound() {
        return refuse(
            RefusalCode::CandidateNotBound,
            format!("no artifacts are bound to {}", candidate.tag),
        );
    }
    let signed = signatures(release, number);
    not_signed(signed, number, ctx)?;
    if item.is_judged() {
        return reaffirm_facts(release, item, candidate.number, body, ctx);
    }
    let rows = opened
        .targets
        .iter()
        .flat_map(|target| {
            let reaffirmed = Row::ok(
                "reaffirmation",
                target,
                format!("item/{number}"),
                format!("a person's word for candidate {}", candidate.number),
                format!("given by {}", ctx.actor.id),
            );
            let second = (!item.second.is_empty()).then(|| second_signature(item, target, signed, ctx));
            std::iter::once(reaffirmed).chain(second)
        })
        .collect();
    one(ItemReaffirmed {
        item: number,
        candidate: candidate.number,
        verdict: Verdict::of("attestation", RULE_VERSION, rows),
        statement: body.statement.clone(),
        inputs: read_people(signed, ctx),
        signed_as: None,
    })
}

/// The facts the item rested on have to hold for the new candidate too.
fn reaffirm_facts(
    release: &Release,
    item: &Item,
    candidate: u32,
    body: &ReaffirmItem,
    ctx: &Context<'_>,
) -> Decision {
    let verdict = Verdict { rule: String::new(), rule_version: 0, satisfied: false, rows: Vec::new() };
    let statement = body.statement.clone();
    let inputs = read_people(signatures(release, item.number), ctx);
    let mut reaffirmed =
        ItemReaffirmed { item: item.number, candidate, verdict, statement, inputs, signed_as: None };
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(reaffirmed.clone())];
    let after = ahead(release, &events, ctx);
    let outcome = rule::judge(&reading(&after, item, ctx));
    contradicted(item, &outcome.verdict)?;
    reaffirmed.verdict = outcome.verdict;
    events = vec![Decided::now(reaffirmed)];
    Ok(events)
}

/// By a signatory or the release manager.
pub fn retract(release: &Release, number: ItemNumber, body: &RetractItem, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    item_of(ctx, number)?;
    let signed = signatures(release, number);
    if !signed.iter().any(|signature| signature.by.id == ctx.actor.id) {
        role(ctx, &[Role::ReleaseManager])?;
    }
    let signed_off = match release.status(number) {
        ItemStatus::NotApplicable { .. } => true,
        ItemStatus::Waived { .. } => false,
        _ => !signed.is_empty(),
    };
    if is_latched(release, number, &ctx.around.procedure) {
        return refuse(RefusalCode::ItemLatched, format!("a deployment rests on item {number}"));
    }
    if !signed_off {
        return refuse(
            RefusalCode::ItemNotAttested,
            format!("item {number} is {}", release.status(number).as_str()),
        );
    }
    one(ItemRetracted { item: number, reason: body.reason.clone() })
}

/// A machine shows it by evidence, at once; a person proposes it for a second person to confirm.
pub fn mark_not_applicable(
    release: &Release,
    number: ItemNumber,
    body: &MarkNotApplicable,
    ctx: &Context<'_>,
) -> Decision {
    moving(release)?;
    let item = item_of(ctx, number)?;
    if release.status(number).is_closed() {
        return refuse(
            RefusalCode::ItemClosed,
            format!("item {number} is {}", release.status(number).as_str()),
        );
    }
    let allowed = |proof: NotApplicableProof| {
        if item.not_applicable.contains(&proof) {
            return Ok(());
        }
        refuse(RefusalCode::NotApplicableNotAllowed, format!("item {number} does not allow it"))
    };
    if ctx.actor.kind == ActorKind::Machine {
        allowed(NotApplicableProof::Machine)?;
        role(ctx, &[Role::Machine])?;
        gate_open(release, item, ctx)?;
        let candidate = release.current_candidate().map(|candidate| candidate.number);
        for id in &body.evidence {
            usable(release, item, *id, candidate, ctx)?;
        }
        if item.is_judged() {
            let proof = rule::not_applicable(&reading(release, item, ctx));
            let rows: Vec<_> = proof.map(|proof| proof.rows).unwrap_or_default();
            let against: Vec<_> = rows.iter().filter(|row| !row.ok).cloned().collect();
            if rows.is_empty() || !against.is_empty() {
                let detail = format!("nothing shows that item {number} does not apply");
                return Err(Refusal::new(RefusalCode::RuleNotSatisfied, detail).with_rows(against));
            }
        } else if body.evidence.is_empty() {
            return Err(evidence_required(item));
        }
        return one(ItemMarkedNotApplicable {
            item: number,
            proof: NotApplicableProof::Machine,
            evidence: body.evidence.to_vec(),
            justification: body.justification.clone(),
            proposed_by: None,
            inputs: None,
            signed_as: None,
        });
    }
    allowed(NotApplicableProof::Justification)?;
    role(ctx, &roles_of(item))?;
    let Some(justification) = &body.justification else {
        return refuse(RefusalCode::NotApplicableNotAllowed, "a person gives a justification");
    };
    one(ItemNotApplicableProposed { item: number, justification: justification.clone() })
}

pub fn confirm_not_applicable(release: &Release, number: ItemNumber, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    let item = item_of(ctx, number)?;
    role(ctx, &roles_of(item))?;
    person(ctx)?;
    let Some(proposed) = release.items.get(&number).and_then(|state| state.proposed.as_ref()) else {
        return refuse(RefusalCode::NotApplicableNotProposed, format!("item {number} has no proposal"));
    };
    if ctx.around.people.same(&proposed.by, &ctx.actor.id) {
        return Err(second_person(ctx, &proposed.by, "proposed it"));
    }
    if release.status(number).is_closed() {
        return refuse(
            RefusalCode::ItemClosed,
            format!("item {number} is {}", release.status(number).as_str()),
        );
    }
    gate_open(release, item, ctx)?;
    one(ItemMarkedNotApplicable {
        item: number,
        proof: NotApplicableProof::Justification,
        evidence: Vec::new(),
        justification: Some(proposed.justification.clone()),
        proposed_by: Some(proposed.by.clone()),
        inputs: ctx.around.people.inputs(),
        signed_as: None,
    })
}

pub fn assign(release: &Release, number: ItemNumber, body: &AssignItem, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    item_of(ctx, number)?;
    role(ctx, &[Role::ReleaseManager])?;
    one(ItemAssigned { item: number, to: body.to.clone(), due_at: body.due_at })
}

pub fn claim(release: &Release, number: ItemNumber, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    let item = item_of(ctx, number)?;
    role(ctx, &roles_of(item))?;
    person(ctx)?;
    if release.items.get(&number).is_some_and(|state| state.assignee.as_ref() == Some(&ctx.actor.id)) {
        return refuse(RefusalCode::NothingChanged, format!("{} has item {number}", ctx.actor.id));
    }
    one(ItemClaimed { item: number })
}
