use std::time::{Duration, Instant};

use harness::wire::{ProbeKind, ProbeReport, ProbeRequest, ProbeTarget, ProbeVerdict};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket, UnixListener},
};

use crate::support::Sandbox;

/// Far more than all buffers on the way.
const TOTAL: usize = 64 << 20;

#[tokio::test]
async fn each_direction_of_a_forwarded_connection_closes_by_itself() {
    let sandbox = Sandbox::new();
    sandbox.gateway.abort();
    let socket = sandbox.dir.path().join("gateway/gateway.sock");
    std::fs::remove_file(&socket).unwrap();
    let gateway = UnixListener::bind(&socket).unwrap();
    let harness = sandbox.harness().await;
    let mut inside = TcpStream::connect(harness.proxy).await.unwrap();
    let (mut outside, _) = gateway.accept().await.unwrap();
    inside.write_all(b"question").await.unwrap();
    inside.shutdown().await.unwrap();
    let mut heard = String::new();
    outside.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "question");
    // The other direction is open still.
    outside.write_all(b"answer").await.unwrap();
    drop(outside);
    heard.clear();
    inside.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "answer");
    harness.end().await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_writer_and_loses_nothing() {
    let sandbox = Sandbox::new();
    sandbox.gateway.abort();
    let socket = sandbox.dir.path().join("gateway/gateway.sock");
    std::fs::remove_file(&socket).unwrap();
    let gateway = UnixListener::bind(&socket).unwrap();
    let harness = sandbox.harness().await;
    let inside = TcpStream::connect(harness.proxy).await.unwrap();
    let (mut outside, _) = gateway.accept().await.unwrap();
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&written);
    let writer = tokio::spawn(async move {
        let mut inside = inside;
        let chunk = vec![7; 1 << 16];
        for _ in 0..TOTAL / chunk.len() {
            inside.write_all(&chunk).await.unwrap();
            counter.fetch_add(chunk.len(), std::sync::atomic::Ordering::SeqCst);
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = written.load(std::sync::atomic::Ordering::SeqCst);
    assert!(before < TOTAL / 2, "{before} bytes were taken in without a reader");
    let mut read = 0;
    let mut chunk = vec![0; 1 << 16];
    while let Ok(some @ 1..) = outside.read(&mut chunk).await {
        read += some;
    }
    writer.await.unwrap();
    assert_eq!(read, TOTAL);
    harness.end().await;
}

#[tokio::test]
async fn the_fence_is_probed_as_it_is() {
    let sandbox = Sandbox::new();
    let harness = sandbox.harness().await;
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let resolver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_at = closed.local_addr().unwrap();
    drop(closed);
    let target =
        |name: &str, address: String, kind| ProbeTarget { name: name.into(), address, kind };
    let targets = vec![
        target("open", open.local_addr().unwrap().to_string(), ProbeKind::Tcp),
        target("closed", closed_at.to_string(), ProbeKind::Tcp),
        target("resolver", resolver.local_addr().unwrap().to_string(), ProbeKind::UdpDns),
        target("mute", mute.local_addr().unwrap().to_string(), ProbeKind::UdpDns),
        target("no address", "localhost".into(), ProbeKind::Tcp),
    ];
    let answering = tokio::spawn(async move {
        let mut query = [0; 512];
        let (length, from) = resolver.recv_from(&mut query).await.unwrap();
        resolver.send_to(&query[..length], from).await.unwrap();
    });
    let began = Instant::now();
    let report: ProbeReport = harness.post("probe", &ProbeRequest { targets }).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(7), "not at the same time");
    answering.await.unwrap();
    let verdicts: Vec<_> =
        report.probes.iter().map(|probe| (probe.target.as_str(), probe.verdict)).collect();
    assert_eq!(
        verdicts,
        [
            ("open", ProbeVerdict::Reached),
            ("closed", ProbeVerdict::Refused),
            ("resolver", ProbeVerdict::Reached),
            ("mute", ProbeVerdict::TimedOut),
            ("no address", ProbeVerdict::NotProvable),
        ]
    );
    harness.end().await;
}
