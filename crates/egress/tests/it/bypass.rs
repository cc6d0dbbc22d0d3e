//! Ways around the wall, each of which was one somewhere: not a byte of any may arrive.

use std::sync::Arc;

use paddock_egress::{Policy, Verdict};

use crate::{
    network::{FakeNetwork, Listener, client_hello},
    world::{World, policy},
};

const PUBLIC: &str = "140.82.121.4";

/// Hosts that are no way to anywhere, in the spelling of a client, and the rule that says so.
/// `P` stands for the canary's port.
const HOSTS: &[(&str, &str)] = &[
    // Not on the list, or nearly.
    ("other.example:443", "no-rule"),
    ("allowed.example:P", "no-rule"),
    ("allowed.example:22", "no-rule"),
    ("allowed.example.evil.example:443", "no-rule"),
    ("evilallowed.example:443", "no-rule"),
    ("www.allowed.example:443", "no-rule"),
    ("example:443", "no-rule"),
    ("suffix.example:443", "no-rule"),
    ("evilsuffix.example:443", "no-rule"),
    ("a.suffix.example.evil.example:443", "no-rule"),
    ("xn--allowed-0ra.example:443", "no-rule"),
    ("localhost:P", "no-rule"),
    ("LOCALHOST.:P", "no-rule"),
    ("localhost.localdomain:P", "no-rule"),
    ("ip6-localhost:P", "no-rule"),
    ("metadata.google.internal:80", "no-rule"),
    ("kubernetes.default.svc:443", "no-rule"),
    ("github.com:443", "no-rule"),
    // Addresses, in every form.
    ("127.0.0.1:P", "address.literal"),
    ("127.0.0.1.:P", "address.literal"),
    ("127.1:P", "address.literal"),
    ("127.0.1:P", "address.literal"),
    ("127.255.255.254:P", "address.literal"),
    ("2130706433:P", "address.literal"),
    ("0x7f000001:P", "address.literal"),
    ("0X7F000001:P", "address.literal"),
    ("0x7f.0.0.1:P", "address.literal"),
    ("0x7f.1:P", "address.literal"),
    ("0177.0.0.1:P", "address.literal"),
    ("0177.1:P", "address.literal"),
    ("00000177.0.0.1:P", "address.literal"),
    ("017700000001:P", "address.literal"),
    ("0:P", "address.literal"),
    ("0.0.0.0:P", "address.literal"),
    ("0x0:P", "address.literal"),
    ("10.0.0.1:443", "address.literal"),
    ("100.64.0.1:443", "address.literal"),
    ("169.254.169.254:80", "address.literal"),
    ("2852039166:80", "address.literal"),
    ("0xa9fea9fe:80", "address.literal"),
    ("169.254.43518:80", "address.literal"),
    ("0251.0376.0251.0376:80", "address.literal"),
    ("192.168.0.1:443", "address.literal"),
    ("8.8.8.8:443", "address.literal"),
    ("140.82.121.4:443", "address.literal"),
    ("255.255.255.255:443", "address.literal"),
    ("[::1]:P", "address.literal"),
    ("[0:0:0:0:0:0:0:1]:P", "address.literal"),
    ("[::]:P", "address.literal"),
    ("[::ffff:127.0.0.1]:P", "address.literal"),
    ("[::FFFF:7f00:1]:P", "address.literal"),
    ("[::127.0.0.1]:P", "address.literal"),
    ("[64:ff9b::127.0.0.1]:P", "address.literal"),
    ("[2002:7f00:1::]:P", "address.literal"),
    ("[fd00:ec2::254]:80", "address.literal"),
    ("[fe80::1]:443", "address.literal"),
    ("[2606:4700:4700::1111]:443", "address.literal"),
    // No form at all.
    ("127.0.0.1.5:443", "host.malformed"),
    ("256.0.0.1:443", "host.malformed"),
    ("1.2.3.256:443", "host.malformed"),
    ("0x100000000:443", "host.malformed"),
    ("09.0.0.1:443", "host.malformed"),
    ("allowed.example.127:443", "host.malformed"),
    ("[allowed.example]:443", "host.malformed"),
    ("[127.0.0.1]:P", "host.malformed"),
    ("[::1%25lo]:P", "host.malformed"),
    ("allowed.example@127.0.0.1:P", "host.malformed"),
    ("user:password@allowed.example:443", "host.malformed"),
    ("@allowed.example:443", "host.malformed"),
    ("allowed.example..:443", "host.malformed"),
    ("allowed..example:443", "host.malformed"),
    (".allowed.example:443", "host.malformed"),
    (".:443", "host.malformed"),
    ("allowed.example%00.evil.example:443", "host.malformed"),
    ("allowed%2eexample:443", "host.malformed"),
    ("-allowed.example:443", "host.malformed"),
    ("allowed.example,evil.example:443", "host.malformed"),
    ("*.example:443", "host.malformed"),
    ("allowed.example:00443", "host.malformed"),
    ("allowed.example:0", "host.malformed"),
];

