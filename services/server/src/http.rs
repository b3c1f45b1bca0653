//! Every route, in one list.

pub mod aggregate;
pub mod answer;
pub mod approvals;
pub mod authorizations;
pub mod baselines;
pub mod board;
pub mod calendar;
pub mod call;
pub mod candidates;
pub mod comments;
pub mod deployments;
pub mod environments;
pub mod events;
pub mod evidence;
pub mod freezes;
pub mod headers;
pub mod inbox;
pub mod items;
pub mod leases;
pub mod lists;
pub mod openapi;
pub mod operations;
pub mod people;
pub mod problem;
pub mod procedures;
pub mod products;
pub mod releases;
pub mod roll_call;
pub mod rollback_proposals;
pub mod rollback_triggers;
pub mod rollbacks;
pub mod waivers;
pub mod window;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, HttpRequest, HttpResponse, Resource, Responder};

use problem::{Code, Problem};

pub fn routes(config: &mut ServiceConfig) {
    let mut add = |at: At| {
        config.service(at.finish());
    };
    let release = "/v1/releases/{release}";
    let item = format!("{release}/items/{{item}}");
    // Hot paths first: the router tries them in this order.
    add(At::new(&format!("{item}/attest")).post(items::attest::handler));
    add(At::new(&format!("{item}/evidence")).post(evidence::record_for_item::handler));
    add(At::new(&format!("{release}/evidence")).post(evidence::record::handler).get(evidence::list::handler));
    add(At::new(&format!("{release}/checklist")).get(releases::checklist::handler));
    add(At::new(release).get(releases::get::handler));

    add(At::new("/v1/releases").post(releases::open::handler).get(releases::list::handler));
    add(At::new(&format!("{release}/amend")).post(releases::amend::handler));
    add(At::new(&format!("{release}/hold")).post(releases::hold::handler));
    add(At::new(&format!("{release}/resume")).post(releases::resume::handler));
    add(At::new(&format!("{release}/abort")).post(releases::abort::handler));
    add(At::new(&format!("{release}/reopen")).post(releases::reopen::handler));
    add(At::new(&format!("{release}/complete")).post(releases::complete::handler));
    add(At::new(&format!("{release}/close")).post(releases::close::handler));
    add(At::new(&format!("{release}/events")).get(releases::events::handler));

    add(At::new(&format!("{release}/candidates"))
        .post(candidates::tag::handler)
        .get(candidates::list::handler));
    add(At::new(&format!("{release}/candidates/{{number}}")).get(candidates::get::handler));
    add(At::new(&format!("{release}/candidates/{{number}}/bind")).post(candidates::bind::handler));
    add(At::new(&format!("{release}/candidates/{{number}}/reject")).post(candidates::reject::handler));

    add(At::new(&format!("{release}/evidence/{{evidence}}")).get(evidence::get::handler));
    add(At::new(&format!("{release}/evidence/{{evidence}}/retract")).post(evidence::retract::handler));

    add(At::new(&item).get(items::get::handler));
    add(At::new(&format!("{item}/reaffirm")).post(items::reaffirm::handler));
    add(At::new(&format!("{item}/retract")).post(items::retract::handler));
    add(At::new(&format!("{item}/assign")).post(items::assign::handler));
    add(At::new(&format!("{item}/claim")).post(items::claim::handler));
    add(At::new(&format!("{item}/not-applicable")).post(items::not_applicable::handler));
    add(At::new(&format!("{item}/not-applicable/confirm")).post(items::confirm_not_applicable::handler));

    add(At::new(&format!("{item}/waivers")).post(waivers::request::handler).get(waivers::list::handler));
    add(At::new(&format!("{item}/waivers/{{waiver}}")).get(waivers::get::handler));
    add(At::new(&format!("{item}/waivers/{{waiver}}/grant")).post(waivers::grant::handler));
    add(At::new(&format!("{item}/waivers/{{waiver}}/deny")).post(waivers::deny::handler));

    add(At::new(&format!("{release}/comments")).post(comments::add::handler).get(comments::list::handler));
    add(At::new(&format!("{release}/comments/{{comment}}")).get(comments::get::handler));

    let request = format!("{release}/approvals/requests");
    add(At::new(&format!("{release}/window")).post(window::set::handler).get(window::get::handler));
    add(At::new(&request).post(approvals::request::handler).get(approvals::list::handler));
    add(At::new(&format!("{request}/{{request}}")).get(approvals::get::handler));
    add(At::new(&format!("{request}/{{request}}/approve")).post(approvals::approve::handler));
    add(At::new(&format!("{request}/{{request}}/reject")).post(approvals::reject::handler));
    add(At::new(&format!("{request}/{{request}}/withdraw")).post(approvals::withdraw::handler));
    add(At::new(&format!("{release}/roll-call"))
        .post(roll_call::answer::handler)
        .get(roll_call::list::handler));
    add(At::new(&format!("{release}/authorize")).post(authorizations::authorize::handler));
    let authorization = format!("{release}/authorizations");
    add(At::new(&authorization).get(authorizations::list::handler));
    add(At::new(&format!("{authorization}/{{authorization}}")).get(authorizations::get::handler));
    add(At::new(&format!("{authorization}/{{authorization}}/revoke")).post(authorizations::revoke::handler));

    let deployment = format!("{release}/deployments/{{deployment}}");
    add(At::new(&format!("{deployment}/samples")).post(deployments::samples::handler));
    add(At::new(&format!("{deployment}/traffic")).post(deployments::traffic::handler));
    add(At::new(&format!("{deployment}/probes")).post(deployments::probes::handler));
    add(At::new(&format!("{deployment}/migrations")).post(deployments::migrations::handler));
    add(At::new(&format!("{deployment}/proceed")).post(deployments::proceed::handler));
    add(At::new(&format!("{deployment}/series")).get(deployments::series::handler));
    add(At::new(&format!("{deployment}/finish")).post(deployments::finish::handler));
    add(At::new(&deployment).get(deployments::get::handler));
    add(At::new(&format!("{release}/deployments"))
        .post(deployments::start::handler)
        .get(deployments::list::handler));
    add(At::new(&format!("{release}/timers")).get(deployments::timers::handler));
    add(At::new(&format!("{release}/baselines"))
        .post(baselines::capture::handler)
        .get(baselines::list::handler));
    add(At::new(&format!("{release}/baselines/{{baseline}}")).get(baselines::get::handler));
    let lease = format!("{release}/leases/{{lease}}");
    add(At::new(&format!("{release}/leases")).get(leases::list::handler));
    add(At::new(&lease).get(leases::get::handler));
    add(At::new(&format!("{lease}/probes")).post(leases::probe::handler));
    add(At::new(&format!("{lease}/extend")).post(leases::extend::handler));
    add(At::new(&format!("{lease}/release")).post(leases::release_lease::handler));
    add(At::new(&format!("{lease}/break")).post(leases::break_lease::handler));

    add(At::new(&format!("{release}/rollback-triggers"))
        .post(rollback_triggers::trigger::handler)
        .get(rollback_triggers::list::handler));
    add(At::new(&format!("{release}/rollback-triggers/{{trigger}}")).get(rollback_triggers::get::handler));
    let proposal = format!("{release}/rollback-proposals");
    add(At::new(&proposal).post(rollback_proposals::propose::handler).get(rollback_proposals::list::handler));
    add(At::new(&format!("{proposal}/{{proposal}}")).get(rollback_proposals::get::handler));
    add(At::new(&format!("{proposal}/{{proposal}}/decide")).post(rollback_proposals::decide::handler));
    add(At::new(&format!("{release}/rollback")).post(rollbacks::start::handler));
    let rollback = format!("{release}/rollbacks/{{rollback}}");
    add(At::new(&format!("{release}/rollbacks")).get(rollbacks::list::handler));
    add(At::new(&rollback).get(rollbacks::get::handler));
    add(At::new(&format!("{rollback}/observations")).post(rollbacks::observe::handler));
    add(At::new(&format!("{rollback}/verify")).post(rollbacks::verify::handler));
    add(At::new(&format!("{rollback}/fail")).post(rollbacks::fail::handler));
    add(At::new(&format!("{rollback}/complete")).post(rollbacks::complete::handler));

    add(At::new("/v1/board").get(board::handler));
    add(At::new("/v1/inbox").get(inbox::handler));
    add(At::new("/v1/events").get(events::list::handler));
    add(At::new("/v1/events/{event}").get(events::get::handler));

    add(At::new("/v1/products").post(products::register::handler).get(products::list::handler));
    add(At::new("/v1/products/{product}").get(products::get::handler));
    add(At::new("/v1/products/{product}/versions")
        .post(products::publish_settings::handler)
        .get(products::list_versions::handler));
    add(At::new("/v1/products/{product}/versions/{number}").get(products::get_version::handler));

    add(At::new("/v1/procedures/schema").get(procedures::schema::handler));
    let procedure = "/v1/procedures/{name}";
    add(At::new(&format!("{procedure}/versions"))
        .post(procedures::publish::handler)
        .get(procedures::list_versions::handler));
    add(At::new(&format!("{procedure}/versions/{{number}}")).get(procedures::get_version::handler));
    add(At::new(&format!("{procedure}/versions/{{number}}/activate")).post(procedures::activate::handler));
    add(At::new(&format!("{procedure}/retire")).post(procedures::retire::handler));

    let environment = "/v1/environments/{product}/{environment}";
    add(At::new("/v1/environments").get(environments::list::handler));
    add(At::new(environment).get(environments::get::handler));
    add(At::new(&format!("{environment}/running")).post(environments::record_running::handler));
    add(At::new(&format!("{environment}/hand-over")).post(environments::hand_over::handler));
    add(At::new("/v1/calendar").get(calendar::handler));
    add(At::new("/v1/freezes").post(freezes::declare::handler).get(freezes::list::handler));
    add(At::new("/v1/freezes/{freeze}").get(freezes::get::handler));
    add(At::new("/v1/freezes/{freeze}/lift").post(freezes::lift::handler));
    add(At::new("/v1/people").post(people::link::handler).get(people::list::handler));
    add(At::new("/v1/people/unlink").post(people::unlink::handler));

    add(At::new("/v1/whoami").get(operations::whoami::handler));
    add(At::new("/health/live").get(operations::health::live));
    add(At::new("/health/ready").get(operations::health::ready));
    add(At::new("/version").get(operations::version::handler));
    add(At::new("/openapi.json").get(operations::openapi::handler));
    add(At::new("/problems/{code}").get(operations::problems::handler));
    add(At::new("/dev/clock").post(operations::clock::handler));
    config.service(operations::docs::front_door());
    config.service(operations::docs::service());
    config.default_service(web::to(|request: HttpRequest| async move {
        Err::<HttpResponse, _>(Problem::new(Code::NotFound, "there is nothing at this path").at(&request))
    }));
}

/// One path with the methods it takes; any other gets 405 with `Allow`.
struct At {
    resource: Resource,
    allow: Vec<&'static str>,
}

impl At {
    fn new(path: &str) -> Self {
        Self { resource: web::resource(path.to_owned()), allow: Vec::new() }
    }

    fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::get().to(handler));
        self.allow.push("GET");
        self
    }

    fn post<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::post().to(handler));
        self.allow.push("POST");
        self
    }

    fn finish(self) -> Resource {
        let allow = self.allow.join(", ");
        self.resource.default_service(web::to(move |request: HttpRequest| {
            let allow = allow.clone();
            async move {
                let problem = Problem::new(Code::MethodNotAllowed, format!("this resource takes {allow}"));
                Err::<HttpResponse, _>(
                    problem.with_header(actix_web::http::header::ALLOW, allow).at(&request),
                )
            }
        }))
    }
}
