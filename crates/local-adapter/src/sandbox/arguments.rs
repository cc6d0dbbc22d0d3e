use std::path::Path;

use super::{Features, Sandbox, UID_INSIDE};
use crate::limits::Limits;

/// bubblewrap's options, and what it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Handed over by a descriptor: its argument list is there for everybody to read.
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

/// Files of the sandbox's own, in place of the machine's. There is no resolv.conf: names are resolved by
/// the gateway.
pub(super) const OWN_ETC: [(&str, &str); 4] = [
    ("passwd", "agent:x:1000:1000:agent:/home/agent:/bin/sh\n"),
    ("group", "agent:x:1000:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
];

/// What is kept in memory counts as memory: both sizes are bounded.
const TMP_BYTES: &str = "268435456";
const SHM_BYTES: &str = "67108864";

const LIMIT_OF_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";

/// How a sandbox is made, as an argument list.
#[must_use]
pub fn arguments(sandbox: &Sandbox, features: Features, limits: &Limits) -> Arguments {
    let mut options = Options(vec![]);
    options.add(&["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    options.add(&["--unshare-cgroup-try", "--hostname", "paddock", "--clearenv"]);
    options.add(&["--new-session", "--as-pid-1", "--seccomp", "4", "--json-status-fd", "5"]);
    if sandbox.uid.is_some() {
        for capability in ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"] {
            options.add(&["--cap-add", capability]);
        }
    } else {
        let uid = UID_INSIDE.to_string();
        options.add(&["--unshare-user", "--uid", &uid, "--gid", &uid]);
        if features.disable_userns {
            options.add(&["--disable-userns"]);
        }
    }
    options.files(sandbox);
    options.add(&["--setenv", "PATH", crate::launch::PATH, "--setenv", "HOME", "/home/agent"]);
    options.add(&["--setenv", "LANG", "C.UTF-8", "--chdir", "/workspace"]);
    Arguments { options: options.0, program: program(sandbox, limits) }
}

/// The steps from bubblewrap to the program, each of which becomes the next: one process all along.
///
/// As root the mounts are made by the host's root, and only then a uid of the run's own is taken, which a
/// further user namespace shows as 1000: bubblewrap's own `--uid` would be root outside. That namespace
/// then allows no other beneath it.
fn program(sandbox: &Sandbox, limits: &Limits) -> Vec<String> {
    let mut program = Program(vec!["--".to_owned()]);
    if let Some(uid) = sandbox.uid {
        program.add(&["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}")]);
        program.add(&["--clear-groups", "--no-new-privs", "--bounding-set=-all"]);
        program.add(&["--inh-caps=-all", "unshare", "-U", "--keep-caps"]);
        for map in ["user", "group"] {
            program.add(&[&format!("--map-{map}={UID_INSIDE}")]);
        }
        let script = format!("echo 0 >{LIMIT_OF_NAMESPACES} && exec \"$@\"");
        program.add(&["sh", "-c", &script, "sh"]);
        program.add(&["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
    } else {
        // Ends with bubblewrap's process outside. As root that one has another uid and no right to kill:
        // there the record of PID 1, and the control group, find what it leaves.
        program.add(&["setpriv", "--pdeathsig", "KILL"]);
    }
    program.0.extend(limits.inside());
    program.0.extend(sandbox.command.iter().cloned());
    program.0
}

struct Options(Vec<String>);

impl Options {
    fn add(&mut self, options: &[&str]) {
        self.0.extend(options.iter().map(|option| (*option).to_owned()));
    }

    fn bind(&mut self, how: &str, from: &Path, to: &str) {
        self.add(&[how, &from.to_string_lossy(), to]);
    }

    fn files(&mut self, sandbox: &Sandbox) {
        // Made by the host's root, these would be closed to the run's own uid.
        for dir in ["/etc", "/run", "/home", "/opt", "/opt/paddock"] {
            self.add(&["--perms", "0755", "--dir", dir]);
        }
        for dir in SYSTEM {
            let path = Path::new(dir);
            if let Ok(target) = path.read_link() {
                self.add(&["--symlink", &target.to_string_lossy(), dir]);
            } else if path.exists() {
                self.add(&["--ro-bind", dir, dir]);
            }
        }
        self.add(&["--proc", "/proc"]);
        if sandbox.uid.is_some() {
            // Where bubblewrap makes /proc/sys read-only, this one file stays the namespace's own.
            self.add(&["--bind", LIMIT_OF_NAMESPACES, LIMIT_OF_NAMESPACES]);
        }
        self.add(&["--dev", "/dev"]);
        self.add(&["--perms", "1777", "--size", SHM_BYTES, "--tmpfs", "/dev/shm"]);
        self.add(&["--perms", "1777", "--size", TMP_BYTES, "--tmpfs", "/tmp"]);
        self.bind("--bind", &sandbox.home, "/home/agent");
        self.bind("--bind", &sandbox.workspace, "/workspace");
        self.bind("--bind", &sandbox.harness_dir, "/run/paddock");
        self.bind("--ro-bind", &sandbox.gateway_dir, "/run/paddock-gateway");
        for (name, _) in OWN_ETC {
            self.bind("--ro-bind", &sandbox.launch_dir.join(name), &format!("/etc/{name}"));
        }
        for (from, to) in &sandbox.programs {
            self.bind("--ro-bind", from, &to.to_string_lossy());
        }
        // Both are in memory, and as a user they would be the agent's to fill.
        self.add(&["--remount-ro", "/", "--remount-ro", "/dev"]);
    }
}

struct Program(Vec<String>);

impl Program {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }
}