/// Request heads that no proxy should even read.
const HEADS: &[&str] = &[
    "CONNECT allowed.example\0.evil.example:443 HTTP/1.1",
    "CONNECT allowed.example:443\0 HTTP/1.1",
    "CONNECT allowed.example:443:P HTTP/1.1",
    "CONNECT allowed.example:65536 HTTP/1.1",
    "CONNECT allowed.example:+443 HTTP/1.1",
    "CONNECT allowed.example: HTTP/1.1",
    "CONNECT allowed.example HTTP/1.1",
    "CONNECT ::1:P HTTP/1.1",
    "CONNECT [::1:P HTTP/1.1",
    "CONNECT [fe80::1%lo]:P HTTP/1.1",
    "CONNECT allowed.example\t:443 HTTP/1.1",
    "CONNECT allowed.example :443 HTTP/1.1",
    "CONNECT allowed.example:443 127.0.0.1:P HTTP/1.1",
    "CONNECT http://allowed.example:443/ HTTP/1.1",
    "CONNECT http://127.0.0.1:P HTTP/1.1",
    "CONNECT //127.0.0.1:P HTTP/1.1",
    "CONNECT /127.0.0.1:P HTTP/1.1",
    "CONNECT * HTTP/1.1",
    "CONNECT allowed.example:443/../127.0.0.1:P HTTP/1.1",
    "CONNECT allowed.example:443?@127.0.0.1:P HTTP/1.1",
    "CONNECT allowed.example:443#@127.0.0.1:P HTTP/1.1",
    "CONNECT allowed.example\\@127.0.0.1:P HTTP/1.1",
    "CONNECT \u{ff41}llowed.example:443 HTTP/1.1",
    "CONNECT allowed\u{3002}example:443 HTTP/1.1",
    "CONNECT \u{2460}27.0.0.1:P HTTP/1.1",
    "CONNECT allowed.exa\u{ad}mple:443 HTTP/1.1",
    "GET https://allowed.example/ HTTP/1.1",
    "GET ftp://allowed.example/ HTTP/1.1",
    "GET file:///etc/passwd HTTP/1.1",
    "GET gopher://127.0.0.1:P/ HTTP/1.1",
    "GET http:///127.0.0.1:P/ HTTP/1.1",
    "GET http:127.0.0.1:P/ HTTP/1.1",
    "GET http://allowed.example:443/ HTTP/1.1",
    "GET http://allowed.example\0.evil.example/ HTTP/1.1",
    "TRACE http://allowed.example/ HTTP/1.1",
    "GET //127.0.0.1:P/ HTTP/1.1",
    "GET /http://127.0.0.1:P/ HTTP/1.1",
    "GET /model/v1/../../127.0.0.1:P/ HTTP/1.1",
    "POST /model/v1/chat/completions@127.0.0.1:P HTTP/1.1",
    "GET /git/octo/hello.git@127.0.0.1:P/info/refs?service=git-upload-pack HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET 127.0.0.1:P HTTP/1.1",
    "PRI * HTTP/2.0",
    "GET http://127.0.0.1:P/",
    "\u{4}\u{1}\u{0}\u{50}\u{7f}\u{0}\u{0}\u{1}\u{0}",
    "\u{5}\u{1}\u{0}",
];

