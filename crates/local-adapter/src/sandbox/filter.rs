//! The system calls that nothing inside may make, as a seccomp program: a list of what is denied, for the
//! agent's tools are anybody's.
//!
//! It is no wall by itself: namespaces, an unprivileged uid and an empty capability set are. It keeps
//! what those leave open small: new namespaces, mounts, keyrings (which are not namespaced), other
//! processes' memory, and address families that no network namespace holds, vsock above all.

use libc::{
    SYS_acct, SYS_add_key, SYS_adjtimex, SYS_bpf, SYS_clock_adjtime, SYS_clock_settime, SYS_clone,
    SYS_clone3, SYS_delete_module, SYS_fanotify_init, SYS_finit_module, SYS_fsconfig, SYS_fsmount,
    SYS_fsopen, SYS_fspick, SYS_init_module, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_io_uring_setup, SYS_ioctl, SYS_kcmp, SYS_kexec_file_load, SYS_kexec_load, SYS_keyctl,
    SYS_mount, SYS_mount_setattr, SYS_move_mount, SYS_open_by_handle_at, SYS_open_tree,
    SYS_perf_event_open, SYS_pidfd_getfd, SYS_pivot_root, SYS_process_vm_readv,
    SYS_process_vm_writev, SYS_ptrace, SYS_quotactl, SYS_reboot, SYS_request_key, SYS_setns,
    SYS_settimeofday, SYS_socket, SYS_swapoff, SYS_swapon, SYS_syslog, SYS_umount2, SYS_unshare,
    SYS_userfaultfd, SYS_vhangup,
};

/// Answered with EPERM, whatever the arguments.
const DENIED: [i64; 42] = [
    SYS_acct,
    SYS_add_key,
    SYS_adjtimex,
    SYS_bpf,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_fanotify_init,
    SYS_finit_module,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_init_module,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_kcmp,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_by_handle_at,
    SYS_open_tree,
    SYS_perf_event_open,
    SYS_pidfd_getfd,
    SYS_pivot_root,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_quotactl,
    SYS_reboot,
    SYS_request_key,
    SYS_setns,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_umount2,
    SYS_userfaultfd,
    SYS_vhangup,
];

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
const NEW_USER: u32 = 0x1000_0000;
/// In `clone` this bit is one of the exit signal.
const NEW_TIME: u32 = 0x80;

const PTRACE_ATTACH: u32 = 16;
const PTRACE_SEIZE: u32 = 0x4206;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
/// AF_UNIX, AF_INET, AF_INET6, AF_NETLINK.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

// What is answered: allow, end the process, or an error number.
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const EAFNOSUPPORT: u32 = 0x0005_0061;

// Where things are in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

// Classic BPF.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
#[cfg(target_arch = "x86_64")]
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// The filter's bytes, as bubblewrap's `--seccomp` reads them. `user_namespace_follows`: the last step
/// into the sandbox still needs `unshare(CLONE_NEWUSER)`, exactly; further ones then meet a limit of 0.
#[must_use]
pub fn filter(user_namespace_follows: bool) -> Vec<u8> {
    let mut program = Program(Vec::new());
    program.add(LOAD, 0, 0, ARCH);
    // A call of another architecture has other numbers.
    program.add(EQUAL, 1, 0, ARCHITECTURE);
    program.give(KILL);
    program.add(LOAD, 0, 0, NUMBER);
    #[cfg(target_arch = "x86_64")]
    {
        // The x32 interface: the same architecture, other numbers.
        program.add(AT_LEAST, 0, 1, 0x4000_0000);
        program.give(ENOSYS);
    }
    for number in DENIED {
        program.when(number, &[(RETURN, 0, 0, EPERM)]);
    }
    // Its flags are in memory, out of a filter's sight. C libraries go back to `clone`.
    program.when(SYS_clone3, &[(RETURN, 0, 0, ENOSYS)]);
    program.deny_bits(SYS_clone, NEW_NAMESPACES);
    if user_namespace_follows {
        program.when(
            SYS_unshare,
            &[
                (LOAD, 0, 0, argument(0)),
                (EQUAL, 1, 0, NEW_USER),
                (ANY_BIT, 1, 0, NEW_NAMESPACES | NEW_TIME),
                (RETURN, 0, 0, ALLOW),
                (RETURN, 0, 0, EPERM),
            ],
        );
    } else {
        program.deny_bits(SYS_unshare, NEW_NAMESPACES | NEW_TIME);
    }
    // Debuggers work on what they start themselves.
    program.deny_values(SYS_ptrace, 0, [PTRACE_ATTACH, PTRACE_SEIZE]);
    program.deny_values(SYS_ioctl, 1, [TIOCSTI, TIOCLINUX]);
    program.allow_families();
    program.give(ALLOW);
    program.bytes()
}

/// Instructions: operation, jump if true, jump if false, operand.
struct Program(Vec<(u16, u8, u8, u32)>);

impl Program {
    fn add(&mut self, operation: u16, yes: u8, no: u8, operand: u32) {
        self.0.push((operation, yes, no, operand));
    }

    fn give(&mut self, answer: u32) {
        self.add(RETURN, 0, 0, answer);
    }

    /// A block for one system call. It returns in each of its branches, so the number stays loaded
    /// for the blocks behind it.
    fn when(&mut self, number: i64, block: &[(u16, u8, u8, u32)]) {
        let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
        self.add(EQUAL, 0, length, u32::try_from(number).unwrap_or(u32::MAX));
        self.0.extend(block);
    }

