//! What a product is made of and how its releases are judged, as one resource. A version of it never
//! changes; a release pins one by number and hash.

use serde::{Deserialize, Serialize};

use crate::event::EnvironmentPurpose;
use crate::guard::failed;
use crate::procedure::Policy;
use crate::value::{Line, Link, List, Name, Prose, Sha256Hex};
use crate::verdict::{Cause, Row};

/// An event holds 256 KiB; this leaves room for what stands around the settings.
pub const MAX_BYTES: usize = 200 * 1024;

/// Every member has a default, so `{}` describes a product with one target, a staging and a
/// production environment, released by the built-in procedure.
// Numbers are integers, because a decimal may change its last digit between two readers and with it
// the hash. A member added later must be left out of the bytes while it has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ProductSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// What the items of a checklist must hold for: regions, services; `default` when there is but one.
    pub targets: List<Name, 20>,
    pub environments: List<EnvironmentSettings, 20>,
    /// Which of the targets an artifact is for, where each target has its own: a new candidate that leaves the
    /// artifacts of a target as they are leaves alone what was seen of it. An artifact that is not listed is for
    /// all of them.
    #[serde(skip_serializing_if = "<[ArtifactSettings]>::is_empty")]
    pub artifacts: List<ArtifactSettings, 100>,
    /// CI workflows that must have succeeded on a candidate's commit.
    pub required_workflows: List<Line, 50>,
    /// Files that state the version.
    pub manifests: List<ManifestPath, 50>,
    pub databases: List<Database, 50>,
    /// The cases of a manual smoke test.
    pub critical_flows: List<Line, 100>,
    pub risk_areas: List<RiskArea, 50>,
    /// Who is told of a release.
    pub notification_groups: List<NotificationGroup, 50>,
    pub metric_queries: List<MetricQuery, 100>,
    pub slos: List<Slo, 50>,
    /// Where the feature flags live; absent when the product has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<FlagSource>,
    /// The procedure of a release that asks for no other.
    pub procedure: DefaultProcedure,
    /// Other procedures that a release may ask for.
    pub allowed_procedures: List<Name, 20>,
    /// A release may follow this policy or a stricter one.
    pub minimum_policy: Policy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Repository {
    pub url: Link,
    /// The provider's id of the repository, which survives a rename.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EnvironmentSettings {
    pub name: Name,
    pub purpose: EnvironmentPurpose,
    /// Answers with the version and the commit that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_url: Option<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_url: Option<Link>,
    /// Somebody looks from outside at what runs there at least this often; the report of a period states the gaps
    /// that are longer, the 100 longest and how many more. A little longer than the pace of whoever looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 10, maximum = 86_400))]
    pub probe_interval_s: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ArtifactSettings {
    /// As candidates and deployments name it.
    pub name: Line,
    /// Targets of the product.
    pub targets: List<Name, 20>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ManifestPath {
    pub path: Line,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub name: Name,
}

/// A part of the product whose change asks for more testing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RiskArea {
    pub name: Line,
    #[serde(default, skip_serializing_if = "<[Line]>::is_empty")]
    pub paths: List<Line, 50>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NotificationGroup {
    pub name: Name,
    /// The channel or list that reaches the group; never a person's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricQuery {
    /// The metric that the query gives, such as `error_rate`.
    pub name: Line,
    pub query: Prose,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Slo {
    pub name: Line,
    /// A metric query of these settings.
    pub metric: Line,
    /// The share of good events in parts per million: 999500 is 99.95 %.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 999_999))]
    pub objective_ppm: u32,
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 366))]
    pub window_days: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FlagSource {
    pub provider: Line,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Link>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DefaultProcedure {
    pub name: Name,
    /// The version in force when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl Default for ProductSettings {
    fn default() -> Self {
        let environment = |name, purpose| EnvironmentSettings {
            name,
            purpose,
            version_url: None,
            health_url: None,
            probe_interval_s: None,
        };
        Self {
            repository: None,
            targets: list(vec![Name::default_target()]),
            artifacts: List::default(),
            environments: list(vec![
                environment(Name::staging(), EnvironmentPurpose::Staging),
                environment(Name::production(), EnvironmentPurpose::Production),
            ]),
            required_workflows: List::default(),
            manifests: List::default(),
            databases: List::default(),
            critical_flows: List::default(),
            risk_areas: List::default(),
            notification_groups: List::default(),
            metric_queries: List::default(),
            slos: List::default(),
            flags: None,
            procedure: DefaultProcedure { name: Name::product_release(), version: None },
            allowed_procedures: List::default(),
            minimum_policy: Policy::Guided,
        }
    }
}

/// The entries written here are fewer than any limit.
fn list<T, const MAX: usize>(entries: Vec<T>) -> List<T, MAX> {
    List::new(entries).unwrap_or_default()
}

impl ProductSettings {
    /// The bytes that are hashed: the settings as they stand in the event.
    pub fn bytes(&self) -> Vec<u8> {
        // Only a map with keys that are not text fails to serialise, and there is none in here.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn hash(&self) -> Sha256Hex {
        crate::wire::sha256_hex(&self.bytes())
    }

    pub fn environment(&self, name: &Name) -> Option<&EnvironmentSettings> {
        self.environments.iter().find(|environment| environment.name == *name)
    }

    /// Whether the target runs the artifact of this name.
    pub fn is_for(&self, artifact: &Line, target: &Name) -> bool {
        let listed = self.artifacts.iter().find(|listed| listed.name == *artifact);
        listed.is_none_or(|listed| listed.targets.contains(target))
    }

    /// Whether the artifact of this name is not everybody's.
    pub fn is_listed(&self, artifact: &Line) -> bool {
        self.artifacts.iter().any(|listed| listed.name == *artifact)
    }

    /// Whether a release may ask for the procedure of this name.
    pub fn allows_procedure(&self, name: &Name) -> bool {
        self.procedure.name == *name || self.allowed_procedures.contains(name)
    }

    /// Whether a procedure with this policy is strict enough.
    pub fn allows_policy(&self, policy: Policy) -> bool {
        self.minimum_policy == Policy::Guided || policy == Policy::Strict
    }

    /// What no type can say: one row for each entry that cannot be meant.
    pub fn contradictions(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut wrong = |input: String, expected: &str, observed: String, cause| {
            rows.push(failed("settings", input, expected, observed, cause));
        };
        if self.targets.is_empty() {
            wrong("settings/targets".into(), "at least one target", "none".into(), Cause::Empty);
        }
        for (place, artifact) in self.artifacts.iter().enumerate() {
            let input = format!("settings/artifacts/{place}/targets");
            if artifact.targets.is_empty() {
                wrong(input, "at least one target of the product", "none".into(), Cause::Empty);
            } else if let Some(other) = artifact.targets.iter().find(|name| !self.targets.contains(name)) {
                wrong(input, "targets of the product", other.to_string(), Cause::Mismatch);
            }
        }
        if !self.environments.iter().any(|known| known.purpose == EnvironmentPurpose::Production) {
            let expected = "at least one environment for production";
            wrong("settings/environments".into(), expected, "none".into(), Cause::Absent);
        }
        for (place, environment) in self.environments.iter().enumerate() {
            if let Some(interval) = environment.probe_interval_s
                && !(10..=86_400).contains(&interval)
            {
                let input = format!("settings/environments/{place}/probe_interval_s");
                wrong(input, "10 to 86400", interval.to_string(), Cause::Value);
            }
        }
        for (member, names) in self.names() {
            for (place, name) in names.iter().enumerate() {
                if names.iter().take(place).any(|earlier| earlier == name) {
                    let input = format!("settings/{member}/{place}");
                    wrong(input, "a name used once", (*name).to_owned(), Cause::Value);
                }
            }
        }
        for (place, slo) in self.slos.iter().enumerate() {
            let input = |member: &str| format!("settings/slos/{place}/{member}");
            if !(1..1_000_000).contains(&slo.objective_ppm) {
                wrong(input("objective_ppm"), "1 to 999999", slo.objective_ppm.to_string(), Cause::Value);
            }
            if !(1..=366).contains(&slo.window_days) {
                wrong(input("window_days"), "1 to 366", slo.window_days.to_string(), Cause::Value);
            }
            if !self.metric_queries.iter().any(|metric| metric.name == slo.metric) {
                let expected = "the name of a metric query";
                wrong(input("metric"), expected, slo.metric.to_string(), Cause::Mismatch);
            }
        }
        if self.procedure.version == Some(0) {
            wrong("settings/procedure/version".into(), "at least 1", "0".into(), Cause::Value);
        }
        rows
    }

    /// The lists whose entries are told apart by name.
    fn names(&self) -> [(&'static str, Vec<&str>); 12] {
        [
            ("targets", self.targets.iter().map(Name::as_str).collect()),
            ("artifacts", self.artifacts.iter().map(|entry| entry.name.as_str()).collect()),
            ("environments", self.environments.iter().map(|entry| entry.name.as_str()).collect()),
            ("required_workflows", self.required_workflows.iter().map(Line::as_str).collect()),
            ("manifests", self.manifests.iter().map(|entry| entry.path.as_str()).collect()),
            ("databases", self.databases.iter().map(|entry| entry.name.as_str()).collect()),
            ("critical_flows", self.critical_flows.iter().map(Line::as_str).collect()),
            ("risk_areas", self.risk_areas.iter().map(|entry| entry.name.as_str()).collect()),
            (
                "notification_groups",
                self.notification_groups.iter().map(|entry| entry.name.as_str()).collect(),
            ),
            ("metric_queries", self.metric_queries.iter().map(|entry| entry.name.as_str()).collect()),
            ("slos", self.slos.iter().map(|entry| entry.name.as_str()).collect()),
            ("allowed_procedures", self.allowed_procedures.iter().map(Name::as_str).collect()),
        ]
    }
}
