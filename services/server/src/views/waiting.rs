//! What a release waits for, and whose move it is.

use jiff::Timestamp;
use release::checklist::{Summary, roll_call};
use release::event::Answer;
use release::procedure::{Item, WaiverCode};
use release::release::{ApprovalStatus, ItemStatus, Life, WaiverStatus};
use release::value::{ActorId, ItemNumber};
use release::{Procedure, Release, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// An open item of the step that the release is in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Blocking {
    pub item: ItemNumber,
    #[schema(max_length = 200)]
    pub name: String,
    /// `pending`, `stale` or `failed`.
    #[schema(max_length = 20)]
    pub status: String,
}

/// One thing to do, and the roles that can do it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// The operation to call: `attestItem`, `approve`.
    #[schema(max_length = 64)]
    pub operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemNumber>,
    /// The name of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// The waiver, request or proposal to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Uuid>,
    #[schema(max_items = 12)]
    pub roles: Vec<Role>,
    /// Whom the item is assigned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<ActorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

impl Waiting {
    fn for_roles(operation: &str, roles: &[Role]) -> Self {
        Self {
            operation: operation.to_owned(),
            item: None,
            name: None,
            subject: None,
            roles: roles.to_vec(),
            assignee: None,
            due_at: None,
        }
    }
}

pub(super) fn blocking(release: &Release, procedure: &Procedure, step: Option<u32>) -> Vec<Blocking> {
    let Some(step) = step.and_then(|step| procedure.step(step)) else { return Vec::new() };
    step.items
        .iter()
        .map(|item| (item, release.status(item.number)))
        .filter(|(_, status)| !status.is_closed())
        .map(|(item, status)| Blocking {
            item: item.number,
            name: item.name.to_string(),
            status: status.as_str().to_owned(),
        })
        .collect()
}

/// Nothing waits once a release was aborted or closed: reopening it is a choice, not a duty.
pub(super) fn waiting(release: &Release, procedure: &Procedure, summary: &Summary) -> Vec<Waiting> {
    if !matches!(release.life, Life::Open | Life::Held { .. } | Life::Completed { .. }) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for action in &summary.next_actions {
        let mut entry = Waiting::for_roles(&action.operation, &action.roles);
        match (action.operation.as_str(), action.item.and_then(|item| procedure.item(item))) {
            // Listed below with the request that it is about.
            ("approveRelease", _) => continue,
            ("answerRollCall", _) => entry.roles = yet_to_answer(release, procedure),
            ("attestItem" | "reaffirmItem", Some(item)) => sign(&mut entry, release, item),
            _ => entry.item = action.item,
        }
        all.push(entry);
    }
    if let Some(request) = release.live_approval().filter(|a| a.status == ApprovalStatus::Requested) {
        let item = procedure.approval_item();
        all.push(Waiting {
            item: item.map(|item| item.number),
            name: item.map(|item| item.name.to_string()),
            subject: Some(request.request),
            due_at: Some(request.window.to),
            ..Waiting::for_roles("approveRelease", &[Role::Approver])
        });
    }
    let mut waivers: Vec<_> = release.waivers.values().collect();
    waivers.sort_by_key(|waiver| (waiver.requested_at, waiver.waiver));
    for waiver in waivers {
        let Some(item) = procedure.item(waiver.item) else { continue };
        if waiver.status != WaiverStatus::Requested || release.status(item.number).is_closed() {
            continue;
        }
        let two_people = item.waiver == WaiverCode::W2;
        let deciders: &[Role] =
            if two_people { &[Role::Approver, Role::ReleaseManager] } else { &[Role::Approver] };
        all.push(Waiting {
            item: Some(item.number),
            name: Some(item.name.to_string()),
            subject: Some(waiver.waiver),
            due_at: Some(waiver.expires_at),
            ..Waiting::for_roles("grantWaiver", deciders)
        });
    }
    for proposal in release.proposals.iter().filter(|proposal| proposal.decided().is_none()) {
        let deciders = [Role::OnCall, Role::Operator, Role::ReleaseManager];
        all.push(Waiting {
            subject: Some(proposal.proposal),
            ..Waiting::for_roles("decideRollback", &deciders)
        });
    }
    all
}

/// Roles without an answer; when all said go, one more person of any role is needed.
fn yet_to_answer(release: &Release, procedure: &Procedure) -> Vec<Role> {
    let call = roll_call(release, procedure);
    let missing: Vec<_> =
        call.roles.iter().filter(|role| role.answer != Some(Answer::Go)).map(|role| role.role).collect();
    if missing.is_empty() { procedure.roll_call.clone() } else { missing }
}

/// An item that a person signs, or confirms not to apply.
fn sign(entry: &mut Waiting, release: &Release, item: &Item) {
    entry.item = Some(item.number);
    entry.name = Some(item.name.to_string());
    // Either of the two people may sign first.
    entry.roles.extend(&item.second);
    entry.roles.sort_unstable();
    entry.roles.dedup();
    if let Some(state) = release.items.get(&item.number) {
        entry.assignee.clone_from(&state.assignee);
        entry.due_at = state.due_at;
        if state.proposed.is_some() && !matches!(state.status, ItemStatus::Stale { .. }) {
            "confirmItemNotApplicable".clone_into(&mut entry.operation);
        }
    }
}
