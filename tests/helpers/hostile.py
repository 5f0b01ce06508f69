"""Programs that attack what judges them. Each would-be solution stands under a line ``### name``."""

from __future__ import annotations


def _programs(text: str) -> dict[str, str]:
    parts = [part.partition("\n") for part in text.split("### ")[1:]]
    return {name.strip(): program for name, _, program in parts}


# Run before a wrong program, whatever the style.
BEFORE = _programs(r"""
### fork bomb
import os
while True:
    try: os.fork()
    except OSError: pass
### forks and waits
import os, time
for _ in range(100):
    try:
        if os.fork() == 0: time.sleep(60)
    except OSError: pass
### thread bomb
import threading, time
while True: threading.Thread(target=time.sleep, args=(60,)).start()
### memory bomb
x = []
while True: x.append(bytearray(1 << 22))
### memory bomb that holds on
import time
x = []
while True:
    try: x.append(bytearray(1 << 22))
    except MemoryError: time.sleep(60)
### memory of many processes
import os, time
for _ in range(50):
    try: os.fork()
    except OSError: pass
x = bytearray(1 << 27)
time.sleep(60)
### huge number
x = 10 ** 10 ** 10
### endless output
import os
while True: os.write(1, b'9' * 65536)
### endless error output
import os
while True: os.write(2, b'9' * 65536)
### endless sleep
import time
time.sleep(10 ** 6)
### endless loop
while True: pass
### endless loop, signals ignored
import signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
### stops itself
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
### stops its parent
import os, signal
os.kill(os.getppid(), signal.SIGSTOP)
### kills its parent
import os, signal
os.kill(os.getppid(), signal.SIGKILL)
### sends the first process every signal
import os
for number in range(1, 65):
    for _ in range(20):
        try: os.kill(1, number)
        except OSError: pass
### takes the first process its resources
import os, resource
for which in range(16):
    try: resource.prlimit(1, which, (0, 0))
    except (OSError, ValueError): pass
os.setpriority(os.PRIO_PROCESS, 1, 19)
### lowers everybody's priority
import ctypes, os
for pid in range(20):
    for attempt in (
        lambda: os.sched_setaffinity(pid, {0}),
        lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        lambda: [os.setpriority(which, pid, 19) for which in (os.PRIO_PROCESS, os.PRIO_PGRP, os.PRIO_USER)],
    ):
        try: attempt()
        except OSError: pass
for which in (1, 2, 3): ctypes.CDLL(None).syscall(251, which, 0, 3 << 13)  # ioprio_set
### lets no descriptor wait
import fcntl, os
for fd in range(64):
    try:
        os.set_blocking(fd, False)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.fcntl(fd, 1031, 4096)  # F_SETPIPE_SZ
    except OSError: pass
### looks into the first process
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(1 << 16)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 1 << 16)
for call in (310, 311):  # process_vm_readv, process_vm_writev
    assert libc.syscall(call, 1, ctypes.byref(vector), 1, ctypes.byref(vector), 1, 0) == -1
assert libc.ptrace(16, 1, 0, 0) == -1
for fd in range(16):
    assert libc.syscall(438, os.pidfd_open(1), fd, 0) == -1  # pidfd_getfd
def f(x): raise SystemExit
### kills everything
import os
os.kill(-1, 9)
### daemon
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
### fills the disk
i = 0
while True:
    open(f'/tmp/hostile{i}', 'wb').write(bytes(1 << 20))
    i += 1
### fills the table of files
i = 0
while True:
    open(f'/tmp/hostile{i}', 'w').close()
    i += 1
### fills the table of files with folders and links
import os
os.symlink('/', '/tmp/root')
while True:
    os.mkdir('/tmp/hostile')
    os.symlink('/tmp/root/usr', '/tmp/hostile/usr')
    os.chdir('/tmp/hostile')
    os.rename('/tmp/hostile', '/tmp/root2')
### holds on to files that have no name
import os, time
held = []
while True:
    try: held.append(os.open('/tmp', os.O_TMPFILE | os.O_RDWR))
    except OSError: time.sleep(60)
### fills pipes and socket pairs
import os, socket, time
held = []
while True:
    try:
        for end in socket.socketpair():
            end.setblocking(False)
            held.append(end)
            end.send(bytes(1 << 17))
    except OSError: break
while True:
    try: os.write(os.pipe2(os.O_NONBLOCK)[1], bytes(1 << 20))
    except OSError: time.sleep(60)
### folders within folders
import os
os.chdir('/tmp')
try:
    for _ in range(20000): os.mkdir('a'); os.chdir('a')
except OSError: pass
### timers and watches without end
import ctypes
libc = ctypes.CDLL(None)
for call in (lambda: libc.timerfd_create(1, 0), libc.inotify_init, lambda: libc.epoll_create1(0)):
    while call() >= 0: pass
### fills attributes of files
import os, time
open('/tmp/hostile', 'w').close()
i = 0
while True:
    try: os.setxattr('/tmp/hostile', f'user.{i}', bytes(60000))
    except OSError: time.sleep(60)
    i += 1
### sends descriptors away
import array, os, socket, time
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
one.setblocking(False)
while True:
    ends = os.pipe2(os.O_NONBLOCK)
    try:
        os.write(ends[1], bytes(1 << 16))
        one.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', ends))])
    except OSError: time.sleep(60)
    for fd in ends: os.close(fd)
### stopped children in sessions of their own
import os, signal
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        os.kill(os.getpid(), signal.SIGSTOP)
### signals the first process by other ways
import ctypes, fcntl, os, signal
libc = ctypes.CDLL(None)
pidfd = os.pidfd_open(1)
for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM, signal.SIGTSTP, 34, 64):
    try: signal.pidfd_send_signal(pidfd, number)
    except OSError: pass
    libc.tgkill(1, 1, number)
    read, write = os.pipe()
    for what, value in ((fcntl.F_SETOWN, 1), (10, number), (fcntl.F_SETFL, os.O_ASYNC)):  # F_SETSIG
        try: fcntl.fcntl(read, what, value)
        except OSError: pass
    os.write(write, b'x')
### locks without end
import fcntl, os
fd = os.open('/tmp/hostile', os.O_RDWR | os.O_CREAT)
i = 0
while True:
    try: fcntl.lockf(fd, fcntl.LOCK_EX, 1, 2 * i)
    except OSError: pass
    i += 1
### deep recursion
import sys
sys.setrecursionlimit(10 ** 9)
def g(): return g()
g()
### crash
import ctypes
ctypes.string_at(0)
### exits at once
import os
os._exit(0)
### exits politely
import sys
sys.exit(0)
### prints verdicts
import os
for fd in range(256):
    for line in (b'pass\n', b'ready\n', b'exit 0\n'):
        try: os.write(fd, line)
        except OSError: pass
### prints verdicts and exits
import os
for fd in range(256):
    try: os.write(fd, b'pass\nexit 0\n')
    except OSError: pass
os._exit(0)
### closes everything
import os
os.closerange(0, 4096)
### patches the builtins
import builtins
for name in ('any', 'all', 'len', 'zip', 'map', 'isinstance', 'bool', 'str', 'exec', 'compile', 'open'):
    setattr(builtins, name, lambda *a, **k: True)
builtins.AssertionError = SystemExit
### patches the runner
import sys
for name, module in list(sys.modules.items()):
    if 'sandbox' in name or name == '__main__':
        for key, value in list(vars(module).items()):
            if callable(value): setattr(module, key, lambda *a, **k: b'pass')
### plants modules
import sys, types
package = 'lit_passk.tasks.code.sandbox.inside'
for name in ('os', 'sys', 'marshal', 'lit_passk', package, package + '.checker', package + '.wire'):
    sys.modules[name] = types.SimpleNamespace(encode=lambda *a: b'', same=lambda *a: True)
### traces
import sys, threading
def tracer(frame, event, arg):
    for name in frame.f_locals:
        if 'expected' in name or 'verdict' in name: frame.f_locals[name] = True
    return tracer
sys.settrace(tracer)
sys.setprofile(tracer)
threading.settrace(tracer)
### raises its limits
import resource
for which in range(16):
    try: resource.setrlimit(which, (-1, -1))
    except Exception: pass
while True: pass
### runs other programs
import os, subprocess
os.system('touch /tmp/hostile')
try: subprocess.run(['/bin/sh', '-c', 'touch /tmp/hostile'])
except OSError: pass
### escapes by system calls
import ctypes
libc = ctypes.CDLL(None)
libc.unshare(0x10020000)
libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0)
libc.ptrace(16, 1, 0, 0)
libc.setuid(0)
libc.shmget(0x4711, 1 << 28, 0o1777)
libc.chroot(b'/')
### calls the system as hardly anybody does
import ctypes
libc = ctypes.CDLL(None)
for number in (101, 155, 165, 246, 248, 250, 272, 298, 308, 310, 311, 321, 323, 425, 434, 435, 438, 442):
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
### runs a file that is in memory alone
import os
fd = os.memfd_create('hostile')
os.write(fd, b'#!/bin/sh\necho 9; echo 25; echo 49\n')
try: os.execve(fd, ['hostile'], {})
except OSError: pass
### never comes to its end
import atexit, time
atexit.register(time.sleep, 60)
class Last:
    def __del__(self):
        while True: pass
last = Last()
### changes the standard library
import json, os
for module in (os, json):
    try: open(module.__file__, 'a').write('hostile')
    except OSError: pass
""")

