//! `GET /v1/consistency`

use actix_web::HttpResponse;
use actix_web::web::Data;
use eventlog::tree::Hash;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{blocking, tree};
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, FromQuery, NoBody, exact};
use crate::http::events::must_audit;
use crate::http::problem::{Code, Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// The smaller size, such as that of a checkpoint kept from before.
    #[param(minimum = 0, maximum = 9007199254740991_u64, example = 1000)]
    #[serde(deserialize_with = "exact")]
    pub from: u64,
    /// The larger size; that of the newest checkpoint at most.
    #[param(minimum = 0, maximum = 9007199254740991_u64, example = 1043)]
    #[serde(deserialize_with = "exact")]
    pub to: u64,
}

impl FromQuery for Sizes {}

/// A hash of the tree, base64.
#[derive(Serialize, ToSchema)]
#[schema(as = TreeHash, min_length = 44, max_length = 44)]
#[serde(transparent)]
pub struct HashText(String);

/// That the tree of one size begins with that of another.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsistencyProof)]
pub struct ConsistencyView {
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    pub from: u64,
    #[schema(minimum = 0, maximum = 9007199254740991_u64)]
    pub to: u64,
    /// The root at `from`.
    pub from_root: HashText,
    pub to_root: HashText,
    /// RFC 6962 section 2.1.2.
    #[schema(max_items = 63)]
    pub hashes: Vec<HashText>,
}

/// Prove that the log only grew
///
/// The consistency proof of RFC 6962 between two sizes: that the first `to` events begin with the first `from`.
/// With the roots of two checkpoints it is verified offline. For auditors of the installation.
#[utoipa::path(
    get,
    path = "/v1/consistency",
    operation_id = "getConsistency",
    tag = "Log",
    params(Sizes),
    responses((status = 200, description = "The proof", body = ConsistencyView, example = json!({
        "from": 1, "to": 2, "from_root": "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "to_root": "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=", "hashes": ["PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Sizes>) -> Answer {
    let proved = prove(&app, &call).await.map_err(|problem| problem.on(&call.caller))?;
    Ok(HttpResponse::Ok()
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Cache-Control", "private, no-cache"))
        .body(json(&proved)?))
}

async fn prove(app: &App, call: &Call<(), NoBody, Sizes>) -> Result<ConsistencyView, Problem> {
    must_audit(&call.caller)?;
    let Sizes { from, to } = call.query;
    if from > to {
        return Err(Problem::field(Code::InvalidParameter, "from", "at most what `to` says"));
    }
    let text = |hash: &Hash| HashText(hash.to_string());
    let tree = tree(app)?;
    let proof = blocking(move || tree.consistency(from, to)).await?;
    Ok(ConsistencyView {
        from,
        to,
        from_root: text(&proof.old_root),
        to_root: text(&proof.new_root),
        hashes: proof.hashes.iter().map(text).collect(),
    })
}
