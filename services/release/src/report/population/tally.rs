//! What is counted over the rows of a period: how many there are of each kind, whether they are all, how often controls
//! operated, and how waivers develop.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::Serialize;

use super::place::Place;
use super::probing::Probing;
use super::record::{ItemOperation, ReleaseRecord};
use super::{Answered, Change, ChangeKind, PeriodQuery, Standing, kind};
use crate::report::metrics::{Delivery, Durations, Flow};
use crate::report::release::ReportKind;
use crate::value::{ItemNumber, Name, Sha256Hex};

shapes! {
    /// Everything about the period that is not a row.
    PeriodTotals {
        completeness: Completeness,
        /// By procedure and item, those that operated.
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        control_operation: Vec<ControlOperation>,
        counts: Counts,
        delivery: Delivery,
        /// Environments with a change in the period or an interval of probing, by product and name.
        #[cfg_attr(feature = "openapi", schema(max_items = 100_000))]
        environments: Vec<ProbedEnvironment>,
        flow: Flow,
        ipe: Ipe,
        log: LogRange,
        measures: Measures,
        position: u64,
        query: PeriodQuery,
        report: ReportKind,
        /// By month (UTC).
        #[cfg_attr(feature = "openapi", schema(max_items = 2400))]
        trend: Vec<Month>,
    };

    /// Whether the population is all there is.
    Completeness {
        /// Governed, orphans and excluded are all that was observed.
        adds_up: bool,
        observed: u64,
        governed: u64,
        orphan: u64,
        #[cfg_attr(feature = "openapi", schema(max_items = 10))]
        excluded: Vec<Excluded>,
        /// Rows that were recorded when the period was over.
        recorded_late: u64,
        /// Releases opened in the period that were not put into production.
        declared_not_deployed: u64,
        environment_records: EnvironmentRecords,
        skew: SkewSummary,
        #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
        statement: &'static str,
    };

    Excluded {
        #[cfg_attr(feature = "openapi", schema(max_length = 64))]
        reason: &'static str,
        count: u64,
    };

    /// What environments were recorded to run in the period, each where it belongs.
    EnvironmentRecords {
        read: u64,
        of_deployments: u64,
        of_rollbacks: u64,
        orphans: u64,
        /// With which the record of an environment begins; what ran before is not known.
        beginnings: u64,
        /// More was told of what was known to run.
        seen_again: u64,
        /// Of environments that the settings did not name.
        unplaced: u64,
        /// Of environments that are no production.
        elsewhere: u64,
    };

    /// Events of the period whose source's clock was more than two minutes ahead; they count as of when they were
    /// recorded.
    SkewSummary { releases: u64, environments: u64, };

    ControlOperation {
        procedure: Name,
        item: ItemNumber,
        key: Name,
        /// Releases of the population in which it operated in the period.
        releases: u64,
        /// How often it was judged or signed.
        operated: u64,
        /// How often the judgement was that it does not hold.
        failed: u64,
        waived: u64,
        not_applicable: u64,
        /// How often two people stood in for a machine.
        manual_fallback: u64,
    };

    Counts {
        #[cfg_attr(feature = "openapi", schema(max_items = 10))]
        by_kind: Vec<Counted>,
        /// Of changes that a release answers for.
        #[cfg_attr(feature = "openapi", schema(max_items = 10))]
        by_class: Vec<Counted>,
        /// How the deployments stood at the position.
        #[cfg_attr(feature = "openapi", schema(max_items = 10))]
        by_outcome: Vec<Counted>,
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        by_product: Vec<Counted>,
        /// Of the five questions together.
        #[cfg_attr(feature = "openapi", schema(max_items = 4))]
        by_result: Vec<Counted>,
    };

    Counted {
        #[cfg_attr(feature = "openapi", schema(max_length = 63))]
        of: String,
        count: u64,
        governed: u64,
        orphan: u64,
        excluded: u64,
    };

    /// How often somebody looks at an environment from outside. A change between two looks that was undone before the
    /// second is not seen.
    ProbedEnvironment {
        product: Name,
        environment: Name,
        changes: u64,
        #[cfg_attr(feature = "openapi", schema(max_length = 1000))]
        statement: &'static str,
        /// Absent where the settings asked for no interval in the period.
        #[serde(skip_serializing_if = "Option::is_none")]
        probing: Option<Probing>,
    } nullable {
        /// The last that was in force in the period. Null where no interval is known; then blind gaps are not known
        /// either.
        interval_s: u64,
    };

    /// What an auditor tests of the report itself: what it was made from, and how it is made again.
    Ipe {
        #[cfg_attr(feature = "openapi", schema(max_length = 63))]
        generator: &'static str,
        #[cfg_attr(feature = "openapi", schema(max_length = 8))]
        time_zone: &'static str,
        /// How many changes there are.
        rows: u64,
        /// SHA-256 over the canonical bytes of all changes, each with a line feed behind it.
        rows_sha256: Sha256Hex,
        #[cfg_attr(feature = "openapi", schema(max_length = 63))]
        tenant: String,
        /// Makes these bytes again from an export of the log.
        #[cfg_attr(feature = "openapi", schema(max_length = 100_000))]
        regenerate: String,
    };

    /// The part of the log that was read: from its first event to this position, with no gap.
    LogRange {
        first: u64,
        last: u64,
        /// The root over exactly these events, which binds each of them and their order.
        root: Sha256Hex,
        contiguous: bool,
    };

    /// What a report over a period is looked at for. Rates are of the governed deployments.
    Measures {
        deployments: u64,
        passed: u64,
        with_waivers: u64,
        rolled_back: u64,
        approval_lead: Durations,
        without_approval: LateApprovals,
    } nullable {
        passed_rate: f64,
        with_waivers_rate: f64,
        rolled_back_rate: f64,
    };

    /// Deployments that one person authorized, and what became of the approval they needed afterwards.
    LateApprovals { count: u64, approved_in_time: u64, approved_late: u64, not_approved: u64, };

    Month {
        #[cfg_attr(feature = "openapi", schema(max_length = 7))]
        month: String,
        /// Governed.
        deployments: u64,
        /// Of these, with an item waived when they started.
        with_waivers: u64,
        /// Items that were.
        waived_items: u64,
    };
}

