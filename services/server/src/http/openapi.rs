//! The OpenAPI 3.1 document: each endpoint describes itself, and what all share is added here once.

mod schemas;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::route::is_unlimited;
use super::{
    approvals, attachments, authorizations, baselines, board, calendar, candidates, comments,
    control_mappings, deployments, environments, events, evidence, exceptions, format, freezes, gates, inbox,
    items, leases, legal_holds, low_traffic, metrics, observations, operations, people, procedures, products,
    releases, reports, retention, roll_call, rollback_proposals, rollback_triggers, rollbacks, signing_keys,
    timers, tlog, waivers, window,
};

#[derive(OpenApi)]
#[openapi(
    paths(
        releases::open::handler,
        releases::list::handler,
        board::handler,
        inbox::handler,
        releases::get::handler,
        releases::checklist::handler,
        releases::bundle::handler,
        releases::report::handler,
        reports::generate::handler,
        reports::list::handler,
        reports::get::handler,
        reports::envelope::handler,
        reports::samples::draw::handler,
        reports::samples::list::handler,
        reports::samples::get::handler,
        reports::reconciliations::reconcile::handler,
        reports::reconciliations::list::handler,
        reports::reconciliations::get::handler,
        releases::diff::handler,
        releases::events::handler,
        releases::amend::handler,
        releases::hold::handler,
        releases::resume::handler,
        releases::abort::handler,
        releases::reopen::handler,
        releases::complete::handler,
        releases::close::handler,
        releases::batch::handler,
        candidates::tag::handler,
        candidates::list::handler,
        candidates::get::handler,
        candidates::preview::handler,
        candidates::bind::handler,
        candidates::reject::handler,
        evidence::record::handler,
        evidence::list::handler,
        evidence::get::handler,
        evidence::retract::handler,
        evidence::record_for_item::handler,
        attachments::store::handler,
        attachments::list::handler,
        attachments::get::handler,
        attachments::content::handler,
        gates::get::handler,
        gates::evaluate::handler,
        releases::exceptions::handler,
        releases::why::handler,
        releases::accesses::handler,
        items::get::handler,
        items::attest::handler,
        items::reaffirm::handler,
        items::retract::handler,
        items::assign::handler,
        items::claim::handler,
        items::not_applicable::handler,
        items::confirm_not_applicable::handler,
        waivers::request::handler,
        waivers::list::handler,
        waivers::get::handler,
        waivers::grant::handler,
        waivers::deny::handler,
        comments::add::handler,
        comments::list::handler,
        comments::get::handler,
        low_traffic::plan::handler,
        window::set::handler,
        window::get::handler,
        approvals::request::handler,
        approvals::list::handler,
        approvals::get::handler,
        approvals::approve::handler,
        approvals::reject::handler,
        approvals::withdraw::handler,
        roll_call::answer::handler,
        roll_call::amend::handler,
        roll_call::list::handler,
        roll_call::get::handler,
        authorizations::authorize::handler,
        authorizations::list::handler,
        authorizations::get::handler,
        authorizations::approve::handler,
        authorizations::revoke::handler,
        deployments::start::handler,
        deployments::list::handler,
        deployments::get::handler,
        deployments::finish::handler,
        deployments::amend::handler,
        deployments::traffic::handler,
        deployments::samples::handler,
        deployments::analysis::handler,
        deployments::series::handler,
        deployments::probes::handler,
        deployments::migrations::handler,
        deployments::proceed::handler,
        timers::list::handler,
        baselines::capture::handler,
        baselines::list::handler,
        baselines::get::handler,
        leases::list::handler,
        leases::get::handler,
        leases::probe::handler,
        leases::extend::handler,
        leases::release_lease::handler,
        leases::break_lease::handler,
        rollback_triggers::trigger::handler,
        rollback_triggers::list::handler,
        rollback_triggers::get::handler,
        rollback_proposals::propose::handler,
        rollback_proposals::list::handler,
        rollback_proposals::get::handler,
        rollback_proposals::decide::handler,
        rollbacks::start::handler,
        rollbacks::list::handler,
        rollbacks::get::handler,
        rollbacks::observe::handler,
        rollbacks::verify::handler,
        rollbacks::fail::handler,
        rollbacks::complete::handler,
        products::register::handler,
        products::list::handler,
        products::get::handler,
        products::readiness::handler,
        products::publish_settings::handler,
        products::list_versions::handler,
        products::get_version::handler,
        control_mappings::list::handler,
        control_mappings::publish::handler,
        control_mappings::list_versions::handler,
        control_mappings::get_version::handler,
        procedures::list::handler,
        procedures::publish::handler,
        procedures::list_versions::handler,
        procedures::get_version::handler,
        procedures::activate::handler,
        procedures::retire::handler,
        procedures::schema::handler,
        environments::list::handler,
        environments::get::handler,
        environments::record_running::handler,
        environments::hand_over::handler,
        calendar::handler,
        freezes::declare::handler,
        freezes::list::handler,
        freezes::get::handler,
        freezes::lift::handler,
        exceptions::list::handler,
        exceptions::get::handler,
        exceptions::assign::handler,
        exceptions::dispose::handler,
        observations::record::handler,
        observations::list::handler,
        observations::get::handler,
        events::list::handler,
        events::get::handler,
        events::proof::handler,
        tlog::consistency::handler,
        signing_keys::list::handler,
        signing_keys::get::handler,
        signing_keys::compromise::handler,
        format::get::handler,
        format::enable::handler,
        tlog::checkpoint::handler,
        tlog::keys::handler,
        tlog::tile::handler,
        retention::get::handler,
        retention::set::handler,
        legal_holds::place::handler,
        legal_holds::list::handler,
        legal_holds::get::handler,
        legal_holds::lift::handler,
        people::link::handler,
        people::list::handler,
        people::get::handler,
        people::unlink::handler,
        people::name::handler,
        people::erase::handler,
        metrics::delivery::handler,
        metrics::flow::handler,
        operations::whoami::handler,
        operations::live::handler,
        operations::ready::handler,
        operations::version::handler,
        operations::metrics::handler,
        operations::openapi::handler,
        operations::jwks::handler,
        operations::problems::handler,
    ),
    components(schemas(super::problem::Details, super::answer::DryRunAnswer))
)]
struct Described;

