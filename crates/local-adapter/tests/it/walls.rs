//! What the inside cannot reach, and what it can.

use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    time::Duration,
};

use crate::support::{Cell, PATIENCE, inside, is_root, until};

#[tokio::test]
async fn root_reads_a_file_that_is_closed_to_the_run() {
    let cell = Cell::new(
        "cat /workspace/closed || echo refused; echo; id -u; cat /proc/self/uid_map; sleep 0.2",
    );
    let closed = cell.sandbox.workspace.join("closed");
    fs::write(&closed, "of root").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let started = cell.start().await;
    assert!(started.sandbox.gone_within(PATIENCE).await);
    let said = cell.said();
    assert!(said.contains("\n1000\n"), "{said}");
    let map: Vec<&str> = said.lines().last().unwrap().split_whitespace().collect();
    if is_root() {
        // The file is root's, here; outside, the run is somebody else.
        assert!(said.contains("refused") && !said.contains("of root"), "{said}");
        assert_eq!(map, ["1000", &cell.sandbox.uid.unwrap().to_string(), "1"]);
    } else {
        // The file is the user's own, and the only uid there is inside is that user.
        assert!(said.contains("of root"), "{said}");
        assert_eq!((map[0], map[2]), ("1000", "1"));
    }
}

#[tokio::test]
async fn nothing_of_the_host_is_seen_but_the_system() {
    let host = crate::support::directory();
    let secret = host.path().join("secret");
    fs::write(&secret, "of the host").unwrap();
    let said = inside(&format!(
        "cat {} /etc/shadow /root/.bashrc; ls -A /home /etc /run; cat /etc/passwd; ls /proc | grep -c '^[0-9]'; hostname",
        secret.display()
    ))
    .await;
    assert!(!said.contains("of the host"), "{said}");
    assert_eq!(said.matches("No such file or directory").count(), 3, "{said}");
    assert!(said.contains("agent:x:1000:1000:agent:/home/agent:/bin/sh"), "{said}");
    assert!(!said.contains("root:x:0"), "{said}");
    assert!(said.contains("paddock"), "{said}");
    assert!(!said.contains("resolv.conf"), "{said}");
}

#[tokio::test]
async fn only_its_own_directories_can_be_written() {
    let said = inside(
        "for dir in / /etc /usr /usr/bin /bin /lib /opt /opt/paddock /run /run/paddock-gateway /home /dev /proc/sys/kernel; do
             touch $dir/x 2>/dev/null && echo written: $dir
         done
         echo x >/etc/passwd && echo written: passwd
         echo 5 >/proc/sys/user/max_user_namespaces && echo written: sysctl
         for dir in /tmp /dev/shm /workspace /home/agent /run/paddock; do
             touch $dir/x && echo may: $dir
         done",
    )
    .await;
    assert!(!said.contains("written"), "{said}");
    assert_eq!(said.matches("may: ").count(), 5, "{said}");
}

#[tokio::test]
async fn no_network_is_reached_and_no_name_resolved() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let outward = UdpSocket::bind("0.0.0.0:0").unwrap();
    // No packet is sent: this only finds the address that the machine would use.
    let own = outward.connect("192.0.2.1:9").and_then(|()| outward.local_addr());
    let own = own.map_or_else(|_| "127.0.0.2".to_owned(), |address| address.ip().to_string());
    let attempt = |host: &str| {
        format!(
            "(exec 3<>/dev/tcp/{host}/{port}) 2>/dev/null && echo reached: {host}\n\
             (exec 3<>/dev/udp/{host}/53 && echo x >&3) 2>/dev/null && [ {host} != 127.0.0.1 ] && echo sent: {host}\n"
        )
    };
    let attempts: String =
        ["127.0.0.1", &own, "192.0.2.1", "169.254.169.254"].into_iter().map(attempt).collect();
    // The control: the same listener is reached from here, and loopback works inside.
    for host in ["127.0.0.1", &own] {
        TcpStream::connect((host, port)).unwrap();
    }
    let said = inside(&format!(
        "{attempts}
         getent hosts example.com && echo resolved
         getent hosts localhost | grep -q 127.0.0.1 || getent hosts localhost | grep -q ::1 && echo localhost
         perl -MIO::Socket::INET -e '
             my $l = IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1:3128\") or die $!;
             IO::Socket::INET->new(\"127.0.0.1:3128\") or die $!;
             print \"loopback\\n\"'
         awk 'NR>2{{print \"device:\" $1}}' /proc/net/dev",
    ))
    .await;
    for reached in ["reached:", "sent:", "resolved"] {
        assert!(!said.contains(reached), "{said}");
    }
    assert!(said.contains("localhost") && said.contains("loopback"), "{said}");
    let devices: Vec<&str> = said.lines().filter(|line| line.starts_with("device:")).collect();
    assert!(devices.iter().all(|line| !line.contains("eth") && !line.contains("ens")), "{said}");
}

#[tokio::test]
async fn the_gateways_socket_is_reached_also_after_it_was_replaced() {
    let cell = Cell::new(
        "for name in first second; do
             until [ -e /workspace/go-$name ]; do sleep 0.02; done
             perl -MIO::Socket::UNIX -e '
                 my $s = IO::Socket::UNIX->new(Peer => \"/run/paddock-gateway/gateway.sock\") or die $!;
                 print \"heard: \", scalar <$s>'
         done; sleep 0.2",
    );
    let path = cell.sandbox.gateway_dir.join("gateway.sock");
    let started = cell.start().await;
    for name in ["first", "second"] {
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        fs::write(cell.sandbox.workspace.join(format!("go-{name}")), "").unwrap();
        let name = name.to_owned();
        let heard = format!("heard: {name}\n");
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            writeln!(stream, "{name}").unwrap();
        });
        until(&heard, || cell.said().contains(&heard) || !started.sandbox.is_alive()).await;
        assert!(cell.said().contains(&heard), "{}", cell.said());
        answering.join().unwrap();
    }
    assert!(started.sandbox.gone_within(PATIENCE).await);
}

