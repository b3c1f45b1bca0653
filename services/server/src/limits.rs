//! How much each caller may ask: a token bucket for the reads and one for the writes of a principal, two more
//! that all principals of a tenant share, and one for the requests of a network that come without a good token. Stopping a release, evidence and
//! rollback are never limited; which routes those are is said in the list of routes.

use std::convert::Infallible;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;
use serde::Deserialize;

/// How many requests, over time and at once.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many requests a second on the average; 0 sets no limit.
    pub per_second: f64,
    /// How many at once after a pause.
    pub burst: NonZeroU32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Reads of one principal.
    pub read: Limit,
    /// Commands of one principal.
    pub write: Limit,
    /// Reads of all principals of one tenant.
    pub tenant_read: Limit,
    /// Commands of all principals of one tenant.
    pub tenant_write: Limit,
    /// Requests without a good token from one address (IPv6: one /64 network).
    pub unauthenticated: Limit,
    /// How many principals, and as many tenants and addresses, are remembered; who was forgotten starts afresh.
    pub remembered: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limit =
            |per_second, burst: u32| Limit { per_second, burst: NonZeroU32::MIN.saturating_add(burst - 1) };
        Self {
            read: limit(1_000.0, 10_000),
            write: limit(500.0, 5_000),
            // What all of a tenant may ask together depends on how many tenants there are.
            tenant_read: limit(0.0, 1),
            tenant_write: limit(0.0, 1),
            unauthenticated: limit(50.0, 1_000),
            remembered: 100_000,
        }
    }
}

impl Limit {
    /// What is wrong with it.
    pub fn problem(self) -> Option<&'static str> {
        let possible = self.per_second == 0.0 || (0.001..=1e9).contains(&self.per_second);
        (!possible).then_some("0.001 to 1e9 requests a second, or 0 for no limit")
    }

    fn quota(self) -> Option<Quota> {
        if self.per_second == 0.0 {
            return None;
        }
        let quota = Quota::with_period(Duration::from_secs_f64(1.0 / self.per_second));
        quota.map(|quota| quota.allow_burst(self.burst))
    }

    /// Seconds in which an empty bucket fills.
    fn window(self) -> u64 {
        whole(Duration::from_secs_f64(f64::from(self.burst.get()) / self.per_second))
    }
}

/// Which bucket a request is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    TenantRead,
    TenantWrite,
    Unauthenticated,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::TenantRead => "tenant_read",
            Self::TenantWrite => "tenant_write",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

/// A request that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub kind: Kind,
    /// How many more would be let through now.
    pub remaining: u32,
}

/// A request that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    pub kind: Kind,
    /// Whole seconds after which the next one is let through.
    pub retry_after_s: u64,
}

/// The buckets of a process.
pub struct Limits<C: Clock = MonotonicClock> {
    read: Option<Buckets<String, C>>,
    write: Option<Buckets<String, C>>,
    tenant_read: Option<Buckets<String, C>>,
    tenant_write: Option<Buckets<String, C>>,
    unauthenticated: Option<Buckets<IpAddr, C>>,
    clock: C,
    policies: [Bytes; 5],
}

type Buckets<K, C> = RateLimiter<K, Bounded<K>, C, StateInformationMiddleware>;

/// One bucket for each key that was seen last. A bucket is eight bytes beside its key, and a full table
/// forgets those that are used least, so many callers cost a bounded amount of memory.
struct Bounded<K>(Cache<K, Arc<InMemoryState>>);

impl<K: Hash + Eq + Clone> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let Ok(bucket) = self.0.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::default()));
        bucket.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

impl<C: Clock + Clone> Limits<C> {
    pub fn new(config: &LimitsConfig, clock: C) -> Self {
        let policy = |kind: Kind, limit: Limit| {
            if limit.per_second == 0.0 {
                return Bytes::new();
            }
            Bytes::from(format!("\"{}\";q={};w={}", kind.as_str(), limit.burst, limit.window()))
        };
        Self {
            read: buckets(config.read, config.remembered, &clock),
            write: buckets(config.write, config.remembered, &clock),
            tenant_read: buckets(config.tenant_read, config.remembered, &clock),
            tenant_write: buckets(config.tenant_write, config.remembered, &clock),
            unauthenticated: buckets(config.unauthenticated, config.remembered, &clock),
            policies: [
                policy(Kind::Read, config.read),
                policy(Kind::Write, config.write),
                policy(Kind::TenantRead, config.tenant_read),
                policy(Kind::TenantWrite, config.tenant_write),
                policy(Kind::Unauthenticated, config.unauthenticated),
            ],
            clock,
        }
    }