const NOT_TESTED: &str = "completeness not independently tested: no list of deployments from another source was \
    compared with this population; a reconciliation of this report does that";
const NOT_PROBED: &str = "no interval of probing is recorded for this environment, so it is not known for how long a \
    change could have gone unseen";
const PROBED: &str = "a change that was undone before the next look was seen by nobody; that could last no longer than \
    the interval that the settings asked for, except in the gaps that are listed or counted; looks are those recorded up to the \
    position";

/// Takes in row after row; what it keeps is counts.
#[derive(Debug, Default)]
pub struct Tally {
    by: [BTreeMap<String, [u64; 3]>; 5],
    standings: [u64; 3],
    late: u64,
    records: Records,
    environment_skews: u64,
    release_skews: u64,
    undeployed: u64,
    environments: BTreeMap<(Name, Name), u64>,
    operations: BTreeMap<(Name, ItemNumber), (u64, ItemOperation)>,
    /// Releases that were counted, by the position that opened them.
    seen: BTreeSet<u64>,
    months: BTreeMap<String, [u64; 3]>,
    passed: u64,
    deployments: u64,
    with_waivers: u64,
    rolled_back: u64,
    leads: crate::report::metrics::Collected,
    late_approvals: [u64; 3],
}

#[derive(Debug, Default)]
struct Records {
    read: u64,
    of_deployments: u64,
    of_rollbacks: u64,
    orphans: u64,
    beginnings: u64,
    seen_again: u64,
    unplaced: u64,
    elsewhere: u64,
}

