//! A closed loop over keep-alive connections: each sends its next request when it has the answer.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Load {
    /// Where each connection goes, and what it sends, over and over.
    connections: Vec<(SocketAddr, Vec<Vec<u8>>)>,
}

/// How many different requests a connection goes through.
const VARIETY: usize = 64;

#[derive(Clone, Copy)]
pub struct Measured {
    pub per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl Measured {
    pub fn new(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies.get(index.min(latencies.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
        Self { per_second, p50: at(0.5), p99: at(0.99) }
    }

    pub fn better_of(self, other: Option<Self>) -> Self {
        other.filter(|other| other.per_second > self.per_second).unwrap_or(self)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        f.pad(&format!("{:.0} ({:.2} / {:.2})", self.per_second, ms(self.p50), ms(self.p99)))
    }
}

pub fn get(addr: SocketAddr, path: &str, token: Option<&str>) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n{}\r\n", authorization(token)).into_bytes()
}

pub fn post(addr: SocketAddr, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        authorization(token),
        body.len()
    )
    .into_bytes()
}

fn authorization(token: Option<&str>) -> String {
    token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"))
}

impl Load {
    /// Connection after connection to the next of `addrs`.
    pub fn new(addrs: &[SocketAddr], connections: usize, request: impl Fn(usize) -> Vec<u8>) -> Self {
        let of = |connection: usize| (0..VARIETY).map(|k| request(connection + k * connections)).collect();
        let addrs = addrs.iter().copied().cycle();
        Self { connections: addrs.take(connections).zip((0..connections).map(of)).collect() }
    }

    pub async fn run(self, length: Duration) -> Result<Measured, Box<dyn std::error::Error>> {
        let started = Instant::now();
        let until = started + length;
        let connections: Vec<_> = self
            .connections
            .into_iter()
            .map(|(addr, requests)| tokio::spawn(connection(addr, requests, until)))
            .collect();
        let mut latencies = Vec::new();
        for connection in connections {
            latencies.extend(connection.await?.map_err(|error| format!("a connection failed: {error}"))?);
        }
        Ok(Measured::new(latencies, started.elapsed()))
    }
}

async fn connection(
    addr: SocketAddr,
    requests: Vec<Vec<u8>>,
    until: Instant,
) -> Result<Vec<Duration>, std::io::Error> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    for request in requests.iter().cycle() {
        let sent = Instant::now();
        if sent >= until {
            break;
        }
        stream.write_all(request).await?;
        answer(&mut stream, &mut buffer).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// Reads one answer and insists that it is a success.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(), std::io::Error> {
    let mut read = 0;
    loop {
        let n = stream.read(&mut buffer[read..]).await?;
        if n == 0 {
            return Err(std::io::Error::other("closed, or the answer is too large"));
        }
        read += n;
        let Some(head) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&buffer[..head]).map_err(std::io::Error::other)?;
        if !text.starts_with("HTTP/1.1 2") {
            return Err(std::io::Error::other(text.lines().next().unwrap_or("no status").to_owned()));
        }
        let length = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse::<usize>().ok())
            .unwrap_or(0);
        if read >= head + 4 + length {
            return Ok(());
        }
    }
}
