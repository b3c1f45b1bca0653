//! Whom the service believes: the `[auth]` section of the configuration file, and the checks made before it is used.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::RoleGrant;
use super::ci::{GithubRule, GitlabRule, RefPattern};
use super::keys::Algorithm;
use super::roles::is_name;

/// The longest life any token may be granted by configuration.
const MAX_LIFETIME_SECONDS: u32 = 24 * 3600;
const PERSON_LIFETIME_SECONDS: u32 = 3600;
const MACHINE_LIFETIME_SECONDS: u32 = 900;

/// The tenant of a token that names none.
const DEFAULT_TENANT: &str = "default";

/// The `[auth]` section of the configuration file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Everyone whose tokens are accepted. At least one; each `issuer` once.
    pub issuers: Vec<IssuerConfig>,
    /// How many verified tokens are remembered until they expire.
    #[serde(default = "default_cached_tokens")]
    pub cached_tokens: usize,
}

/// One issuer of tokens: `[[auth.issuers]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The exact `iss` claim, byte for byte. It becomes the first half of every principal's id, so it has no `#`.
    pub issuer: String,
    /// What the `aud` claim must be or contain.
    pub audience: String,
    /// Where the issuer's keys are: the path of a JWKS file, or an `https` URL (`http` for loopback hosts only).
    pub jwks: String,
    /// The signature algorithms that are accepted. A key without `alg` is used with the one listed for its type.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` every token's header must have, such as `at+jwt`. Not checked when left out.
    #[serde(default)]
    pub typ: Option<String>,
    /// What the issuer's subjects are.
    pub kind: SubjectKind,
    /// The claim read when `kind = "claim"`: `person` or `machine`.
    #[serde(default = "default_kind_claim")]
    pub kind_claim: String,
    /// The longest accepted life of a token in seconds. Left out: 3600 for persons, 900 for machines. Never more than
    /// 86400, and for pipelines never more than 900.
    #[serde(default)]
    pub max_lifetime: Option<u32>,
    /// The claim that lists roles; one that begins with `/` is a JSON pointer (`/realm_access/roles`). Not read for
    /// pipelines.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// Roles that every accepted token has, whatever it claims: `machine` or `machine:checkout`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The claim that names the tenant.
    #[serde(default = "default_tenant_claim")]
    pub tenant_claim: String,
    /// The tenants the issuer may speak for; `["*"]` is every tenant. A token that names none belongs to the first,
    /// which for `*` is `default`.
    #[serde(default = "default_tenants")]
    pub tenants: Vec<String>,
    /// Set when the tokens are those of pipelines; their roles then come from configuration alone.
    #[serde(default)]
    pub ci: Option<CiProvider>,
    /// The repositories that may call, for `ci = "github"`.
    #[serde(default)]
    pub github: Vec<GithubBinding>,
    /// The projects that may call, for `ci = "gitlab"`.
    #[serde(default)]
    pub gitlab: Vec<GitlabBinding>,
}

/// What the subjects of an issuer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    Person,
    Machine,
    /// Each token says so itself, in `kind_claim`.
    Claim,
}

/// Whose pipelines an issuer speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CiProvider {
    Github,
    Gitlab,
}

/// A repository whose workflow may call: `[[auth.issuers.github]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GithubBinding {
    /// The repository's number, which survives a rename and is not given to another repository of the same name.
    pub repository_id: String,
    /// The owner's number.
    pub repository_owner_id: String,
    /// The workflow without its ref: `acme/pipelines/.github/workflows/release.yml`.
    pub workflow: String,
    /// Refs the workflow may be read from: `refs/heads/main`, `refs/tags/v*` or a commit. They must be protected at the
    /// provider; this service cannot see whether they are.
    pub protected_refs: Vec<String>,
    /// Environments the job may run in. Left out: any or none.
    #[serde(default)]
    pub environments: Option<Vec<String>>,
    /// Roles in addition to the issuer's.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A project whose pipeline may call: `[[auth.issuers.gitlab]]`. Its own ref must be protected too.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GitlabBinding {
    /// The project's number.
    pub project_id: String,
    /// The pipeline definition without its ref: `gitlab.example.com/acme/checkout//.gitlab-ci.yml`.
    pub ci_config: String,
    /// Refs the definition may be read from: `refs/heads/main`, `refs/tags/v*` or a commit.
    pub protected_refs: Vec<String>,
    /// Environments the job may run in. Left out: any or none.
    #[serde(default)]
    pub environments: Option<Vec<String>>,
    /// Roles in addition to the issuer's.
    #[serde(default)]
    pub roles: Vec<String>,
}