    /// Takes one read of a principal and of its tenant; the tighter of what is left, `None` when there is no limit.
    pub fn read(&self, principal: &String, tenant: &String) -> Result<Option<Allowance>, Exhausted> {
        // First the principal's own, so that who asks too much takes nothing from the others.
        let own = self.take(&self.read, principal, Kind::Read)?;
        Ok(tighter(own, self.take(&self.tenant_read, tenant, Kind::TenantRead)?))
    }

    /// Takes one command in the same way.
    pub fn write(&self, principal: &String, tenant: &String) -> Result<Option<Allowance>, Exhausted> {
        let own = self.take(&self.write, principal, Kind::Write)?;
        Ok(tighter(own, self.take(&self.tenant_write, tenant, Kind::TenantWrite)?))
    }

    /// Takes one request without a good token.
    pub fn unauthenticated(&self, address: IpAddr) -> Result<Option<Allowance>, Exhausted> {
        self.take(&self.unauthenticated, &network(address), Kind::Unauthenticated)
    }

    /// The value of `RateLimit-Policy`.
    pub fn policy(&self, kind: Kind) -> &Bytes {
        let [read, write, tenant_read, tenant_write, unauthenticated] = &self.policies;
        match kind {
            Kind::Read => read,
            Kind::Write => write,
            Kind::TenantRead => tenant_read,
            Kind::TenantWrite => tenant_write,
            Kind::Unauthenticated => unauthenticated,
        }
    }

    fn take<K: Hash + Eq + Clone>(
        &self,
        buckets: &Option<Buckets<K, C>>,
        key: &K,
        kind: Kind,
    ) -> Result<Option<Allowance>, Exhausted> {
        let Some(buckets) = buckets else { return Ok(None) };
        match buckets.check_key(key) {
            Ok(state) => Ok(Some(Allowance { kind, remaining: state.remaining_burst_capacity() })),
            Err(until) => {
                let retry_after_s = whole(until.wait_time_from(self.clock.now()));
                Err(Exhausted { kind, retry_after_s })
            }
        }
    }
}

fn tighter(own: Option<Allowance>, shared: Option<Allowance>) -> Option<Allowance> {
    [own, shared].into_iter().flatten().min_by_key(|allowance| allowance.remaining)
}

fn buckets<K: Hash + Eq + Clone, C: Clock + Clone>(
    limit: Limit,
    remembered: usize,
    clock: &C,
) -> Option<Buckets<K, C>> {
    let state = Bounded(Cache::new(remembered));
    Some(RateLimiter::new(limit.quota()?, state, clock.clone()))
}

