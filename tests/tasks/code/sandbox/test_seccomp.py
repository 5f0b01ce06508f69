"""The filter denies what it names, by the numbers of the kernel's own headers."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from lit_passk.tasks.code.sandbox.seccomp import _DENIED, seccomp_filter

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000


def run(program, number, architecture, argument=0):
    """What the kernel would do with a system call: an interpreter of the few instructions that are used."""
    data = struct.pack("=iIQQ", number, architecture, 0, argument) + bytes(40)
    instructions = list(struct.iter_unpack("=HBBI", program))
    at, accumulator = 0, 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += yes if holds else no


def numbers(machine):
    for header in map(Path, HEADERS[machine]):
        if header.exists():
            found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
            return {name: int(number) for name, number in found}
    return pytest.skip(f"no kernel headers of {machine} here")


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_headers(machine):
    known = numbers(machine)
    program = seccomp_filter(machine)
    missing = [name for name in _DENIED if name not in known]
    assert len(missing) < 5  # older headers lack the newest calls
    for name, number in known.items():
        if name in ("clone", "clone3"):
            continue
        expected = EPERM if name in _DENIED else ALLOW
        assert run(program, number, ARCHITECTURES[machine]) == expected, name


@pytest.mark.parametrize(("machine", "clone"), [("x86_64", 56), ("aarch64", 220)])
def test_processes_but_no_namespaces(machine, clone):
    program, architecture = seccomp_filter(machine), ARCHITECTURES[machine]
    assert run(program, clone, architecture, argument=17) == ALLOW  # fork
    assert run(program, clone, architecture, argument=0x3D0F00) == ALLOW  # a thread
    for namespace in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(program, clone, architecture, argument=namespace | 17) == EPERM
    assert run(program, 435, architecture) == ENOSYS  # clone3


@pytest.mark.parametrize(("machine", "prlimit"), [("x86_64", 302), ("aarch64", 261)])
def test_a_process_limits_itself_and_no_other(machine, prlimit):
    program, architecture = seccomp_filter(machine), ARCHITECTURES[machine]
    assert run(program, prlimit, architecture, argument=0) == ALLOW
    assert run(program, prlimit, architecture, argument=1) == EPERM


def test_other_ways_into_the_kernel_are_shut():
    program = seccomp_filter("x86_64")
    assert run(program, 0, 0x40000003) == KILL  # 32 bits
    assert run(program, 0x40000000 | 1, ARCHITECTURES["x86_64"]) == EPERM  # x32


def test_an_unknown_machine_is_refused():
    with pytest.raises(RuntimeError, match="not of 'riscv64'"):
        seccomp_filter("riscv64")