    fn deny_bits(&mut self, number: i64, bits: u32) {
        self.when(
            number,
            &[
                (LOAD, 0, 0, argument(0)),
                (ANY_BIT, 0, 1, bits),
                (RETURN, 0, 0, EPERM),
                (RETURN, 0, 0, ALLOW),
            ],
        );
    }

    fn deny_values(&mut self, number: i64, index: u32, values: [u32; 2]) {
        self.when(
            number,
            &[
                (LOAD, 0, 0, argument(index)),
                (EQUAL, 2, 0, values[0]),
                (EQUAL, 1, 0, values[1]),
                (RETURN, 0, 0, ALLOW),
                (RETURN, 0, 0, EPERM),
            ],
        );
    }

    fn allow_families(&mut self) {
        let mut block = vec![(LOAD, 0, 0, argument(0))];
        for (left, family) in (0..FAMILIES.len()).rev().zip(FAMILIES) {
            // Over the families that are left, and the refusal behind them.
            block.push((EQUAL, u8::try_from(left + 1).unwrap_or(0), 0, family));
        }
        block.extend([(RETURN, 0, 0, EAFNOSUPPORT), (RETURN, 0, 0, ALLOW)]);
        self.when(SYS_socket, &block);
    }

    /// As an array of `struct sock_filter`.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 8);
        for (operation, yes, no, operand) in &self.0 {
            bytes.extend(operation.to_ne_bytes());
            bytes.extend([*yes, *no]);
            bytes.extend(operand.to_ne_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer: an interpreter of the four operations in use.
    fn answer(program: &[u8], architecture: u32, number: i64, arguments: [u32; 2]) -> u32 {
        let instructions: Vec<_> = program
            .chunks(8)
            .map(|bytes| {
                let operand = u32::from_ne_bytes(bytes[4..8].try_into().unwrap());
                (u16::from_ne_bytes([bytes[0], bytes[1]]), bytes[2], bytes[3], operand)
            })
            .collect();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let (operation, yes, no, operand) = instructions[at];
            at += 1;
            let holds = match operation {
                RETURN => return operand,
                LOAD => {
                    loaded = match operand {
                        NUMBER => u32::try_from(number).unwrap(),
                        ARCH => architecture,
                        16 => arguments[0],
                        24 => arguments[1],
                        other => panic!("a load of {other}"),
                    };
                    continue;
                }
                EQUAL => loaded == operand,
                ANY_BIT => loaded & operand != 0,
                0x35 => loaded >= operand,
                other => panic!("an operation {other}"),
            };
            at += usize::from(if holds { yes } else { no });
        }
    }

    #[test]
    fn what_is_denied_is_denied_and_the_rest_is_not() {
        for follows in [false, true] {
            let program = filter(follows);
            let asked =
                |number, first, second| answer(&program, ARCHITECTURE, number, [first, second]);
            for number in DENIED {
                assert_eq!(asked(number, 0, 0), EPERM, "{number}");
            }
            for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_kill, libc::SYS_openat2] {
                assert_eq!(asked(number, 0, 0), ALLOW, "{number}");
            }
            assert_eq!(asked(SYS_clone3, 0, 0), ENOSYS);
            // A thread, a child, a child with a network.
            assert_eq!(asked(SYS_clone, 0x003d_0f00, 0), ALLOW);
            assert_eq!(asked(SYS_clone, 0x0120_0011, 0), ALLOW);
            assert_eq!(asked(SYS_clone, 0x4000_0011, 0), EPERM);
            assert_eq!(asked(SYS_clone, NEW_USER, 0), EPERM);
            assert_eq!(asked(SYS_unshare, 0x400, 0), ALLOW);
            assert_eq!(asked(SYS_unshare, NEW_TIME, 0), EPERM);
            assert_eq!(asked(SYS_unshare, NEW_USER, 0), if follows { ALLOW } else { EPERM });
            assert_eq!(asked(SYS_unshare, NEW_USER | 0x2_0000, 0), EPERM);
            assert_eq!(asked(SYS_ptrace, 0, 0), ALLOW);
            assert_eq!(asked(SYS_ptrace, PTRACE_ATTACH, 0), EPERM);
            assert_eq!(asked(SYS_ptrace, PTRACE_SEIZE, 0), EPERM);
            assert_eq!(asked(SYS_ioctl, 0, TIOCSTI), EPERM);
            assert_eq!(asked(SYS_ioctl, 0, TIOCLINUX), EPERM);
            assert_eq!(asked(SYS_ioctl, TIOCSTI, 0x5401), ALLOW);
            for family in 0..64 {
                let expected = if FAMILIES.contains(&family) { ALLOW } else { EAFNOSUPPORT };
                assert_eq!(asked(SYS_socket, family, 1), expected, "{family}");
            }
            assert_eq!(answer(&program, 0x4000_0003, libc::SYS_read, [0, 0]), KILL);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_x32_numbers_are_no_way_round() {
        let program = filter(true);
        for number in [SYS_mount, libc::SYS_read] {
            let x32 = number | 0x4000_0000;
            assert_eq!(answer(&program, ARCHITECTURE, x32, [0, 0]), ENOSYS);
        }
    }
}