fn default_cached_tokens() -> usize {
    10_000
}

fn default_kind_claim() -> String {
    "kind".to_owned()
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

fn default_tenant_claim() -> String {
    "tenant".to_owned()
}

fn default_tenants() -> Vec<String> {
    vec![DEFAULT_TENANT.to_owned()]
}

/// The configuration leaves room for a guess, or names something that cannot be used; the service does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct AuthConfigError {
    /// The field's path, such as `auth.issuers[0].jwks`.
    pub field: String,
    pub problem: String,
}

impl AuthConfigError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// An issuer whose configuration passed every check.
#[derive(Debug)]
pub(super) struct Issuer {
    pub issuer: String,
    pub audience: String,
    pub algorithms: Vec<Algorithm>,
    /// Normalised by [`media_type`].
    pub typ: Option<String>,
    pub subjects: Subjects,
    pub tenant_claim: String,
    pub tenants: Tenants,
    pub roles: Vec<RoleGrant>,
    pub max_lifetime: Lifetimes,
}

/// Who the subject of a token is and where its roles come from.
#[derive(Debug)]
pub(super) enum Subjects {
    /// The `sub` claim is the subject and the roles claim is read.
    Claimed { kind: SubjectKind, kind_claim: String, roles_claim: String },
    /// A run of a GitHub workflow.
    Github(Vec<GithubRule>),
    /// A job of a GitLab pipeline.
    Gitlab(Vec<GitlabRule>),
}

#[derive(Debug)]
pub(super) enum Tenants {
    Any,
    /// Never empty; the first is meant by a token that names none.
    Listed(Vec<String>),
}

impl Tenants {
    pub fn default_tenant(&self) -> &str {
        match self {
            Self::Any => DEFAULT_TENANT,
            Self::Listed(tenants) => tenants.first().map_or(DEFAULT_TENANT, String::as_str),
        }
    }

    pub fn allow(&self, tenant: &str) -> bool {
        match self {
            Self::Any => is_name(tenant),
            Self::Listed(tenants) => tenants.iter().any(|listed| listed == tenant),
        }
    }
}

/// The longest accepted lifetimes in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    pub person: i64,
    pub machine: i64,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    File(PathBuf),
    Url(reqwest::Url),
}

impl AuthConfig {
    /// Checks every field without touching files or network, naming the first that is wrong.
    pub(super) fn check(&self) -> Result<Vec<(Issuer, Location)>, AuthConfigError> {
        if self.issuers.is_empty() {
            return Err(AuthConfigError::new("auth.issuers", "at least one issuer is needed"));
        }
        if self.cached_tokens == 0 {
            return Err(AuthConfigError::new("auth.cached_tokens", "must be 1 or more"));
        }
        let mut checked: Vec<(Issuer, Location)> = Vec::with_capacity(self.issuers.len());
        for (index, config) in self.issuers.iter().enumerate() {
            let field = Field(format!("auth.issuers[{index}]"));
            if checked.iter().any(|(earlier, _)| earlier.issuer == config.issuer) {
                return Err(field.wrong("issuer", "is configured twice"));
            }
            checked.push(config.check(&field)?);
        }
        Ok(checked)
    }
}

