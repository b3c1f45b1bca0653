//! What the release came to: the finished checklist, and the proof that the events alone give it.

use std::collections::{BTreeMap, BTreeSet};

use eventlog::header::hex;
use eventlog::tree::{Hash, root_of};
use release::checklist::{checklist, summary};
use release::event::Assurance;
use release::procedures::built_in;
use release::release::{ItemStatus, Seal};
use release::value::ItemNumber;
use release::wire::sha256_hex;
use release::{EventData, Fact, Procedure, Release, ReleaseEvent, procedure};
use serde::Serialize;
use serde_json::Value;

use super::cast::{ROSA, name_of};
use super::facts::RELEASE;
use super::fold::{self, History};
use super::stage::{Answer, DemoError, Played, Stage};

/// The item that closes by the quorum of approvals.
const APPROVAL: &str = "4.4";

pub async fn check(stage: &mut Stage) -> Played {
    let History { facts, leaves } = fold::history(stage, 200).await?;
    let again = fold::history(stage, 25).await?.facts;
    // What time alone appends after this point is another state; all that follows is about this one.
    let revision = facts.len().saturating_sub(1).min(again.len().saturating_sub(1));
    let at = format!("?at_revision={revision}");
    let shown = stage.get(ROSA, &stage.path(&format!("checklist{at}"))).await?;
    let release = stage.get(ROSA, &format!("/v1/releases/{RELEASE}{at}")).await?;
    let (state, bytes) = fold::state(&facts[..=revision])?;
    let (_, second) = fold::state(&again[..=revision])?;
    show_checklist(stage, &state, &shown)?;
    show_counts(stage, &facts)?;
    same(stage, "the events, read and folded twice", &bytes, &second)?;
    compare(stage, &state, &shown, &release)?;
    show_seal(stage, &state, &leaves)?;
    conclude(stage, &shown, &release)
}

fn show_checklist(stage: &Stage, state: &Release, shown: &Answer) -> Played {
    let screen = stage.screen;
    screen.heading("The finished checklist")?;
    screen.blank()?;
    screen.say(&format!("{:<4} {:<54}  {:<10} {:<5} {}", "", "item", "state", "rc", "by"))?;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for item in items(shown)? {
        let text = |member: &str| item[member].as_str().unwrap_or_default();
        let (number, closed_as) = (text("number"), state_of(item));
        let candidate =
            item["candidate"].as_u64().map_or_else(|| "-".to_owned(), |number| format!("rc.{number}"));
        let people = closed_by(state, number);
        screen.say(&format!("{number:<4} {:<54}  {closed_as:<10} {candidate:<5} {people}", text("name")))?;
        *counts.entry(closed_as).or_default() += 1;
    }
    screen.blank()?;
    let of = |closed_as: &str| counts.get(closed_as).copied().unwrap_or(0);
    screen.say(&format!("{} verified: machines reported the facts and the rules held.", of("verified")))?;
    screen.say(&format!("{} attested: people put their names to them.", of("attested")))?;
    Ok(screen.blank()?)
}

fn items(checklist: &Answer) -> Played<Vec<&Value>> {
    let steps = checklist.list("/steps")?;
    Ok(steps.iter().flat_map(|step| step["items"].as_array().into_iter().flatten()).collect())
}

fn state_of(item: &Value) -> &str {
    match item["status"].as_str() {
        Some("satisfied") => item["assurance"].as_str().unwrap_or("satisfied"),
        Some("not_applicable") => "n/a",
        Some(other) => other,
        None => "unknown",
    }
}

