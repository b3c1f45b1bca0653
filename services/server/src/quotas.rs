//! How much a tenant may have: products, open releases, bytes of attachments and events a day, so that none takes the
//! room of the others. Rows of the views are counted; while those are being built nothing is refused, because the log
//! is whole without them. What stops a release, reports a fact or is done for an emergency is counted and never refused.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use eventlog::Position;
use jiff::Timestamp;
use release::value::{Name, Sha256Hex};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::following::Behind;
use crate::views::{self, NotReady, View};

/// Tenants that meet in one of these wait for each other, which costs less than one for each.
const TURNS: usize = 64;
/// Who waits longer counts beside the others, and one more than has room may come in: a tenant never stops another.
const TURN_WAIT: Duration = Duration::from_secs(2);
const MIB: u64 = 1024 * 1024;
/// A number that every reader of JSON keeps exactly, also in bytes.
const MOST: u64 = 1 << 30;
const DAY_S: i64 = 24 * 60 * 60;

/// `attachment_bytes` that are attached to releases and not given up, `products`, `open_releases` that are neither closed
/// nor aborted, or `events_per_day` since midnight, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// The same content counts once.
    AttachmentBytes,
    Products,
    OpenReleases,
    EventsPerDay,
}

impl Quota {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AttachmentBytes => "attachment_bytes",
            Self::Products => "products",
            Self::OpenReleases => "open_releases",
            Self::EventsPerDay => "events_per_day",
        }
    }

    fn is_called(self) -> &'static str {
        match self {
            Self::AttachmentBytes => "bytes of attachments",
            Self::Products => "products",
            Self::OpenReleases => "open releases",
            Self::EventsPerDay => "events today",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::AttachmentBytes => "attachment_mib",
            other => other.as_str(),
        }
    }

    /// What the tenant itself can do.
    fn helps(self) -> &'static str {
        match self {
            Self::AttachmentBytes => "Content makes room when the retention of its release is over",
            Self::Products => "A registered product stays",
            Self::OpenReleases => "Close or abort one",
            Self::EventsPerDay => "Come back after midnight, UTC",
        }
    }
}

/// A quota that has no room for what is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = QuotaUse)]
pub struct OverQuota {
    pub quota: Quota,
    /// How much the tenant has.
    #[schema(maximum = 9007199254740991_u64)]
    pub used: u64,
    /// How much it may have.
    #[schema(maximum = 9007199254740991_u64)]
    pub allowed: u64,
    #[serde(skip)]
    #[schema(ignore)]
    pub tenant: String,
    /// After how many seconds there is room again, where time alone makes it.
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after_s: Option<u64>,
}

impl std::fmt::Display for OverQuota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { quota, used, allowed, tenant, .. } = self;
        let (called, helps, setting) = (quota.is_called(), quota.helps(), quota.setting());
        write!(f, "{tenant} has {used} {called} and may have {allowed}. {helps}; an operator raises ")?;
        write!(f, "`quotas.{tenant}.{setting}`.")
    }
}

/// What one tenant may have; absent is what `[quotas]` says, 0 sets no quota.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allowed {
    attachment_mib: Option<u64>,
    products: Option<u64>,
    open_releases: Option<u64>,
    events_per_day: Option<u64>,
}

impl Allowed {
    fn of(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::AttachmentBytes => self.attachment_mib.map(|mib| mib.saturating_mul(MIB)),
            Quota::Products => self.products,
            Quota::OpenReleases => self.open_releases,
            Quota::EventsPerDay => self.events_per_day,
        }
    }
}

/// `[quotas]`, with numbers that hold for every tenant and a table for each that has others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct QuotasConfig {
    default: Allowed,
    tenants: BTreeMap<String, Allowed>,
}

impl TryFrom<toml::Table> for QuotasConfig {
    type Error = String;
    fn try_from(table: toml::Table) -> Result<Self, String> {
        let (tenants, default): (toml::Table, toml::Table) =
            table.into_iter().partition(|(_, value)| value.is_table());
        let tenants = tenants.into_iter().map(|(tenant, allowed)| {
            Name::new(&tenant).map_err(|error| format!("{tenant} is no tenant: {error}"))?;
            let allowed = allowed.try_into().map_err(|error| format!("{tenant}: {error}"))?;
            Ok::<_, String>((tenant, allowed))
        });
        Ok(Self {
            default: default.try_into().map_err(|error| error.to_string())?,
            tenants: tenants.collect::<Result<_, _>>()?,
        })
    }
}

impl QuotasConfig {
    /// How much a tenant may have; `None` when there is no quota.
    pub fn allowed(&self, tenant: &str, quota: Quota) -> Option<u64> {
        let own = self.tenants.get(tenant).and_then(|own| own.of(quota));
        own.or_else(|| self.default.of(quota)).filter(|allowed| *allowed > 0)
    }

