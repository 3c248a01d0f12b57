"""The seccomp filter, run by an interpreter of classic BPF that is written here."""

import errno
import struct

import pytest

from redqueen.errors import InfrastructureError
from redqueen.sandbox.cpython.seccomp import filter_lines, filter_program
from redqueen.sandbox.cpython.syscalls import ARCHITECTURES, NUMBERS

ALLOW, KILL = 0x7FFF0000, 0x80000000
MACHINES = sorted(NUMBERS)
NOT_THERE = {
    # Numbers of calls that no program may make.
    "x86_64": {"socket": 41, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "ptrace": 101,
               "mount": 165, "unshare": 272, "tgkill": 234, "process_vm_readv": 310,
               "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323,
               "pidfd_send_signal": 424, "io_uring_setup": 425, "poll": 7, "setrlimit": 160},
    "aarch64": {"socket": 198, "execve": 221, "kill": 129, "ptrace": 117, "mount": 40,
                "unshare": 97, "tgkill": 131, "process_vm_readv": 270, "memfd_create": 279,
                "bpf": 280, "execveat": 281, "userfaultfd": 282, "pidfd_send_signal": 424,
                "io_uring_setup": 425, "ppoll": 73, "setrlimit": 164},
}  # fmt: skip


def decide(machine: str, number: int, *args: int, architecture: int | None = None) -> int:
    """What the filter says of a system call."""
    audit = ARCHITECTURES[machine] if architecture is None else architecture
    words = [*args, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number, audit, 0, *words)
    lines = filter_lines(machine)
    place = accumulator = 0
    while True:
        code, true, false, operand = lines[place]
        place += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x15:
                place += true if accumulator == operand else false
            case 0x35:
                place += true if accumulator >= operand else false
            case 0x45:
                place += true if accumulator & operand else false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def refusal(number: int) -> int:
    return 0x00050000 | number


@pytest.mark.parametrize("machine", MACHINES)
def test_what_python_needs_is_allowed(machine: str) -> None:
    names = ["read", "write", "mmap", "openat", "futex", "exit_group", "getrandom", "brk"]
    assert all(decide(machine, NUMBERS[machine][name]) == ALLOW for name in names)


@pytest.mark.parametrize("machine", MACHINES)
def test_everything_that_is_not_listed_is_refused(machine: str) -> None:
    listed = set(NUMBERS[machine].values())
    for number in set(range(600)) - listed:
        assert decide(machine, number) == refusal(errno.EPERM), number
    assert not listed & set(NOT_THERE[machine].values())


@pytest.mark.parametrize("machine", MACHINES)
def test_other_machines_calls_kill(machine: str) -> None:
    assert decide(machine, 0, architecture=0x40000003) == KILL


def test_calls_of_the_other_64_bit_abi_are_refused() -> None:
    for number in (0, 1, 520, 545):
        assert decide("x86_64", 0x40000000 | number) == refusal(errno.EPERM)


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_but_no_processes(machine: str) -> None:
    numbers = NUMBERS[machine]
    thread = 0x003D0F00  # what the C library asks for
    assert decide(machine, numbers["clone"], thread) == ALLOW
    for flags in (17, 0x01200011, 0x10000000, 0x7C020000):
        assert decide(machine, numbers["clone"], flags) == refusal(errno.EPERM)
    assert decide(machine, numbers["clone3"], 1, 88) == refusal(errno.ENOSYS)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("args", "allowed"),
    [
        ((0, 7, 0, 1), True),  # read a limit
        ((0, 3, 4096, 0), True),  # set the stack's
        ((0, 0, 4096, 0), False),  # set the processor time's
        ((0, 0, 1 << 32, 0), False),  # with a pointer whose low half is zero
        ((1, 7, 0, 4096), False),  # read the server's
        ((1, 3, 4096, 0), False),
    ],
)
def test_limits(machine: str, args: tuple[int, ...], allowed: bool) -> None:
    expected = ALLOW if allowed else refusal(errno.EPERM)
    assert decide(machine, NUMBERS[machine]["prlimit64"], *args) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_answers_that_the_filter_gives_itself(machine: str) -> None:
    numbers = NUMBERS[machine]
    assert decide(machine, numbers["clock_nanosleep"], 1, 1) == refusal(0)
    assert decide(machine, numbers["ioctl"], 1, 0x5412) == refusal(errno.ENOTTY)
    allowed = [c for c in range(2000) if decide(machine, numbers["fcntl"], 1, c) == ALLOW]
    assert allowed == [0, 1, 2, 3, 4, 1030]


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_distinct_and_packed_in_eight_bytes_a_line(machine: str) -> None:
    assert len(set(NUMBERS[machine].values())) == len(NUMBERS[machine])
    assert len(filter_program(machine)) == 8 * len(filter_lines(machine)) < 8 * 4096


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(InfrastructureError, match="riscv64"):
        filter_program("riscv64")
