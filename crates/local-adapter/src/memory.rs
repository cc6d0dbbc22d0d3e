//! How much memory a workload holds, where no control group counts it.

use std::fs;

use crate::{processes::descendants, workload::Place};

/// Whether the processes of a sandbox hold more than this many bytes between them.
pub(crate) fn holds_more_than(place: &Place, most: u64) -> bool {
    let recorded = place.recorded();
    let Some(root) = recorded.living("init").or_else(|| recorded.living("sandbox")) else {
        return false;
    };
    let pids: Vec<u32> = descendants(root.pid).into_iter().chain([root.pid]).collect();
    // What several share counts for each of them here, and takes little time to read.
    let held = |pid: &u32| sum(&read(*pid, "status"), ["RssAnon:", "RssShmem:"]);
    if pids.iter().map(held).sum::<u64>() <= most {
        return false;
    }
    // Here each has its part of it.
    let part = |pid: &u32| sum(&read(*pid, "smaps_rollup"), ["Pss_Anon:", "Pss_Shmem:"]);
    pids.iter()
        .map(|pid| Some(part(pid)).filter(|part| *part > 0).unwrap_or_else(|| held(pid)))
        .sum::<u64>()
        > most
}

fn read(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

/// The bytes in the lines of these names.
fn sum(text: &str, names: [&str; 2]) -> u64 {
    let kilobytes = text.lines().filter_map(|line| {
        let value = names.iter().find_map(|name| line.strip_prefix(name))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kilobytes.sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_holds_is_read_in_both_ways() {
        let own = std::process::id();
        let filled = std::hint::black_box(vec![1_u8; 64 << 20]);
        for (name, lines) in
            [("status", ["RssAnon:", "RssShmem:"]), ("smaps_rollup", ["Pss_Anon:", "Pss_Shmem:"])]
        {
            let held = sum(&read(own, name), lines);
            assert!((64 << 20..1 << 30).contains(&held), "{name}: {held}");
        }
        drop(filled);
        assert_eq!(
            sum("Rss:\t5 kB\nPss_Anon:   3 kB\nPss_Shmem: 4 kB\n", ["Pss_Anon:", "Pss_Shmem:"]),
            7168
        );
        assert_eq!(sum("", ["a", "b"]), 0);
    }
}
