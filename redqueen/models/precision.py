"""The type of a base's weights and activations, by what the device multiplies fast."""

import torch

from redqueen.config.policy import PolicyConfig

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether there are kernels for products in bfloat16.

    A GPU has them, and a CPU that oneDNN has them for (AVX-512, AMX, ARM's bf16). On any other CPU,
    as most laptops have, such a product takes some hundred times as long as in float32.
    """
    return device.type != "cpu" or (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def settle_dtype(config: PolicyConfig, device: torch.device) -> PolicyConfig:
    """Return the config with `dtype = "auto"` decided for a device."""
    if config.dtype != "auto":
        return config
    dtype = "bfloat16" if multiplies_bfloat16(device) else "float32"
    return config.model_copy(update={"dtype": dtype})