impl IssuerConfig {
    fn check(&self, field: &Field) -> Result<(Issuer, Location), AuthConfigError> {
        if !super::token::is_identifier(&self.issuer) || self.issuer.contains('#') {
            return Err(field.wrong("issuer", "must be 1 to 255 printable ASCII characters without `#`"));
        }
        if self.audience.is_empty() {
            return Err(field.wrong("audience", "must not be empty"));
        }
        if self.algorithms.is_empty() {
            return Err(field.wrong("algorithms", "must list at least one algorithm"));
        }
        if self.typ.as_deref().is_some_and(str::is_empty) {
            return Err(field.wrong("typ", "must not be empty; leave it out to accept any"));
        }
        for (name, claim) in [
            ("kind_claim", &self.kind_claim),
            ("roles_claim", &self.roles_claim),
            ("tenant_claim", &self.tenant_claim),
        ] {
            if claim.is_empty() || claim == "/" {
                return Err(field.wrong(name, "must name a claim"));
            }
        }
        let issuer = Issuer {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            algorithms: self.algorithms.clone(),
            typ: self.typ.as_deref().map(media_type),
            tenant_claim: self.tenant_claim.clone(),
            tenants: self.check_tenants(field)?,
            roles: check_roles(field, &self.roles)?,
            max_lifetime: self.check_lifetime(field)?,
            subjects: self.check_subjects(field)?,
        };
        Ok((issuer, check_location(field, &self.jwks)?))
    }

    fn check_tenants(&self, field: &Field) -> Result<Tenants, AuthConfigError> {
        match self.tenants.as_slice() {
            [] => Err(field.wrong("tenants", "must list at least one tenant, or \"*\"")),
            [any] if any == "*" => Ok(Tenants::Any),
            listed if listed.iter().all(|tenant| is_name(tenant)) => Ok(Tenants::Listed(listed.to_vec())),
            _ => Err(field.wrong("tenants", "a tenant is [a-z0-9][a-z0-9-]{0,62}; \"*\" stands alone")),
        }
    }

    fn check_lifetime(&self, field: &Field) -> Result<Lifetimes, AuthConfigError> {
        let longest = if self.ci.is_some() { MACHINE_LIFETIME_SECONDS } else { MAX_LIFETIME_SECONDS };
        match self.max_lifetime {
            Some(0) => Err(field.wrong("max_lifetime", "must be 1 or more seconds")),
            Some(seconds) if seconds > longest => {
                Err(field.wrong("max_lifetime", format!("must be {longest} seconds or less")))
            }
            Some(seconds) => Ok(Lifetimes { person: seconds.into(), machine: seconds.into() }),
            None => Ok(Lifetimes {
                person: PERSON_LIFETIME_SECONDS.into(),
                machine: MACHINE_LIFETIME_SECONDS.into(),
            }),
        }
    }

    fn check_subjects(&self, field: &Field) -> Result<Subjects, AuthConfigError> {
        for (name, wanted, given) in [
            ("github", CiProvider::Github, !self.github.is_empty()),
            ("gitlab", CiProvider::Gitlab, !self.gitlab.is_empty()),
        ] {
            match (self.ci == Some(wanted), given) {
                (true, false) => {
                    return Err(field.wrong(name, "must bind at least one repository or project"));
                }
                (false, true) => return Err(field.wrong(name, format!("needs `ci = \"{name}\"`"))),
                _ => {}
            }
        }
        let Some(provider) = self.ci else {
            return Ok(Subjects::Claimed {
                kind: self.kind,
                kind_claim: self.kind_claim.clone(),
                roles_claim: self.roles_claim.clone(),
            });
        };
        if self.kind != SubjectKind::Machine {
            return Err(field.wrong("kind", "must be \"machine\" for pipelines"));
        }
        match provider {
            CiProvider::Github => {
                let rules = self.github.iter().enumerate();
                let rules = rules.map(|(i, binding)| binding.check(&field.item("github", i), &self.roles));
                Ok(Subjects::Github(rules.collect::<Result<_, _>>()?))
            }
            CiProvider::Gitlab => {
                let rules = self.gitlab.iter().enumerate();
                let rules = rules.map(|(i, binding)| binding.check(&field.item("gitlab", i), &self.roles));
                Ok(Subjects::Gitlab(rules.collect::<Result<_, _>>()?))
            }
        }
    }
}