/// What only the reader of the log knows.
pub struct About {
    pub tenant: String,
    pub query: PeriodQuery,
    pub position: u64,
    pub root: Sha256Hex,
    pub rows: u64,
    pub rows_sha256: Sha256Hex,
    pub delivery: Delivery,
    pub flow: Flow,
    /// By product and environment, those with an interval in the period.
    pub probing: BTreeMap<(Name, Name), Probing>,
}

impl Tally {
    pub fn record(&mut self, place: &Place, skewed: bool) {
        self.environment_skews += u64::from(skewed);
        let records = &mut self.records;
        records.read += 1;
        *match place {
            Place::OfDeployment(_) | Place::OfDeploying(_) => &mut records.of_deployments,
            Place::OfRollback(_) => &mut records.of_rollbacks,
            Place::Orphan { .. } => &mut records.orphans,
            Place::Begins => &mut records.beginnings,
            Place::SeenAgain => &mut records.seen_again,
            Place::Unplaced => &mut records.unplaced,
            Place::Elsewhere => &mut records.elsewhere,
        } += 1;
    }

    /// Counts a release once, however many of its changes are in the period.
    pub fn release(&mut self, release: &ReleaseRecord) {
        if !self.seen.insert(release.opened) {
            return;
        }
        self.release_skews += release.clock_skews;
        for one in &release.operations {
            let place = (one.procedure.clone(), one.item);
            let (releases, sum) = self.operations.entry(place).or_insert_with(|| {
                let none = ItemOperation {
                    operated: 0,
                    failed: 0,
                    waived: 0,
                    not_applicable: 0,
                    manual_fallback: 0,
                    ..one.clone()
                };
                (0, none)
            });
            *releases += 1;
            sum.operated += one.operated;
            sum.failed += one.failed;
            sum.waived += one.waived;
            sum.not_applicable += one.not_applicable;
            sum.manual_fallback += one.manual_fallback;
        }
    }

    pub fn undeployed(&mut self) {
        self.undeployed += 1;
    }

    pub fn change(&mut self, change: &Change) {
        let standing = match change.standing {
            Standing::Governed => 0,
            Standing::Orphan => 1,
            Standing::Excluded => 2,
        };
        self.standings[standing] += 1;
        self.late += u64::from(change.recorded_late);
        *self.environments.entry((change.product.clone(), change.environment.clone())).or_default() += 1;
        let mut count = |of: usize, what: &str| {
            self.by[of].entry(what.to_owned()).or_default()[standing] += 1;
        };
        count(0, change.kind.as_str());
        count(3, change.product.as_str());
        count(4, change.result.as_str());
        let release = change.release.as_ref();
        if let Some(release) = release.filter(|_| change.standing == Standing::Governed) {
            count(1, release.class.as_str());
        }
        if change.kind == ChangeKind::Deployment {
            count(2, release.and_then(|release| release.deployment_state).unwrap_or("unknown"));
            self.deployment(change);
        }
    }

    fn deployment(&mut self, change: &Change) {
        let Some(release) = &change.release else { return };
        self.deployments += 1;
        self.passed += u64::from(change.result == Answered::Pass);
        let waived = release.waived.len() as u64;
        self.with_waivers += u64::from(waived > 0);
        let back = matches!(release.deployment_state, Some("rolled_back" | "rolling_back"));
        self.rolled_back += u64::from(back);
        if let Some(lead) = release.approval_lead_s {
            self.leads.seconds(lead);
        }
        if let Some(late) = &release.approval_after_start {
            let which = match (&late.at, late.in_time) {
                (Some(_), true) => 0,
                (Some(_), false) => 1,
                (None, _) => 2,
            };
            self.late_approvals[which] += 1;
        }
        let month = change.at.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string();
        let [deployments, with_waivers, items] = self.months.entry(month).or_default();
        *deployments += 1;
        *with_waivers += u64::from(waived > 0);
        *items += waived;
    }

