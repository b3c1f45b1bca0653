//! Every route, in one list.

pub mod accept;
mod accessed;
pub mod aggregate;
pub mod answer;
pub mod approvals;
pub mod attachments;
pub mod authorizations;
pub mod baselines;
pub mod board;
pub mod calendar;
pub mod call;
pub mod candidates;
pub mod comments;
pub mod control_mappings;
pub mod deployments;
pub mod environments;
pub mod events;
pub mod evidence;
pub mod exceptions;
pub mod format;
pub mod freezes;
pub mod gates;
pub mod headers;
pub mod inbox;
pub mod items;
pub mod leases;
pub mod legal_holds;
pub mod lists;
pub mod low_traffic;
pub mod metrics;
pub mod observations;
pub mod openapi;
pub mod operations;
pub mod people;
pub mod prefer;
pub mod problem;
pub mod procedures;
pub mod products;
mod receipt;
pub mod releases;
pub mod reports;
pub mod retention;
pub mod roll_call;
pub mod rollback_proposals;
pub mod rollback_triggers;
pub mod rollbacks;
pub mod route;
pub mod signing_keys;
pub mod timers;
pub mod tlog;
pub mod upload;
pub mod waivers;
pub mod window;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::metrics::Access;
use problem::{Code, Problem};
use route::{At, Route};

