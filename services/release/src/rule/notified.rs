//! 4.3, 5.1, 5.7 and 7.4: a message reached whom it concerns, when it concerned them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::notes_drafted::names;
use super::reading::Read;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, Notification, PublicationStatus, of};
use crate::procedure::Policy;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Notified {
    pub of: Occasion,
    /// How long before the start of the deployment it may be sent, and how long after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_s: Option<u32>,
}

/// What the message is about, which says who has to get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The window, to everybody who is on call in it.
    OnCall,
    /// The start of the deployment, to the team.
    Start,
    /// The end of the deployment, to the team.
    Completion,
    /// The published release, to every group of the product.
    Stakeholders,
}

impl Judge for Notified {
    fn reads(&self) -> Reads {
        let kind = Reads::of(&[EvidenceKind::Notification]);
        match self.of {
            Occasion::OnCall => kind.and(Reads::WINDOW).and(Reads::CANDIDATE),
            Occasion::Start | Occasion::Completion => kind.and(Reads::DEPLOYMENT),
            Occasion::Stakeholders => {
                kind.and(Reads::of(&[EvidenceKind::Publication])).and(Reads::ROLLBACK).and(Reads::DEPLOYMENT)
            }
        }
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        match self.of {
            Occasion::OnCall => on_call(reading, findings),
            Occasion::Start => self.start(reading, findings),
            Occasion::Completion => completion(reading, findings),
            Occasion::Stakeholders => stakeholders(reading, findings),
        }
    }
}

fn received(message: &Read<'_, Notification>, findings: &mut Findings) {
    findings.rest_on(message.evidence);
    let count = message.recipients.len();
    findings.row(message.at("recipients"), count > 0, Cause::Empty, "at least one", count.to_string());
}

fn none(reading: &Reading<'_>, findings: &mut Findings, expected: &str) {
    findings.no_evidence(reading.number(), EvidenceKind::Notification, expected);
}

fn on_call(reading: &Reading<'_>, findings: &mut Findings) {
    let Some(window) = reading.release.open_window() else {
        return findings.absent("window", "the window that the message names");
    };
    let Some(message) = reading.latest(of::Notification) else {
        return none(reading, findings, "a message to everybody on call");
    };
    received(&message, findings);
    let before = message.sent_at < window.from;
    findings.row(
        message.at("sent_at"),
        before,
        Cause::Value,
        format!("before {}", window.from),
        message.sent_at.to_string(),
    );
    // A message about an earlier window says nothing about this one.
    let set_at = reading.release.window.as_ref().map_or(window.from, |window| window.set_at);
    let about_it = message.sent_at >= set_at;
    findings.row(
        message.at("sent_at"),
        about_it,
        Cause::Stale,
        format!("not before the window was set at {set_at}"),
        message.sent_at.to_string(),
    );
    let runbook = message.runbook.as_ref();
    findings.checked(message.at("runbook"), runbook, Cause::Value, "the runbook", |_| true);
    let mentions = message.mentions.as_deref();
    // Whoever reaffirms it for a later candidate need not send it again.
    let tags = reading.release.candidates.iter().map(|candidate| candidate.tag.as_str());
    let named =
        tags.rev().find(|tag| mentions.is_some_and(|mentions| mentions.iter().any(|m| m.as_str() == *tag)));
    let current = reading.candidate().map(|candidate| candidate.tag.as_str()).unwrap_or_default();
    names(findings, &message.at("mentions"), mentions, named.unwrap_or(current));
    names(findings, &message.at("mentions"), mentions, &window.from.to_string());
    let acknowledged = message.acknowledgements.as_deref().unwrap_or_default();
    let Some(on_call) = message.on_call.as_deref().filter(|on_call| !on_call.is_empty()) else {
        return findings.absent(message.at("on_call"), "who is on call in the window");
    };
    for person in on_call {
        let got = message.recipients.contains(person);
        let observed = if got { "a receipt" } else { "no receipt" };
        findings.row(
            message.at(format_args!("recipients/{person}")),
            got,
            Cause::Value,
            "a receipt",
            observed,
        );
        // Everybody acknowledges under a strict procedure, the primary always.
        let primary = on_call.first() == Some(person);
        if primary || reading.policy == Policy::Strict {
            let said = acknowledged.iter().find(|said| said.person == *person).map(|said| said.at);
            let input = message.at(format_args!("acknowledgements/{person}"));
            findings.checked(input, said, Cause::Value, format!("before {}", window.from), |at| {
                *at < window.from
            });
        }
    }
}

