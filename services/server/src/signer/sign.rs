//! `POST /sign`

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use eventlog::checkpoint::Checkpoint;
use eventlog::signer::{Request, Sign};
use eventlog::tree::Hash;

use super::{Shared, SignBody, SignaturesBody, body};
use crate::http::call::parse_json;
use crate::http::problem::{Code, Problem};

pub async fn handler(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    shared.admit(&request)?;
    let bytes = body(&request, payload.into_inner()).await?;
    let asked = parsed(&bytes).map_err(|problem| problem.at(&request))?;
    let (old, size) = (asked.old, asked.checkpoint.size);
    match shared.signer.sign(asked).await {
        Ok(signatures) => {
            tracing::debug!(size, "signed");
            let signatures = signatures.iter().map(ToString::to_string).collect();
            Ok(HttpResponse::Ok().json(SignaturesBody { signatures }))
        }
        Err(refused) => {
            tracing::warn!(size, old, %refused, "not signed");
            Err(Problem::from(refused).at(&request))
        }
    }
}

fn parsed(bytes: &[u8]) -> Result<Request, Problem> {
    let SignBody { checkpoint, old, proof } = parse_json(bytes)?;
    let wrong = |pointer: String, cause: String| Problem::field(Code::InvalidBody, pointer, cause);
    let checkpoint =
        Checkpoint::parse(&checkpoint).map_err(|cause| wrong("/checkpoint".to_owned(), cause.to_string()))?;
    let hash = |(at, hash): (usize, &String)| {
        Hash::from_base64(hash).map_err(|cause| wrong(format!("/proof/{at}"), cause.to_string()))
    };
    let proof = proof.iter().enumerate().map(hash).collect::<Result<_, _>>()?;
    Ok(Request { checkpoint, old, proof })
}
