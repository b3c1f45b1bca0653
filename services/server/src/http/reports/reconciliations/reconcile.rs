//! `POST /v1/reports/{report}/reconciliations`

use std::convert::Infallible;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use bytes::Bytes;
use futures_util::stream;
use release::report::canonical;
use release::report::generated::{Compared, Done, ReconcileReport, Reconciliation, ReportCommand};
use release::report::population::ReadRow;
use release::report::reconciliation::{Comparison, ENTRIES_MAX, ListedDeployment};
use release::value::Sha256Hex;
use release::wire::sha256_hex;
use uuid::Uuid;

use super::known;
use crate::app::App;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Samples};
use crate::http::problem::{Code, Problem};
use crate::http::reports::period::{content, each_row};
use crate::http::reports::{act, has_rows, ready};
use crate::vault::PutError;

/// How far apart two times may lie when nobody says.
const TOLERANCE_S: u64 = 900;
const TOLERANCE_MAX_S: u64 = 7 * 24 * 3_600;

/// Reconcile a report
///
/// Compares the population of a period with a list of deployments that another source keeps, so that completeness is
/// tested from outside: a registry, a cluster, a cloud's audit log. Each entry goes to the nearest change of its product
/// and environment that has its digest, at most `tolerance_s` apart; then what is left goes to changes whose digest is
/// not known. The list is recorded by supplier and SHA-256, the comparison is kept entry by entry. Roles: `auditor`,
/// `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/reports/{report}/reconciliations",
    operation_id = "reconcileReport",
    tag = "Reports",
    request_body(content = ReconcileReport, example = json!({
        "supplier": "Cluster audit log, exported by the platform team", "tolerance_s": 900,
        "csv": "product,environment,digest,at,reference\ncheckout,production,sha256:1111111111111111111111111111111111111111111111111111111111111111,2026-11-24T09:05:00Z,audit/8842\n"
    })),
    responses((status = 201, description = "What came of it", body = Reconciliation)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, Samples<ReconcileReport>, DryRun>) -> Answer {
    compare(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

const OPERATION: &str = "reconcileReport";

async fn compare(app: &Data<App>, call: &Call<Uuid, Samples<ReconcileReport>, DryRun>) -> Answer {
    let (caller, body) = (&call.caller, &call.body.0);
    let (ready, report) = ready(app, caller, call.path, OPERATION).await?;
    let done = match ready.is_new {
        false => None,
        true => {
            has_rows(&report)?;
            let (list, list_sha256) = list(body)?;
            let tolerance_s = tolerance(body)?;
            let content = content(app, caller.tenant(), &report).await?;
            let comparison = each_row(content, Comparison::new(list, tolerance_s), |comparison, row| {
                comparison.take(serde_json::from_str::<ReadRow>(row.get())?);
                Ok(())
            });
            let told = comparison.await?.finish();
            let bytes = Bytes::from(canonical(&told).map_err(|error| Problem::internal(&error))?);
            let (result_sha256, result_size) = (sha256_hex(&bytes), bytes.len() as u64);
            if !caller.dry_run {
                keep(app, bytes).await?;
            }
            Some(Done::Compared(Compared {
                list_sha256,
                tolerance_s,
                listed: told.listed,
                changes: told.changes,
                matched: told.matched.len() as u64,
                only_there: told.only_there.len() as u64,
                only_here: told.only_here,
                complete: told.complete,
                result_sha256,
                result_size,
            }))
        }
    };
    let command = ReportCommand::Reconcile(body.clone());
    let of = call.path;
    act(app, ready, &command, &done, StatusCode::CREATED, move |state, created| {
        let id = created.first().copied().unwrap_or_default();
        View::new(known(state, id)?, format!("/v1/reports/{of}/reconciliations/{id}"))
    })
    .await
}

fn tolerance(body: &ReconcileReport) -> Result<u64, Problem> {
    let tolerance_s = body.tolerance_s.unwrap_or(TOLERANCE_S);
    if tolerance_s > TOLERANCE_MAX_S {
        return Err(Problem::field(Code::InvalidBody, "/tolerance_s", format!("0 to {TOLERANCE_MAX_S}")));
    }
    Ok(tolerance_s)
}

/// The entries, and the hash of the list as it was given.
fn list(body: &ReconcileReport) -> Result<(Vec<ListedDeployment>, Sha256Hex), Problem> {
    let (entries, sha256) = match (&body.deployments, &body.csv) {
        (Some(entries), None) => {
            let bytes = canonical(entries).map_err(|error| Problem::internal(&error))?;
            (entries.to_vec(), sha256_hex(&bytes))
        }
        (None, Some(csv)) => (of_csv(csv)?, sha256_hex(csv.as_bytes())),
        _ => return Err(Problem::field(Code::InvalidBody, "", "give either deployments or csv")),
    };
    match &body.sha256 {
        Some(stated) if *stated != sha256 => {
            Err(Problem::field(Code::InvalidBody, "/sha256", format!("the list's is {sha256}")))
        }
        _ => Ok((entries, sha256)),
    }
}

fn of_csv(csv: &str) -> Result<Vec<ListedDeployment>, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv.as_bytes());
    let mut entries = Vec::new();
    for entry in reader.deserialize::<ListedDeployment>() {
        let entry = entry.map_err(|error| Problem::field(Code::InvalidBody, "/csv", error.to_string()))?;
        if entries.len() == ENTRIES_MAX {
            let detail = format!("at most {ENTRIES_MAX} deployments");
            return Err(Problem::field(Code::InvalidBody, "/csv", detail));
        }
        entries.push(entry);
    }
    Ok(entries)
}

async fn keep(app: &App, bytes: Bytes) -> Result<(), Problem> {
    let size = bytes.len() as u64;
    match app.vault.put(stream::iter([Ok::<_, Infallible>(bytes)]), size).await {
        Ok(_) => Ok(()),
        Err(PutError::Keep(error)) => Err(error.into()),
        Err(error @ (PutError::TooLarge(_) | PutError::Content(_))) => Err(Problem::internal(&error)),
    }
}