    pub fn finish(mut self, mut about: About) -> PeriodTotals {
        for probed in about.probing.keys() {
            self.environments.entry(probed.clone()).or_default();
        }
        let [governed, orphan, excluded] = self.standings;
        let Records {
            read,
            of_deployments,
            of_rollbacks,
            orphans,
            beginnings,
            seen_again,
            unplaced,
            elsewhere,
        } = self.records;
        let [by_kind, by_class, by_outcome, by_product, by_result] = self.by.map(counted);
        let deployments = self.deployments;
        let rate = |count: u64| (deployments > 0).then(|| count as f64 / deployments as f64);
        let [approved_in_time, approved_late, not_approved] = self.late_approvals;
        PeriodTotals {
            completeness: Completeness {
                adds_up: about.rows == governed + orphan + excluded,
                observed: about.rows,
                governed,
                orphan,
                excluded: vec![Excluded { reason: "false_positive", count: excluded }],
                recorded_late: self.late,
                declared_not_deployed: self.undeployed,
                environment_records: EnvironmentRecords {
                    read,
                    of_deployments,
                    of_rollbacks,
                    orphans,
                    beginnings,
                    seen_again,
                    unplaced,
                    elsewhere,
                },
                skew: SkewSummary { releases: self.release_skews, environments: self.environment_skews },
                statement: NOT_TESTED,
            },
            control_operation: self
                .operations
                .into_values()
                .map(|(releases, one)| ControlOperation {
                    procedure: one.procedure,
                    item: one.item,
                    key: one.key,
                    releases,
                    operated: one.operated,
                    failed: one.failed,
                    waived: one.waived,
                    not_applicable: one.not_applicable,
                    manual_fallback: one.manual_fallback,
                })
                .collect(),
            counts: Counts { by_kind, by_class, by_outcome, by_product, by_result },
            delivery: about.delivery,
            environments: self
                .environments
                .into_iter()
                .map(|(place, changes)| {
                    let probing = about.probing.remove(&place);
                    let last = probing.as_ref().and_then(|probing| probing.intervals.last());
                    let interval_s = last.map(|last| last.interval_s.into());
                    let statement = if probing.is_some() { PROBED } else { NOT_PROBED };
                    let (product, environment) = place;
                    ProbedEnvironment { product, environment, changes, statement, probing, interval_s }
                })
                .collect(),
            flow: about.flow,
            ipe: Ipe {
                generator: "shiplog.report.period.v1",
                time_zone: "UTC",
                rows: about.rows,
                rows_sha256: about.rows_sha256,
                regenerate: regenerate(&about.tenant, &about.query, about.position),
                tenant: about.tenant,
            },
            log: LogRange { first: 0, last: about.position, root: about.root, contiguous: true },
            measures: Measures {
                deployments,
                passed: self.passed,
                with_waivers: self.with_waivers,
                rolled_back: self.rolled_back,
                approval_lead: self.leads.finish(),
                without_approval: LateApprovals {
                    count: approved_in_time + approved_late + not_approved,
                    approved_in_time,
                    approved_late,
                    not_approved,
                },
                passed_rate: rate(self.passed),
                with_waivers_rate: rate(self.with_waivers),
                rolled_back_rate: rate(self.rolled_back),
            },
            position: about.position,
            query: about.query,
            report: kind(),
            trend: self
                .months
                .into_iter()
                .map(|(month, [deployments, with_waivers, waived_items])| Month {
                    month,
                    deployments,
                    with_waivers,
                    waived_items,
                })
                .collect(),
        }
    }
}

fn counted(by: BTreeMap<String, [u64; 3]>) -> Vec<Counted> {
    by.into_iter()
        .map(|(of, [governed, orphan, excluded])| Counted {
            of,
            count: governed + orphan + excluded,
            governed,
            orphan,
            excluded,
        })
        .collect()
}

/// What makes the report again; whose signatures count is for who runs it to say.
fn regenerate(tenant: &str, query: &PeriodQuery, position: u64) -> String {
    let mut command = format!(
        "shiplog report --bundle LOG --policy POLICY --tenant {tenant} --from {} --to {} --at-position {position}",
        query.from, query.to
    );
    for product in query.products.iter().flatten() {
        command.push_str(&format!(" --product {product}"));
    }
    command
}