impl GithubBinding {
    fn check(&self, field: &Field, issuer_roles: &[String]) -> Result<GithubRule, AuthConfigError> {
        check_number(field, "repository_id", &self.repository_id)?;
        check_number(field, "repository_owner_id", &self.repository_owner_id)?;
        check_definition(field, "workflow", &self.workflow)?;
        check_environments(field, self.environments.as_deref())?;
        Ok(GithubRule {
            repository_id: self.repository_id.clone(),
            repository_owner_id: self.repository_owner_id.clone(),
            workflow: self.workflow.clone(),
            protected_refs: check_refs(field, &self.protected_refs)?,
            environments: self.environments.clone(),
            roles: check_binding_roles(field, &self.roles, issuer_roles)?,
        })
    }
}

impl GitlabBinding {
    fn check(&self, field: &Field, issuer_roles: &[String]) -> Result<GitlabRule, AuthConfigError> {
        check_number(field, "project_id", &self.project_id)?;
        check_definition(field, "ci_config", &self.ci_config)?;
        check_environments(field, self.environments.as_deref())?;
        Ok(GitlabRule {
            project_id: self.project_id.clone(),
            ci_config: self.ci_config.clone(),
            protected_refs: check_refs(field, &self.protected_refs)?,
            environments: self.environments.clone(),
            roles: check_binding_roles(field, &self.roles, issuer_roles)?,
        })
    }
}

/// The path of the table being checked, so that an error names the field as it is written in the file.
struct Field(String);

impl Field {
    fn item(&self, list: &str, index: usize) -> Self {
        Self(format!("{}.{list}[{index}]", self.0))
    }

    fn wrong(&self, name: &str, problem: impl Into<String>) -> AuthConfigError {
        AuthConfigError::new(format!("{}.{name}", self.0), problem)
    }
}

fn check_roles(field: &Field, roles: &[String]) -> Result<Vec<RoleGrant>, AuthConfigError> {
    let parse = |role: &String| {
        role.parse()
            .map_err(|_| field.wrong("roles", format!("`{role}` is not a role, or not a role of a product")))
    };
    roles.iter().map(parse).collect()
}

fn check_binding_roles(
    field: &Field,
    roles: &[String],
    issuer_roles: &[String],
) -> Result<Vec<RoleGrant>, AuthConfigError> {
    if roles.is_empty() && issuer_roles.is_empty() {
        return Err(field.wrong("roles", "neither the binding nor its issuer grants a role"));
    }
    check_roles(field, roles)
}

fn check_number(field: &Field, name: &str, number: &str) -> Result<(), AuthConfigError> {
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(field.wrong(name, "must be the provider's number, as digits in quotes"));
    }
    Ok(())
}

fn check_definition(field: &Field, name: &str, definition: &str) -> Result<(), AuthConfigError> {
    if definition.is_empty() || definition.contains(['@', '*']) {
        return Err(field.wrong(name, "must be one exact path, without `@ref` and without `*`"));
    }
    Ok(())
}

fn check_environments(field: &Field, environments: Option<&[String]>) -> Result<(), AuthConfigError> {
    if environments.is_some_and(|listed| listed.is_empty() || listed.iter().any(String::is_empty)) {
        return Err(field.wrong("environments", "must list at least one name; leave it out to accept any"));
    }
    Ok(())
}

fn check_refs(field: &Field, refs: &[String]) -> Result<Vec<RefPattern>, AuthConfigError> {
    if refs.is_empty() {
        return Err(field.wrong("protected_refs", "must list at least one ref"));
    }
    let parse = |text: &String| {
        RefPattern::parse(text).ok_or_else(|| {
            let form = "is not `refs/heads/NAME`, `refs/tags/NAME`, one of these ending in `*` after a name, or a commit";
            field.wrong("protected_refs", format!("`{text}` {form}"))
        })
    };
    refs.iter().map(parse).collect()
}

