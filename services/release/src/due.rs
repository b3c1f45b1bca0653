//! What time, or another stream, makes necessary. Pure: the server keeps the instants, and sends each
//! command as itself when its time has come.

use jiff::Timestamp;
use uuid::Uuid;

use crate::command::{Command, RevokeAuthorization};
use crate::decide::authorization::effective;
use crate::decide::deployment::is_latched;
use crate::decide::judgement::{self, is_counted_by_samples};
use crate::decide::monitoring::overrun_due;
use crate::decide::{Around, Snapshots, break_glass, rollback};
use crate::procedure::Procedure;
use crate::release::{ItemStatus, Life, Release, WaiverStatus};
use crate::value::Prose;

/// One thing to do, at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub at: Timestamp,
    /// Which rule asks for it: `waiver_expiry`.
    pub rule: &'static str,
    /// What it is about. With rule and instant it names this one occasion, so that several nodes may
    /// send it and one takes effect.
    pub cause: String,
    /// The event that set the instant. What an event made has that event's id, so most know it by name.
    pub set_by: Uuid,
    pub command: Command,
}

/// What has to be sent now, in the order of its time.
pub fn due(release: &Release, now: Timestamp, around: &Around) -> Vec<Due> {
    let mut due = schedule(release, &around.procedure, &around.snapshots);
    due.retain(|due| due.at <= now);
    due
}

/// When there is next something to do, as far as it is known now.
pub fn next_due(release: &Release, around: &Around) -> Option<Timestamp> {
    schedule(release, &around.procedure, &around.snapshots).first().map(|due| due.at)
}

/// Everything that time will make necessary unless something else happens first, soonest first.
pub fn schedule(release: &Release, procedure: &Procedure, snapshots: &Snapshots) -> Vec<Due> {
    let mut due = Vec::new();
    let mut add = |at: Timestamp, rule: &'static str, cause: String, set_by: Uuid, command: Command| {
        due.push(Due { at, rule, cause, set_by, command });
    };
    let ended = release.has_ended() || release.life == Life::NotOpened;
    if let Some(unsealed) = &release.unsealed {
        add(unsealed.since, "seal", format!("event:{}", unsealed.event), unsealed.event, Command::Seal);
    }
    for waiver in release.waivers.values().filter(|_| !ended) {
        let live = matches!(waiver.status, WaiverStatus::Requested | WaiverStatus::Granted { .. });
        if live && !is_latched(release, waiver.item, procedure) {
            let command = Command::ExpireWaiver { item: waiver.item, waiver: waiver.waiver };
            let cause = format!("waiver:{}", waiver.waiver);
            add(waiver.expires_at, "waiver_expiry", cause, waiver.waiver, command);
        }
    }
    for (number, state) in release.items.iter().filter(|_| !ended) {
        if let (Some(until), Some(judged)) = (state.valid_until, state.judged_in)
            && !is_latched(release, *number, procedure)
        {
            let command = Command::ExpireEvidence { item: *number };
            add(until, "evidence_expiry", format!("item:{number}:{until}"), judged, command);
        }
        let waived = matches!(state.status, ItemStatus::Waived { .. });
        if let Some(deferral) = state.deferred.as_ref().filter(|deferral| waived && !deferral.overdue) {
            let command = Command::MarkOverdue { item: *number };
            let cause = format!("waiver:{}:overdue", deferral.waiver);
            add(deferral.due_at, "deferral", cause, deferral.waiver, command);
        }
    }
    if let Some(window) = release.window.as_ref().filter(|window| window.closed_at.is_none() && !ended) {
        let span = window.span;
        add(span.to, "window_end", format!("window:{span}"), window.set_in, Command::CloseWindow);
    }
    for timer in release.running_timers().filter(|timer| !is_counted_by_samples(timer, procedure)) {
        let command = Command::ElapseTimer { timer: timer.timer };
        add(timer.elapses_at, "timer", format!("timer:{}", timer.timer), timer.timer, command);
    }
    if let Some((at, deployment)) = judgement::due(release, procedure) {
        let command = Command::JudgeDeployment { deployment };
        add(at, "telemetry_gap", format!("deployment:{deployment}"), deployment, command);
    }
    if let Some((at, authorization)) = break_glass::expiring(release).filter(|_| !ended) {
        let command = Command::ExpireAuthorization { authorization };
        add(at, "authorization_end", format!("authorization:{authorization}"), authorization, command);
    }
    for (at, authorization) in break_glass::unapproved(release) {
        let command = Command::MarkApprovalOverdue { authorization };
        add(
            at,
            "approval_overdue",
            format!("authorization:{authorization}:approval"),
            authorization,
            command,
        );
    }
    if let Some((at, deployment)) = overrun_due(release, procedure) {
        let command = Command::MarkMonitoringOverrun { deployment };
        add(at, "monitoring_overrun", format!("deployment:{deployment}:overrun"), deployment, command);
    }
    for (at, proposal) in rollback::undecided_due(release, procedure) {
        let command = Command::RollBackUndecided { proposal };
        add(at, "rollback_undecided", format!("proposal:{proposal}"), proposal, command);
    }
    for lease in release.held_leases().filter(|lease| lease.reminded_at.is_none()) {
        let command = Command::RemindLease { lease: lease.lease };
        let cause = format!("lease:{}", lease.lease);
        add(lease.remind_at, "lease_reminder", cause, lease.remind_set_by, command);
    }
    if let Some(given) = release.live_authorization().filter(|given| !ended && given.break_glass.is_none()) {
        let approval = effective(release);
        let named = |input: &str| approval.is_some_and(|a| a.rows.iter().any(|row| row.input == input));
        for freeze in &snapshots.freezes {
            let input = format!("freeze/{}", freeze.freeze);
            if freeze.span.to <= given.authorized_at || named(&input) {
                continue;
            }
            if let Ok(reason) = Prose::new("A freeze is in force that the approval does not name.") {
                let authorization = given.authorization;
                let command =
                    Command::RevokeAuthorization { authorization, body: RevokeAuthorization { reason } };
                let at = freeze.span.from.max(given.authorized_at);
                add(
                    at,
                    "freeze",
                    format!("freeze:{}:{authorization}", freeze.freeze),
                    freeze.freeze,
                    command,
                );
            }
        }
    }
    // On hold it stays on the agenda, so that the end of the hold is noticed.
    if let Some(keeping) = &snapshots.keeping
        && let Some((first, until)) = release.kept_until(keeping.months).min_by_key(|(_, until)| *until)
    {
        let at = if keeping.held.is_some() { Timestamp::MAX } else { keeping.over(until) };
        add(at, "retention", format!("retention:{until}"), first.stored_in, Command::RemoveAttachments);
    }
    due.sort_by(|one, other| one.at.cmp(&other.at).then_with(|| one.cause.cmp(&other.cause)));
    due
}
