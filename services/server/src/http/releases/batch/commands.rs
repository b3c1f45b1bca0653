//! The commands that a batch may hold: each is named by its operation and has the body of its endpoint.

use eventlog::Header;
use release::Command;
use release::command as body;
use release::evidence::NewEvidence;
use release::strict::Tagged;
use release::value::ItemNumber;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One command of a batch, as its endpoint takes it.
pub struct Planned {
    pub operation: String,
    pub place: Place,
    pub command: Command,
}

/// Where below its release the thing is read that a command is about.
pub enum Place {
    At(String),
    /// Below this collection, by the id of the event that made it.
    Made {
        by: &'static str,
        below: String,
    },
}

impl Place {
    /// The path, given the headers of the command's events.
    pub fn of(&self, events: &[&Header]) -> String {
        match self {
            Self::At(path) => path.clone(),
            Self::Made { by, below } => match events.iter().find(|event| event.event_type == *by) {
                Some(event) => format!("{below}/{}", event.id),
                None => below.clone(),
            },
        }
    }
}

fn at(path: impl Into<String>) -> Place {
    Place::At(path.into())
}

fn made(by: &'static str, below: impl Into<String>) -> Place {
    Place::Made { by, below: below.into() }
}

macro_rules! commands {
    (
        taken { $($variant:ident { $($field:ident: $type:ty),* } => $command:expr, $place:expr;)* }
        refused { $($other:ident { $($its:ident: $kind:ty),* } => $refused:expr;)* }
    ) => {
        /// A command by the name of its operation, with what its path names and the body it takes; a body
        /// that may be left out is written as `{}`.
        #[derive(Debug, Serialize, ToSchema)]
        #[serde(tag = "operation", rename_all = "camelCase", rename_all_fields = "snake_case")]
        pub enum BatchCommand {
            $($variant { $($field: $type),* },)*
            // Parsed so that the rule can refuse them by name; nobody is offered them.
            $(#[serde(skip_serializing)] $other { $($its: $kind),* },)*
        }

        #[derive(Deserialize)]
        #[serde(
            remote = "BatchCommand",
            rename_all = "camelCase",
            rename_all_fields = "snake_case",
            deny_unknown_fields
        )]
        enum ByOperation {
            $($variant { $($field: $type),* },)*
            $($other { $($its: $kind),* },)*
        }

        impl<'de> Deserialize<'de> for BatchCommand {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                ByOperation::deserialize(Tagged { tag: "operation", from })
            }
        }

        impl BatchCommand {
            pub fn planned(self) -> Planned {
                match self {
                    $(Self::$variant { $($field),* } => Planned {
                        operation: operation(stringify!($variant)),
                        place: $place,
                        command: $command,
                    },)*
                    $(Self::$other { $($its),* } => Planned {
                        operation: operation(stringify!($other)),
                        place: at(""),
                        command: $refused,
                    },)*
                }
            }
        }
    };
}