/// What the addresses of a host may not be among.
const ADDRESSES: &[&[&str]] = &[
    &["127.0.0.1"],
    &["127.8.8.8"],
    &["0.0.0.0"],
    &["10.1.2.3"],
    &["100.64.0.1"],
    &["100.100.100.200"],
    &["168.63.129.16"],
    &["169.254.169.254"],
    &["172.16.0.1"],
    &["172.31.255.255"],
    &["192.0.0.192"],
    &["192.0.2.1"],
    &["192.168.1.1"],
    &["198.18.0.1"],
    &["224.0.0.1"],
    &["240.0.0.1"],
    &["255.255.255.255"],
    &["::"],
    &["::1"],
    &["::ffff:127.0.0.1"],
    &["::ffff:10.0.0.1"],
    &["::ffff:169.254.169.254"],
    &["::127.0.0.1"],
    &["64:ff9b::127.0.0.1"],
    &["64:ff9b::a9fe:a9fe"],
    &["64:ff9b:1::a00:1"],
    &["2001::1"],
    &["2001:db8::1"],
    &["2002:7f00:1::1"],
    &["2002:a00:1::1"],
    &["fc00::1"],
    &["fd00:ec2::254"],
    &["fe80::1"],
    &["ff02::1"],
    // One is enough.
    &[PUBLIC, "127.0.0.1"],
    &[PUBLIC, "1.1.1.1", "::1"],
    &["127.0.0.1", PUBLIC],
];

/// First bytes of a tunnel to an allowed host that are not TLS to that host.
fn first_bytes() -> Vec<(&'static str, Vec<u8>)> {
    let hello = |lists: &[&[&[u8]]]| client_hello(lists, false);
    let mut cut = hello(&[&[b"allowed.example"]]);
    cut.truncate(40);
    vec![
        ("sni.mismatch", hello(&[&[b"evil.example"]])),
        ("sni.mismatch", hello(&[&[b"allowed.example."]])),
        ("sni.mismatch", hello(&[&[b"www.allowed.example"]])),
        ("sni.mismatch", hello(&[&[b"127.0.0.1"]])),
        ("sni.mismatch", hello(&[&[b"allowed.example:443"]])),
        ("sni.absent", hello(&[])),
        ("tls.malformed", hello(&[&[b"allowed.example", b"evil.example"]])),
        ("tls.malformed", hello(&[&[b"allowed.example"], &[b"evil.example"]])),
        ("tls.malformed", hello(&[&[b"evil.example"], &[b"allowed.example"]])),
        ("tls.malformed", hello(&[&[b"allowed.example\0.evil.example"]])),
        ("tls.malformed", hello(&[&[b""]])),
        ("tls.malformed", hello(&[&[]])),
        ("tls.ech", client_hello(&[&[b"allowed.example"]], true)),
        ("tls.absent", b"GET / HTTP/1.1\r\nhost: allowed.example\r\n\r\n".to_vec()),
        ("tls.absent", b"SSH-2.0-OpenSSH_9\r\n".to_vec()),
        ("tls.absent", b"\x16\x02\x00".to_vec()),
        ("tls.absent", b"\x80\x2e\x01\x03\x01".to_vec()),
        ("tls.absent", b"\x00".to_vec()),
        ("tls.absent", cut),
        ("tls.absent", vec![]),
    ]
}

struct Setting {
    world: World,
    network: Arc<FakeNetwork>,
    upstream: Listener,
    policy: Policy,
}