/// The document as it is served and checked in: pretty-printed, members sorted.
pub fn document_bytes() -> Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES
        .get_or_init(|| {
            let mut text = serde_json::to_vec_pretty(&document()).unwrap_or_default();
            text.push(b'\n');
            Bytes::from(text)
        })
        .clone()
}

fn document() -> Value {
    let mut document = serde_json::to_value(Described::openapi()).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "Shiplog",
        "version": env!("CARGO_PKG_VERSION"),
        "summary": "The system of record for software releases",
        "description": "Every release action is recorded as an immutable event; checklists and reports are \
            projections of that log. A command is a POST: it records at least one event, all or nothing (an \
            observation that tells nothing new records none and is answered 200), and \
            answers with the new state, its revision as `ETag` and its place in the log as \
            `Shiplog-Position`. Send an `Idempotency-Key` and it is safe to repeat for ever. Errors are \
            RFC 9457 problem details. A `Request-Id` comes back with the answer and is kept in the header of what \
            was recorded, beside the trace of the request: that of its W3C `traceparent`, or a new one. \
            Reads and commands of one caller, and of all callers of a tenant together, are limited; each answer says in \
            `RateLimit` what is left of the share that is the tighter one. Abort, \
            hold, the roll-call, evidence, observations and rollback are never limited. A command for which its tenant \
            has no room is refused (409 `quota_exceeded`, and `quota` says of what), but not these, nor what tells of \
            something that runs, nor what is done for a release of class `emergency`.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "contact": {"name": "Shiplog maintainers", "url": "https://shiplog.example"},
    });
    document["servers"] = json!([{"url": "/", "description": "This service"}]);
    document["security"] = json!([{"bearer": []}]);
    document["tags"] = tags();
    let components = &mut document["components"];
    components["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                   "description": "A JWT of a configured issuer with role claims."},
    });
    components["responses"] = shared_responses();
    components["parameters"] = shared_parameters();
    components["headers"] = shared_headers();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, methods) in paths {
            for (method, operation) in methods.as_object_mut().into_iter().flatten() {
                share(path, method, operation);
            }
        }
    }
    schemas::arrange(&mut document);
    document
}

