"""The system calls a sandboxed program may not make, as a filter for bubblewrap's ``--seccomp``.

Namespaces and resource limits leave three doors open, which this closes: memory that no limit counts (System V shared
memory, memfd), sockets that no network namespace holds back (AF_VSOCK reaches a virtual machine's host), and parts of
the kernel that a program has no business with (ptrace, mounts, new namespaces, bpf, io_uring, keys, modules).
"""

from __future__ import annotations

import errno
import platform
import struct

from lit_passk.errors import CannotRun

# system call: (number on x86_64, number on aarch64), from the kernel's tables
_DENIED = {
    "socket": (41, 198),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "vmsplice": (278, 75),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "get_robust_list": (274, 100),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_setup": (206, 0),  # the contexts are counted for the whole machine (fs.aio-max-nr)
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "syslog": (103, 116),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "quotactl": (179, 60),
    "personality": (135, 92),
}
_CLONE, _CLONE3 = (56, 220), 435
_PRLIMIT = (302, 261)
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# classic BPF: load a word of seccomp_data, compare, return
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def seccomp_filter(machine: str | None = None) -> bytes:
    """Assemble the filter.

    Args:
        machine: ``x86_64`` or ``aarch64``; None takes this machine's.

    Returns:
        A BPF program, 8 bytes an instruction, in this machine's byte order.

    Raises:
        RuntimeError: On another kind of machine; running without the filter would be a weaker sandbox.

    Example:
        >>> len(seccomp_filter("x86_64")) % 8
        0

    """
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        raise CannotRun(f"The code sandbox knows the system calls of {sorted(_ARCHITECTURES)}, not of {machine!r}.")
    column, architecture = _ARCHITECTURES[machine]
    denied = _ERROR | errno.EPERM
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),  # the x32 calls of x86_64, which have numbers of their own
        (_RETURN, 0, 0, denied),
        (_EQUAL, 0, 1, _CLONE3),  # its flags lie behind a pointer; libc falls back to clone
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    ]
    for numbers in _DENIED.values():
        program += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, denied)]
    program += [
        (_EQUAL, 0, 3, _PRLIMIT[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 5, 0, 0),  # a process may limit itself, and no other one
        (_RETURN, 0, 0, denied),
        (_EQUAL, 0, 3, _CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, denied),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