    pub fn problem(&self) -> Option<&'static str> {
        let numbers = |allowed: &Allowed| {
            [allowed.attachment_mib, allowed.products, allowed.open_releases, allowed.events_per_day]
        };
        let mut all = std::iter::once(&self.default).chain(self.tenants.values()).flat_map(numbers).flatten();
        all.any(|number| number > MOST).then_some("at most 1073741824 each, or 0 for no quota")
    }
}

/// Who counts and then records does so alone, or two would take the same room.
pub struct Turns {
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self { turns: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

/// Held until what was counted for is recorded.
pub struct Turn<'a> {
    _alone: Option<MutexGuard<'a, ()>>,
}

impl Turns {
    async fn of(&self, tenant: &str) -> Option<MutexGuard<'_, ()>> {
        let hash = self.hasher.hash_one(tenant) % (TURNS as u64);
        let turn = usize::try_from(hash).ok().and_then(|turn| self.turns.get(turn))?;
        timeout(TURN_WAIT, turn.lock()).await.ok()
    }
}

/// Counts whether one more product or open release has room.
pub async fn one_more<'a>(
    app: &'a App,
    tenant: &str,
    quota: Quota,
) -> Result<(Turn<'a>, Option<OverQuota>), Behind> {
    let counted = move |db: &Connection, tenant: &str| match quota {
        Quota::Products => Ok((views::products_of(db, tenant)?, 1)),
        _ => Ok((views::open_releases_of(db, tenant)?, 1)),
    };
    room(app, tenant, quota, counted).await
}

/// Counts whether content has room; what the tenant has already needs none.
pub async fn content<'a>(
    app: &'a App,
    tenant: &str,
    sha256: Sha256Hex,
    size: u64,
) -> Result<(Turn<'a>, Option<OverQuota>), Behind> {
    let counted = move |db: &Connection, tenant: &str| {
        let more = if views::is_kept_of(db, tenant, &sha256)? { 0 } else { size };
        Ok((views::attached_bytes_of(db, tenant)?, more))
    };
    room(app, tenant, Quota::AttachmentBytes, counted).await
}

async fn room<'a>(
    app: &'a App,
    tenant: &str,
    quota: Quota,
    counted: impl FnOnce(&Connection, &str) -> rusqlite::Result<(u64, u64)> + Send + 'static,
) -> Result<(Turn<'a>, Option<OverQuota>), Behind> {
    let Some(allowed) = app.config.quotas.allowed(tenant, quota) else {
        return Ok((Turn { _alone: None }, None));
    };
    let turn = Turn { _alone: app.turns.of(tenant).await };
    // Other nodes may have recorded something while this one waited for its turn.
    app.holds_all().await?;
    let head = app.store.head().map(|Position(head)| head);
    let view = if quota == Quota::Products { View::Catalog } else { View::Releases };
    match app.views.ready(view, head).await {
        Err(NotReady::CatchingUp(_) | NotReady::Stopped { .. }) => return Ok((turn, None)),
        // So slow a view says too little rather than nothing.
        Ok(_) | Err(NotReady::NotReached(_)) => {}
    }
    let of = tenant.to_owned();
    let Some((used, more)) = asked(app, move |db| counted(db, &of)).await else { return Ok((turn, None)) };
    let over = (more > 0 && used.saturating_add(more) > allowed).then(|| OverQuota {
        quota,
        used,
        allowed,
        tenant: tenant.to_owned(),
        retry_after_s: None,
    });
    Ok((turn, over))
}

/// Whether the tenant has recorded as many events today as it may, as far as the views have come.
pub async fn events(app: &App, tenant: &str) -> Option<OverQuota> {
    let quota = Quota::EventsPerDay;
    let allowed = app.config.quotas.allowed(tenant, quota)?;
    app.views.ready(View::EventIds, None).await.ok()?;
    let now = app.clock.now();
    let (of, today) = (tenant.to_owned(), day(now));
    let used = asked(app, move |db| views::events_of(db, &of, today)).await?;
    (used >= allowed).then(|| OverQuota {
        quota,
        used,
        allowed,
        tenant: tenant.to_owned(),
        retry_after_s: u64::try_from(DAY_S - now.as_second().rem_euclid(DAY_S)).ok(),
    })
}

/// No command waits for a file that can be made again.
async fn asked<T: Send + 'static>(
    app: &App,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Option<T> {
    let counted = app.views.query(query).await;
    counted.inspect_err(|error| tracing::warn!(%error, "a quota could not be counted")).ok()
}

/// What still refuses a command that is done for an emergency: room for files, which the installation may not have.
pub fn in_emergency(over: Option<OverQuota>) -> Option<OverQuota> {
    over.filter(|over| over.quota == Quota::AttachmentBytes)
}

