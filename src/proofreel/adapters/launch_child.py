"""The first half of every child process: shut itself in, then become the program asked for.

Run by `launch.run_child` as `python -I -S launch_child.py PARENT_PID KEY=VALUE... -- PROGRAM...`.
It stands between fork and exec in place of a `preexec_fn`, which is unsafe where there are threads.
Standard library only: nothing of ours can be imported here.

Keys: `memory`, `cpu_s`, `file`, `files` are resource limits; `read` and `write` (any number of
each) are the only paths outside the system's own that the program may touch; `confine=0` leaves out
the walls that some kernels or installations do not support: Landlock (landlock(7)) limits files and
TCP, a network namespace of its own (network_namespaces(7)) takes all other network away. Each of
the two is used where the kernel has it; the other defences do not depend on them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

EXIT_NOT_STARTED = 127  # as shells say "command not found"

_PR_SET_PDEATHSIG = 1  # numbers from linux/prctl.h
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNET = 0x4000_0000  # linux/sched.h
_CLONE_NEWUSER = 0x1000_0000

# linux/landlock.h; the system call numbers are the same on every architecture.
_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_ALL_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1}
_ALL_FILE_RIGHTS = (1 << 15) - 1
_ALL_TCP = 3
_ALL_SCOPES = 3  # abstract sockets, and signals to processes outside

# Where programs and the libraries they load live; nothing of a user's is below these.
_SYSTEM_DIRS = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store",
    "/home/linuxbrew/.linuxbrew", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/fonts",
    "/etc/localtime", "/etc/alternatives", "/sys/devices/system/cpu", "/proc/cpuinfo",
    "/proc/meminfo", "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip


def _limit(what: int, value: int) -> None:
    """Set both limits; one that is already lower stays. macOS refuses some kinds: leave those."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(what, (value, value))
    except (OSError, ValueError):
        if sys.platform == "linux":
            raise


def _leave_the_network(libc: ctypes.CDLL) -> None:
    """Enter an empty network namespace: as root directly, else through a user namespace."""
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _restrict_files(libc: ctypes.CDLL, readable: list[str], writable: list[str], cwd: str) -> None:
    """Allow reading the system and `readable`, writing `writable` and `cwd`, and nothing else."""
    libc.syscall.restype = ctypes.c_long
    abi = libc.syscall(_SYS_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    if abi < 1:
        return
    everything = _ALL_FILE_RIGHTS_BY_ABI.get(abi, _ALL_FILE_RIGHTS)
    handled = [everything, _ALL_TCP if abi >= 4 else 0, _ALL_SCOPES if abi >= 6 else 0]
    attr = (ctypes.c_uint64 * 3)(*handled)
    # A kernel refuses a longer structure than it knows unless the rest is zero, which it is.
    ruleset = libc.syscall(_SYS_CREATE_RULESET, ctypes.byref(attr), ctypes.sizeof(attr), 0)
    if ruleset < 0:
        return
    read_rights = _EXECUTE | _READ_FILE | _READ_DIR
    write_rights = _READ_FILE | _WRITE_FILE | _TRUNCATE
    rules = [(path, read_rights) for path in (*_SYSTEM_DIRS, *readable)]
    rules += [(path, write_rights) for path in ("/dev/null", *writable)]
    rules.append((cwd, everything & ~_EXECUTE))
    for path, rights in rules:
        _allow(libc, ruleset, path, rights & everything)
    libc.syscall(_SYS_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
    # struct landlock_path_beneath_attr is packed: u64 allowed_access, s32 parent_fd.
    attr = rights.to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder)
    libc.syscall(_SYS_ADD_RULE, ruleset, _RULE_PATH_BENEATH, attr, 0)
    os.close(fd)


def main(arguments: list[str]) -> int:
    """Shut this process in and replace it by the program; return only if that was impossible."""
    parent_pid = int(arguments[0])
    split = arguments.index("--")
    program = arguments[split + 1 :]
    options = [argument.partition("=")[::2] for argument in arguments[1:split]]
    numbers = {key: int(value) for key, value in options if key not in ("read", "write")}
    readable = [value for key, value in options if key == "read"]
    writable = [value for key, value in options if key == "write"]

    # Python ignores these and exec would pass that on, as it would the calling thread's mask.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])

    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if numbers["confine"]:
            _leave_the_network(libc)
            _restrict_files(libc, readable, writable, os.getcwd())
        # After the namespaces: a change of credentials clears it (prctl(2)).
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent died before the line above
            return EXIT_NOT_STARTED

    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, numbers["files"])
    _limit(resource.RLIMIT_FSIZE, numbers["file"])
    _limit(resource.RLIMIT_CPU, numbers["cpu_s"])
    _limit(resource.RLIMIT_AS, numbers["memory"])
    try:
        os.execv(program[0], program)  # noqa: S606 - this is the whole point
    except OSError as exc:
        print(f"{program[0]} did not start: {exc.strerror}", file=sys.stderr)
        return EXIT_NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