/// Whoever has one IPv6 address has all of its /64 network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// In whole seconds, rounded up, because a caller that comes back too early is refused again.
fn whole(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(remembered: usize) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let limit = |per_second, burst| Limit { per_second, burst: NonZeroU32::new(burst).unwrap() };
        let config = LimitsConfig {
            read: limit(0.5, 3),
            write: limit(2.0, 1),
            tenant_read: limit(1.0, 4),
            tenant_write: limit(0.0, 1),
            unauthenticated: limit(1.0, 1),
            remembered,
        };
        let clock = FakeRelativeClock::default();
        (Limits::new(&config, clock.clone()), clock)
    }

    fn acme() -> String {
        "acme".to_owned()
    }

    fn remaining(taken: Result<Option<Allowance>, Exhausted>) -> Option<u32> {
        taken.ok().flatten().map(|allowance| allowance.remaining)
    }

    #[test]
    fn given_a_full_bucket_then_a_burst_is_let_through_and_the_next_says_when_to_come_back() {
        let (limits, clock) = limits(10);
        let alice = "https://issuer.example#alice".to_owned();
        let read = || limits.read(&alice, &acme());
        assert_eq!([remaining(read()), remaining(read()), remaining(read())], [Some(2), Some(1), Some(0)]);
        assert_eq!(read(), Err(Exhausted { kind: Kind::Read, retry_after_s: 2 }));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(read(), Err(Exhausted { kind: Kind::Read, retry_after_s: 1 }));
        clock.advance(Duration::from_millis(500));
        assert_eq!(remaining(read()), Some(0));
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(remaining(read()), Some(2), "a bucket never holds more than its burst");
        assert_eq!(limits.policy(Kind::Read), &b"\"read\";q=3;w=6"[..]);
    }

    #[test]
    fn given_two_principals_then_each_has_buckets_of_its_own_for_reads_and_writes() {
        let (limits, _) = limits(10);
        let (alice, bob) = ("a".to_owned(), "b".to_owned());
        assert_eq!(remaining(limits.write(&alice, &acme())), Some(0));
        assert!(limits.write(&alice, &acme()).is_err());
        assert_eq!(remaining(limits.read(&alice, &acme())), Some(2));
        assert_eq!(remaining(limits.write(&bob, &acme())), Some(0));
    }

    #[test]
    fn given_principals_of_one_tenant_then_they_share_a_bucket_and_the_tighter_one_is_told() {
        let (limits, clock) = limits(10);
        let (alice, bob, carol) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
        let read = |principal: &String| limits.read(principal, &acme());
        let left = |kind, remaining| Ok(Some(Allowance { kind, remaining }));
        assert_eq!(read(&alice), left(Kind::Read, 2));
        assert_eq!(read(&alice), left(Kind::Read, 1));
        assert_eq!(read(&bob), left(Kind::TenantRead, 1));
        assert_eq!(read(&alice), left(Kind::Read, 0), "as little of both: the own one is told");
        assert_eq!(read(&carol), Err(Exhausted { kind: Kind::TenantRead, retry_after_s: 1 }));
        assert_eq!(limits.read(&carol, &"umbrella".to_owned()), left(Kind::Read, 1), "another tenant");
        clock.advance(Duration::from_secs(1));
        assert_eq!(read(&alice), Err(Exhausted { kind: Kind::Read, retry_after_s: 1 }));
        assert_eq!(read(&bob), left(Kind::TenantRead, 0), "what was refused to her took nothing");
        assert_eq!(limits.policy(Kind::TenantRead), &b"\"tenant_read\";q=4;w=4"[..]);
    }

    #[test]
    fn given_addresses_of_one_ipv6_network_then_they_share_a_bucket() {
        let (limits, _) = limits(10);
        let from = |address: &str| limits.unauthenticated(address.parse().unwrap());
        assert!(from("2001:db8::1").is_ok());
        assert!(from("2001:db8::2").is_err());
        assert!(from("2001:db8:0:1::1").is_ok());
        assert!(from("192.0.2.1").is_ok());
        assert!(from("::ffff:192.0.2.1").is_err(), "the same address in another form");
        assert!(from("192.0.2.2").is_ok());
    }

    #[test]
    fn given_ever_new_callers_then_only_so_many_are_remembered() {
        let buckets = Bounded(Cache::new(100));
        for n in 0..10_000 {
            let caller = format!("https://issuer.example#{n}");
            buckets.measure_and_replace(&caller, |_| Ok::<_, Infallible>(((), Nanos::from(1)))).unwrap();
        }
        assert!(buckets.0.len() <= 100, "{}", buckets.0.len());
    }

    #[test]
    fn given_no_limit_then_everything_is_let_through() {
        let none = Limit { per_second: 0.0, burst: NonZeroU32::MIN };
        let config = LimitsConfig { read: none, ..LimitsConfig::default() };
        let limits = Limits::new(&config, FakeRelativeClock::default());
        for _ in 0..1_000 {
            assert_eq!(limits.read(&"a".to_owned(), &acme()), Ok(None));
        }
    }

    #[test]
    fn given_a_rate_that_cannot_be_kept_then_it_is_refused() {
        let limit = |per_second| Limit { per_second, burst: NonZeroU32::MIN };
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 0.000_1, 2e9] {
            assert!(limit(wrong).problem().is_some(), "{wrong}");
        }
        for right in [0.0, 0.001, 10.0, 1e9] {
            assert!(limit(right).problem().is_none(), "{right}");
        }
    }
}