/// The day, UTC, in days since 1970.
pub fn day(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_S)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eventlog::store::memory::Memory;
    use release::Role;
    use release::product::{ProductCommand, RegisterProduct};
    use serde_json::json;
    use tempfile::TempDir;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::command::{CommandError, Envelope, handle};
    use crate::testing::{app_with, by};
    use crate::{following, names};

    fn config(text: &str) -> Result<QuotasConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn given_a_default_and_a_tenant_of_its_own_then_each_quota_is_the_nearest() {
        let config =
            config("products = 5\nevents_per_day = 9\n[acme]\nproducts = 50\nevents_per_day = 0\n").unwrap();
        let allowed = |tenant, quota| config.allowed(tenant, quota);
        assert_eq!(allowed("default", Quota::Products), Some(5));
        assert_eq!(allowed("acme", Quota::Products), Some(50));
        assert_eq!(allowed("default", Quota::EventsPerDay), Some(9));
        assert_eq!(allowed("acme", Quota::EventsPerDay), None, "0 sets no quota");
        assert_eq!(allowed("acme", Quota::OpenReleases), None);
    }

    #[test]
    fn given_mebibytes_then_bytes_are_counted() {
        let config = config("[acme]\nattachment_mib = 2\n").unwrap();
        assert_eq!(config.allowed("acme", Quota::AttachmentBytes), Some(2 * 1024 * 1024));
        assert_eq!(config.allowed("default", Quota::AttachmentBytes), None);
    }

    #[test]
    fn given_what_is_not_known_then_it_is_refused_and_named() {
        for (text, named) in [
            ("prodcuts = 5", "prodcuts"),
            ("[acme]\nprodcuts = 5", "acme: "),
            ("[Acme]\nproducts = 5", "Acme is no tenant"),
            ("products = -1", "-1"),
        ] {
            let refused = config(text).unwrap_err().to_string();
            assert!(refused.contains(named), "{refused}");
        }
        assert!(config("products = 1073741825").unwrap().problem().is_some());
        assert!(config("[acme]\nproducts = 1073741825").unwrap().problem().is_some());
        assert!(config("products = 1073741824").unwrap().problem().is_none());
    }

    /// A node that follows the log for as long as it lives.
    struct Node {
        app: Arc<App>,
        stop: CancellationToken,
        _data: TempDir,
    }

    impl Node {
        async fn of(log: &Memory, quotas: &str) -> Self {
            let (data, stop) = (TempDir::new().unwrap(), CancellationToken::new());
            let app = app_with(data.path(), Arc::new(log.node()), |config| {
                config.quotas = toml::from_str(quotas).unwrap();
            });
            tokio::spawn(following::run(Arc::clone(&app), stop.clone()));
            tokio::spawn(views::run(Arc::clone(&app), stop.clone()));
            app.views.opened().await;
            Self { app, stop, _data: data }
        }

        async fn counted(&self) -> (Turn<'_>, Option<OverQuota>) {
            one_more(&self.app, "default", Quota::Products).await.unwrap()
        }

        async fn register(&self, product: &str, over_quota: Option<OverQuota>) -> Result<(), CommandError> {
            let envelope = Envelope { over_quota, ..by("omar", &[Role::Admin], None) };
            let name = Name::new(product).unwrap();
            let stream = names::product("default", &name).unwrap();
            let command: RegisterProduct = serde_json::from_value(json!({"name": name})).unwrap();
            let command = ProductCommand::Register(Box::new(command));
            let app = &self.app;
            handle(app, &app.products, &stream, &envelope, &command, &(), |_, _| ()).await.map(drop)
        }
    }

    impl Drop for Node {
        fn drop(&mut self) {
            self.stop.cancel();
        }
    }

    fn used(refused: Result<(), CommandError>) -> u64 {
        match refused {
            Err(CommandError::OverQuota(over)) => over.used,
            other => panic!("it has room: {other:?}"),
        }
    }

    #[tokio::test]
    async fn given_two_nodes_when_one_has_used_up_a_quota_then_the_other_refuses_at_once() {
        let log = Memory::new();
        let (one, other) = (Node::of(&log, "products = 2").await, Node::of(&log, "products = 2").await);
        for (node, product) in [(&one, "checkout"), (&other, "search")] {
            let (_turn, over) = node.counted().await;
            node.register(product, over).await.unwrap();
        }
        for node in [&one, &other] {
            let (_turn, over) = node.counted().await;
            assert_eq!(used(node.register("mail", over).await), 2);
        }
    }

    #[tokio::test]
    async fn given_two_nodes_when_both_count_before_either_records_then_each_lets_one_through_and_no_more() {
        let log = Memory::new();
        let (one, other) = (Node::of(&log, "products = 1").await, Node::of(&log, "products = 1").await);
        let ((turn, over), (turn_there, over_there)) = tokio::join!(one.counted(), other.counted());
        one.register("checkout", over).await.unwrap();
        other.register("search", over_there).await.unwrap();
        drop((turn, turn_there));
        for node in [&one, &other] {
            let (_turn, over) = node.counted().await;
            assert_eq!(used(node.register("mail", over).await), 2);
        }
    }
}
