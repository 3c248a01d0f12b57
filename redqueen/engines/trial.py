"""The trial of a base at load: text is written and scored, and compared with the library's logits.

A base may attend, cache or mask in a way that batches of texts do not bear. That would be seen as
strange log-probabilities in the first step at best, so a few tokens are tried before a run begins.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from redqueen.engines.decoding import MakeRows, make_rows
from redqueen.errors import ConfigError
from redqueen.models.attention import TOLERANCE
from redqueen.models.population_model import PopulationModel
from redqueen.rng import torch_rng
from redqueen.types import user

log = logging.getLogger(__name__)

_LENGTHS = (7, 3, 5, 5)
"""Tokens of the prompts. The first row leaves after one token, as rows do that have ended."""
_WRITTEN = 5
"""Enough for an engine to do its work once step by step, and then again and again."""
_PROMPT = "What is f(3)?\n\ndef f(a):\n    return a + 1"
_PROGRAM = "def f(A):\n    return A + [1, 2]\n\nprint(f([0]))"
_B_SCALE = 0.02
"""Of the adapter that is tried: standard deviation of B, as after some hundred steps."""


@contextmanager
def tried_adapter(model: PopulationModel, scale: float = _B_SCALE) -> Iterator[None]:
    """Inside the block the first slot holds an adapter that changes what the base says."""
    before = model.adapters.get(0)
    tried = {
        name: (a, torch.randn(b.shape, generator=torch_rng(0, "trial", name)).to(b) * scale)
        for name, (a, b) in before.items()
    }
    model.adapters.set(0, tried)
    try:
        yield
    finally:
        model.adapters.set(0, before)


def _texts(model: PopulationModel) -> list[tuple[int, ...]]:
    """Return ordinary tokens, others in each text: a prompt and what is written after it."""
    rng = torch_rng(0, "trial")
    special = {*model.base.eos_ids, *model.base.prefix_ids, model.tokenizer.pad_token_id}
    ids = [token for token in range(model.base.embeddings) if token not in special]
    texts = []
    for length in _LENGTHS:
        places = torch.randint(len(ids), (length + _WRITTEN,), generator=rng).tolist()
        texts.append((*model.base.prefix_ids, *(ids[place] for place in places)))
    return texts


def _alone(
    model: PopulationModel, slot: int | None, texts: Sequence[tuple[int, ...]]
) -> list[Tensor]:
    """Return the library's logits [T, V] of each text by itself."""
    logits = []
    for text in texts:
        with model.router.route([slot]):
            ids_BT = torch.tensor([text], device=model.device)
            logits.append(model.base.model(input_ids=ids_BT, use_cache=False).logits[0].float())
    return logits


def _written(
    model: PopulationModel,
    make: MakeRows,
    slots: Sequence[int | None],
    texts: Sequence[tuple[int, ...]],
) -> list[list[Tensor]]:
    """Return the logits [V] before each written token of every text, as an engine has them."""
    rows = make(model.base, slots, [text[:-_WRITTEN] for text in texts], _WRITTEN)
    logits_RV = rows.prefill(model.router)
    here = list(range(len(texts)))
    seen: list[list[Tensor]] = [[] for _ in texts]
    for step in range(_WRITTEN):
        for place, row in enumerate(here):
            seen[row].append(logits_RV[place].float().clone())
        if step == 1:
            here = here[1:]
            rows.keep(torch.arange(1, len(texts), device=model.device))
        if step + 1 < _WRITTEN:
            token_R = [texts[row][step - _WRITTEN] for row in here]
            with rows.route(model.router) as route:
                logits_RV = rows.decode(torch.tensor(token_R, device=model.device), route)
    return seen


def _error(found: Tensor, expected: Tensor, spread: Tensor) -> float:
    """Return the root mean square error in standard deviations of the logits."""
    return float((found.double() - expected.double()).square().mean().sqrt() / spread)