fn tags() -> Value {
    let tag = |name: &str, description: &str| json!({"name": name, "description": description});
    json!([
        tag("Releases", "A release from opened to closed."),
        tag("Candidates", "Tagged commits that may become the release."),
        tag("Items", "The items of the checklist: sign, reaffirm, retract, assign."),
        tag("Evidence", "Typed facts that items rest on."),
        tag(
            "Attachments",
            "Files by their SHA-256: who attached them is in the log, their content in the vault."
        ),
        tag("Waivers", "Items that count as closed for a while, with two people's knowledge."),
        tag("Approvals", "Window, approvals, roll-call and the authorization of production."),
        tag("Deployments", "Deployments in staging and production, and what is observed of them."),
        tag(
            "Rollback",
            "Triggers, proposals and rollbacks; no gate, window, freeze or hold refuses a rollback."
        ),
        tag(
            "Exceptions",
            "What went another way than the procedure says: who takes charge, and what became of it."
        ),
        tag(
            "Reports",
            "What auditors read and sign off: the same bytes for ever for one query at one position."
        ),
        tag("Observations", "What was seen from outside, in order or not; never refused for what it says."),
        tag("Comments", "Notes on releases and items."),
        tag("Events", "The log itself."),
        tag("Log", "Checkpoints, tiles and proofs, in formats that others' tools read; the keys that sign."),
        tag(
            "Products",
            "What releases are made of: environments, targets, procedures, as numbered settings."
        ),
        tag("Procedures", "Steps and items as data, in immutable versions."),
        tag(
            "Control mappings",
            "Which controls of which frameworks there are and what proves each, in immutable versions."
        ),
        tag("Environments", "What runs where, and which release holds an environment."),
        tag("Calendar", "Freezes of products and environments."),
        tag("Retention", "How long the content of attachments is kept, and what has to be kept longer."),
        tag(
            "People",
            "Which accounts and author keys belong to one person, and by which name they are printed."
        ),
        tag("Metrics", "Delivery and flow over a period, counted from the log."),
        tag("Operations", "The process, its version, its API description."),
    ])
}

fn shared_responses() -> Value {
    let problem = |description: &str| {
        json!({
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        })
    };
    let reference = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
    let mut refused = problem(
        "The request was not carried out; nothing was recorded. `code` names the rule, `errors` the fields, \
         `rows` what the rule read.",
    );
    refused["headers"] = json!({
        "Allow": reference("Allow"),
        "Retry-After": reference("RetryAfter"),
        "WWW-Authenticate": reference("WwwAuthenticate"),
        "RateLimit": reference("RateLimit"),
        "RateLimit-Policy": reference("RateLimitPolicy"),
    });
    let not_acceptable = problem("`Accept` leaves no media type that this resource answers.");
    let mut rate_limited = problem(
        "The caller's share is used up, or that of its tenant, or that of callers without a token at this address; \
         nothing was recorded. Repeat the request after `Retry-After` seconds.",
    );
    rate_limited["headers"] = json!({
        "Retry-After": reference("RetryAfter"),
        "RateLimit": reference("RateLimit"),
        "RateLimit-Policy": reference("RateLimitPolicy"),
    });
    let mut unavailable = problem("Not now; repeat the request after `Retry-After` seconds.");
    unavailable["headers"] = json!({"Retry-After": reference("RetryAfter")});
    json!({"Problem": refused, "NotAcceptable": not_acceptable, "RateLimited": rate_limited,
           "Unavailable": unavailable})
}

fn shared_parameters() -> Value {
    let key = json!({"type": "string", "minLength": 1, "maxLength": 255,
                     "pattern": "^(\"[ !#-~]+\"|[!#-~]([ !#-~]*[!#-~])?)$"});
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Bare or in double quotes. The same key and body again give the first answer again, \
                for ever; another body is refused. Required for creation and for CI tokens. Where nothing was \
                recorded (a refusal, an observation that tells nothing new) the key stays unused.",
            "schema": key.clone(),
            "example": "open-checkout-2.4.0",
        },
        "RequiredIdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Bare or in double quotes. The same key and body again give the first answer again, \
                for ever; another body is refused.",
            "schema": key,
            "example": "open-checkout-2.4.0",
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "The ETag of the state the caller decided on; 412 when a decision was recorded since. \
                Telemetry and comments do not count.",
            "schema": {"type": "string", "maxLength": 24, "pattern": "^\"r(0|[1-9][0-9]{0,15})\"$"},
            "example": "\"r12\"",
        },
        "IfNoneMatch": {
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "ETags the caller holds; 304 when the state is one of them.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]([ -~]*[!-~])?$"},
            "example": "\"r12\"",
        },
        "Prefer": {
            "name": "Prefer", "in": "header", "required": false,
            "description": "`wait=N` (RFC 7240), 1 to 30 seconds: the answer is given once its last event is under a \
                signed checkpoint, with the proof of that. The command is recorded in any case, and before the wait.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[!-~]([ -~]*[!-~])?$"},
            "example": "wait=5",
        },
        "MinPosition": {
            "name": "min_position", "in": "query", "required": false,
            "description": "A `Shiplog-Position` that the answer must include; waits up to 2 seconds for it.",
            "schema": {"type": "integer", "format": "int64", "minimum": 0, "maximum": 9_007_199_254_740_991_u64},
        },
        "DryRun": {
            "name": "dry_run", "in": "query", "required": false,
            "description": "Decide and answer what would be recorded, recording nothing.",
            "schema": {"type": "boolean", "default": false},
        },
    })
}