impl Notified {
    fn start(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(started) = reading.release.in_production().map(|deployment| deployment.started_at) else {
            return findings.absent("deployment/started_at", "a deployment to production");
        };
        let from = started - SignedDuration::from_secs(self.before_s.unwrap_or(0).into());
        let to = started + SignedDuration::from_secs(self.after_s.unwrap_or(0).into());
        let mut messages = reading.all(of::Notification);
        let near = messages.iter().rposition(|message| (from..=to).contains(&message.sent_at));
        let message = near.map(|at| messages.swap_remove(at)).or_else(|| messages.pop());
        let Some(message) = message else { return none(reading, findings, "a message to the team") };
        received(&message, findings);
        let sent: Timestamp = message.sent_at;
        let holds = (from..=to).contains(&sent);
        let cause = if sent < from { Cause::Stale } else { Cause::Value };
        findings.row(message.at("sent_at"), holds, cause, format!("{from} to {to}"), sent.to_string());
    }
}

fn completion(reading: &Reading<'_>, findings: &mut Findings) {
    let Some((_, done)) = reading.full_rollout() else {
        return findings.absent("deployment/finished_at", "a deployment that succeeded");
    };
    let mut messages = reading.all(of::Notification);
    let after = messages.iter().rposition(|message| message.sent_at >= done);
    let message = after.map(|at| messages.swap_remove(at)).or_else(|| messages.pop());
    let Some(message) = message else { return none(reading, findings, "a message to the team") };
    received(&message, findings);
    let sent = message.sent_at;
    findings.row(
        message.at("sent_at"),
        sent >= done,
        Cause::Stale,
        format!("not before {done}"),
        sent.to_string(),
    );
    let version = reading.version().map(ToString::to_string).unwrap_or_default();
    names(findings, &message.at("mentions"), message.mentions.as_deref(), &version);
    if let Some(timer) = reading.release.timers.last() {
        names(findings, &message.at("mentions"), message.mentions.as_deref(), &timer.elapses_at.to_string());
    }
}

fn stakeholders(reading: &Reading<'_>, findings: &mut Findings) {
    // After a rollback they are told of that, not of the release.
    let corrected = reading.release.rollbacks.last().map(|rollback| rollback.started_at);
    let is_notes = |rule: &super::Rule| matches!(rule, super::Rule::NotesPublished(_));
    let published = reading.item_of(is_notes).and_then(|item| reading.of_item(item).latest(of::Publication));
    let published = published.filter(|published| published.status == PublicationStatus::Published);
    let since = corrected.or_else(|| published.map(|p| p.published_at.unwrap_or(p.occurred_at())));
    let Some(since) = since else {
        return findings.absent("publication", "the published release notes");
    };
    let messages = reading.all(of::Notification);
    let groups = &reading.settings.notification_groups;
    let to = |message: &Read<'_, Notification>, group: &str| {
        message.audience.as_ref().is_some_and(|audience| audience.as_str() == group)
            || message.recipients.iter().any(|recipient| recipient.as_str() == group)
    };
    let mut wanted: Vec<Option<&str>> = groups.iter().map(|group| Some(group.name.as_str())).collect();
    if wanted.is_empty() {
        wanted.push(None);
    }
    for group in wanted {
        let mut sent = messages.iter().filter(|message| group.is_none_or(|group| to(message, group)));
        let Some(message) = sent.next_back() else {
            let group = group.map(|group| format!("/{group}")).unwrap_or_default();
            findings.absent(format!("item/{}/evidence/notification{group}", reading.number()), "a receipt");
            continue;
        };
        received(message, findings);
        let expected = format!("not before {since}");
        findings.row(
            message.at("sent_at"),
            message.sent_at >= since,
            Cause::Stale,
            expected,
            message.sent_at.to_string(),
        );
    }
}
