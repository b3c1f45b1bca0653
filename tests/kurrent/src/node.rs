//! One node: a server with a runtime of its own, so that it can end at once with everything it does.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::protocol::event_store::client::gossip::gossip_server::{Gossip, GossipServer};
use crate::protocol::event_store::client::gossip::{
    ClusterInfo, EndPoint, MemberInfo, member_info::VNodeState,
};
use crate::protocol::event_store::client::server_features::server_features_server::{
    ServerFeatures, ServerFeaturesServer,
};
use crate::protocol::event_store::client::server_features::{SupportedMethod, SupportedMethods};
use crate::protocol::event_store::client::streams::streams_server::StreamsServer;
use crate::protocol::event_store::client::{Empty, Uuid as WireUuid, uuid};
use crate::socket::Socket;
use crate::{Member, Shared, lock};

/// As the server takes them.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

pub(crate) struct Node {
    pub(crate) port: u16,
    runtime: Option<Runtime>,
    /// Bound to the port for as long as the cluster lives: what was killed gets its port back, and nobody else does.
    held: Arc<TcpSocket>,
}

impl Node {
    /// Listens before it returns, on any port that is free.
    pub(crate) fn start(shared: &Arc<Shared>, at: usize) -> Self {
        Self::listen(shared, at, Arc::new(bound().unwrap()))
    }

    /// The same node again, where it was.
    pub(crate) fn again(&self, shared: &Arc<Shared>, at: usize) -> Self {
        Self::listen(shared, at, Arc::clone(&self.held))
    }

    fn listen(shared: &Arc<Shared>, at: usize, held: Arc<TcpSocket>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let port = held.local_addr().unwrap().port();
        let listener = listener(port);
        listener.set_nonblocking(true).unwrap();
        let service = Service { shared: Arc::clone(shared), at };
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = TcpListenerStream::new(listener).map(|stream| stream.and_then(Socket::new));
            let streams = StreamsServer::new(service.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
            Server::builder()
                .add_service(streams)
                .add_service(GossipServer::new(service.clone()))
                .add_service(ServerFeaturesServer::new(service))
                .serve_with_incoming(incoming)
                .await
        });
        Self { port, runtime: Some(runtime), held }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.runtime.is_some()
    }
}

/// A port of its own, where nothing listens yet.
fn bound() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(socket)
}

/// A node that was killed stops listening a moment later.
fn listener(port: u16) -> TcpListener {
    let started = Instant::now();
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener,
            Err(taken) if started.elapsed() < Duration::from_secs(10) => {
                assert_eq!(taken.kind(), ErrorKind::AddrInUse);
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("port {port}: {error}"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What one node answers.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    pub(crate) at: usize,
}

impl Service {
    pub(crate) fn called(&self) {
        self.shared.seen.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Refuses who asks for the leader and has come to another node.
    pub(crate) fn lead<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let members = lock(&self.shared.members);
        let asks = request.metadata().get("requires-leader").is_some_and(|asked| asked == "true");
        if !asks || members.get(self.at).is_some_and(|member| member.leader) {
            return Ok(());
        }
        Err(not_leader(members.iter().find(|member| member.leader)))
    }
}

pub(crate) fn not_leader(leader: Option<&Member>) -> Status {
    let Some(leader) = leader else { return Status::unavailable("No leader info available in response") };
    let mut status = Status::not_found("Leader info available");
    let metadata = status.metadata_mut();
    metadata.insert("exception", "not-leader".parse().unwrap());
    metadata.insert("leader-endpoint-host", "127.0.0.1".parse().unwrap());
    metadata.insert("leader-endpoint-port", leader.port.into());
    status
}

#[tonic::async_trait]
impl Gossip for Service {
    async fn read(&self, _: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        self.called();
        let member = |member: &Member| {
            let state = match member {
                Member { leader: true, .. } => VNodeState::Leader,
                Member { alive: true, .. } => VNodeState::Follower,
                Member { .. } => VNodeState::Shutdown,
            };
            let id = ::uuid::Uuid::from_u128(u128::from(member.port)).to_string();
            MemberInfo {
                instance_id: Some(WireUuid { value: Some(uuid::Value::String(id)) }),
                time_stamp: 0,
                state: state.into(),
                is_alive: member.alive,
                http_end_point: Some(EndPoint { address: "127.0.0.1".to_owned(), port: member.port.into() }),
            }
        };
        let members = lock(&self.shared.members).iter().map(member).collect();
        Ok(Response::new(ClusterInfo { members }))
    }
}

#[tonic::async_trait]
impl ServerFeatures for Service {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        self.called();
        let method = |name: &str| SupportedMethod {
            method_name: name.to_owned(),
            service_name: "event_store.client.streams.streams".to_owned(),
            features: Vec::new(),
        };
        let methods = ["append", "batchappend", "read"].map(method).to_vec();
        Ok(Response::new(SupportedMethods { methods, event_store_server_version: "25.0.1".to_owned() }))
    }
}