fn shared_headers() -> Value {
    let position = json!({"type": "string", "pattern": "^[0-9]{1,16}$", "maxLength": 16});
    json!({
        "Allow": {"description": "With 405: the methods this resource takes.",
                  "schema": {"type": "string", "maxLength": 40, "pattern": "^[A-Z]+(, [A-Z]+)*$"}},
        "RetryAfter": {"description": "Seconds after which the request is worth repeating.",
                       "schema": {"type": "integer", "minimum": 0, "maximum": 86_400}},
        "WwwAuthenticate": {"description": "With 401: how to authenticate.",
                            "schema": {"type": "string", "maxLength": 200, "pattern": "^Bearer"}},
        "ETag": {"description": "The revision of the answer, `\"r<revision>\"`; absent before the first event.",
                 "schema": {"type": "string", "pattern": "^\"r[0-9]{1,16}\"$", "maxLength": 19}},
        "DocumentETag": {"description": "The SHA-256 of the bytes in hexadecimal digits.",
                         "schema": {"type": "string", "pattern": "^\"[0-9a-f]{64}\"$", "maxLength": 66}},
        "ContentDigest": {"description": "The SHA-256 of the bytes, as RFC 9530 writes it.",
                          "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$", "maxLength": 60}},
        "Location": {"description": "Where the new state is read.",
                     "schema": {"type": "string", "format": "uri-reference", "maxLength": 500}},
        "RateLimit": {"description": "What is left of the caller's share, or of its tenant's where that is less: how many \
                          requests now, and with 429 in how many seconds there is one again. `\"read\";r=99`, as the \
                          IETF drafts it.",
                      "schema": {"type": "string", "maxLength": 60,
                                 "pattern": "^\"[a-z_]+\";r=[0-9]{1,10}(;t=[0-9]{1,10})?$"}},
        "RateLimitPolicy": {"description": "That share: how many requests at once, and in how many seconds it is full \
                                again. `\"read\";q=100;w=10`, as the IETF drafts it.",
                            "schema": {"type": "string", "maxLength": 60,
                                       "pattern": "^\"[a-z_]+\";q=[0-9]{1,10};w=[0-9]{1,16}$"}},
        "Link": {"description": "Where the next page is, `rel=\"next\"`; absent at the end.",
                 "schema": {"type": "string", "maxLength": 4000, "pattern": "^</v1/.*>; rel=\"next\"$"}},
        "PreferenceApplied": {"description": "With `Prefer: wait=N`: the last event of the answer is under a checkpoint.",
                              "schema": {"type": "string", "maxLength": 7, "pattern": "^wait=[0-9]{1,2}$"}},
        "Receipt": {"description": "With `Prefer: wait=N`, when a checkpoint came in time: a `.tlog-proof` of the last \
                        event in base64, as `shiplog check` reads it. Absent where it is longer than 6 KiB.",
                    "schema": {"type": "string", "maxLength": 6144, "pattern": "^[A-Za-z0-9+/]+={0,2}$"}},
        "ReceiptLink": {"description": "With `Prefer: wait=N`: where the receipt is read, now or later.",
                        "schema": {"type": "string", "maxLength": 60,
                                   "pattern": "^</v1/events/[0-9]{1,16}/proof>; rel=\"receipt\"$"}},
        "Position": {"description": "Place in the log of the last event behind the answer.", "schema": position},
        "Replayed": {"description": "`true` when this is the first answer to the same Idempotency-Key again.",
                     "schema": {"type": "string", "enum": ["true"]}},
    })
}

