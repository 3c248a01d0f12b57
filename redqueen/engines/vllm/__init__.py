"""The engine on vLLM: all members as LoRA requests in mixed batches. Needs the extra `vllm`."""

from redqueen.engines.vllm.engine import Vllm, VllmEngine

__all__ = ["Vllm", "VllmEngine"]
