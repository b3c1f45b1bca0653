//! Products: what releases are made of, as numbered settings.

pub mod get;
pub mod get_version;
pub mod list;
pub mod list_versions;
pub mod publish_settings;
pub mod readiness;
pub mod register;

use std::sync::Arc;

use actix_web::http::StatusCode;
use eventlog::StreamId;
use release::product::{Product, ProductCommand, SettingsVersion};
use release::value::Name;
use release::{Refusal, RefusalCode};

use super::aggregate::{self, Recording};
use super::answer::{Answer, View};
use super::call::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::names;
use crate::streams::Committed;

/// Records a command on a product and answers with the newest settings.
async fn record(
    app: &App,
    caller: &Caller,
    operation: &'static str,
    name: &Name,
    command: ProductCommand,
) -> Answer {
    let recording = Recording {
        streams: &app.products,
        stream: names::product(caller.tenant(), name),
        operation,
        product: Some(name.as_str()),
        command,
        around: (),
        status: StatusCode::CREATED,
    };
    recording
        .answer(app, caller, |state, _| {
            let current = state.current().ok_or_else(|| unknown(name))?;
            View::new(current, format!("/v1/products/{name}/versions/{}", current.version))
        })
        .await
}

async fn read(app: &App, caller: &Caller, name: &Name) -> Result<Arc<Committed<Product>>, Problem> {
    let stream = names::product(caller.tenant(), name);
    let product = aggregate::read(&app.products, stream, caller, Some(name.as_str())).await?;
    if product.revision.is_none() {
        return Err(unknown(name).on(caller));
    }
    Ok(product)
}

fn version(product: &Product, name: &Name, number: u32) -> Result<SettingsVersion, Problem> {
    product.version(number).cloned().ok_or_else(|| {
        let detail = format!("{name} has no settings version {number}");
        Refusal::new(RefusalCode::SettingsVersionUnknown, detail).into()
    })
}

pub fn stream(caller: &Caller, name: &Name) -> Result<StreamId, Problem> {
    names::product(caller.tenant(), name).map_err(|error| Problem::internal(&error))
}

pub fn unknown(name: &Name) -> Problem {
    Refusal::new(RefusalCode::ProductUnknown, format!("no product {name} is registered")).into()
}
