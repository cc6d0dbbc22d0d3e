//! A kernel that refuses user namespaces: what is said first, and what becomes of runs.
//!
//! One test has the kernel refuse them, in a namespace whose limit of them is 0; the other has Ubuntu's
//! AppArmor rule played, for which this kernel need not have AppArmor.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use crate::support::{Installation, directory, is_root, script, until};

/// This program again under `wrapper`: what is below as `where_none_is_to_be_had`.
fn under(mut wrapper: Command, remedy: &str, words: &str) {
    wrapper.arg(std::env::current_exe().unwrap());
    wrapper.args(["--exact", "refusal::where_none_is_to_be_had", "--ignored", "--nocapture"]);
    wrapper.envs([("PADDOCK_TEST_REMEDY", remedy), ("PADDOCK_TEST_WORDS", words)]);
    let output = wrapper.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_kernel_that_refuses_is_named_with_its_remedy_and_runs_are_refused() {
    let mut wrapper = Command::new("unshare");
    wrapper.args(["-U", "--keep-caps", "--map-user=65534", "--map-group=65534", "sh", "-c"]);
    wrapper.args(["echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"", "sh", "setpriv"]);
    wrapper.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
    under(wrapper, "echo user.max_user_namespaces=15000 >", "Creating new namespace failed");
}

#[test]
fn the_apparmor_rule_is_named_with_its_remedy_and_runs_are_refused() {
    const WORDS: &str = "bwrap: setting up uid map: Permission denied";
    let dir = directory();
    let path = |name: &str| dir.path().join(name);
    script(&path("bwrap"), &format!("echo '{WORDS}' >&2; exit 1"));
    let installed = ["/usr/local/bin/bwrap", "/usr/bin/bwrap", "/bin/bwrap"];
    let installed = installed.into_iter().find(|path| Path::new(path).exists()).unwrap();
    fs::write(path("rule"), "1\n").unwrap();
    let kernel = Path::new("/proc/sys/kernel");
    let mut wrapper = Command::new(installed);
    if is_root() {
        wrapper.args(["--cap-add", "ALL"]);
    }
    wrapper.args(["--dev-bind", "/", "/", "--ro-bind"]).arg(path("bwrap")).arg(installed);
    wrapper.arg("--tmpfs").arg(kernel);
    for name in ["random", "osrelease"] {
        wrapper.arg("--ro-bind").args([kernel.join(name), kernel.join(name)]);
    }
    let rule = kernel.join("apparmor_restrict_unprivileged_userns");
    wrapper.arg("--ro-bind").args([path("rule"), rule]).arg("--");
    under(wrapper, "apparmor_parser -r", WORDS);
}

#[tokio::test]
#[ignore = "started by another test"]
async fn where_none_is_to_be_had() {
    let [remedy, words] =
        ["PADDOCK_TEST_REMEDY", "PADDOCK_TEST_WORDS"].map(|name| std::env::var(name).unwrap());
    let said = local_adapter::preflight().await;
    assert!(said.starts_with("no sandbox can be made here: "), "{said}");
    assert!(said.contains(&remedy) && said.contains(&words), "{said}");
    let mut installation = Installation::new(
        "while [ $# -gt 0 ]; do
             case $1 in --socket) socket=$2;; --home) home=$2;; --opencode) agent=$2;; esac; shift
         done
         $agent $home; touch $socket; until [ -e $home/go ]; do sleep 0.05; done
         mkdir $home/closed; for i in 1 2 3; do head -c 10000000 /dev/zero >$home/closed/$i; done
         exec sleep 1000",
    );
    // As root, a checkout below /root is closed to the agent's uid.
    let closed = installation.dir.path().join("closed");
    let agent = installation.dir.path().join("opencode");
    fs::remove_file(&agent).unwrap();
    fs::create_dir(&closed).unwrap();
    script(&closed.join("opencode"), "id -u >$1/agent");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(closed.join("opencode"), agent).unwrap();
    installation.start();
    let run = installation.want(|_| {});
    let refused = installation.refused(run).await;
    assert!(refused.contains(&words) && refused.contains(&remedy), "{refused}");
    installation.removed(run).await;
    installation.nothing_is_left(run);
    // One whose profile accepts it. Its disk is bounded all the same.
    let run = installation.want(|desired| {
        desired.accept_unenforced = true;
        desired.disk_mib = 16;
    });
    let enforcement = installation.created(run).await;
    assert_eq!(enforcement.sandbox, "none");
    assert!(enforcement.missing.iter().any(|name| name == "sandbox"), "{enforcement:?}");
    let home = installation.path_of(run, 1).join("home");
    let (ran, own) = (fs::read_to_string(home.join("agent")), fs::metadata(&home).unwrap().uid());
    assert_eq!(ran.unwrap().trim(), own.to_string());
    fs::write(home.join("go"), "").unwrap();
    let over = installation.over(run).await;
    assert_eq!(over, "the disk is full: 16 MiB are allowed");
    installation.removed(run).await;
    until("nothing is left", || !installation.data().join("runs").join(run.to_string()).exists())
        .await;
    installation.nothing_is_left(run);
}
