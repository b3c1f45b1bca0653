//! `POST /v1/people/name`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use eventlog::StreamId;
use release::directory::{Directory, DirectoryCommand, NamePerson, name_record};
use release::value::{ActorId, PersonName, Sha256Hex};
use release::wire::sha256_hex;
use release::{Role, role_missing};
use rendering::Printed;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Person, location};
use crate::app::App;
use crate::command::{CommandError, Envelope, Handled, handle};
use crate::http::answer::{self, Answer, View};
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::problem::{Code, Problem};
use crate::vault::{PutError, Unfinished};
use crate::{ids, names, printed_names};

/// By which name a person is printed from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamePersonBody {
    pub actor: ActorId,
    pub name: PersonName,
}

/// Name a person
///
/// What the person signs from now on refers to this name by a salted hash, and renderings of reports print it beside
/// the id; what was signed before keeps the name of that time. The name is kept outside of the log, where
/// `POST /v1/people/erase` destroys it. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/people/name",
    operation_id = "namePerson",
    tag = "People",
    request_body(content = NamePersonBody, example = json!({"actor": "https://login.example#emil", "name": "Emil Berg"})),
    responses((status = 200, description = "What the directory holds of the actor", body = Person<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<NamePersonBody>, DryRun>) -> Answer {
    let named = name(&app, &call.caller, call.body.0).await;
    named.map_err(|problem| problem.on(&call.caller))
}

async fn name(app: &Data<App>, caller: &Caller, NamePersonBody { actor, name }: NamePersonBody) -> Answer {
    caller.has_any_role()?;
    let envelope = caller.envelope("namePerson", None)?;
    // Told before anything is kept.
    if !envelope.actor.has(Role::Admin) {
        return Err(role_missing(&[Role::Admin], &envelope.actor.roles).into());
    }
    let stream = names::directory(caller.tenant()).map_err(|error| Problem::internal(&error))?;
    let record = name_record(&name, ids::random()).map_err(|error| Problem::internal(&error))?;
    let name_sha256 = sha256_hex(&record);
    let unfinished = printed_names::receive(app, record).await.map_err(|error| match error {
        PutError::Keep(error) => error.into(),
        error => Problem::internal(&error),
    })?;
    let naming = Naming { app: Data::clone(app), stream, envelope, actor, name, name_sha256 };
    // Goes on when the caller goes away: the log would have a hash of what nobody keeps.
    let recorded = tokio::spawn(naming.record(unfinished)).await;
    answer::recorded(recorded.map_err(|error| Problem::internal(&error))??, StatusCode::OK)
}

struct Naming {
    app: Data<App>,
    stream: StreamId,
    envelope: Envelope,
    actor: ActorId,
    name: PersonName,
    name_sha256: Sha256Hex,
}

impl Naming {
    async fn record(
        self,
        unfinished: Box<dyn Unfinished>,
    ) -> Result<Handled<Result<View, Problem>>, Problem> {
        let Self { app, stream, envelope, actor, name_sha256, .. } = &self;
        let given = NamePerson { actor: actor.clone(), name_sha256: name_sha256.clone() };
        let command = DirectoryCommand::Name(given);
        // Nobody erases the person between the moment the log has the hash and the moment the vault has the name.
        let _naming = app.attaching.read().await;
        let view = |state: &Directory, _: &[_]| {
            let known = state.name(actor).map(|name| name.sha256.clone());
            (View::new(&Person::of(state, actor), location(actor)), known)
        };
        let (handled, recorded) =
            split(handle(app, &app.directories, stream, envelope, &command, &(), view).await?);
        match recorded {
            None => {}
            Some(recorded) if recorded == *name_sha256 => {
                unfinished.keep().await?;
            }
            Some(recorded) => self.first_said(&recorded).await?,
        }
        Ok(handled)
    }

    /// The log has no hash that would tell whether a repeated request gives the same name, so the name itself does.
    async fn first_said(&self, recorded: &Sha256Hex) -> Result<(), Problem> {
        let directory = self.app.directories.load(&self.stream).await?.committed();
        match printed_names::printed(&self.app, &directory.state, &self.actor, recorded).await? {
            Printed::Erased => Ok(()),
            Printed::Name(first) if first == self.name.as_str() => Ok(()),
            Printed::Name(_) => Err(CommandError::KeyReused.into()),
            Printed::Missing | Printed::Forged => {
                let detail =
                    "the name was recorded and is not kept; send it again with another Idempotency-Key";
                Err(Problem::new(Code::ContentLost, detail))
            }
        }
    }
}

type Viewed = (Result<View, Problem>, Option<Sha256Hex>);

/// The answer, and the hash of the name that was recorded; a dry run records none.
fn split(handled: Handled<Viewed>) -> (Handled<Result<View, Problem>>, Option<Sha256Hex>) {
    match handled {
        Handled::Preview(preview) => (Handled::Preview(preview), None),
        Handled::Recorded(outcome) => {
            let (outcome, recorded) = outcome.split();
            (Handled::Recorded(outcome), recorded)
        }
    }
}
