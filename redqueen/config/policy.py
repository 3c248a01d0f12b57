"""The section `policy`: the frozen base and the adapters on it."""

from typing import Literal

from pydantic import Field

from redqueen.config.section import Section


class PolicyConfig(Section):
    """The frozen base and the adapters on it."""

    base: str = "seedling"
    """`seedling` (ships with the package), a local directory, or a Hugging Face model id."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Type of the base's weights and activations. Adapters are always kept in float32."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` …"""
    trust_remote_code: bool = False
    """Run code that comes with a model. Only for models you trust."""
    rank: int = Field(8, ge=1)
    """LoRA rank r."""
    alpha: float = Field(16.0, gt=0)
    """LoRA alpha: the update is (alpha / rank) B A."""
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Suffixes of the linear layers that carry adapters, or all of them but the output head."""
    init_noise: float = Field(0.0, ge=0)
    """Standard deviation of the founders' B (0: every founder starts as the base, as in LoRA)."""
    learn_tokens: int = Field(12288, ge=64)
    """Most tokens in one forward and backward pass of the learner, all workers together. A prompt
    counts once for the attempts that share it."""