impl Setting {
    async fn new() -> Self {
        let network = FakeNetwork::new().await;
        let upstream = Listener::new("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        network.name("allowed.example", &[&[PUBLIC]]);
        network.upstream(PUBLIC, upstream.address);
        let mut world = World::new().await.network(network.clone());
        world.start();
        let mut policy = policy("octo/hello", "x");
        policy.hosts =
            ["allowed.example", ".suffix.example"].map(|rule| rule.parse().unwrap()).into();
        world.open(std::slice::from_ref(&policy)).await;
        Self { world, network, upstream, policy }
    }

    /// `P` is also in `HTTP`, `POST`, `OPTIONS` and `PRI`: only the one after a colon is the port.
    fn with_port(&self, text: &str) -> String {
        text.replace(":P", &format!(":{}", self.network.canary.address.port()))
    }

    /// Sends a head, and a payload that would be proof if it arrived.
    async fn refused(&self, head: &str, payload: &[u8]) -> String {
        let mut bytes =
            format!("{head}\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").into_bytes();
        bytes.extend_from_slice(payload);
        self.world.send_raw(&self.policy, &bytes).await
    }

    fn nothing_arrived(&self, what: &str) {
        assert_eq!(self.network.canary.connections(), 0, "{what}: the canary was reached");
        assert_eq!(self.upstream.received(), b"", "{what}: bytes reached the upstream");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_host_is_a_way_around() {
    let setting = Setting::new().await;
    let hello = client_hello(&[&[b"allowed.example"]], false);
    for (host, rule) in HOSTS {
        let host = setting.with_port(host);
        let answer = setting.refused(&format!("CONNECT {host} HTTP/1.1"), &hello).await;
        let ok = answer.contains(&format!("(rule {rule})")) || answer.starts_with("HTTP/1.1 400 ");
        assert!(ok && !answer.starts_with("HTTP/1.1 2"), "CONNECT {host}: {answer}");
        // At 443, plain HTTP to the allowed host is another port than its own.
        let answer = setting.refused(&format!("GET http://{host}/ HTTP/1.1"), b"").await;
        let ok = answer.contains("paddock: refused: ") || answer.starts_with("HTTP/1.1 400 ");
        assert!(ok && !answer.starts_with("HTTP/1.1 2"), "GET http://{host}/: {answer}");
        setting.nothing_arrived(&host);
    }
    assert_eq!(setting.network.resolved(), Vec::<String>::new());
    assert_eq!(setting.network.dialled(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_of_a_request_is_a_way_around() {
    let setting = Setting::new().await;
    for head in HEADS {
        let head = setting.with_port(head);
        let answer = setting.refused(&head, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{head}: {answer}");
        setting.nothing_arrived(&head);
    }
    assert_eq!(setting.network.dialled(), []);
    // What the parser itself refused is on the record too.
    let all = |decisions: &[paddock_egress::Decision]| decisions.len() >= HEADS.len() - 2;
    let decisions = setting.world.control.decisions_until(all).await;
    assert!(decisions.iter().all(|decision| decision.verdict == Verdict::Refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_but_a_public_one_is_dialled() {
    let setting = Setting::new().await;
    for (number, addresses) in ADDRESSES.iter().enumerate() {
        let host = format!("n{number}.suffix.example");
        setting.network.name(&host, &[addresses]);
        let hello = client_hello(&[&[host.as_bytes()]], false);
        for head in [format!("CONNECT {host}:443 HTTP/1.1"), format!("GET http://{host}/ HTTP/1.1")]
        {
            let answer = setting.refused(&head, &hello).await;
            assert!(answer.contains("(rule address.private)"), "{head} {addresses:?}: {answer}");
            for address in *addresses {
                assert!(!answer.contains(&format!(" {address}")), "the answer tells no address");
            }
        }
    }
    setting.nothing_arrived("private addresses");
    assert_eq!(setting.network.dialled(), []);
    let count = 2 * ADDRESSES.len();
    let decisions = setting.world.control.decisions_until(|all| all.len() == count).await;
    assert!(decisions.iter().all(|decision| decision.address.is_some()), "the record does");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tunnel_carries_anything_but_tls_to_its_host() {
    let setting = Setting::new().await;
    let cases = first_bytes();
    for (rule, bytes) in &cases {
        let mut stream = setting.world.connect(&setting.policy).await;
        let answer = tunnel_raw(&mut stream, bytes).await;
        let seen = answer.escape_ascii().to_string();
        assert!(seen.starts_with("HTTP/1.1 200"), "{rule}: {seen}");
        assert!(answer.ends_with(&[21, 3, 1, 0, 2, 2, 49]), "{rule}: an alert ends it: {seen}");
        setting.nothing_arrived(rule);
    }
    let decisions = setting.world.control.decisions_until(|all| all.len() == cases.len()).await;
    let mut expected: Vec<_> = cases.iter().map(|(rule, _)| *rule).collect();
    let mut rules: Vec<_> = decisions.iter().map(|decision| decision.rule.as_str()).collect();
    expected.sort_unstable();
    rules.sort_unstable();
    assert_eq!(rules, expected);
    assert!(decisions.iter().all(|d| d.verdict == Verdict::Refused && d.bytes_up == 0));
}

/// Opens the tunnel to the allowed host, sends the bytes, says that there are no more, and reads to
/// the end.
async fn tunnel_raw(stream: &mut tokio::net::UnixStream, bytes: &[u8]) -> Vec<u8> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let head = b"CONNECT allowed.example:443 HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(head).await.expect("written");
    let mut answer = vec![];
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    stream.write_all(bytes).await.expect("written");
    stream.shutdown().await.expect("shut");
    let end = stream.read_to_end(&mut answer);
    crate::world::within("the end of the tunnel", end).await.expect("an end");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_its_meaning_is_asked_once_and_dialled_as_checked() {
    let setting = Setting::new().await;
    setting.network.name("rebind.suffix.example", &[&[PUBLIC], &["127.0.0.1"]]);
    let hello = client_hello(&[&[b"rebind.suffix.example"]], false);
    let head = "CONNECT rebind.suffix.example:443 HTTP/1.1";
    let mut stream = setting.world.connect(&setting.policy).await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{head}\r\n\r\n").as_bytes())
        .await
        .expect("written");
    let mut answer = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(setting.network.resolved(), ["rebind.suffix.example"]);
    assert_eq!(setting.network.dialled(), [format!("{PUBLIC}:443").parse().unwrap()]);
    // The next connection asks again, and is refused.
    let answer = setting.refused(head, &hello).await;
    assert!(answer.contains("(rule address.private)"), "{answer}");
    assert_eq!(setting.network.canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_the_clients_to_follow_and_meets_the_same_wall() {
    let setting = Setting::new().await;
    let redirect: &'static str = Box::leak(
        format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
            setting.network.canary.address
        )
        .into_boxed_str(),
    );
    let redirecting = Listener::new(redirect).await;
    setting.network.name("r.suffix.example", &[&["1.1.1.1"]]);
    setting.network.upstream("1.1.1.1", redirecting.address);
    let answer = setting.refused("GET http://r.suffix.example/ HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
    let location =
        answer.lines().find_map(|line| line.strip_prefix("location: ")).expect("where to");
    let answer = setting.refused(&format!("GET {location} HTTP/1.1"), b"").await;
    assert!(answer.contains("(rule address.literal)"), "{answer}");
    assert_eq!(setting.network.canary.connections(), 0);
}

#[test]
fn the_corpus_is_a_corpus() {
    let cases = 2 * HOSTS.len() + HEADS.len() + 2 * ADDRESSES.len() + first_bytes().len();
    assert!(cases >= 200, "{cases}");
}