/// Reads across streams: their answers are of a position of the log, not of one revision.
const ACROSS_STREAMS: &[&str] = &[
    "/v1/board",
    "/v1/calendar",
    "/v1/environments",
    "/v1/events",
    "/v1/events/{event}",
    "/v1/events/{event}/proof",
    "/v1/exceptions",
    "/v1/inbox",
    "/v1/metrics/delivery",
    "/v1/metrics/flow",
    "/v1/observations",
    "/v1/observations/{observation}",
    "/v1/procedures",
    "/v1/products",
    "/v1/products/{product}/readiness",
    "/v1/releases",
    "/v1/releases/{release}/accesses",
    "/v1/releases/{release}/bundle",
    "/v1/releases/{release}/candidates/preview",
    "/v1/releases/{release}/gates/{step}",
    "/v1/releases/{release}/why",
    "/v1/reports",
];

/// Reads of documents that are known by the hash of their bytes.
const DOCUMENTS: &[&str] = &["/v1/releases/{release}/report", "/v1/reports/{report}"];

/// Reads that are of neither.
const WITHOUT_REVISION: &[&str] = &[
    "/v1/consistency",
    "/v1/procedures/schema",
    "/v1/releases/{release}/attachments/{sha256}/content",
    "/v1/releases/{release}/events",
    "/v1/format",
    "/v1/whoami",
];

/// What does not come from the log.
const OF_NO_POSITION: &[&str] = &["/v1/procedures/schema", "/v1/whoami"];

/// What every operation has: path variables, headers, problems.
fn share(path: &str, method: &str, operation: &mut Value) {
    let mut parameters = Vec::new();
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        parameters.push(path_variable(name));
    }
    let reference = |kind: &str, name: &str| json!({"$ref": format!("#/components/{kind}/{name}")});
    let across = method == "get" && ACROSS_STREAMS.contains(&path);
    let is_state =
        method == "get" && path.starts_with("/v1/") && !across && !WITHOUT_REVISION.contains(&path);
    if method == "post" {
        let creates = ["/v1/releases", "/v1/products", "/v1/reports"].contains(&path);
        let key = if creates { "RequiredIdempotencyKey" } else { "IdempotencyKey" };
        parameters.push(reference("parameters", key));
        parameters.push(reference("parameters", "IfMatch"));
        parameters.push(reference("parameters", "DryRun"));
        parameters.push(reference("parameters", "Prefer"));
    } else if is_state {
        parameters.push(reference("parameters", "IfNoneMatch"));
    }
    if method == "get" && path.starts_with("/v1/") && !OF_NO_POSITION.contains(&path) {
        parameters.push(reference("parameters", "MinPosition"));
    }
    if let Some(own) = operation["parameters"].as_array() {
        // The variables of the path are described above, in the same way wherever they stand.
        parameters.extend(own.iter().filter(|parameter| parameter["in"] != "path").cloned());
    }
    parameters.iter_mut().for_each(schemas::drop_nulls);
    // A body that may be left out is not null when it is sent.
    if let Some(body) = operation.get_mut("requestBody") {
        schemas::drop_nulls(body);
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    let public = operation.get("security").is_some();
    let paged = takes(operation, &["cursor", "from_revision", "after"]);
    let limited = !public && (method == "get" || !is_unlimited(path));
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        if !status.starts_with('2') {
            continue;
        }
        let mut headers = Map::new();
        if limited {
            headers.insert("RateLimit".into(), reference("headers", "RateLimit"));
            headers.insert("RateLimit-Policy".into(), reference("headers", "RateLimitPolicy"));
        }
        if method == "post" || is_state || across {
            headers.insert("Shiplog-Position".into(), reference("headers", "Position"));
        }
        if paged {
            headers.insert("Link".into(), reference("headers", "Link"));
        }
        if method == "post" || is_state {
            let document = DOCUMENTS.contains(&path);
            let tag = if document { "DocumentETag" } else { "ETag" };
            headers.insert("ETag".into(), reference("headers", tag));
            if document {
                headers.insert("Content-Digest".into(), reference("headers", "ContentDigest"));
            }
            if method == "post" {
                headers.insert("Location".into(), reference("headers", "Location"));
                headers.insert("Idempotent-Replayed".into(), reference("headers", "Replayed"));
                headers.insert("Preference-Applied".into(), reference("headers", "PreferenceApplied"));
                headers.insert("Shiplog-Receipt".into(), reference("headers", "Receipt"));
                headers.insert("Link".into(), reference("headers", "ReceiptLink"));
            }
        }
        if !headers.is_empty() {
            response["headers"] = Value::Object(headers);
        }
    }
    if method == "post" {
        dry_run_answer(responses);
    } else if is_state {
        responses.insert("304".into(), json!({"description": "The caller holds these bytes."}));
    }
    if !public {
        responses.insert("406".into(), reference("responses", "NotAcceptable"));
        // Also where commands are not limited: there it answers those who keep coming without a good token.
        responses.insert("429".into(), reference("responses", "RateLimited"));
    }
    responses.insert("4XX".into(), reference("responses", "Problem"));
    responses.insert("503".into(), reference("responses", "Unavailable"));
}