/// The operation id that the variant stands for.
fn operation(variant: &str) -> String {
    let mut letters = variant.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

commands! {
    taken {
        AmendRelease { body: body::AmendRelease } => Command::Amend(body), at("");
        HoldRelease { body: body::HoldRelease } => Command::Hold(body), at("");
        ResumeRelease { body: body::ResumeRelease } => Command::Resume(body), at("");
        AbortRelease { body: body::AbortRelease } => Command::Abort(body), at("");
        ReopenRelease { body: body::ReopenRelease } => Command::Reopen(body), at("");
        CompleteRelease {} => Command::Complete, at("");
        CloseRelease {} => Command::Close, at("");
        TagCandidate { body: body::TagCandidate } =>
            Command::TagCandidate(body), at(format!("/candidates/{}", body.tag.number()));
        BindCandidate { number: u32, body: body::BindCandidate } =>
            Command::BindCandidate { number, body }, at(format!("/candidates/{number}"));
        RejectCandidate { number: u32, body: body::RejectCandidate } =>
            Command::RejectCandidate { number, body }, at(format!("/candidates/{number}"));
        RecordEvidence { body: NewEvidence } =>
            Command::RecordEvidence { items: Vec::new(), body }, made("evidence.recorded", "/evidence");
        RecordItemEvidence { item: ItemNumber, body: NewEvidence } =>
            Command::RecordEvidence { items: vec![item], body }, made("evidence.recorded", "/evidence");
        RetractEvidence { evidence: Uuid, body: body::RetractEvidence } =>
            Command::RetractEvidence { evidence, body }, at(format!("/evidence/{evidence}"));
        AttestItem { item: ItemNumber, body: body::AttestItem } =>
            Command::AttestItem { item, body }, at(format!("/items/{item}"));
        ReaffirmItem { item: ItemNumber, body: body::ReaffirmItem } =>
            Command::ReaffirmItem { item, body }, at(format!("/items/{item}"));
        RetractItem { item: ItemNumber, body: body::RetractItem } =>
            Command::RetractItem { item, body }, at(format!("/items/{item}"));
        AssignItem { item: ItemNumber, body: body::AssignItem } =>
            Command::AssignItem { item, body }, at(format!("/items/{item}"));
        ClaimItem { item: ItemNumber } => Command::ClaimItem { item }, at(format!("/items/{item}"));
        MarkItemNotApplicable { item: ItemNumber, body: body::MarkNotApplicable } =>
            Command::MarkNotApplicable { item, body }, at(format!("/items/{item}"));
        ConfirmItemNotApplicable { item: ItemNumber } =>
            Command::ConfirmNotApplicable { item }, at(format!("/items/{item}"));
        RequestWaiver { item: ItemNumber, body: body::RequestWaiver } =>
            Command::RequestWaiver { item, body }, made("item.waiver_requested", format!("/items/{item}/waivers"));
        GrantWaiver { item: ItemNumber, waiver: Uuid, body: body::GrantWaiver } =>
            Command::GrantWaiver { item, waiver, body }, at(format!("/items/{item}/waivers/{waiver}"));
        DenyWaiver { item: ItemNumber, waiver: Uuid, body: body::DenyWaiver } =>
            Command::DenyWaiver { item, waiver, body }, at(format!("/items/{item}/waivers/{waiver}"));
        EvaluateGate { step: u32 } => Command::EvaluateGate { gate: step }, at(format!("/gates/{step}"));
        AddComment { body: body::AddComment } => Command::Comment(body), made("comment.added", "/comments");
        PlanLowTraffic { body: body::PlanLowTraffic } => Command::PlanLowTraffic(body), at("");
        SetWindow { body: body::SetWindow } => Command::SetWindow(body), at("/window");
        RequestApproval { body: body::RequestApproval } =>
            Command::RequestApproval(body), made("approval.requested", "/approvals/requests");
        ApproveRelease { request: Uuid, body: body::GrantApproval } =>
            Command::GrantApproval { request, body }, at(format!("/approvals/requests/{request}"));
        RejectApproval { request: Uuid, body: body::RejectApproval } =>
            Command::RejectApproval { request, body }, at(format!("/approvals/requests/{request}"));
        WithdrawApproval { request: Uuid, body: body::WithdrawApproval } =>
            Command::WithdrawApproval { request, body }, at(format!("/approvals/requests/{request}"));
        AnswerRollCall { body: body::AnswerRollCall } => Command::AnswerRollCall(body), at("/roll-call");
        AmendAnswer { entry: Uuid, body: body::AmendAnswer } =>
            Command::AmendAnswer { entry, body }, at("/roll-call");
        ApproveAfterStart { authorization: Uuid, body: body::ApproveAfterStart } =>
            Command::ApproveAfterStart { authorization, body }, at(format!("/authorizations/{authorization}"));
        RevokeAuthorization { authorization: Uuid, body: body::RevokeAuthorization } =>
            Command::RevokeAuthorization { authorization, body }, at(format!("/authorizations/{authorization}"));
        FinishDeployment { deployment: Uuid, body: body::FinishDeployment } =>
            Command::FinishDeployment { deployment, body }, at(format!("/deployments/{deployment}"));
        AmendDeployment { deployment: Uuid, body: body::AmendDeployment } =>
            Command::AmendDeployment { deployment, body }, at(format!("/deployments/{deployment}"));
        ObserveTraffic { deployment: Uuid, body: body::ObserveTraffic } =>
            Command::ObserveTraffic { deployment, body }, at(format!("/deployments/{deployment}"));
        RecordSamples { deployment: Uuid, body: body::RecordSamples } =>
            Command::RecordSamples { deployment, body }, at(format!("/deployments/{deployment}"));
        RecordProbes { deployment: Uuid, body: body::RecordProbes } =>
            Command::RecordProbes { deployment, body }, at(format!("/deployments/{deployment}"));
        ReportMigrations { deployment: Uuid, body: body::ReportMigrations } =>
            Command::ReportMigrations { deployment, body }, at(format!("/deployments/{deployment}"));
        DecideProceed { deployment: Uuid, body: body::DecideProceed } =>
            Command::DecideProceed { deployment, body }, at(format!("/deployments/{deployment}"));
        CaptureBaseline { body: body::CaptureBaseline } =>
            Command::CaptureBaseline(body), made("baseline.captured", "/baselines");
        ProbeLease { lease: Uuid, body: body::ProbeLease } =>
            Command::ProbeLease { lease, body }, at(format!("/leases/{lease}"));
        ExtendLease { lease: Uuid, body: body::ExtendLease } =>
            Command::ExtendLease { lease, body }, at(format!("/leases/{lease}"));
        ReleaseLease { lease: Uuid, body: body::ReleaseLease } =>
            Command::ReleaseLease { lease, body }, at(format!("/leases/{lease}"));
        BreakLease { lease: Uuid, body: body::BreakLease } =>
            Command::BreakLease { lease, body }, at(format!("/leases/{lease}"));
        TriggerRollback { body: body::TriggerRollback } =>
            Command::TriggerRollback(body), made("rollback.triggered", "/rollback-triggers");
        ProposeRollback { body: body::ProposeRollback } =>
            Command::ProposeRollback(body), made("rollback.proposed", "/rollback-proposals");
        DecideRollback { proposal: Uuid, body: body::DecideRollback } =>
            Command::DecideRollback { proposal, body }, at(format!("/rollback-proposals/{proposal}"));
        StartRollback { body: body::StartRollback } =>
            Command::StartRollback(body), made("rollback.started", "/rollbacks");
        ObserveRollback { rollback: Uuid, body: body::ObserveRollback } =>
            Command::ObserveRollback { rollback, body }, at(format!("/rollbacks/{rollback}"));
        VerifyRollback { rollback: Uuid, body: body::VerifyRollback } =>
            Command::VerifyRollback { rollback, body }, at(format!("/rollbacks/{rollback}"));
        FailRollback { rollback: Uuid, body: body::FailRollback } =>
            Command::FailRollback { rollback, body }, at(format!("/rollbacks/{rollback}"));
        CompleteRollback { rollback: Uuid, body: body::CompleteRollback } =>
            Command::CompleteRollback { rollback, body }, at(format!("/rollbacks/{rollback}"));
    }
    refused {
        AuthorizeProduction { body: body::AuthorizeProduction } => Command::AuthorizeProduction(body);
        StartDeployment { body: body::StartDeployment } => Command::StartDeployment(body);
        RecordBatch {} => Command::Batch { commands: Vec::new() };
    }
}
