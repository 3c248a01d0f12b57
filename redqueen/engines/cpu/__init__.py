"""The engine for a CPU: worker processes and compiled kernels. Needs the extra `cpu`."""

from redqueen.engines.cpu.engine import Cpu, CpuEngine

__all__ = ["Cpu", "CpuEngine"]
