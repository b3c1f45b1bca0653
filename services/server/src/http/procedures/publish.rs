//! `POST /v1/procedures/{name}/versions`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::procedures::{ProcedureCommand, PublishProcedure};
use release::value::Name;
use release::{Procedure, SentJson};

use super::{ProcedureVersion, record};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, FromBody, Json, json_pointer, without_place};
use crate::http::problem::{Code, Problem};
use crate::yaml::{self, Document, Place};

/// The procedure as JSON below `procedure`, or by itself as YAML.
pub struct ProcedureBody {
    publish: PublishProcedure,
    yaml: Option<Document>,
}

impl FromBody for ProcedureBody {
    fn from_body(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, Problem> {
        let media_type =
            content_type.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/yaml" | "application/x-yaml" | "text/yaml" => Self::from_yaml(bytes),
            "application/json" => {
                Json::from_body(content_type, bytes).map(|Json(publish)| Self { publish, yaml: None })
            }
            _ => {
                let detail = format!("{media_type} is neither application/json nor application/yaml");
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }
}

impl ProcedureBody {
    fn from_yaml(bytes: &[u8]) -> Result<Self, Problem> {
        let malformed = |detail: String| Problem::field(Code::MalformedYaml, "", detail);
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let document = yaml::parse(text).map_err(|error| malformed(error.to_string()))?;
        let procedure = SentJson::new(&document.value.to_string())
            .map_err(|error| Problem::field(Code::InvalidBody, "", error.to_string()))?;
        Ok(Self { publish: PublishProcedure { procedure }, yaml: Some(document) })
    }
}

/// Publish a procedure version
///
/// The next version of the name, complete; it states its own name and number. JSON below `procedure`, or YAML
/// (`application/yaml`) by itself. It is proposed until a second person activates it, and refused with one row a
/// finding when the linter objects; a row names the member, and for YAML its line. Under `product-release` nothing is published. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/procedures/{name}/versions",
    operation_id = "publishProcedure",
    tag = "Procedures",
    request_body(content((PublishProcedure = "application/json", example = json!({"procedure": {
        "name": "hotfix", "version": 1, "title": "Hotfix", "description": "For one urgent fix",
        "purpose": "Ship a fix within the hour", "policy": "guided", "order": "enforced",
        "thresholds": {
            "canary_weight_min_percent": 1.0, "canary_weight_max_percent": 5.0, "canary_min_s": 900,
            "monitoring_min_s": {"standard": 1800, "normal": 2700, "high_risk": 3600, "emergency": 1800},
            "monitoring_max_s": 3600, "rollback_environment_min_s": 86400,
            "rollback_environment_max_s": 172800, "waiver_max_s": 1209600, "availability_after_window_s": 3600
        },
        "approval_quorum": {"standard": 1, "normal": 1, "high_risk": 2, "emergency": 1},
        "roll_call": ["release_manager"],
        "steps": [{
            "number": 1, "key": "fix", "name": "Fix", "instructions": "Fix and test.",
            "expected_output": "Fixed.", "owners": ["engineer"],
            "items": [{
                "number": "1.1", "key": "ci", "name": "CI pipeline passing", "true_when": "CI is green.",
                "rule": {"kind": "attestation"}, "machine": true, "evidence": ["ci_run"],
                "roles": ["engineer", "machine"], "waiver": "never", "on_new_candidate": {"effect": "stale"}
            }]
        }]
    }})), (release::Procedure = "application/yaml"))),
    responses((status = 201, description = "The version, proposed", body = ProcedureVersion<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, ProcedureBody, DryRun>) -> Answer {
    let name = call.path;
    let ProcedureBody { publish, yaml } = call.body;
    let sent = publish.procedure.clone();
    let command = ProcedureCommand::Publish { name: name.clone(), body: publish };
    let recorded =
        record(&app, &call.caller, "publishProcedure", &name, command, StatusCode::CREATED, None).await;
    recorded.map_err(|problem| placed(problem, &sent, yaml.as_ref()))
}

/// Every row that reads the procedure points at the member, and at its line in the YAML that was sent.
fn placed(mut problem: Problem, sent: &SentJson, yaml: Option<&Document>) -> Problem {
    for row in &mut problem.rows {
        let Some(pointer) = row.input.strip_prefix("procedure").map(str::to_owned) else { continue };
        let misfit = if row.rule == "shape" { misfit(sent) } else { None };
        let pointer = misfit.as_ref().map_or(pointer, |(pointer, _)| pointer.clone());
        if let Some((pointer, what)) = misfit {
            row.input.push_str(&pointer);
            row.observed = what;
        }
        if let Some(Place { line, column }) = yaml.and_then(|document| document.place(&pointer)) {
            row.observed.push_str(&format!(" (line {line}, column {column})"));
        }
    }
    problem
}

/// Where the JSON is no procedure, and why.
fn misfit(sent: &SentJson) -> Option<(String, String)> {
    let mut json = serde_json::Deserializer::from_str(sent.as_str());
    let error = serde_path_to_error::deserialize::<_, Procedure>(&mut json).err()?;
    Some((json_pointer(error.path()), without_place(&error.inner().to_string()).to_owned()))
}
