//! A network between a store and its database that fails when a test says so.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::super::PostgresUrl;
use super::Database;

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It never arrives.
    Before,
    /// It is done, and its answer never arrives.
    After,
    /// The connection is gone, and it arrives so much later.
    Late(Duration),
}

/// Listens on a port and leads to the socket of a server.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    listening: AbortHandle,
}

struct Shared {
    upstream: Mutex<PathBuf>,
    next: Mutex<Option<Cut>>,
    /// What was armed last has happened.
    done: AtomicBool,
    /// Connections end when it changes.
    generation: watch::Sender<u64>,
    away: watch::Sender<bool>,
}

impl Proxy {
    pub async fn start(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(database.socket()),
            next: Mutex::new(None),
            done: AtomicBool::new(true),
            generation: watch::Sender::new(0),
            away: watch::Sender::new(false),
        });
        let accepting = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if !*accepting.away.borrow() {
                    tokio::spawn(serve(Arc::clone(&accepting), client));
                }
            }
        });
        Self { shared, port, listening: listening.abort_handle() }
    }

    pub fn url(&self, database: &Database) -> PostgresUrl {
        self.address(database).parse().unwrap()
    }

    /// As a program is told.
    pub fn address(&self, database: &Database) -> String {
        let Self { port, .. } = self;
        format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", database.name)
    }

    /// Arms it for the next commit on any connection.
    pub fn cut(&self, how: Cut) {
        self.shared.done.store(false, Ordering::Release);
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
    }

    /// Whether the commit that was to be cut has come, and what was to become of it has.
    pub fn has_cut(&self) -> bool {
        self.shared.done.load(Ordering::Acquire)
    }

    /// Ends every connection; new ones are taken.
    pub fn cut_all(&self) {
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Ends every connection, and refuses new ones until it is back.
    pub fn away(&self, away: bool) {
        self.shared.away.send_replace(away);
        self.cut_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_all();
    }
}

/// As the protocol writes it, and as the server answers.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

async fn serve(shared: Arc<Shared>, client: TcpStream) {
    let mut generation = shared.generation.subscribe();
    generation.mark_unchanged();
    let path = shared.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Ok(server) = UnixStream::connect(path).await else { return };
    tokio::select! {
        _ = generation.changed() => {}
        _ = carry(&shared, client, server) => {}
    }
}

/// Carries messages both ways until either side ends, or a commit is cut.
async fn carry(shared: &Shared, mut client: TcpStream, mut server: UnixStream) -> std::io::Result<()> {
    let (mut asked, mut begun) = (Vec::new(), false);
    let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                asked.extend_from_slice(&from_client[..read]);
                while let Some(length) = message(&asked, begun) {
                    let one: Vec<u8> = asked.drain(..length).collect();
                    begun = true;
                    let cut = if one == COMMIT {
                        shared.next.lock().unwrap_or_else(PoisonError::into_inner).take()
                    } else {
                        None
                    };
                    let Some(cut) = cut else {
                        server.write_all(&one).await?;
                        continue;
                    };
                    if let Cut::Late(pause) = cut {
                        drop(client);
                        tokio::time::sleep(pause).await;
                    }
                    if cut != Cut::Before {
                        server.write_all(&one).await?;
                        until_committed(&mut server).await?;
                    }
                    shared.done.store(true, Ordering::Release);
                    return Ok(());
                }
            }
            read = server.read(&mut from_server) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                client.write_all(&from_server[..read]).await?;
            }
        }
    }
}

async fn until_committed(server: &mut UnixStream) -> std::io::Result<()> {
    let (mut said, mut page) = (Vec::new(), vec![0; 64 * 1024]);
    while !said.windows(COMMITTED.len()).any(|window| window == COMMITTED) {
        let read = server.read(&mut page).await?;
        if read == 0 {
            return Ok(());
        }
        said.extend_from_slice(&page[..read]);
    }
    Ok(())
}

/// The length of the first message, when all of it is there. The very first has no letter before its length.
fn message(bytes: &[u8], begun: bool) -> Option<usize> {
    let letter = usize::from(begun);
    let length: [u8; 4] = bytes.get(letter..letter + 4)?.try_into().ok()?;
    let length = letter + u32::from_be_bytes(length) as usize;
    (bytes.len() >= length).then_some(length)
}
