"""The cpython backend: the real interpreter, in jails that bubblewrap builds.

    with CPythonSandbox(SandboxConfig(backend="cpython")) as sandbox:
        [outcome] = sandbox.run([Call("def f(x): return x + 1", "f", (1,))])
        [ended] = sandbox.run_scripts([Script({"main.py": "print(input())"}, stdin="a")])

Layers that keep untrusted code away from us:

1. *A jail* (`command`) has its own user, process, network, IPC, host-name and control-group
   namespaces and an empty environment. In its file system there are shared libraries, Python with
   its standard library and four devices, all read-only: no /proc, no /sys, no home, no /etc.
2. *A server* (`inside.server`), process 1 of the jail, gives each request a fork of its own, takes
   the processor time that it spent from the kernel, and kills whatever is left in the namespace.
   When the server ends, or bubblewrap, or we, the kernel ends the namespace.
3. *The request's process* gives up all capabilities; takes limits on address space, descriptors,
   files and core dumps; goes behind Landlock where the kernel has it (no path but what it needs, no
   TCP, no signals to others) and behind a seccomp filter (`seccomp`), an allowlist: no processes,
   sockets, signals, namespaces, mounts, tracing, `io_uring`. It may start threads.
4. *The report* goes over anonymous shared memory with a number that is drawn for the request, so
   the program holds no descriptor but three streams, and nothing that it writes to them is a
   report. Values are looked at by exact type and arrive here as text, which is parsed as a literal.
   Scripts are judged by their output and by the exit status that the kernel reports. Expectations
   never enter a jail. That the process was caged, the server learns before the program begins.

Processor time decides. Sleep takes none: it is over at once. A program that waits for what never
comes is a timeout, when its threads have slept for longer than its limit (`watch`). What a machine
without time to spare does to a request is no verdict: it is tried again alone, then `infra_error`.

Hashes of strings are the same in every run, so verdicts are; but equal calls of one batch, which
are there to show whether a program always does the same, go to jails with *different* hash seeds
and addresses. So what depends on the order of a set of strings, on `id` or on chance shows.

What is not covered:

- The kernel. Programs talk to it through some eighty system calls; whoever has a hole in one of
  those is outside. A virtual machine around all of it is the remedy.
- Side channels: caches, timing, the load that other jails of the same machine make.
- The program's own word. It shares a process with the code that reports for it, so it can make up
  what its function returned, or put off the report; never about another request, never what is
  expected of it, its time, or that it died.
- The clock. Programs can read it, so a value may change with the date. The code environment's
  policy forbids it; whoever allows modules that read it has to expect this.
- Memory that is not address space: kernel memory for threads, files and page tables.
- A fair share of the machine: nothing but the number of workers limits processor and disk use.
- Processes that programs start: they are refused, so `subprocess` and `multiprocessing` do not
  work; nor do sockets, `select`, `asyncio`, timers and signals.
"""

from redqueen.sandbox.cpython.sandbox import GRACE, HASH_SEEDS, PRINT_BYTES, CPythonSandbox

__all__ = ["GRACE", "HASH_SEEDS", "PRINT_BYTES", "CPythonSandbox"]
