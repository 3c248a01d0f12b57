"""Red Queen: co-evolution of LoRA adapters that teach each other to reason."""

__version__ = "0.2.0"
