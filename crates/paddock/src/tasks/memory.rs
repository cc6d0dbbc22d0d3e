//! How much memory the machine has to give.

/// MemAvailable in MiB; none where the kernel does not say.
pub(super) fn available_mib() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_as_the_kernel_writes_it() {
        let text = "MemTotal:       24689048 kB\nMemAvailable:    4194304 kB\n";
        assert_eq!(parse(text), Some(4096));
        assert_eq!(parse("MemTotal: 1 kB\n"), None);
    }
}
