//! Publishing, activating and retiring.

use serde_json::Value;

use super::{
    ActivateProcedure, MAX_VERSIONS, ProcedureCommand, ProcedureDifference, Procedures, PublishProcedure,
    PublishedVersion, RetireProcedure, lint,
};
use crate::actor::Role;
use crate::aggregate::{Context, Decided};
use crate::directory::People;
use crate::event::{ProcedureActivated, ProcedureEvent, ProcedurePublished, ProcedureRetired};
use crate::guard::{failed, one, person, refuse, role, room, second_person};
use crate::procedure::Procedure;
use crate::refusal::{Refusal, RefusalCode};
use crate::sent_json::SentJson;
use crate::value::Name;
use crate::verdict::{Cause, Row};

pub type Decision = Result<Vec<Decided<ProcedureEvent>>, Refusal>;

/// An event holds 256 KiB; this leaves room for what stands around procedure and difference.
const MAX_EVENT_BYTES: usize = 240 * 1024;
/// A refusal stays readable; what is left shows when these are put right.
const MAX_ROWS: usize = 200;

pub fn decide(procedures: &Procedures, command: &ProcedureCommand, ctx: &Context<'_, People>) -> Decision {
    match command {
        ProcedureCommand::Publish { name, body } => publish(procedures, name, body, ctx),
        ProcedureCommand::Activate { version, body } => activate(procedures, *version, body, ctx),
        ProcedureCommand::Retire { name, body } => retire(procedures, name, body, ctx),
    }
}

fn publish(
    procedures: &Procedures,
    name: &Name,
    body: &PublishProcedure,
    ctx: &Context<'_, People>,
) -> Decision {
    role(ctx, &[Role::Admin])?;
    if *name == Name::product_release() {
        return refuse(RefusalCode::ProcedureReserved, format!("{name} comes with the program"));
    }
    in_use(procedures)?;
    room("versions", procedures.versions.len(), MAX_VERSIONS)?;
    let procedure = followable(name, &body.procedure)?;

    let last = procedures.versions.last();
    let difference = ProcedureDifference::between(last.and_then(parsed).as_ref(), &procedure);
    if let Some(last) = last
        && (last.procedure == body.procedure || difference.is_empty())
    {
        return refuse(RefusalCode::NothingChanged, format!("version {} says exactly this", last.version));
    }
    let next = last.map_or(1, |last| last.version.saturating_add(1));
    if procedure.version != next {
        let (given, next) = (procedure.version.to_string(), next.to_string());
        return Err(Refusal::new(
            RefusalCode::ProcedureVersionNotNext,
            format!("version {given} where {next} is the next"),
        )
        .with_rows(vec![failed("version", "procedure/version", next, given, Cause::Mismatch)]));
    }
    let length = body.procedure.as_str().len()
        // A difference is names and lists only, which always serialise.
        + serde_json::to_vec(&difference).map_or(0, |bytes| bytes.len());
    if length > MAX_EVENT_BYTES {
        return refuse(RefusalCode::TooLarge, format!("{length} of {MAX_EVENT_BYTES} bytes"));
    }
    one(ProcedurePublished {
        version: procedure.version,
        hash: body.procedure.hash(),
        difference,
        procedure: body.procedure.clone(),
    })
}

/// The JSON as a procedure of this name that people can follow.
fn followable(name: &Name, json: &SentJson) -> Result<Procedure, Refusal> {
    let procedure: Procedure = match serde_json::from_str(json.as_str()) {
        Ok(procedure) => procedure,
        Err(error) => {
            return Err(invalid(vec![failed(
                "shape",
                "procedure",
                "a procedure",
                error.to_string(),
                Cause::Type,
            )]));
        }
    };
    let mut rows: Vec<Row> = lint(&procedure)
        .into_iter()
        .take(MAX_ROWS)
        .map(|finding| {
            let input = format!("procedure{}", finding.pointer);
            failed(finding.code.as_str(), input, "no finding", finding.detail, Cause::Value)
        })
        .collect();
    if procedure.name != *name {
        let (expected, observed) = (name.as_str(), procedure.name.as_str());
        rows.push(failed("name", "procedure/name", expected, observed, Cause::Mismatch));
    }
    if let (Ok(sent), Ok(read)) =
        (serde_json::from_str::<Value>(json.as_str()), serde_json::to_value(&procedure))
    {
        let mut unread = Vec::new();
        unread_members(&sent, &read, "procedure", &mut unread);
        rows.extend(
            unread.into_iter().take(MAX_ROWS).map(|input| {
                failed("unknown_member", input, "a member of procedures", "another", Cause::Value)
            }),
        );
    }
    if rows.is_empty() { Ok(procedure) } else { Err(invalid(rows)) }
}

