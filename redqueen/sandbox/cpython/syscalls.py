"""System calls that a jailed program may make, with their numbers on the machines we know.

CPython needs these to read its standard library, to allocate, to take locks and to write its
output. Files can be made and removed too: the mounts and Landlock say where. What is absent is
refused: sockets, processes, signals to anybody, namespaces, mounts, `ptrace`, `io_uring`, `bpf`,
`memfd_create`, keyrings, waiting on descriptors ...

Each line holds a name and its numbers on x86-64 and on arm64, `-` where there is none; from the
kernel's `asm/unistd_64.h` and `asm-generic/unistd.h`.
"""

_TABLE = """
    read 0 63|write 1 64|readv 19 65|writev 20 66|pread64 17 67|pwrite64 18 68|lseek 8 62
    close 3 57|close_range 436 436|dup 32 23|dup2 33 -|dup3 292 24
    stat 4 -|fstat 5 80|lstat 6 -|newfstatat 262 79|statx 332 291|statfs 137 43|fstatfs 138 44
    open 2 -|openat 257 56|access 21 -|faccessat 269 48|faccessat2 439 439
    readlink 89 -|readlinkat 267 78|getdents64 217 61|getcwd 79 17|chdir 80 49|fchdir 81 50
    mkdir 83 -|mkdirat 258 34|rmdir 84 -|unlink 87 -|unlinkat 263 35
    rename 82 -|renameat 264 38|renameat2 316 276|truncate 76 45|ftruncate 77 46
    fsync 74 82|fdatasync 75 83|umask 95 166
    mmap 9 222|munmap 11 215|mprotect 10 226|mremap 25 216|madvise 28 233|brk 12 214
    futex 202 98|set_robust_list 273 99|rseq 334 293|sched_yield 24 124|sched_getaffinity 204 123
    rt_sigaction 13 134|rt_sigprocmask 14 135|rt_sigreturn 15 139|sigaltstack 131 132
    restart_syscall 219 128|exit 60 93|exit_group 231 94
    getpid 39 172|gettid 186 178|getppid 110 173|getpgrp 111 -|getpgid 121 155|getsid 124 156
    getuid 102 174|geteuid 107 175|getgid 104 176|getegid 108 177|getgroups 115 158
    getresuid 118 148|getresgid 120 150|uname 63 160|sysinfo 99 179|getrusage 98 165
    times 100 153|clock_gettime 228 113|clock_getres 229 114|gettimeofday 96 169|time 201 -
    getrlimit 97 163|getrandom 318 278
    clone 56 220|clone3 435 435|prlimit64 302 261|ioctl 16 29|fcntl 72 25
    nanosleep 35 101|clock_nanosleep 230 115
"""
_SPECIAL = frozenset(
    {"clone", "clone3", "prlimit64", "ioctl", "fcntl", "nanosleep", "clock_nanosleep"}
)


def _column(index: int) -> dict[str, int]:
    rows = [row.split() for line in _TABLE.strip().splitlines() for row in line.split("|")]
    return {row[0]: int(row[index]) for row in rows if row[index] != "-"}


NUMBERS = {"x86_64": _column(1), "aarch64": _column(2)}
"""Numbers by name, by the machine as `platform.machine()` calls it."""
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""What the kernel calls these machines (`AUDIT_ARCH_*`)."""


def allowed(machine: str) -> list[int]:
    """Numbers of the calls that are allowed whatever their arguments."""
    return [number for name, number in NUMBERS[machine].items() if name not in _SPECIAL]