/// Whether an operation takes one of these parameters.
fn takes(operation: &Value, names: &[&str]) -> bool {
    let mut parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.any(|parameter| parameter["name"].as_str().is_some_and(|name| names.contains(&name)))
}

/// With `dry_run` a command answers 200 and the events it would record.
fn dry_run_answer(responses: &mut Map<String, Value>) {
    let dry_run = json!({"$ref": "#/components/schemas/DryRunAnswer"});
    match responses.get_mut("200") {
        Some(ok) => {
            let schema = &mut ok["content"]["application/json"]["schema"];
            *schema = json!({"anyOf": [schema.take(), dry_run]});
        }
        None => {
            responses.insert(
                "200".into(),
                json!({
                    "description": "With `dry_run`: what would be recorded.",
                    "content": {"application/json": {"schema": dry_run}},
                }),
            );
        }
    }
}

fn path_variable(name: &str) -> Value {
    let (description, schema, example) = match name {
        "release" => (
            "Product and version: `{product}-{X.Y.Z}`.",
            json!({"type": "string", "minLength": 7, "maxLength": 96,
                   "pattern": "^[a-z0-9][a-z0-9-]{0,62}-(0|[1-9][0-9]{0,8})(\\.(0|[1-9][0-9]{0,8})){2}$"}),
            json!("checkout-2.4.0"),
        ),
        "tile" => (
            "Level or `entries`, the index in groups of three digits, and `.p/` with the width of a partial tile.",
            json!({"type": "string", "minLength": 5, "maxLength": 64,
                   "pattern": "^([0-7]|entries)/(x[0-9]{3}/)*[0-9]{3}(\\.p/[1-9][0-9]{0,2})?$"}),
            json!("0/000.p/1"),
        ),
        "item" => (
            "The number of the item in the procedure.",
            json!({"type": "string", "minLength": 3, "maxLength": 7, "pattern": "^[1-9][0-9]{0,2}\\.[1-9][0-9]{0,2}$"}),
            json!("2.2"),
        ),
        "number" => (
            "N of `-rc.N`, or the version's number.",
            json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 999_999}),
            json!(1),
        ),
        "step" => (
            "The number of the step in the procedure.",
            json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 999}),
            json!(4),
        ),
        "product" | "name" | "environment" => (
            "A name: a-z, 0-9 and -.",
            json!({"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}),
            json!("checkout"),
        ),
        "actor" => (
            "Issuer and subject, percent-encoded as one segment.",
            json!({"type": "string", "minLength": 3, "maxLength": 600, "pattern": "^[^#]+#.+$"}),
            json!("https://login.example#emil"),
        ),
        "key" => (
            "The id of a signing key: the eight digits in its verifier key.",
            json!({"type": "string", "minLength": 8, "maxLength": 8, "pattern": "^[0-9a-f]{8}$"}),
            json!("aec90c73"),
        ),
        "event" => (
            "The position of an event in the log, or its id.",
            json!({"type": "string", "minLength": 1, "maxLength": 36,
                   "pattern": "^(0|[1-9][0-9]{0,15}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"}),
            json!("1042"),
        ),
        "exception" => (
            "The stream, the kind and the revision of the event that shows it: `{stream}:{kind}:{revision}`.",
            json!({"type": "string", "minLength": 5, "maxLength": 300,
                   "pattern": "^(release|environment)-[a-z0-9.-]{1,200}:[a-z_]{1,64}:(0|[1-9][0-9]{0,15})$"}),
            json!("release-default.checkout-2.4.0:tag_mutated:31"),
        ),
        "sha256" => (
            "The SHA-256 of the content.",
            json!({"type": "string", "minLength": 64, "maxLength": 64, "pattern": "^[0-9a-f]{64}$"}),
            json!("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
        ),
        "code" => (
            "The code of a problem.",
            json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z_]{1,64}$"}),
            json!("gate_closed"),
        ),
        _ => (
            "An id this service gave.",
            json!({"type": "string", "format": "uuid", "minLength": 36, "maxLength": 36,
                   "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}),
            json!("0198c0de-7a3b-7000-8000-000000000001"),
        ),
    };
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema,
           "example": example})
}
