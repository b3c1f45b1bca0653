//! What the release came to: the finished checklist, and the proof that the events alone give it.

use std::collections::BTreeMap;

use release::checklist::{checklist, summary};
use release::procedures::built_in;
use release::wire::sha256_hex;
use release::{EventData, Fact, Procedure, Release, ReleaseEvent, procedure};
use serde::Serialize;
use serde_json::Value;

use super::cast::{ROSA, name_of};
use super::facts::RELEASE;
use super::fold;
use super::stage::{Answer, DemoError, Played, Stage};

pub async fn check(stage: &mut Stage) -> Played {
    let facts = fold::history(stage, 200).await?;
    let again = fold::history(stage, 25).await?;
    // What time alone appends after this point is another state; all that follows is about this one.
    let revision = facts.len().saturating_sub(1).min(again.len().saturating_sub(1));
    let at = format!("?at_revision={revision}");
    let shown = stage.get(ROSA, &stage.path(&format!("checklist{at}"))).await?;
    let release = stage.get(ROSA, &format!("/v1/releases/{RELEASE}{at}")).await?;
    show_checklist(stage, &shown).await?;
    show_counts(stage, &facts)?;
    compare(stage, &facts[..=revision], &again[..=revision], &shown, &release)?;
    conclude(stage, &shown, &release)
}

async fn show_checklist(stage: &Stage, shown: &Answer) -> Played {
    let screen = stage.screen;
    screen.heading("The finished checklist")?;
    screen.blank()?;
    screen.say(&format!("{:<4} {:<50} {:<10} {:<5} {}", "", "item", "state", "rc", "by"))?;
    for step in shown.list("/steps")? {
        for item in step["items"].as_array().into_iter().flatten() {
            let text = |member: &str| item[member].as_str().unwrap_or_default();
            let (number, state) = (text("number"), state_of(item));
            let (candidate, people) = signed(stage, number, item).await?;
            let candidate = candidate.map_or_else(|| "-".to_owned(), |number| format!("rc.{number}"));
            screen.say(&format!("{number:<4} {:<50} {state:<10} {candidate:<5} {people}", text("name")))?;
        }
    }
    screen.blank()?;
    Ok(())
}

fn state_of(item: &Value) -> &str {
    match item["status"].as_str() {
        Some("satisfied") => item["assurance"].as_str().unwrap_or("satisfied"),
        Some("not_applicable") => "n/a",
        Some(other) => other,
        None => "unknown",
    }
}

/// On which candidate an item was closed, and by whom.
async fn signed(stage: &Stage, number: &str, item: &Value) -> Played<(Option<u64>, String)> {
    let under = match item["status"].as_str() {
        Some("waived") => format!("items/{number}/waivers"),
        _ if item["signatures"] == 0 => "approvals/requests".to_owned(),
        _ => format!("items/{number}"),
    };
    let answer = stage.get(ROSA, &stage.path(&under)).await?;
    // The last waiver or request is the one that holds.
    let last =
        |list: &str| answer.body[list].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    let (of, signatures, how) = match item["status"].as_str() {
        Some("waived") => (last("waivers"), "grants", " waived it"),
        _ if item["signatures"] == 0 => (last("requests"), "grants", " approved it"),
        _ => (answer.body.clone(), "attestations", ""),
    };
    let people: Vec<_> = of[signatures]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|signature| signature.pointer("/by/id").and_then(Value::as_str))
        .map(name_of)
        .collect();
    Ok((of["candidate"].as_u64(), format!("{}{how}", people.join(", "))))
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

/// Byte for byte: the events folded twice, and both answers of the API against the fold.
fn compare(
    stage: &Stage,
    facts: &[Fact<ReleaseEvent>],
    again: &[Fact<ReleaseEvent>],
    shown: &Answer,
    release: &Answer,
) -> Played {
    let (state, bytes) = fold::state(facts)?;
    let (_, second) = fold::state(again)?;
    same(stage, "the events, read and folded twice", &bytes, &second)?;
    let procedure = pinned(&state)?;
    let made = bytes_of(&checklist(&state, &procedure))?;
    same(stage, "the checklist of that fold and of the API", &made, &shown.bytes)?;
    let made = bytes_of(&summary(&state, &procedure, RELEASE))?;
    same(stage, "the release of that fold and of the API", &made, &release.bytes)
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
