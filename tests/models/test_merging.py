"""Merged models and averages, against PEFT and plain transformers."""

import resource
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from redqueen.errors import InfrastructureError
from redqueen.models.merging import summed
from tests.small_models import ARCHITECTURES, in_peft

IDS = torch.arange(3, 13)[None]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_merged_model_is_base_and_adapter(make_model, tmp_path: Path, kind: str) -> None:
    model = make_model(kind)
    model.export_merged(model.adapters.get(1), model.adapters.alpha, tmp_path)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        plain = model.base.model(IDS).logits
        with model.router.route([1]):
            routed = model.base.model(IDS).logits
        found = merged(IDS).logits
    assert (found - routed).abs().max() <= 1e-4
    assert (found - plain).abs().max() > 0.1
    assert merged.config.tie_word_embeddings == model.base.model.config.tie_word_embeddings


def test_the_sum_of_ranks_holds_the_average_exactly(make_model, model_dirs, tmp_path: Path) -> None:
    model = make_model(rank=3, alpha=7.0)
    adapters = [model.adapters.get(slot) for slot in range(3)]
    factors, alpha = summed(adapters, model.adapters.alpha)
    for name, (a, b) in factors.items():
        mean = sum(factor[name].B @ factor[name].A for factor in adapters) * (7.0 / 3) / 3
        torch.testing.assert_close(b @ a * (alpha / len(a)), mean, rtol=1e-5, atol=1e-6)
    model.export_factors(factors, alpha, tmp_path / "adapter")
    model.export_merged(factors, alpha, tmp_path / "merged")
    base = AutoModelForCausalLM.from_pretrained(model_dirs["llama"])
    peft = in_peft(base, tmp_path / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    with torch.no_grad():
        assert (peft(IDS).logits - merged(IDS).logits).abs().max() <= 1e-4


def test_a_model_that_cannot_be_written(make_model, tmp_path: Path) -> None:
    model = make_model()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InfrastructureError, match="cannot write the model"):
        model.export_merged(model.adapters.get(1), model.adapters.alpha, tmp_path / "file")


def test_a_disk_that_is_full(make_model, tmp_path: Path) -> None:
    model = make_model()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(InfrastructureError, match="cannot write the model"):
            model.export_merged(model.adapters.get(1), model.adapters.alpha, tmp_path / "merged")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