fn invalid(rows: Vec<Row>) -> Refusal {
    Refusal::new(RefusalCode::ProcedureInvalid, format!("{} findings", rows.len())).with_rows(rows)
}

/// Members that were sent and mean nothing. The JSON is kept as it was sent, so a reader would take
/// them for rules. A default that was written out is none of them.
fn unread_members(sent: &Value, read: &Value, path: &str, unread: &mut Vec<String>) {
    match (sent, read) {
        (Value::Object(sent), Value::Object(read)) => {
            for (name, value) in sent {
                let path = format!("{path}/{name}");
                match read.get(name) {
                    Some(counterpart) => unread_members(value, counterpart, &path, unread),
                    None if *value == Value::Bool(false) || *value == Value::Array(Vec::new()) => {}
                    None => unread.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(read)) => {
            for (place, (value, counterpart)) in sent.iter().zip(read).enumerate() {
                unread_members(value, counterpart, &format!("{path}/{place}"), unread);
            }
        }
        // Members by place change their meaning when one is added.
        (Value::Array(_), Value::Object(_)) => unread.push(path.to_owned()),
        _ => {}
    }
}

/// What was published parses, because publishing parsed it.
fn parsed(version: &PublishedVersion) -> Option<Procedure> {
    serde_json::from_str(version.procedure.as_str()).ok()
}

fn in_use(procedures: &Procedures) -> Result<(), Refusal> {
    match &procedures.retired {
        Some(retired) => {
            refuse(RefusalCode::ProcedureRetired, format!("retired at {}: {}", retired.at, retired.reason))
        }
        None => Ok(()),
    }
}

fn activate(
    procedures: &Procedures,
    version: u32,
    body: &ActivateProcedure,
    ctx: &Context<'_, People>,
) -> Decision {
    role(ctx, &[Role::Approver])?;
    person(ctx)?;
    in_use(procedures)?;
    let Some(published) = procedures.version(version) else {
        return refuse(RefusalCode::ProcedureUnknown, format!("no version {version} was published"));
    };
    if let Some(activated) = &published.activated {
        return refuse(
            RefusalCode::NothingChanged,
            format!("version {version} was activated at {}", activated.at),
        );
    }
    let in_force = procedures.in_force();
    if let Some(newer) = in_force.filter(|newer| newer.version > version) {
        return refuse(
            RefusalCode::ProcedureSuperseded,
            format!("version {} is in force; publish {version} again as the next one", newer.version),
        );
    }
    if ctx.around.same(&published.published_by, &ctx.actor.id) {
        return Err(second_person(ctx, &published.published_by, &format!("published version {version}")));
    }
    let difference = match parsed(published) {
        Some(procedure) => ProcedureDifference::between(in_force.and_then(parsed).as_ref(), &procedure),
        None => published.difference.clone(),
    };
    one(ProcedureActivated {
        version,
        hash: published.hash.clone(),
        difference,
        note: body.note.clone(),
        inputs: ctx.around.inputs(),
    })
}

/// A built-in procedure can be retired too: by those who want none but their own.
fn retire(
    procedures: &Procedures,
    name: &Name,
    body: &RetireProcedure,
    ctx: &Context<'_, People>,
) -> Decision {
    role(ctx, &[Role::Admin])?;
    in_use(procedures)?;
    if procedures.versions.is_empty() && *name != Name::product_release() {
        return refuse(RefusalCode::ProcedureUnknown, format!("no procedure {name}"));
    }
    one(ProcedureRetired { reason: body.reason.clone() })
}