pub fn routes(app: &App, config: &mut ServiceConfig) {
    config.app_data(Route::other(&app.metrics));
    let mut add = |at: At| {
        config.service(at.finish());
    };
    let at = |path: &str| At::new(path, &app.metrics);
    let release = "/v1/releases/{release}";
    let item = format!("{release}/items/{{item}}");
    // Hot paths first: the router tries them in this order.
    add(at(&format!("{item}/attest")).post(items::attest::handler));
    add(at(&format!("{item}/evidence")).post(evidence::record_for_item::handler));
    add(at(&format!("{release}/evidence")).post(evidence::record::handler).get(evidence::list::handler));
    add(at(&format!("{release}/bundle")).get(releases::bundle::handler));
    add(at(&format!("{release}/diff")).get(releases::diff::handler));
    add(at(&format!("{release}/report")).get(releases::report::handler));
    add(at(&format!("{release}/checklist")).get(releases::checklist::handler));
    add(at(release).get(releases::get::handler));

    add(at("/v1/releases").post(releases::open::handler).get(releases::list::handler));
    add(at(&format!("{release}/amend")).post(releases::amend::handler));
    add(at(&format!("{release}/hold")).post(releases::hold::handler));
    add(at(&format!("{release}/resume")).post(releases::resume::handler));
    add(at(&format!("{release}/abort")).post(releases::abort::handler));
    add(at(&format!("{release}/reopen")).post(releases::reopen::handler));
    add(at(&format!("{release}/complete")).post(releases::complete::handler));
    add(at(&format!("{release}/close")).post(releases::close::handler));
    add(at(&format!("{release}/batch")).post(releases::batch::handler));
    add(at(&format!("{release}/events")).get(releases::events::handler));

    add(at(&format!("{release}/candidates")).post(candidates::tag::handler).get(candidates::list::handler));
    // Before the numbers, which would take its name for one.
    add(at(&format!("{release}/candidates/preview")).get(candidates::preview::handler));
    add(at(&format!("{release}/candidates/{{number}}")).get(candidates::get::handler));
    add(at(&format!("{release}/candidates/{{number}}/bind")).post(candidates::bind::handler));
    add(at(&format!("{release}/candidates/{{number}}/reject")).post(candidates::reject::handler));

    add(at(&format!("{release}/evidence/{{evidence}}")).get(evidence::get::handler));
    add(at(&format!("{release}/evidence/{{evidence}}/retract")).post(evidence::retract::handler));

    let attachment = format!("{release}/attachments/{{sha256}}");
    add(at(&format!("{release}/attachments"))
        .post(attachments::store::handler)
        .get(attachments::list::handler));
    add(at(&attachment).get(attachments::get::handler));
    add(at(&format!("{attachment}/content"))
        .get(attachments::content::handler)
        .head(attachments::head::handler));

    add(at(&item).get(items::get::handler));
    add(at(&format!("{item}/reaffirm")).post(items::reaffirm::handler));
    add(at(&format!("{item}/retract")).post(items::retract::handler));
    add(at(&format!("{item}/assign")).post(items::assign::handler));
    add(at(&format!("{item}/claim")).post(items::claim::handler));
    add(at(&format!("{item}/not-applicable")).post(items::not_applicable::handler));
    add(at(&format!("{item}/not-applicable/confirm")).post(items::confirm_not_applicable::handler));

    add(at(&format!("{item}/waivers")).post(waivers::request::handler).get(waivers::list::handler));
    add(at(&format!("{item}/waivers/{{waiver}}")).get(waivers::get::handler));
    add(at(&format!("{item}/waivers/{{waiver}}/grant")).post(waivers::grant::handler));
    add(at(&format!("{item}/waivers/{{waiver}}/deny")).post(waivers::deny::handler));

    add(at(&format!("{release}/comments")).post(comments::add::handler).get(comments::list::handler));
    add(at(&format!("{release}/comments/{{comment}}")).get(comments::get::handler));

    add(at(&format!("{release}/gates/{{step}}")).get(gates::get::handler));
    add(at(&format!("{release}/gates/{{step}}/evaluate")).post(gates::evaluate::handler));
    add(at(&format!("{release}/exceptions")).get(releases::exceptions::handler));
    add(at(&format!("{release}/accesses")).get(releases::accesses::handler));
    add(at(&format!("{release}/why")).get(releases::why::handler));
    let request = format!("{release}/approvals/requests");
    add(at(&format!("{release}/low-traffic")).post(low_traffic::plan::handler));
    add(at(&format!("{release}/window")).post(window::set::handler).get(window::get::handler));
    add(at(&request).post(approvals::request::handler).get(approvals::list::handler));
    add(at(&format!("{request}/{{request}}")).get(approvals::get::handler));
    add(at(&format!("{request}/{{request}}/approve")).post(approvals::approve::handler));
    add(at(&format!("{request}/{{request}}/reject")).post(approvals::reject::handler));
    add(at(&format!("{request}/{{request}}/withdraw")).post(approvals::withdraw::handler));
    add(at(&format!("{release}/roll-call")).post(roll_call::answer::handler).get(roll_call::list::handler));
    add(at(&format!("{release}/roll-call/{{entry}}")).get(roll_call::get::handler));
    add(at(&format!("{release}/roll-call/{{entry}}/amend")).post(roll_call::amend::handler));
    add(at(&format!("{release}/authorize")).post(authorizations::authorize::handler));
    let authorization = format!("{release}/authorizations");
    add(at(&authorization).get(authorizations::list::handler));
    add(at(&format!("{authorization}/{{authorization}}")).get(authorizations::get::handler));
    add(at(&format!("{authorization}/{{authorization}}/approve")).post(authorizations::approve::handler));
    add(at(&format!("{authorization}/{{authorization}}/revoke")).post(authorizations::revoke::handler));

    let deployment = format!("{release}/deployments/{{deployment}}");
    add(at(&format!("{deployment}/samples")).post(deployments::samples::handler));
    add(at(&format!("{deployment}/traffic")).post(deployments::traffic::handler));
    add(at(&format!("{deployment}/probes")).post(deployments::probes::handler));
    add(at(&format!("{deployment}/migrations")).post(deployments::migrations::handler));
    add(at(&format!("{deployment}/proceed")).post(deployments::proceed::handler));
    add(at(&format!("{deployment}/analysis")).get(deployments::analysis::handler));
    add(at(&format!("{deployment}/series")).get(deployments::series::handler));
    add(at(&format!("{deployment}/finish")).post(deployments::finish::handler));
    add(at(&format!("{deployment}/amend")).post(deployments::amend::handler));
    add(at(&deployment).get(deployments::get::handler));
    add(at(&format!("{release}/deployments"))
        .post(deployments::start::handler)
        .get(deployments::list::handler));
    add(at(&format!("{release}/timers")).get(timers::list::handler));
    add(at(&format!("{release}/baselines")).post(baselines::capture::handler).get(baselines::list::handler));
    add(at(&format!("{release}/baselines/{{baseline}}")).get(baselines::get::handler));
    let lease = format!("{release}/leases/{{lease}}");
    add(at(&format!("{release}/leases")).get(leases::list::handler));
    add(at(&lease).get(leases::get::handler));
    add(at(&format!("{lease}/probes")).post(leases::probe::handler));
    add(at(&format!("{lease}/extend")).post(leases::extend::handler));
    add(at(&format!("{lease}/release")).post(leases::release_lease::handler));
    add(at(&format!("{lease}/break")).post(leases::break_lease::handler));

    add(at(&format!("{release}/rollback-triggers"))
        .post(rollback_triggers::trigger::handler)
        .get(rollback_triggers::list::handler));
    add(at(&format!("{release}/rollback-triggers/{{trigger}}")).get(rollback_triggers::get::handler));
    let proposal = format!("{release}/rollback-proposals");
    add(at(&proposal).post(rollback_proposals::propose::handler).get(rollback_proposals::list::handler));
    add(at(&format!("{proposal}/{{proposal}}")).get(rollback_proposals::get::handler));
    add(at(&format!("{proposal}/{{proposal}}/decide")).post(rollback_proposals::decide::handler));
    add(at(&format!("{release}/rollback")).post(rollbacks::start::handler));
    let rollback = format!("{release}/rollbacks/{{rollback}}");
    add(at(&format!("{release}/rollbacks")).get(rollbacks::list::handler));
    add(at(&rollback).get(rollbacks::get::handler));
    add(at(&format!("{rollback}/observations")).post(rollbacks::observe::handler));
    add(at(&format!("{rollback}/verify")).post(rollbacks::verify::handler));
    add(at(&format!("{rollback}/fail")).post(rollbacks::fail::handler));
    add(at(&format!("{rollback}/complete")).post(rollbacks::complete::handler));

    add(at("/v1/metrics/delivery").get(metrics::delivery::handler));
    add(at("/v1/metrics/flow").get(metrics::flow::handler));
    add(at("/v1/board").get(board::handler));
    add(at("/v1/inbox").get(inbox::handler));
    add(at("/v1/exceptions").get(exceptions::list::handler));
    add(at("/v1/exceptions/{exception}").get(exceptions::get::handler));
    add(at("/v1/exceptions/{exception}/assign").post(exceptions::assign::handler));
    add(at("/v1/exceptions/{exception}/dispose").post(exceptions::dispose::handler));
    add(at("/v1/reports").post(reports::generate::handler).get(reports::list::handler));
    add(at("/v1/reports/{report}").get(reports::get::handler));
    add(at("/v1/reports/{report}/envelope").get(reports::envelope::handler));
    let report = "/v1/reports/{report}";
    add(at(&format!("{report}/samples"))
        .post(reports::samples::draw::handler)
        .get(reports::samples::list::handler));
    add(at(&format!("{report}/samples/{{sample}}")).get(reports::samples::get::handler));
    let reconciliations = format!("{report}/reconciliations");
    add(at(&reconciliations)
        .post(reports::reconciliations::reconcile::handler)
        .get(reports::reconciliations::list::handler));
    add(at(&format!("{reconciliations}/{{reconciliation}}")).get(reports::reconciliations::get::handler));
    add(at("/v1/observations").post(observations::record::handler).get(observations::list::handler));
    add(at("/v1/observations/{observation}").get(observations::get::handler));
    add(at("/v1/events").get(events::list::handler));
    add(at("/v1/events/{event}").get(events::get::handler));
    add(at("/v1/events/{event}/proof").get(events::proof::handler));
    add(at("/v1/consistency").get(tlog::consistency::handler));
    add(at("/v1/signing-keys").get(signing_keys::list::handler));
    add(at("/v1/signing-keys/{key}").get(signing_keys::get::handler));
    add(at("/v1/signing-keys/{key}/compromise").post(signing_keys::compromise::handler));
    add(at("/v1/format").get(format::get::handler));
    add(at("/v1/format/enable").post(format::enable::handler));
    add(at("/tlog/checkpoint").get(tlog::checkpoint::handler));
    add(at("/tlog/keys").get(tlog::keys::handler));
    add(at("/tlog/tile/{tile:.*}").get(tlog::tile::handler));

    add(at("/v1/products").post(products::register::handler).get(products::list::handler));
    add(at("/v1/products/{product}").get(products::get::handler));
    add(at("/v1/products/{product}/readiness").get(products::readiness::handler));
    add(at("/v1/products/{product}/versions")
        .post(products::publish_settings::handler)
        .get(products::list_versions::handler));
    add(at("/v1/products/{product}/versions/{number}").get(products::get_version::handler));

    add(at("/v1/control-mappings").get(control_mappings::list::handler));
    let mapping = "/v1/control-mappings/{name}/versions";
    add(at(mapping).post(control_mappings::publish::handler).get(control_mappings::list_versions::handler));
    add(at(&format!("{mapping}/{{number}}")).get(control_mappings::get_version::handler));
    add(at("/v1/procedures").get(procedures::list::handler));
    add(at("/v1/procedures/schema").get(procedures::schema::handler));
    let procedure = "/v1/procedures/{name}";
    add(at(&format!("{procedure}/versions"))
        .post(procedures::publish::handler)
        .get(procedures::list_versions::handler));
    add(at(&format!("{procedure}/versions/{{number}}")).get(procedures::get_version::handler));
    add(at(&format!("{procedure}/versions/{{number}}/activate")).post(procedures::activate::handler));
    add(at(&format!("{procedure}/retire")).post(procedures::retire::handler));

    let environment = "/v1/environments/{product}/{environment}";
    add(at("/v1/environments").get(environments::list::handler));
    add(at(environment).get(environments::get::handler));
    add(at(&format!("{environment}/running")).post(environments::record_running::handler));
    add(at(&format!("{environment}/hand-over")).post(environments::hand_over::handler));
    add(at("/v1/calendar").get(calendar::handler));
    add(at("/v1/freezes").post(freezes::declare::handler).get(freezes::list::handler));
    add(at("/v1/freezes/{freeze}").get(freezes::get::handler));
    add(at("/v1/freezes/{freeze}/lift").post(freezes::lift::handler));
    add(at("/v1/retention").post(retention::set::handler).get(retention::get::handler));
    add(at("/v1/legal-holds").post(legal_holds::place::handler).get(legal_holds::list::handler));
    add(at("/v1/legal-holds/{hold}").get(legal_holds::get::handler));
    add(at("/v1/legal-holds/{hold}/lift").post(legal_holds::lift::handler));
    add(at("/v1/people").post(people::link::handler).get(people::list::handler));
    add(at("/v1/people/unlink").post(people::unlink::handler));
    add(at("/v1/people/name").post(people::name::handler));
    add(at("/v1/people/erase").post(people::erase::handler));
    add(at("/v1/people/{actor}").get(people::get::handler));

    add(at("/v1/whoami").get(operations::whoami::handler));
    add(at("/health/live").get(operations::live::handler));
    add(at("/health/ready").get(operations::ready::handler));
    add(at("/version").get(operations::version::handler));
    add(at("/.well-known/jwks.json").get(operations::jwks::handler));
    add(at("/openapi.json").get(operations::openapi::handler));
    add(at("/problems/{code}").get(operations::problems::handler));
    if app.config.metrics != Access::Off {
        add(at("/metrics").get(operations::metrics::handler));
    }
    add(at("/dev/clock").post(operations::clock::handler));
    config.service(operations::docs::front_door());
    config.service(operations::docs::service());
    config.default_service(web::to(|request: HttpRequest| async move {
        Err::<HttpResponse, _>(Problem::new(Code::NotFound, "there is nothing at this path").at(&request))
    }));
}
