//! What people and machines do to items: a machine's report that closes one, a person's signature, a
//! question why one is open.

use serde_json::{Value, json};

use super::cast::{ROSA, Who, with_names};
use super::stage::{Answer, DemoError, Played, Stage};

impl Stage {
    /// A command on the release, shown as one line.
    pub async fn act(&mut self, who: Who, what: &str, under: &str, body: &Value) -> Played<Answer> {
        let answer = self.post(who, &self.path(under), body).await?;
        self.screen.act(self.now, who, what)?;
        Ok(answer)
    }

    /// Records evidence for an item, whatever the rules make of it.
    pub async fn report(&mut self, who: Who, item: &str, outcome: &str, evidence: &Value) -> Played {
        self.post(who, &self.path(&format!("items/{item}/evidence")), evidence).await?;
        Ok(self.screen.item(self.now, who, item, self.name(item), outcome)?)
    }

    /// A machine reports facts that close an item without anybody's signature.
    pub async fn verify(&mut self, who: Who, item: &str, facts: &str, evidence: Vec<Value>) -> Played {
        for piece in &evidence {
            self.post(who, &self.path(&format!("items/{item}/evidence")), piece).await?;
        }
        self.verified(who, item, facts).await
    }

    /// What was recorded besides evidence closed the item.
    pub async fn verified(&mut self, who: Who, item: &str, facts: &str) -> Played {
        self.expect_verified(item).await?;
        Ok(self.screen.item(self.now, who, item, self.name(item), &format!("verified: {facts}"))?)
    }

    /// The same, told in the words of the row of the verdict that ends so.
    pub async fn verified_by_row(&mut self, who: Who, item: &str, row: &str) -> Played {
        let state = self.expect_verified(item).await?;
        let rows = state.list("/verdict/rows")?;
        let told =
            rows.iter().find(|judged| judged["input"].as_str().is_some_and(|input| input.ends_with(row)));
        let observed = told.and_then(|judged| judged["observed"].as_str()).unwrap_or_default();
        Ok(self.screen.item(self.now, who, item, self.name(item), &format!("verified: {observed}"))?)
    }

    async fn expect_verified(&self, item: &str) -> Played<Answer> {
        let state = self.get(ROSA, &self.path(&format!("items/{item}"))).await?;
        if state.body["assurance"] == "verified" {
            return Ok(state);
        }
        let why = self.missing(&format!("item={item}")).await?.join("\n  ");
        Err(DemoError::Check(format!("{item} is {}, not verified:\n  {why}", state.body["status"])))
    }

    /// Signs an item, with evidence given here where there is some.
    pub async fn attest(&mut self, who: Who, item: &str, statement: &str, evidence: Vec<Value>) -> Played {
        let body = json!({"statement": statement, "new_evidence": evidence});
        let answer = self.post(who, &self.path(&format!("items/{item}/attest")), &body).await?;
        let outcome = match answer.text("/status")?.as_str() {
            "satisfied" => "attested",
            _ => "signed first, a second person follows",
        };
        Ok(self.screen.item(self.now, who, item, self.name(item), outcome)?)
    }

    pub async fn reaffirm(&mut self, who: Who, item: &str, statement: &str) -> Played {
        let path = self.path(&format!("items/{item}/reaffirm"));
        let answer = self.post(who, &path, &json!({"statement": statement})).await?;
        let outcome = match answer.text("/status")?.as_str() {
            "satisfied" => "reaffirmed",
            _ => "reaffirmed first, a second person follows",
        };
        Ok(self.screen.item(self.now, who, item, self.name(item), outcome)?)
    }

    /// Somebody asks why an item is open, and reads what would close it.
    pub async fn why(&self, who: Who, item: &str) -> Played {
        self.screen.act(self.now, who, &format!("asks why {item} is open"))?;
        for missing in self.missing(&format!("item={item}")).await? {
            self.screen.more(&missing)?;
        }
        Ok(())
    }

    /// What the service answers to such a question, a line for each missing fact.
    pub async fn missing(&self, question: &str) -> Played<Vec<String>> {
        let answer = self.get(ROSA, &self.path(&format!("why?{question}"))).await?;
        let line = |fact: &Value| {
            let of = |member: &str| fact[member].as_str().unwrap_or_default();
            let roles: Vec<_> =
                fact["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let by = if roles.is_empty() { String::new() } else { format!(", from {}", roles.join(" or ")) };
            let text = format!(
                "{}: {} ({}), expected {}{by}",
                of("fact"),
                of("observed"),
                of("cause"),
                of("expected")
            );
            with_names(&text)
        };
        Ok(answer.list("/missing")?.iter().map(line).collect())
    }
}
