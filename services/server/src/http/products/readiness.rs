//! `GET /v1/products/{product}/readiness`

use std::collections::BTreeSet;

use actix_web::web::Data;
use release::product::readiness::{Readiness, Roles, readiness};
use release::value::{ActorId, Name};

use super::{stream, unknown};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::lists;
use crate::http::problem::Problem;
use crate::views::{self, View};
use crate::{procedures, surroundings};

/// Read whether a product is ready
///
/// Whether the known people could take the decisions of the procedure that a new release would pin, the approval by
/// class of change, every item that two people sign, and waivers; and which settings say nothing. Roles are in tokens,
/// so a person is known once they have recorded anything for the product or for all; identities that the directory
/// links are one person.
#[utoipa::path(
    get,
    path = "/v1/products/{product}/readiness",
    operation_id = "getProductReadiness",
    tag = "Products",
    responses((status = 200, description = "The readiness", body = Readiness, example = json!({
        "known_people": 2,
        "decisions": [{
            "decision": "item/4.4", "class": "normal", "possible": false,
            "takes": [{"one_of": ["release_manager"]}, {"one_of": ["approver"]}]
        }],
        "not_configured": ["repository", "environments/production/version_url"]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<Name>) -> Answer {
    answer(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn answer(app: &App, call: &Call<Name>) -> Answer {
    let (caller, name) = (&call.caller, &call.path);
    caller.may_read(Some(name.as_str()))?;
    let product = app.products.load(&stream(caller, name)?).await?.committed();
    let settings = &product.state.current().ok_or_else(|| unknown(name))?.settings;
    let (procedure, version) = (&settings.procedure.name, settings.procedure.version);
    let pinned = procedures::pin(app, caller.tenant(), procedure, version).await??;
    let position = lists::ready(app, View::Catalog, caller.min_position).await?;
    let people = people(app, caller.tenant().to_owned(), name.to_string()).await?;
    let page = readiness(&pinned.procedure, settings, &people);
    lists::answer(caller, &call.query, &page, position, None)
}

/// The roles of each known person, under whichever identities.
pub async fn people(app: &App, tenant: String, product: String) -> Result<Vec<Roles>, Problem> {
    let directory = surroundings::people(app, &tenant).await?;
    let known = lists::query(app, move |db| views::people(db, &tenant, &product)).await?;
    let mut people: Vec<(ActorId, Roles)> = Vec::new();
    for (actor, roles) in known {
        let actor = ActorId::new(&actor).map_err(|error| Problem::internal(&error))?;
        match people.iter_mut().find(|(other, _)| directory.same(other, &actor)) {
            Some((_, all)) => all.extend(roles),
            None => people.push((actor, BTreeSet::from_iter(roles))),
        }
    }
    Ok(people.into_iter().map(|(_, roles)| roles).collect())
}