fn check_location(field: &Field, jwks: &str) -> Result<Location, AuthConfigError> {
    if jwks.is_empty() {
        return Err(field.wrong("jwks", "must be a file path or a URL"));
    }
    if !jwks.contains("://") {
        return Ok(Location::File(PathBuf::from(jwks)));
    }
    let url =
        reqwest::Url::parse(jwks).map_err(|error| field.wrong("jwks", format!("is not a URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(field.wrong("jwks", "must have no user, password or fragment"));
    }
    match url.scheme() {
        "https" => Ok(Location::Url(url)),
        "http" if is_loopback(&url) => Ok(Location::Url(url)),
        "http" => Err(field.wrong("jwks", "must be `https`; `http` is for loopback hosts only")),
        _ => Err(field.wrong("jwks", "must be a file path, or a URL with `https`")),
    }
}

pub(crate) fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// RFC 7515 section 4.1.9: a `typ` without a slash is short for one under `application/`; media types ignore case.
pub(super) fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    if typ.contains('/') { typ } else { format!("application/{typ}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The single place that reads configuration in these tests: a plain issuer with some lines replaced or added.
    fn check(changes: &str) -> Result<Vec<(Issuer, Location)>, AuthConfigError> {
        let mut issuer: toml::Table = toml::from_str(
            "issuer = 'https://id.example'\naudience = 'shiplog'\njwks = 'keys.json'\nalgorithms = ['EdDSA']\nkind = 'person'",
        )
        .unwrap();
        issuer.extend(toml::from_str::<toml::Table>(changes).unwrap());
        let config: IssuerConfig = issuer.try_into().unwrap();
        AuthConfig { issuers: vec![config], cached_tokens: 10 }.check()
    }

    fn refused(changes: &str) -> String {
        check(changes).unwrap_err().field
    }

    #[test]
    fn given_a_plain_issuer_when_checked_then_the_documented_defaults_hold() {
        let (issuer, location) = check("").unwrap().remove(0);
        assert_eq!((issuer.max_lifetime.person, issuer.max_lifetime.machine), (3_600, 900));
        assert_eq!(issuer.tenants.default_tenant(), "default");
        assert!(issuer.tenants.allow("default") && !issuer.tenants.allow("acme"));
        assert_eq!(location, Location::File("keys.json".into()));
        assert!(issuer.typ.is_none());
    }

    #[test]
    fn given_one_wrong_field_when_checked_then_the_refusal_names_it() {
        for (changes, field) in [
            ("issuer = ''", "issuer"),
            ("issuer = 'https://id.example#x'", "issuer"),
            ("audience = ''", "audience"),
            ("algorithms = []", "algorithms"),
            ("typ = ''", "typ"),
            ("kind_claim = ''", "kind_claim"),
            ("roles_claim = '/'", "roles_claim"),
            ("max_lifetime = 0", "max_lifetime"),
            ("max_lifetime = 86401", "max_lifetime"),
            ("roles = ['root']", "roles"),
            ("tenants = []", "tenants"),
            ("tenants = ['*', 'acme']", "tenants"),
            ("tenants = ['Acme']", "tenants"),
            ("jwks = ''", "jwks"),
            ("jwks = 'http://id.example/jwks'", "jwks"),
            ("jwks = 'http://localhost.example/jwks'", "jwks"),
            ("jwks = 'http://127.0.0.1.example/jwks'", "jwks"),
            ("jwks = 'ftp://id.example/jwks'", "jwks"),
            ("jwks = 'file:///etc/keys.json'", "jwks"),
            ("jwks = 'https://user:secret@id.example/jwks'", "jwks"),
            ("ci = 'github'", "github"),
            ("ci = 'gitlab'\nkind = 'machine'", "gitlab"),
        ] {
            assert_eq!(refused(changes), format!("auth.issuers[0].{field}"), "{changes}");
        }
    }

    #[test]
    fn given_https_or_a_loopback_host_when_checked_then_the_url_is_accepted() {
        for url in
            ["https://id.example/jwks", "http://localhost:1/j", "http://127.0.0.9/j", "http://[::1]:8/j"]
        {
            assert!(matches!(check(&format!("jwks = '{url}'")).unwrap()[0].1, Location::Url(_)), "{url}");
        }
    }

    #[test]
    fn given_a_pipeline_binding_with_a_wrong_field_when_checked_then_the_refusal_names_it() {
        let github = |changes: &str| {
            let mut binding: toml::Table = toml::from_str(
                "repository_id = '1'\nrepository_owner_id = '2'\nworkflow = 'a/b/.github/workflows/r.yml'\nprotected_refs = ['refs/heads/main']\nroles = ['machine']",
            )
            .unwrap();
            binding.extend(toml::from_str::<toml::Table>(changes).unwrap());
            format!("ci = 'github'\nkind = 'machine'\n[[github]]\n{binding}")
        };
        assert!(check(&github("")).is_ok());
        assert!(check(&github("protected_refs = ['refs/tags/v*', 'refs/heads/release/*']")).is_ok());
        for (changes, field) in [
            ("repository_id = 'acme/checkout'", "repository_id"),
            ("repository_owner_id = ''", "repository_owner_id"),
            ("workflow = 'a/b/.github/workflows/r.yml@refs/heads/main'", "workflow"),
            ("workflow = 'a/b/*'", "workflow"),
            ("protected_refs = []", "protected_refs"),
            ("protected_refs = ['*']", "protected_refs"),
            ("protected_refs = ['refs/heads/*']", "protected_refs"),
            ("protected_refs = ['refs/heads/a*b']", "protected_refs"),
            ("protected_refs = ['main']", "protected_refs"),
            ("environments = []", "environments"),
            ("roles = []", "roles"),
            ("roles = ['deployer']", "roles"),
        ] {
            assert_eq!(refused(&github(changes)), format!("auth.issuers[0].github[0].{field}"), "{changes}");
        }
        assert_eq!(refused(&github("").replace("machine'\n[[", "person'\n[[")), "auth.issuers[0].kind");
        assert_eq!(refused(&format!("max_lifetime = 901\n{}", github(""))), "auth.issuers[0].max_lifetime");
        assert_eq!(refused(&github("").replace("ci = 'github'", "")), "auth.issuers[0].github");
    }

    #[test]
    fn given_no_issuer_or_one_twice_when_checked_then_it_is_refused() {
        let none = AuthConfig { issuers: Vec::new(), cached_tokens: 10 };
        assert_eq!(none.check().unwrap_err().field, "auth.issuers");
        let text = "issuer = 'i'\naudience = 'a'\njwks = 'k'\nalgorithms = ['ES256']\nkind = 'machine'";
        let issuer: IssuerConfig = toml::from_str(text).unwrap();
        let twice = AuthConfig { issuers: vec![issuer.clone(), issuer.clone()], cached_tokens: 10 };
        assert_eq!(twice.check().unwrap_err().field, "auth.issuers[1].issuer");
        let uncached = AuthConfig { issuers: vec![issuer], cached_tokens: 0 };
        assert_eq!(uncached.check().unwrap_err().field, "auth.cached_tokens");
    }

    #[test]
    fn given_an_unknown_field_or_a_symmetric_algorithm_when_read_then_serde_refuses_it() {
        let plain = "issuer = 'i'\naudience = 'a'\njwks = 'k'\nkind = 'machine'\n";
        assert!(toml::from_str::<IssuerConfig>(&format!("{plain}algorithms = ['ES256']")).is_ok());
        for algorithm in ["HS256", "HS512", "none", "None", "eddsa", ""] {
            let text = format!("{plain}algorithms = ['{algorithm}']");
            assert!(toml::from_str::<IssuerConfig>(&text).is_err(), "{algorithm}");
        }
        assert!(
            toml::from_str::<IssuerConfig>(&format!("{plain}algorithms = ['ES256']\nleeway = 60")).is_err()
        );
    }

    #[test]
    fn given_typ_values_when_normalised_then_prefix_and_case_do_not_matter() {
        assert_eq!(media_type("JWT"), media_type("application/jwt"));
        assert_eq!(media_type("at+JWT"), media_type("application/at+jwt"));
        assert_ne!(media_type("at+jwt"), media_type("text/at+jwt"));
    }
}
