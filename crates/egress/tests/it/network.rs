//! A network in which names mean what a test says, public addresses are upstreams on loopback, and
//! everything else is a canary.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{FutureExt as _, future::BoxFuture};
use paddock_egress::Network;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Counts what reaches a listener.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Listener {
    /// Accepts, reads, and answers every read with `answer`.
    pub(crate) async fn new(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let this = Self {
            address: listener.local_addr().expect("an address"),
            connections: Arc::default(),
            received: Arc::default(),
        };
        let counting = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(counting.clone().read(stream, answer));
            }
        });
        this
    }

    async fn read(self, mut stream: TcpStream, answer: &'static str) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            self.received.lock().unwrap().extend_from_slice(&buffer[..count]);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }
}

pub(crate) struct FakeNetwork {
    pub(crate) canary: Listener,
    names: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    upstreams: Mutex<BTreeMap<IpAddr, SocketAddr>>,
    resolved: Mutex<Vec<String>>,
    dialled: Mutex<Vec<SocketAddr>>,
}

impl FakeNetwork {
    pub(crate) async fn new() -> Arc<Self> {
        Arc::new(Self {
            canary: Listener::new("you got me").await,
            names: Mutex::default(),
            upstreams: Mutex::default(),
            resolved: Mutex::default(),
            dialled: Mutex::default(),
        })
    }

    /// What a name means: one answer after the other, the last one for ever.
    pub(crate) fn name(&self, name: &str, answers: &[&[&str]]) {
        let parse =
            |answer: &&[&str]| answer.iter().map(|ip| ip.parse().expect("an address")).collect();
        self.names.lock().unwrap().insert(name.to_owned(), answers.iter().map(parse).collect());
    }

    /// Who lives at a public address, whatever the port.
    pub(crate) fn upstream(&self, address: &str, upstream: SocketAddr) {
        self.upstreams.lock().unwrap().insert(address.parse().expect("an address"), upstream);
    }

    pub(crate) fn resolved(&self) -> Vec<String> {
        self.resolved.lock().unwrap().clone()
    }

    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().unwrap().clone()
    }
}

impl Network for FakeNetwork {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.resolved.lock().unwrap().push(host.to_owned());
        let mut names = self.names.lock().unwrap();
        let answer = match names.get_mut(host) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            // What a resolver under an attacker's influence would say: a public address, behind
            // which is the canary.
            None => Some(vec![IpAddr::from([8, 8, 4, 4])]),
        };
        async move { Ok(answer.unwrap_or_default()) }.boxed()
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        self.dialled.lock().unwrap().push(address);
        let upstream = self.upstreams.lock().unwrap().get(&address.ip()).copied();
        TcpStream::connect(upstream.unwrap_or(self.canary.address)).boxed()
    }
}

/// A TLS ClientHello with these server names, one name list a slice.
pub(crate) fn client_hello(lists: &[&[&[u8]]], encrypted: bool) -> Vec<u8> {
    fn vector(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short");
        [&length.to_be_bytes()[..], content].concat()
    }
    let mut extensions = vec![];
    for names in lists {
        let list: Vec<u8> =
            names.iter().flat_map(|name| [&[0][..], &vector(name)].concat()).collect();
        extensions.extend([&[0, 0][..], &vector(&vector(&list))].concat());
    }
    if encrypted {
        extensions.extend([&[0xfe, 0x0d][..], &vector(&[0; 64])].concat());
    }
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend(vector(&extensions));
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    let message = [&[1, length[1], length[2], length[3]][..], &body].concat();
    [&[22, 3, 1][..], &vector(&message)].concat()
}
