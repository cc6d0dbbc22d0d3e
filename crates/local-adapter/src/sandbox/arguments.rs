use std::path::Path;

use super::{Sandbox, UID_INSIDE, text};

/// bubblewrap's options, and what it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Handed over by a descriptor.
    pub options: Vec<String>,
    /// The program and its arguments, inside.
    pub program: Vec<String>,
}

/// The system, read-only. What is not there is left out.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
];

/// How a sandbox is made, as an argument list: pure.
#[must_use]
pub fn arguments(sandbox: &Sandbox) -> Arguments {
    let mut options = Options(vec![]);
    options.add(&[
        "--unshare-net",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]);
    options.add(&["--hostname", "paddock", "--clearenv", "--new-session"]);
    if sandbox.uid.is_none() {
        let uid = UID_INSIDE.to_string();
        options.add(&["--unshare-user", "--uid", &uid, "--gid", &uid, "--disable-userns"]);
    }
    // Made by the host's root, these would be closed to the run's own uid.
    for dir in ["/etc", "/run", "/home", "/opt", "/opt/paddock"] {
        options.add(&["--perms", "0755", "--dir", dir]);
    }
    for dir in SYSTEM {
        let path = Path::new(dir);
        if let Ok(target) = path.read_link() {
            options.add(&["--symlink", &text(&target), dir]);
        } else if path.exists() {
            options.add(&["--ro-bind", dir, dir]);
        }
    }
    options.add(&["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"]);
    options.add(&["--perms", "1777", "--size", "268435456", "--tmpfs", "/tmp"]);
    options.bind("--bind", &sandbox.home, "/home/agent");
    options.bind("--bind", &sandbox.workspace, "/workspace");
    options.bind("--bind", &sandbox.harness_dir, "/run/paddock");
    options.bind("--ro-bind", &sandbox.gateway_dir, "/run/paddock-gateway");
    options.bind("--ro-bind", &sandbox.harness_dir.join("passwd"), "/etc/passwd");
    options.bind("--ro-bind", &sandbox.harness_dir.join("group"), "/etc/group");
    for (from, to) in &sandbox.programs {
        options.bind("--ro-bind", from, &text(to));
    }
    options.add(&[
        "--setenv",
        "PATH",
        "/usr/local/bin:/usr/bin:/bin",
        "--setenv",
        "HOME",
        "/home/agent",
    ]);
    options.add(&["--setenv", "LANG", "C.UTF-8", "--chdir", "/workspace"]);
    Arguments { options: options.0, program: program(sandbox) }
}

/// As root the mounts are made by the host's root, and only then a uid of the run's own is taken, which a
/// further user namespace shows as 1000: bubblewrap's own `--uid` would be root outside.
fn program(sandbox: &Sandbox) -> Vec<String> {
    let mut program = Vec::new();
    match sandbox.uid {
        Some(uid) => {
            let (reuid, regid) = (format!("--reuid={uid}"), format!("--regid={uid}"));
            let map = |name: &str| format!("--map-{name}={UID_INSIDE}");
            program.extend(
                ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
                    .map(str::to_owned),
            );
            program.extend(["--".to_owned(), "setpriv".to_owned(), reuid, regid]);
            program.extend(
                ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
                    .map(str::to_owned),
            );
            program.extend(["unshare".to_owned(), "-U".to_owned(), map("user"), map("group")]);
        }
        None => program.push("--".to_owned()),
    }
    program.extend(sandbox.command.iter().cloned());
    program
}

struct Options(Vec<String>);

impl Options {
    fn add(&mut self, options: &[&str]) {
        self.0.extend(options.iter().map(|option| (*option).to_owned()));
    }

    fn bind(&mut self, how: &str, from: &Path, to: &str) {
        self.add(&[how, &text(from), to]);
    }
}