# Each sets `escaped` where it gets through to what it should not reach; a program that does then solves its problem.
ESCAPES = _programs(r"""
### system calls for memory and kernel objects
import ctypes, os
libc = ctypes.CDLL(None)
numbers = {  # memfd_create, memfd_secret, io_uring_setup, userfaultfd, shmget, semget, msgget, mq_open, keyctl,
    'x86_64': (319, 447, 425, 323, 29, 64, 68, 240, 250, 248, 321, 298, 101, 272, 308, 165, 161, 304, 135),
}  # add_key, bpf, perf_event_open, ptrace, unshare, setns, mount, chroot, open_by_handle_at, personality
for number in numbers.get(os.uname().machine, ()):
    if libc.syscall(number, b'x', 0, 0, 0, 0) >= 0: escaped = True
for x32 in range(0x40000000, 0x40000200):
    if libc.syscall(x32, 0, 0, 0, 0, 0) != -1: escaped = True
### contexts of input and output that all of the machine shares
import ctypes, os
context = ctypes.c_ulong(0)
number = {'x86_64': 206, 'aarch64': 0}[os.uname().machine]  # io_setup
if ctypes.CDLL(None).syscall(number, 1, ctypes.byref(context)) == 0: escaped = True
### limits back up
import resource
for which in range(16):
    soft, hard = resource.getrlimit(which)
    if hard == resource.RLIM_INFINITY: continue
    for wanted in (hard + 1, -1):
        try:
            resource.setrlimit(which, (wanted, wanted))
            escaped = True
        except (OSError, ValueError): pass
### priority
import os
for attempt in (
    lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
    lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
):
    try:
        attempt()
        escaped = True
    except OSError: pass
### links out
import os
os.symlink('/', '/tmp/out')
for path in ('/tmp/out/etc', '/tmp/out/proc', '/tmp/../../../home', '/tmp/out/tmp/../../work', '/usr/lib/../bin/env'):
    if os.path.exists(path): escaped = True
for attempt in (
    lambda: os.link(os.__file__, '/tmp/linked'),
    lambda: os.rename(os.__file__, os.__file__ + '.old'),
    lambda: os.chmod(os.__file__, 0o777),
    lambda: os.utime(os.__file__),
    lambda: open('/tmp/out/usr/lib/hostile', 'w'),
    lambda: open('/hostile', 'w'),
    lambda: os.mkdir('/dev/shm'),
    lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0)),
    lambda: os.chown('/tmp/out', 0, 0, follow_symlinks=False),
):
    try:
        attempt()
        escaped = True
    except OSError: pass
### users
import os
for attempt in (
    lambda: os.setuid(0),
    lambda: os.seteuid(0),
    lambda: os.setgid(0),
    lambda: os.setgroups([0]),
    lambda: os.setresuid(0, 0, 0),
):
    try:
        attempt()
        escaped = True
    except OSError: pass
### descriptors from before
import os, stat
for fd in range(5, 4096):  # a function's process has a channel on 3 and 4
    try:
        os.fstat(fd)
        escaped = True
    except OSError: pass
### abstract addresses by a pair of sockets
import socket
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    one, _ = socket.socketpair(socket.AF_UNIX, kind)
    try:
        one.connect('\0lit-passk-hostile')
        escaped = True
    except OSError: pass
    if kind == socket.SOCK_DGRAM:
        try:
            one.sendto(b'x', '\0lit-passk-hostile')
            escaped = True
        except OSError: pass
### modules from elsewhere
import importlib.machinery, importlib.util, sys, zipimport
for path in ('/etc/passwd', '/work/main/src/lit_passk/types.py', '/proc/self/mem'):
    try:
        importlib.machinery.SourceFileLoader('x', path).get_data(path)
        escaped = True
    except OSError: pass
sys.path[:0] = ['/', '/work', '/usr/lib/python3/dist-packages']
for name in ('lit_passk.types', 'apt', 'pip', 'torch'):
    try:
        if importlib.util.find_spec(name): escaped = True
    except ImportError: pass
### terminals and devices
import fcntl, os
for name in ('tty', 'ptmx', 'pts/0', 'kvm', 'mem', 'fuse', 'shm/x', 'vsock', 'zero'):
    try:
        os.open(f'/dev/{name}', os.O_RDWR | os.O_CREAT)
        escaped = True
    except OSError: pass
for fd in range(3):
    try:
        fcntl.ioctl(fd, 0x5412, b'x')  # TIOCSTI: type into the terminal
        escaped = True
    except OSError: pass
""")

