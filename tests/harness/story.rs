//! The way to production over HTTP, for tests that begin further along it. A role has one bearer here,
//! `the-{role}`; Grace approves.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use release::Role;
use release::procedure::{Item, Rule};
use release::spec::release::procedure;
use serde_json::{Value, json};

use super::answer::Answer;
use super::bodies;
use super::client::Client;
use super::world::{Opened, World};

fn one_of(roles: &[Role], but_not: Option<Role>) -> Option<Role> {
    roles.iter().copied().find(|role| *role != Role::Machine && Some(*role) != but_not)
}

impl World {
    /// The one person with this role.
    pub fn the(&self, role: &str) -> Client {
        self.person(&format!("the-{role}"), &[role])
    }

    pub fn grace(&self) -> Client {
        self.person("grace", &["approver"])
    }

    /// The directory knows from now on that these are identities of one person.
    pub async fn link(&self, identities: &[&Client]) {
        for identity in identities {
            let actor = identity.get("/v1/whoami").await.ok().json()["id"].clone();
            let body = json!({"actor": actor, "directory_ref": "00000000-0000-4000-8000-00000000ada0"});
            self.person("root", &["admin"]).post("/v1/people", body).await.ok();
        }
    }

    /// What the world's clock says.
    pub async fn now(&self) -> Timestamp {
        self.pass(0).await["now"].as_str().unwrap().parse().unwrap()
    }

    /// The items of a step that close by attestation, but for these.
    pub async fn close_step(&self, opened: &Opened, step: u32, but_not: &[&str]) {
        let procedure = procedure();
        let items = &procedure.step(step).unwrap().items;
        let open = items.iter().filter(|item| item.rule == Rule::Attestation);
        let open: Vec<_> = open.filter(|item| !but_not.contains(&item.number.to_string().as_str())).collect();
        self.close(opened, &open).await;
    }

    /// These items are attested by whom each asks for, everybody's in one batch.
    pub async fn close(&self, opened: &Opened, items: &[&Item]) {
        let (mut first, mut second) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for item in items {
            let command = json!({
                "operation": "attestItem",
                "item": item.number,
                "body": bodies::attest(&[item.evidence[0].as_str()]),
            });
            let signer = one_of(&item.roles, None).unwrap();
            first.entry(signer.as_str()).or_default().push(command.clone());
            if let Some(other) = one_of(&item.second, Some(signer)) {
                second.entry(other.as_str()).or_default().push(command);
            }
        }
        for (role, commands) in first.into_iter().chain(second) {
            let batch = json!({"commands": commands});
            self.the(role).post(&opened.under("batch"), batch).await.ok();
        }
    }

    pub async fn close_items(&self, opened: &Opened, numbers: &[&str]) {
        let procedure = procedure();
        let items: Vec<_> =
            procedure.items().filter(|item| numbers.contains(&item.number.to_string().as_str())).collect();
        self.close(opened, &items).await;
    }

    /// From now on for five hours.
    pub async fn set_window(&self, opened: &Opened) {
        let now = self.now().await;
        let window = json!({"from": now, "to": now + SignedDuration::from_hours(5)});
        self.alice().post(&opened.under("window"), window).await.ok();
    }

    /// Steps 1 to 3 are closed, the rollback was rehearsed, the flags are set, and the window is open.
    pub async fn windowed(&self, version: &str) -> Opened {
        let opened = self.open_with_candidate(version).await;
        self.windowed_again(&opened).await;
        opened
    }

    pub async fn windowed_again(&self, opened: &Opened) {
        for step in 1..=3 {
            self.close_step(opened, step, &[]).await;
        }
        self.close_items(opened, &["4.2", "4.7"]).await;
        self.set_window(opened).await;
    }

    pub async fn request_approval(&self, opened: &Opened) -> Answer {
        self.alice().post(&opened.under("approvals/requests"), json!({})).await.created()
    }

    /// Grace approved the window.
    pub async fn approved(&self, version: &str) -> Opened {
        let opened = self.windowed(version).await;
        let request = self.request_approval(&opened).await;
        approve(&self.grace(), &request).await.ok();
        opened
    }

    /// Everybody said go.
    pub async fn ready(&self, version: &str) -> Opened {
        let opened = self.approved(version).await;
        self.get_ready(&opened).await;
        opened
    }

    pub async fn get_ready(&self, opened: &Opened) {
        self.close_step(opened, 4, &["4.2", "4.7"]).await;
        for role in ["release_manager", "operator", "on_call", "qa"] {
            self.answer_roll_call(opened, role, "go").await.created();
        }
    }

    pub async fn answer_roll_call(&self, opened: &Opened, role: &str, answer: &str) -> Answer {
        let body = json!({"role": role, "answer": answer});
        self.the(role).post(&opened.under("roll-call"), body).await
    }

    /// Authorized: the id of the authorization.
    pub async fn authorized(&self, version: &str) -> (Opened, Value) {
        let opened = self.ready(version).await;
        let given = self.alice().post(&opened.under("authorize"), json!({})).await.created();
        let authorization = given.json()["authorization"].clone();
        (opened, authorization)
    }

    /// The operator started it in production: where the deployment is.
    pub async fn deploying(&self, version: &str) -> (Opened, String) {
        let (opened, authorization) = self.authorized(version).await;
        let start = json!({"environment": "production", "authorization": authorization});
        let started = self.the("operator").post(&opened.under("deployments"), start).await.created();
        (opened, started.location())
    }
}

/// Somebody approves a request for approval.
pub async fn approve(approver: &Client, request: &Answer) -> Answer {
    approver.post(&format!("{}/approve", request.location()), json!({"meaning": "approved"})).await
}
