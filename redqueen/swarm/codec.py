"""Texts of other nodes in the tokens of this node's base."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from redqueen.types import Messages

if TYPE_CHECKING:
    from redqueen.models.population_model import PopulationModel


class ModelCodec:
    """See `redqueen.swarm.samples.Codec`."""

    def __init__(self, model: "PopulationModel", limit: int) -> None:
        """`limit` is that of this node's own attempts, in tokens."""
        self._model, self._limit = model, limit
        self._special = frozenset(model.tokenizer.all_special_ids) | model.base.eos_ids
        usual = model.tokenizer.eos_token_id
        ends = model.base.eos_ids
        self._end = (usual,) if usual in ends else tuple(sorted(ends)[:1])

    def prompt(self, messages: Messages) -> tuple[int, ...]:
        """Return the tokens of a conversation, ready to be continued."""
        return self._model.encode(messages)

    def answer(self, text: str, finished: bool) -> tuple[int, ...] | None:
        """Return the tokens of a continuation; None if it holds special tokens."""
        ids = tuple(self._model.tokenizer(text, add_special_tokens=False)["input_ids"])
        if self._special.intersection(ids):
            return None
        return (*ids, *self._end) if finished else ids

    def fits(self, messages: Messages, texts: Sequence[str]) -> bool:
        """Return whether members could have written these texts: within the limit of tokens, the
        base's context and its vocabulary."""
        answers = [self.answer(text, finished=True) for text in texts]
        if any(
            ids is None or max(ids, default=0) >= self._model.base.embeddings for ids in answers
        ):
            return False
        longest = max(len(ids or ()) for ids in answers)
        context = self._model.base.context
        room = context is None or len(self.prompt(messages)) + longest <= context
        return room and longest <= self._limit + len(self._end)