# What a function may return, or do when it is called.
RETURNED = _programs(r"""
### equals everything
class E:
    def __eq__(self, other): return True
    __ne__ = __lt__ = lambda self, other: False
    __hash__ = None
def f(x): return E()
### number that equals everything
class E(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def f(x): return E(0)
### list that equals everything
class E(list):
    def __eq__(self, other): return True
def f(x): return E()
### class that equals everything
class M(type):
    def __eq__(self, other): return True
class f(metaclass=M):
    def __init__(self, x): pass
### has every attribute
class E:
    def __getattr__(self, name): return lambda *a: True
def f(x): return E()
### pretends to be a type
class E:
    @property
    def __class__(self): return int
    def __eq__(self, other): return True
    def __int__(self): return 9
    __index__ = __int__
def f(x): return E()
### exits when called
import os
def f(x): os._exit(0)
### raises what ends tests
def f(x): raise SystemExit(0)
### raises an exception of its own
class E(AssertionError):
    def __str__(self): raise self
def f(x): raise E
### raises the end of an iteration
def f(x): raise StopIteration
### endless iterator
def f(x):
    while True: yield 9
### endless call
def f(x):
    while True: pass
### sleeps when called
import time
def f(x): time.sleep(10 ** 6)
### returns too much
def f(x): return 'x' * (1 << 25)
### returns what is slow to hash
def f(x): return {i * (2 ** 61 - 1) for i in range(3000)}
### returns a list that holds itself
def f(x):
    a = []
    a.append(a)
    return a
### returns depth
def f(x):
    a = []
    for _ in range(10 ** 5): a = [a]
    return a
### returns a huge number
def f(x): return 1 << (1 << 26)
### returns not a number
def f(x): return float('nan')
### returns infinity
def f(x): return float('inf')
### returns minus infinity
def f(x): return float('-inf')
### reads the callers' frames
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            for answer in (9, 25, 49):
                if value == answer or f'== {answer}' in str(value): return answer
        frame = frame.f_back
    return 0
### searches the memory
import gc
def f(x):
    for o in gc.get_objects():
        if type(o) is not dict or 'subject' in o: continue  # the fields of ast.Match, from Python 3.13 on
        if 'cases' in o or 'tests' in o or 'expected' in o: return x * x
    return 0
### answers before it is asked
import os
message = b't\0\0\0\2s\0\0\0\6returny'
for fd in range(3, 256):
    try: os.write(fd, (len(message).to_bytes(4, 'big') + message) * 10)
    except OSError: pass
def f(x): return True
### floods the checker
import os
for fd in range(3, 256):
    try:
        while True: os.write(fd, b'\xff' * 65536)
    except OSError: pass
def f(x): return 9
### malformed answers
import os
for fd in range(3, 256):
    try: os.write(fd, b'\0\0\0\5l\xff\xff\xff\xff')
    except OSError: pass
def f(x): return 9
""")

# Programs that are to read a number and print its square.
PRINTED = _programs(r"""
### prints the first answer and exits
import os
print(9, flush=True)
os._exit(0)
### prints every answer
print(9, 25, 49)
### prints the answer and fails
print(int(input()) ** 2, flush=True)
raise SystemExit(1)
### prints the answer and is killed
import os
print(int(input()) ** 2, flush=True)
os.kill(os.getpid(), 9)
### prints the answer forever
x = int(input()) ** 2
while True: print(x)
### prints nothing
input()
### leaves one behind that prints
import os, time
if os.fork() == 0:
    while True:
        time.sleep(0.01)
        os.write(1, b'9\n25\n49\n')
print(9)
""")
