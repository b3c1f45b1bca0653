//! `POST /v1/procedures/{name}/versions`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::procedures::{ProcedureCommand, ProcedureJson, PublishProcedure};
use release::value::Name;

use super::{ProcedureVersion, record};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, FromBody, Json};
use crate::http::problem::{Code, Problem};
use crate::yaml;

/// The procedure as JSON below `procedure`, or by itself as YAML.
pub struct ProcedureBody(PublishProcedure);

impl FromBody for ProcedureBody {
    fn from_body(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, Problem> {
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !["application/yaml", "application/x-yaml", "text/yaml"].contains(&media_type) {
            return Json::from_body(content_type, bytes).map(|Json(body)| Self(body));
        }
        let malformed = |detail: String| Problem::field(Code::MalformedJson, "", detail);
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let document = yaml::parse(text).map_err(|error| malformed(error.to_string()))?;
        let procedure =
            ProcedureJson::new(&document.value.to_string()).map_err(|error| malformed(error.to_string()))?;
        Ok(Self(PublishProcedure { procedure }))
    }
}

/// Publish a procedure version
///
/// The next version of the name, complete; it states its own name and number. JSON below `procedure`, or YAML
/// (`application/yaml`) by itself. It is proposed until a second person activates it, and refused with one row a
/// finding when the linter objects. Under `product-release` nothing is published. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/procedures/{name}/versions",
    operation_id = "publishProcedure",
    tag = "Procedures",
    request_body(content = PublishProcedure, example = json!({"procedure": {
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
    }})),
    responses((status = 201, description = "The version, proposed", body = ProcedureVersion<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, ProcedureBody, DryRun>) -> Answer {
    let name = call.path;
    let command = ProcedureCommand::Publish { name: name.clone(), body: call.body.0 };
    record(&app, &call.caller, "publishProcedure", &name, command, StatusCode::CREATED, None).await
}