/// Who signed it, or whose reports it rests on.
fn closed_by(state: &Release, number: &str) -> String {
    let Some(item) = number.parse().ok().and_then(|number: ItemNumber| state.items.get(&number)) else {
        return String::new();
    };
    let signed = item.attestations.iter().map(|signature| &signature.by.id);
    let reported =
        item.rests_on.iter().filter_map(|id| state.evidence.get(id)).map(|evidence| &evidence.by.id);
    let approved = state.approvals.last().into_iter().flat_map(|approval| &approval.grants);
    let by: BTreeSet<_> = match &item.status {
        ItemStatus::Satisfied { assurance: Assurance::Attested, .. } => signed.collect(),
        _ if number == APPROVAL => approved.map(|grant| &grant.by.id).collect(),
        _ => reported.collect(),
    };
    let names: Vec<_> = by.into_iter().map(|id| name_of(id.as_str())).collect();
    if names.is_empty() { "what the log holds".to_owned() } else { names.join(", ") }
}

fn show_counts(stage: &Stage, facts: &[Fact<ReleaseEvent>]) -> Played {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for fact in facts {
        *counts.entry(fact.event.event_type()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let listed: Vec<_> = counts.iter().map(|(name, count)| format!("{count}\u{a0}{name}")).collect();
    stage.screen.say(&format!("{} events:", facts.len()))?;
    stage.screen.wrapped(&listed.join(", "))?;
    Ok(stage.screen.blank()?)
}

/// Byte for byte: both answers of the API against the fold.
fn compare(stage: &Stage, state: &Release, shown: &Answer, release: &Answer) -> Played {
    let procedure = pinned(state)?;
    let made = bytes_of(&checklist(state, &procedure))?;
    same(stage, "the checklist of that fold and of the API", &made, &shown.bytes)?;
    let made = bytes_of(&summary(state, &procedure, RELEASE))?;
    same(stage, "the release of that fold and of the API", &made, &release.bytes)
}

/// The seal that came with the closing, against the leaves as they were served.
fn show_seal(stage: &Stage, state: &Release, leaves: &[Hash]) -> Played {
    let missing = || DemoError::Check("the release is closed and not sealed".to_owned());
    let Seal { count, root, revision } = state.sealed.as_ref().ok_or_else(missing)?;
    let covered = usize::try_from(*count).ok().and_then(|count| leaves.get(..count)).ok_or_else(missing)?;
    let made = hex(&root_of(covered.iter().copied()).0);
    same(stage, "the root of those events and of the seal", made.as_bytes(), root.as_str().as_bytes())?;
    let seal = format!("sealed at revision {revision}: {count} events with the root {:.12}", root.as_str());
    Ok(stage.screen.good(&seal)?)
}

/// The procedure that the release is pinned to, by number and hash.
fn pinned(state: &Release) -> Played<Procedure> {
    let pin = state.opened.as_ref().map(|opened| &opened.procedure);
    let bytes = pin.and_then(|pin| built_in(pin.version).filter(|bytes| procedure::hash(bytes) == pin.hash));
    let missing = || DemoError::Check("the release is not pinned to a built-in procedure".to_owned());
    Ok(serde_json::from_slice(bytes.ok_or_else(missing)?)?)
}

fn bytes_of(view: &Option<impl Serialize>) -> Played<Vec<u8>> {
    match view {
        Some(view) => Ok(serde_json::to_vec(view)?),
        None => Err(DemoError::Check("the events open no release".to_owned())),
    }
}

fn same(stage: &Stage, what: &str, one: &[u8], other: &[u8]) -> Played {
    if one == other {
        let hash = sha256_hex(one).to_string();
        return Ok(stage.screen.good(&format!("equal: {what} ({} bytes, sha256 {hash:.12})", one.len()))?);
    }
    let differ = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    stage.screen.bad(&format!("different: {what}"))?;
    let (left, right) = (one.len(), other.len());
    Err(DemoError::Check(format!("{what} differ from byte {differ} on ({left} and {right} bytes)")))
}

fn conclude(stage: &Stage, shown: &Answer, release: &Answer) -> Played {
    let (closed, total) = (shown.number("/closed")?, shown.number("/total")?);
    let life = release.text("/life/state")?;
    let verdict = format!("{closed} of {total}: release {RELEASE} is {life}");
    if closed == total && total == 49 && life == "closed" {
        stage.screen.blank()?;
        return Ok(stage.screen.good(&verdict)?);
    }
    Err(DemoError::Check(verdict))
}
