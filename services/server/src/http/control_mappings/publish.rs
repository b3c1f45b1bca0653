//! `POST /v1/control-mappings/{name}/versions`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::control_mappings::{ControlMappingCommand, PublishControlMapping, unknown};
use release::value::Name;

use super::{ControlMappingVersion, versions};
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Publish a control mapping version
///
/// The next version of the name, complete; it states its own name and number. A report that asks for the name uses its
/// newest version from now on, and says which that was; reports that exist stay as they are. Refused with one row a
/// finding when it cannot be followed. Under `common-frameworks` nothing is published. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/control-mappings/{name}/versions",
    operation_id = "publishControlMapping",
    tag = "Control mappings",
    request_body(content = PublishControlMapping, example = json!({"mapping": {
        "name": "checkout", "version": 1, "title": "Our controls",
        "description": "What our change policy asks for, beside the frameworks.",
        "frameworks": [{"key": "policy", "name": "Change policy", "edition": "2026"}],
        "controls": [{
            "framework": "policy", "id": "CP-1", "title": "CI is green and somebody independent approved.",
            "proven_by": [
                {"kind": "items", "items": ["ci-passing"]},
                {"kind": "check", "check": "independent_approval"}
            ]
        }]
    }})),
    responses((status = 201, description = "The version", body = ControlMappingVersion<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, Json<PublishControlMapping>, DryRun>) -> Answer {
    let name = call.path;
    let recording = Recording {
        streams: &app.control_mappings,
        stream: names::controls(call.caller.tenant()),
        operation: "publishControlMapping",
        product: None,
        command: ControlMappingCommand::Publish { name: name.clone(), body: call.body.0 },
        around: (),
        status: StatusCode::CREATED,
    };
    recording
        .answer(&app, &call.caller, |state, _| {
            let about = versions(&name, state)?.pop().ok_or_else(|| unknown(&name))?;
            let location = format!("/v1/control-mappings/{name}/versions/{}", about.reference.version);
            View::new(&about, location)
        })
        .await
}
