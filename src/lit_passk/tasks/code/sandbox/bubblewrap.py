"""The command line of bubblewrap: which namespaces, which files, which user.

bubblewrap (0.8 or newer) needs no root. Started as root, it is run as another user: the kernel limits the number of
processes of any user but root, whatever the user is called inside.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

from lit_passk.errors import CannotRun, Refusal

PYTHON = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
"""The interpreter that runs inside: this one, without its virtual environment."""


PACKAGES = "/packages"
"""Where packages are inside."""

_WALLS = ("--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL", "--new-session")
_LIFE = ("--as-pid-1", "--die-with-parent")
_NAMES = ("--uid", "1000", "--gid", "1000", "--hostname", "sandbox")


def bubblewrap(filter_fd: int, info_fd: int, tmp_bytes: int, packages: tuple[str, ...] = ()) -> list[str]:
    """The command line that a command to be run inside is appended to.

    Args:
        filter_fd: Where bubblewrap reads a system call filter.
        info_fd: Where it writes the process id of the first process inside.
        tmp_bytes: Size of ``/tmp``.
        packages: Names of installed packages to show under ``PACKAGES``.

    Raises:
        RuntimeError: If bubblewrap is missing or too old.
        ValueError: If a package is not installed.
    """
    drop_root, moved = _without_root(packages) if os.geteuid() == 0 else ([], {})
    return [
        *drop_root,
        *(_binary(), *_WALLS, *_LIFE, *_NAMES, "--seccomp", str(filter_fd), "--info-fd", str(info_fd)),
        *_python_mounts(moved.get(sys.base_prefix, sys.base_prefix)),
        *[
            part
            for folder, name in package_files(packages)
            for part in ("--ro-bind", f"{moved.get(folder, folder)}/{name}", f"{PACKAGES}/{name}")
        ],
        *("--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/urandom", "/dev/urandom"),
        *("--size", str(tmp_bytes), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp", "--"),
    ]


def _without_root(packages: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """A command that becomes another user first, and where that user finds folders it may not look up.

    Those are mounted below ``/mnt``, in a mount namespace that no other process sees.
    """
    user = str(_unused_user())
    become = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"]
    folders = dict.fromkeys([sys.base_prefix, *(folder for folder, _ in package_files(packages))])
    hidden = [folder for folder in folders if not _reachable(folder)]
    if not hidden:
        return become, {}
    if len(hidden) == 1:
        moved = {hidden[0]: "/mnt"}
        script = f"mount --bind {shlex.quote(hidden[0])} /mnt"
    else:
        moved = {folder: f"/mnt/{number}" for number, folder in enumerate(hidden)}
        binds = [f"mkdir {place} && mount --bind {shlex.quote(folder)} {place}" for folder, place in moved.items()]
        script = " && ".join(["mount -t tmpfs tmpfs /mnt", *binds])
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        f'{script} && exec "$@"',
        "sh",
        *become,
    ], moved


@lru_cache(maxsize=8)
def package_files(packages: tuple[str, ...]) -> list[tuple[str, str]]:
    """Folder and name of the files that make up packages, the libraries that wheels bring along included.

    Raises:
        ValueError: If a package is not installed.
    """
    found = []
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise Refusal(f"Programs cannot be shown the package {package!r}: it is not installed.")
        place = Path(spec.submodule_search_locations[0] if spec.submodule_search_locations else spec.origin)
        names = (place.name, f"{package}.libs")
        found += [(str(place.parent), name) for name in names if (place.parent / name).exists()]
    return found


@lru_cache(maxsize=1)
def _binary() -> str:
    path = shutil.which("bwrap")
    if path is None:
        raise CannotRun(
            "Code can only be scored in a sandbox, and bubblewrap is not installed. Install it "
            "(`apt-get install bubblewrap`); `unsafe_no_sandbox: true` would run the programs with your own rights."
        )
    options = subprocess.run([path, "--help"], capture_output=True, text=True, check=False).stdout
    if missing := [option for option in ("--disable-userns", "--size", "--seccomp") if option not in options]:
        raise CannotRun(f"The code sandbox needs bubblewrap >= 0.8, but {path} does not know {', '.join(missing)}.")
    return path


@lru_cache(maxsize=2)
def _python_mounts(prefix: str) -> list[str]:
    """Show Python and the system's libraries, without the packages installed for either."""
    mounts = ["--ro-bind", "/usr/lib", "/usr/lib"]
    for folder in ("/lib", "/lib64", "/usr/lib64"):
        if os.path.islink(folder):
            mounts += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            mounts += ["--ro-bind", folder, folder]
    for part in {"lib", sys.platlibdir, os.path.relpath(PYTHON, sys.base_prefix)}:
        if f"{sys.base_prefix}/{part}" not in mounts and os.path.exists(f"{sys.base_prefix}/{part}"):
            mounts += ["--ro-bind", f"{prefix}/{part}", f"{sys.base_prefix}/{part}"]
    own = {"base": sys.base_prefix, "platbase": sys.base_prefix}
    packages = {sysconfig.get_path(name, vars=own) for name in ("purelib", "platlib")}
    packages |= {str(folder) for folder in Path("/usr/lib").glob("python3*/*-packages")}  # of the system's Python
    for folder in sorted(filter(os.path.isdir, packages)):
        mounts += ["--size", "4096", "--tmpfs", folder, "--remount-ro", folder]
    return mounts


def _reachable(path: str) -> bool:
    """Whether any user may look up ``path``."""
    return all(os.stat(folder).st_mode & stat.S_IXOTH for folder in (path, *map(str, Path(path).parents)))


def _unused_user() -> int:
    """A user id nobody has, another one for each sandbox: older kernels count the processes of one user together."""
    extents = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    top = min(max(first + count for first, _, count in extents), 1 << 31)
    return top - 2 - secrets.randbelow(min(1 << 20, max(1, top // 4)))
