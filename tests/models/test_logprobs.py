"""Log-probabilities in pieces against log_softmax of whole logits."""

import pytest
import torch

from redqueen.models.head import OutputHead
from redqueen.models.logprobs import piece_rows, token_logprobs

HEADS = {
    "plain": {},
    "bias": {"bias": True},
    "scaled": {"scale": 0.25},
    "capped": {"softcap": 3.0, "scale": 2.0},
    "logits": {"weight": False},
}


def reference(x_MD, head: OutputHead, token_M, temperature_M):
    logits = x_MD
    if head.weight_VD is not None:
        logits = x_MD @ head.weight_VD.T
        logits = logits if head.bias_V is None else logits + head.bias_V
        logits = head.scale * logits
    if head.softcap is not None:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    logprobs = (logits / temperature_M[:, None]).log_softmax(-1)
    return logprobs.gather(1, token_M[:, None])[:, 0]


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("rows", [1, 4, 13, 100])
def test_values_and_gradients_are_those_of_whole_logits(kind: str, rows: int) -> None:
    g = torch.Generator().manual_seed(3)
    settings = dict(HEADS[kind])
    weight = torch.randn(50, 8, generator=g) if settings.pop("weight", True) else None
    bias = torch.randn(50, generator=g) if settings.pop("bias", False) else None
    head = OutputHead(weight, bias, **settings)
    x = torch.randn(13, 8 if weight is not None else 50, generator=g).mul_(2).requires_grad_()
    token = torch.randint(50, (13,), generator=g)
    temperature = torch.rand(13, generator=g) + 0.5
    upstream = torch.randn(13, generator=g)
    before = x.detach().clone()
    found = token_logprobs(x, head, token, temperature, rows)
    expected = reference(x, head, token, temperature)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    slope, wanted = (torch.autograd.grad(y, x, upstream)[0] for y in (found, expected))
    torch.testing.assert_close(slope, wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(x, before)


def test_a_bfloat16_gradient_is_near_the_exact_one() -> None:
    g = torch.Generator().manual_seed(4)
    weight, x = torch.randn(500, 64, generator=g), torch.randn(40, 64, generator=g)
    token, one = torch.randint(500, (40,), generator=g), torch.ones(40)
    slopes = []
    for dtype in (torch.float32, torch.bfloat16):
        leaf = x.to(dtype).requires_grad_()
        out = token_logprobs(leaf, OutputHead(weight.to(dtype)), token, one)
        assert out.dtype == torch.float32
        slopes.append(torch.autograd.grad(out.sum(), leaf)[0].float())
    assert (slopes[1] - slopes[0]).norm() < 0.02 * slopes[0].norm()


def test_without_gradients_nothing_is_kept() -> None:
    x = torch.randn(5, 4)
    token, one = torch.zeros(5, dtype=torch.long), torch.ones(5)
    assert token_logprobs(x, OutputHead(torch.randn(9, 4)), token, one).grad_fn is None


def test_a_piece_of_a_large_vocabulary_is_small() -> None:
    rows = piece_rows(151_936, torch.device("cpu"))
    assert 100 <= rows <= 256
    assert rows * 151_936 * 4 <= 128 << 20
