use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use crate::support::{self, directory, is_root};

/// Not even a name for it: a uid without rights.
const NOBODY: u32 = 65_534;

/// All other tests, as a normal user. A run of this program as a normal user is that already; what only
/// root can have is then told apart in the tests themselves.
#[test]
fn all_of_this_holds_for_a_normal_user() {
    if !is_root() {
        return;
    }
    let dir = directory();
    // This program may stand where that user cannot go.
    let program = dir.path().join("tests");
    support::program(&std::env::current_exe().unwrap(), &program);
    let own = dir.path().join("tmp");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o711)).unwrap();
    let output = Command::new("setpriv")
        .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
        .args(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
        .arg(&program)
        .args(["--test-threads", "2"])
        .env("TMPDIR", &own)
        .current_dir(&own)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let listed = Command::new(&program).args(["--list", "--format", "terse"]).output().unwrap();
    let all = String::from_utf8_lossy(&listed.stdout).matches(": test").count();
    // All but the three that other tests start.
    assert!(said.contains(&format!("{} passed; 0 failed; 3 ignored", all - 3)), "{said}");
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0, "files are left in {}", own.display());
}