def _worst(model: PopulationModel, make: MakeRows) -> dict[str, float]:
    """Return the largest error of each thing that is tried."""
    texts = _texts(model)
    slots: list[int | None] = [0, 0, 0, None]
    adapted, plain = _alone(model, 0, texts), _alone(model, None, texts)
    expected = [*adapted[:3], plain[3]]
    if not all(bool(torch.isfinite(logits).all()) for logits in (*adapted, *plain)):
        return {"finite": float("inf")}
    spread = torch.cat(expected).double().std()
    if not 0 < float(spread) < float("inf"):
        return {"silent": float("inf")}
    shortened = _alone(model, None, [text[:-_WRITTEN] for text in texts])
    errors = {
        "causal": max(
            _error(short, full[: len(short)], spread)
            for short, full in zip(shortened, plain, strict=True)
        )
    }
    rows = _written(model, make, slots, texts)
    errors["write"] = max(
        _error(torch.stack(row), full[-_WRITTEN - 1 :][: len(row)], spread)
        for row, full in zip(rows, expected, strict=True)
    )
    logprobs_BT = model.score(
        slots, [text[:-_WRITTEN] for text in texts], [text[-_WRITTEN:] for text in texts]
    ).logprobs_BT
    score = []
    for row, (text, full) in enumerate(zip(texts, expected, strict=True)):
        token_T1 = torch.tensor(text[-_WRITTEN:], device=model.device)[:, None]
        alone_T = full[-_WRITTEN - 1 : -1].log_softmax(-1).gather(1, token_T1)[:, 0]
        score.append(_error(logprobs_BT[row], alone_T, spread))
    errors["score"] = max(score)
    return errors


_WRONG = {
    "finite": "gives logits that are not finite; its weights are damaged, or policy.dtype is too "
    "narrow for it",
    "silent": "gives the same logits to every token; its weights are damaged",
    "causal": "does not read from left to right: later tokens change what it says of earlier ones, "
    "so it is not a causal language model",
    "write": "does not give its own logits when texts are written side by side ({:.2g} standard "
    "deviations off); this kind of base is not supported",
    "score": "does not give its own log-probabilities when texts are scored together ({:.2g} "
    "standard deviations off); this kind of base is not supported",
}


@torch.no_grad()
def try_base(model: PopulationModel, make: MakeRows = make_rows) -> None:
    """Write and score a few tokens with and without an adapter, some rows leaving early.

    The adapters are afterwards what they were.

    Raises:
        ConfigError: the base fails, or its logits are not those of each text by itself.
    """
    where = f"policy.base = {model.config.base!r}"
    if _PROMPT not in model.render(user(_PROMPT)):
        raise ConfigError(f"{where}: its chat template leaves out what a user writes")
    ids = model.base.encode(_PROGRAM)
    if len(ids) == len(model.base.prefix_ids):
        raise ConfigError(
            f"{where}: its tokenizer makes no tokens of a text; its files are damaged"
        )
    text = model.base.decode(ids)
    if _PROGRAM not in text:
        log.warning(
            "%s: its tokenizer does not give back the text that it reads, but %r: letters, spaces "
            "or line ends of tasks and answers are lost",
            where, text[:80],
        )  # fmt: skip
    longest, context = len(model.base.prefix_ids) + max(_LENGTHS) + _WRITTEN, model.base.context
    if context is not None and context < longest:
        raise ConfigError(f"{where}: its context is of {context} tokens, too few to write anything")
    for name, parameter in model.base.model.named_parameters():
        # Also what the few tokens do not read, as the embeddings of all others.
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
            raise ConfigError(
                f"{where}: values of its weight {name} are not finite; its files are damaged, or "
                f"policy.dtype = {model.config.dtype!r} is too narrow for them"
            )
    try:
        with tried_adapter(model):
            errors = _worst(model, make)
    except ConfigError:
        raise
    except Exception as error:  # a model is code of somebody else
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(
            f"{where} cannot be used with many adapters: writing a few tokens fails with: {text}"
        ) from error
    for name, deviation in errors.items():
        if not deviation <= TOLERANCE:
            raise ConfigError(f"{where} {_WRONG[name].format(deviation)}")
