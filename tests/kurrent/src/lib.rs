//! A cluster that speaks the protocol of KurrentDB and EventStoreDB as far as an event store needs it: one or three
//! nodes in this process, on ports of the loopback interface. It decides appends as the server does (`log.rs`), and
//! fails in the ways a test asks for. It is no database: nothing is on disk, and what one node has all have.

pub mod log;
mod node;
mod socket;
mod streams;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::log::{Expected, Log, Proposed};
use crate::node::Node;

/// What `build.rs` makes of `protos/`.
pub mod protocol {
    include!(concat!(env!("OUT_DIR"), "/protocol.rs"));
}

/// Several nodes over one log. Dropping it ends them.
pub struct Cluster {
    shared: Arc<Shared>,
    nodes: Mutex<Vec<Node>>,
}

/// What becomes of the next append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Whether it is written all the same.
    pub written: bool,
    pub answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The call ends: another node is the leader.
    NotLeader,
    /// The call ends with UNAVAILABLE.
    Unavailable,
    /// The call ends with ABORTED, which is how a server tells that an operation took too long.
    Aborted,
    /// The append alone is answered, with a time-out.
    TimedOut,
    /// The append alone is answered, with "Server Is Busy".
    Busy,
    /// Nothing, for ever.
    Silence,
    /// The call ends with OK and without an answer.
    Ended,
    /// It is answered well, and where it was written is not said.
    NoPosition,
}

/// How subscriptions end that did not ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// With OK, as if all had been said.
    Ended,
    /// With UNAVAILABLE.
    Cut,
    /// They stay, and nothing comes any more.
    Silent,
}

/// What clients did until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Calls of any kind, on any node.
    pub calls: u64,
    pub subscriptions: u64,
    /// Sessions of batch appends.
    pub sessions: u64,
    pub batch_appends: u64,
    /// Appends in a call of their own.
    pub appends: u64,
}

pub(crate) struct Shared {
    pub(crate) log: Mutex<Log>,
    /// The number of records, told to subscriptions.
    pub(crate) grown: watch::Sender<usize>,
    pub(crate) members: Mutex<Vec<Member>>,
    pub(crate) faults: Mutex<VecDeque<Fault>>,
    pub(crate) dropped: watch::Sender<(u64, Drop)>,
    /// Subscriptions end when they begin.
    pub(crate) ending: watch::Sender<bool>,
    /// So many reads are answered with UNAVAILABLE.
    pub(crate) failing_reads: AtomicUsize,
    /// Counted by clients' calls.
    pub(crate) seen: Counters,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    pub(crate) subscriptions: AtomicU64,
    pub(crate) sessions: AtomicU64,
    pub(crate) batch_appends: AtomicU64,
    pub(crate) appends: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) port: u16,
    pub(crate) leader: bool,
    /// What gossip says; a node that was just killed is still taken for alive.
    pub(crate) alive: bool,
}

/// For what the server makes itself; none is ever the id of a client's event.
pub(crate) fn next_id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u64_pair(u64::MAX, NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Starts so many nodes, of which the first leads.
    pub fn start(nodes: usize) -> Self {
        let shared = Arc::new(Shared {
            log: Mutex::new(Log::new()),
            grown: watch::Sender::new(0),
            members: Mutex::default(),
            faults: Mutex::default(),
            dropped: watch::Sender::new((0, Drop::Ended)),
            ending: watch::Sender::new(false),
            failing_reads: AtomicUsize::new(0),
            seen: Counters::default(),
        });
        let nodes: Vec<Node> = (0..nodes).map(|at| Node::start(&shared, at)).collect();
        let member = |(at, node): (usize, &Node)| Member { port: node.port, leader: at == 0, alive: true };
        *lock(&shared.members) = nodes.iter().enumerate().map(member).collect();
        Self { shared, nodes: Mutex::new(nodes) }
    }

    /// As a program is told.
    pub fn url(&self) -> String {
        let ports = lock(&self.shared.members);
        let hosts: Vec<String> = ports.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect();
        format!("esdb://{}?tls=false", hosts.join(","))
    }

    /// One node only, whatever it is.
    pub fn url_of(&self, node: usize) -> String {
        format!("esdb://127.0.0.1:{}?tls=false", lock(&self.shared.members)[node].port)
    }

    /// Fails the next append; of several, each takes the next one.
    pub fn fail(&self, fault: Fault) {
        lock(&self.shared.faults).push_back(fault);
    }

    /// Faults that no append has met yet.
    pub fn faults_left(&self) -> usize {
        lock(&self.shared.faults).len()
    }

    /// No append that comes from now on meets a fault that was asked for before.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Ends the subscriptions that there are.
    pub fn drop_subscriptions(&self, how: Drop) {
        self.shared.dropped.send_modify(|dropped| *dropped = (dropped.0 + 1, how));
    }

    /// From now on every subscription ends with OK as soon as it begins, or no longer.
    pub fn end_subscriptions_at_once(&self, ending: bool) {
        self.shared.ending.send_replace(ending);
        self.drop_subscriptions(Drop::Ended);
    }

    /// The next so many reads find the server unavailable.
    pub fn fail_reads(&self, count: usize) {
        self.shared.failing_reads.store(count, Ordering::Relaxed);
    }

    pub fn leader(&self) -> Option<usize> {
        lock(&self.shared.members).iter().position(|member| member.leader)
    }

    /// Ends a node with all its connections, in the middle of whatever it does. Nobody has noticed yet.
    pub fn kill(&self, node: usize) {
        lock(&self.nodes)[node].kill();
    }

    /// The others notice who is gone, and this one leads from now on.
    pub fn elect(&self, node: usize) {
        let alive: Vec<bool> = lock(&self.nodes).iter().map(Node::runs).collect();
        for (at, member) in lock(&self.shared.members).iter_mut().enumerate() {
            (member.leader, member.alive) = (at == node, alive[at]);
        }
    }

    /// A node that was killed comes back on its port, as a follower.
    pub fn revive(&self, node: usize) {
        let back = lock(&self.nodes)[node].again(&self.shared, node);
        lock(&self.nodes)[node] = back;
        let mut members = lock(&self.shared.members);
        let only = members.len() == 1;
        members[node].alive = true;
        members[node].leader |= only;
    }

    /// What another program writes into the same cluster.
    pub fn write(&self, stream: &str, event_type: &str, data: &[u8]) {
        let proposed = Proposed {
            id: next_id(),
            event_type: event_type.to_owned(),
            json: false,
            data: data.to_vec().into(),
            metadata: Vec::new().into(),
        };
        self.shared.append(stream, Expected::Any, vec![proposed]).unwrap();
    }

    /// Lets somebody change what is stored.
    pub fn tamper(&self, with: impl FnOnce(&mut Log)) {
        with(&mut lock(&self.shared.log));
    }

    pub fn seen(&self) -> Seen {
        let Counters { calls, subscriptions, sessions, batch_appends, appends } = &self.shared.seen;
        let [calls, subscriptions, sessions, batch_appends, appends] =
            [calls, subscriptions, sessions, batch_appends, appends]
                .map(|counter| counter.load(Ordering::Relaxed));
        Seen { calls, subscriptions, sessions, batch_appends, appends }
    }
}

impl Shared {
    pub(crate) fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposed>,
    ) -> Result<log::Written, log::Refused> {
        let mut log = lock(&self.log);
        let written = log.append(stream, expected, events)?;
        self.grown.send_replace(log.len());
        Ok(written)
    }
}
