"""The command line of bubblewrap: which namespaces, which files, which user.

bubblewrap (0.8 or newer) needs no root. Started as root, it is run as another user: the kernel limits the number of
processes of any user but root, whatever the user is called inside.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

PYTHON = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
"""The interpreter that runs inside: this one, without its virtual environment."""


def bubblewrap(filter_fd: int, info_fd: int, tmp_bytes: int) -> list[str]:
    """The command line that a command to be run inside is appended to.

    Args:
        filter_fd: Where bubblewrap reads a system call filter.
        info_fd: Where it writes the process id of the first process inside.
        tmp_bytes: Size of ``/tmp``.

    Raises:
        RuntimeError: If bubblewrap is missing or too old.
    """
    prefix, drop_root = sys.base_prefix, []
    if os.geteuid() == 0:
        user = str(_unused_user())
        drop_root = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"]
        if not _reachable(prefix):
            # The other user may not look up this Python's path: mount it where it may, seen by this process tree only.
            mount = 'mount --bind "$0" /mnt && exec "$@"'
            drop_root = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, prefix, *drop_root]
            prefix = "/mnt"
    return [
        *drop_root,
        *(_binary(), "--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL"),
        *(
            "--as-pid-1",
            "--die-with-parent",
            "--new-session",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--hostname",
            "sandbox",
        ),
        *("--seccomp", str(filter_fd), "--info-fd", str(info_fd)),
        *_system_mounts(prefix),
        *("--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/urandom", "/dev/urandom"),
        *("--size", str(tmp_bytes), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp", "--"),
    ]


@lru_cache(maxsize=1)
def _binary() -> str:
    path = shutil.which("bwrap")
    if path is None:
        raise RuntimeError(
            "Code can only be scored in a sandbox, and bubblewrap is not installed. Install it "
            "(`apt-get install bubblewrap`); `unsafe_no_sandbox: true` would run the programs with your own rights."
        )
    options = subprocess.run([path, "--help"], capture_output=True, text=True, check=False).stdout
    if missing := [option for option in ("--disable-userns", "--size", "--seccomp") if option not in options]:
        raise RuntimeError(f"The code sandbox needs bubblewrap >= 0.8, but {path} does not know {', '.join(missing)}.")
    return path


@lru_cache(maxsize=2)
def _system_mounts(prefix: str) -> list[str]:
    """Show Python and the system's libraries, without the packages installed for either."""
    mounts = ["--ro-bind", "/usr/lib", "/usr/lib"]
    for folder in ("/lib", "/lib64", "/usr/lib64"):
        if os.path.islink(folder):
            mounts += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            mounts += ["--ro-bind", folder, folder]
    if sys.base_prefix == "/usr":
        mounts += ["--ro-bind", PYTHON, PYTHON]
    else:
        mounts += ["--ro-bind", prefix, sys.base_prefix]
    for name in ("purelib", "platlib"):
        packages = sysconfig.get_path(name, vars={"base": sys.base_prefix, "platbase": sys.base_prefix})
        if os.path.isdir(packages) and packages not in mounts:
            mounts += ["--size", "4096", "--tmpfs", packages, "--remount-ro", packages]
    return mounts


def _reachable(path: str) -> bool:
    """Whether any user may look up ``path``."""
    return all(os.stat(folder).st_mode & stat.S_IXOTH for folder in (path, *map(str, Path(path).parents)))


def _unused_user() -> int:
    """A user id nobody has, another one for each sandbox: older kernels count the processes of one user together."""
    extents = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    top = min(max(first + count for first, _, count in extents), 1 << 31)
    return top - 2 - secrets.randbelow(min(1 << 20, max(1, top // 4)))
