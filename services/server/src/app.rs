//! What every request and the reactor share.

use std::sync::{Arc, OnceLock};

use eventlog::EventStore;
use eventlog::sequencer::Tree;
use governor::clock::MonotonicClock;
use jiff::Timestamp;
use release::Release;
use release::access::Access;
use release::calendar::Calendar;
use release::control_mappings::ControlMappings;
use release::directory::Directory;
use release::environment::Environment;
use release::installation::Installation;
use release::looks::Looks;
use release::procedures::Procedures;
use release::product::Product;
use release::report::generated::GeneratedReport;
use release::retention::Retention;
use release::wire::Formats;
use tokio::sync::{RwLock, watch};
use tokio_util::sync::CancellationToken;

use crate::access::Denials;
use crate::access::reads::Reads;
use crate::auth::Verifier;
use crate::clock::Clock;
use crate::config::Config;
use crate::following::Following;
use crate::format::Format;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::procedures::Catalogue;
use crate::quotas::Turns;
use crate::reactor::Progress;
use crate::report::making::Making;
use crate::streams::{Follows, Streams};
use crate::telemetry::Causes;
use crate::tlog::Standing;
use crate::vault::Vault;
use crate::views::Views;

pub struct App {
    pub config: Config,
    pub store: Arc<dyn EventStore>,
    pub format: Arc<Format>,
    pub vault: Arc<dyn Vault>,
    /// Read while content is kept and recorded, written while content is given up.
    pub attaching: RwLock<()>,
    pub clock: Clock,
    pub verifier: Verifier,
    pub catalogue: Catalogue,
    pub releases: Streams<Release>,
    pub products: Streams<Product>,
    pub environments: Streams<Environment>,
    pub calendars: Streams<Calendar>,
    pub procedures: Streams<Procedures>,
    pub directories: Streams<Directory>,
    pub control_mappings: Streams<ControlMappings>,
    pub reports: Streams<GeneratedReport>,
    pub retentions: Streams<Retention>,
    pub installation: Streams<Installation>,
    pub access: Streams<Access>,
    pub looks: Streams<Looks>,
    /// How far all of these have followed what other nodes write.
    pub following: Following,
    pub denials: Denials,
    pub reads: Reads,
    pub views: Views,
    /// Reports of periods that are being made.
    pub making: Making,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
    pub turns: Turns,
    pub causes: Causes,
    /// Cancelled when the service stops, so that nobody waits for an event any more.
    pub stopping: CancellationToken,
    /// The tree over the log, once it was found to be what was signed of it.
    pub tree: OnceLock<Arc<Tree>>,
    /// What is known of the witnesses; set by the task that asks them.
    pub witnesses: watch::Sender<Standing>,
    /// How far the reactor has come; set by it alone.
    pub reactor: watch::Sender<Progress>,
}

/// What the smaller aggregates may take together, each kind; releases have the configured cache.
const SMALL_CACHE: u64 = 4 * 1024 * 1024;

impl App {
    #[expect(clippy::too_many_arguments, reason = "what a process is made of, each once")]
    pub fn new(
        config: Config,
        store: Arc<dyn EventStore>,
        vault: Arc<dyn Vault>,
        clock: Clock,
        verifier: Verifier,
        catalogue: Catalogue,
        metrics: Arc<Metrics>,
        formats: &'static Formats,
    ) -> Self {
        let format = Arc::new(Format::new(formats));
        let releases = config.cache_mib * 1024 * 1024;
        Self {
            releases: Streams::new(Arc::clone(&store), Arc::clone(&format), releases),
            products: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            environments: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            calendars: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            procedures: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            directories: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            control_mappings: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            reports: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            retentions: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            installation: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            access: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            looks: Streams::new(Arc::clone(&store), Arc::clone(&format), SMALL_CACHE),
            following: Following::from(store.head()),
            denials: Denials::default(),
            reads: Reads::default(),
            views: Views::new(&config.data),
            making: Making::default(),
            metrics,
            limits: Limits::new(&config.limits, MonotonicClock),
            turns: Turns::default(),
            causes: Causes::new(&config.telemetry),
            stopping: CancellationToken::new(),
            tree: OnceLock::new(),
            witnesses: watch::Sender::new(Standing::default()),
            reactor: watch::Sender::new(Progress {
                position: None,
                time: Timestamp::MIN,
                waiting: 0,
                pending: 0,
            }),
            config,
            store,
            format,
            vault,
            attaching: RwLock::default(),
            clock,
            verifier,
            catalogue,
        }
    }

    /// Everything that is kept of streams; what is not here would never hear of other nodes.
    pub fn caches(&self) -> [&dyn Follows; 12] {
        [
            &self.releases,
            &self.products,
            &self.environments,
            &self.calendars,
            &self.procedures,
            &self.directories,
            &self.control_mappings,
            &self.reports,
            &self.retentions,
            &self.installation,
            &self.access,
            &self.looks,
        ]
    }
}