#[tokio::test]
async fn no_right_is_left_and_none_can_be_had() {
    let said = inside(
        r#"grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
         for flags in -U -m -n -p -i -u -C -T -Ur -Urm; do unshare $flags true 2>/dev/null && echo made: $flags; done
         mount -t tmpfs x /tmp 2>/dev/null && echo mounted
         umount /usr 2>/dev/null && echo unmounted
         perl -e '
             sub refused { my ($name, $r) = @_; print "$name ", $r == -1 ? "refused $!" : "done", "\n" }
             require "syscall.ph" if 0;
             my %n = `uname -m` =~ /x86_64/
                 ? (keyctl => 250, ptrace => 101, bpf => 321, perf => 298, uring => 425, clone3 => 435, vmread => 310)
                 : (keyctl => 219, ptrace => 117, bpf => 280, perf => 241, uring => 425, clone3 => 435, vmread => 270);
             refused("keyctl", syscall($n{keyctl}, 0, -3, 1));
             refused("attach", syscall($n{ptrace}, 16, 1, 0, 0));
             refused("bpf", syscall($n{bpf}, 0, 0, 0));
             refused("perf", syscall($n{perf}, 0, 0, 0, 0, 0));
             refused("uring", syscall($n{uring}, 1, 0));
             refused("vmread", syscall($n{vmread}, 1, 0, 0, 0, 0, 0));
             refused("clone3", syscall($n{clone3}, 0, 0));
             use Socket;
             for my $family (1, 2, 10, 16, 17, 38, 40) {
                 my $made = socket(my $s, $family, SOCK_DGRAM, 0);
                 print "family $family ", $made ? "made" : "refused", "\n";
             }'"#,
    )
    .await;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(said.contains(&format!("{set}:\t0000000000000000")), "{set}: {said}");
    }
    assert!(said.contains("NoNewPrivs:\t1") && said.contains("Seccomp:\t2"), "{said}");
    for done in ["made: ", "mounted", "done"] {
        assert!(!said.contains(done), "{said}");
    }
    for call in ["keyctl", "attach", "bpf", "perf", "uring", "vmread"] {
        assert!(said.contains(&format!("{call} refused Operation not permitted")), "{said}");
    }
    assert!(said.contains("clone3 refused Function not implemented"), "{said}");
    for (family, answer) in
        [(1, "made"), (2, "made"), (10, "made"), (17, "refused"), (38, "refused"), (40, "refused")]
    {
        assert!(said.contains(&format!("family {family} {answer}")), "{said}");
    }
}

#[tokio::test]
async fn its_program_is_process_1_which_nothing_inside_can_end() {
    let said =
        inside("echo pid $$; (kill -9 1; kill -STOP 1; sleep 0.2; echo still $(ps -o stat= -p 1))")
            .await;
    assert!(said.contains("pid 1\n") && said.contains("still S"), "{said}");
}

#[tokio::test]
async fn all_inside_ends_with_its_first_process_and_for_a_user_with_bubblewraps() {
    for outside in [false, true] {
        let cell = Cell::new("sleep 1000 & sleep 1000");
        let started = cell.start().await;
        // What is inside is all there when this one can be counted.
        let inside = || local_adapter::processes::descendants(started.init.pid);
        until("two processes inside", || inside().len() >= 2).await;
        let all: Vec<_> =
            inside().into_iter().filter_map(local_adapter::processes::Identity::of).collect();
        let killed = if outside { &started.sandbox } else { &started.init };
        killed.kill().await;
        if outside && is_root() {
            // The record of PID 1 is what finds the rest.
            started.init.kill().await;
        }
        for process in all.iter().chain([&started.sandbox, &started.init]) {
            assert!(process.gone_within(Duration::from_secs(10)).await, "outside: {outside}");
        }
    }
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_made_says_why() {
    let mut cell = Cell::new("true");
    cell.sandbox.programs.push(("/no/such/program".into(), "/opt/paddock/x".into()));
    let limits = local_adapter::limits::Limits::without_groups(64, 64);
    // bubblewrap may have told of a child that then failed: either way, nothing runs and it was said.
    if let Ok(started) = cell.sandbox.start(&limits, |_, _| Ok(())).await {
        assert!(started.sandbox.gone_within(PATIENCE).await);
    }
    assert!(cell.said().contains("/no/such/program"), "{}", cell.said());
}

#[tokio::test]
async fn a_sandbox_that_is_not_on_the_record_never_runs() {
    let cell = Cell::new("touch /workspace/ran; sleep 1000");
    let limits = local_adapter::limits::Limits::without_groups(64, 64);
    let refused = |_: &str, _| Err(std::io::Error::other("the disk is full"));
    cell.sandbox.start(&limits, refused).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!cell.sandbox.workspace.join("ran").exists());
    let dir = cell.dir.path().to_string_lossy().into_owned();
    assert_eq!(crate::support::traces(&dir), Vec::<String>::new());
}

#[tokio::test]
async fn a_sandbox_can_be_made_here() {
    local_adapter::check().await.unwrap();
    assert_eq!(local_adapter::preflight().await, "");
}
