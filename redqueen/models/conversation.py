"""Conversations as a base reads them: its chat template, and contents that spell control tokens."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from redqueen.errors import ConfigError
from redqueen.types import Message, Messages

TAGS = frozenset({"<answer>", "</answer>", "<think>", "</think>"})
"""Special tokens of some bases that prompts ask for: they mean the same where they are spelt."""
_PROBE = (
    Message("user", "What is the value of f(3)?"),
    Message("assistant", "It is 7."),
    Message("user", "And what is f([1, 'two'])?"),
)
PATIENCE = 10.0
"""Seconds that a template may take for the first short conversation, which takes milliseconds."""
_LONGEST = 1_000_000
"""Characters that a short conversation may become: tokenising more takes minutes."""
_Result = TypeVar("_Result")


class Conversations:
    """Renders and encodes conversations for one tokenizer.

    A tokenizer without a chat template gets the contents as they are, one after the other.
    """

    def __init__(self, tokenizer: Any, where: str, patience: float = PATIENCE) -> None:
        """Find out how the tokenizer's chat template takes contents; `where` names the base.

        Raises:
            ConfigError: it refuses a conversation, does not end within `patience` seconds, or
                what it makes of one does not hold its text.
        """
        self._tokenizer, self._where, self._patience = tokenizer, where, patience
        special = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        self._control = tuple(sorted(set(special) - TAGS, key=len, reverse=True))
        self._parts = False
        if not getattr(tokenizer, "chat_template", None):
            return
        problem = self._problem()
        if problem:
            # Templates of models that take pictures want contents in parts.
            self._parts = True
            if self._problem():
                raise ConfigError(f"{where}: its chat template cannot be used: {problem}")

    def _problem(self) -> str:
        """Return what is wrong with what the template makes of a short conversation, or "".

        Raises:
            ConfigError: it does not end.
        """
        try:
            text = _within(self._patience, lambda: self.render(_PROBE))
        except ConfigError as error:
            return str(error.__cause__ or error)
        except TimeoutError:
            raise ConfigError(
                f"{self._where}: its chat template has not ended after {self._patience:g} seconds"
            ) from None
        if len(text) > _LONGEST:
            return f"it makes {len(text):,} characters of a short conversation"
        place = 0
        for message in _PROBE:
            at = text.find(message.content, place)
            if at < 0:
                return f"it loses the text of a turn ({message.content!r})"
            place = at + len(message.content)
        return ""

    def render(self, messages: Messages) -> str:
        """Return the text that a conversation is for the base, ready to be continued.

        Raises:
            ConfigError: the chat template does not take the conversation.
        """
        if not getattr(self._tokenizer, "chat_template", None):
            return "".join(message.content for message in messages)
        turns: list[dict[str, Any]] = []
        for message in messages:
            part = [{"type": "text", "text": message.content}]
            content: Any = part if self._parts else message.content
            turns.append({"role": message.role, "content": content})
        try:
            text = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # a template is code that came with the base
            roles = ", ".join(message.role for message in messages)
            raise ConfigError(
                f"{self._where}: its chat template does not take a conversation of the roles "
                f"{roles}: {error}"
            ) from error
        return str(text)

    def encode(
        self, messages: Messages, encode: Callable[[str], tuple[int, ...]]
    ) -> tuple[int, ...]:
        """Return the tokens of a conversation; `encode` is the base's, which reads control tokens.

        A control token that a content spells is no control token: it is encoded as the characters
        that it is written with.

        Raises:
            ConfigError: as `render` and `encode`.
        """
        contents = [message.content for message in messages]
        spelt = [token for token in self._control if any(token in text for text in contents)]
        if not spelt:
            return encode(self.render(messages))
        # Each stands as a mark until the rest has been rendered and encoded.
        marks = {token: _mark(number, contents) for number, token in enumerate(spelt)}
        marked = []
        for message in messages:
            content = message.content
            for token, mark in marks.items():
                content = content.replace(token, mark)
            marked.append(Message(message.role, content))
        pieces = _split(self.render(tuple(marked)), marks)
        text, token = next(pieces)
        ids = encode(text) + self._plain(token, split=True)
        for text, token in pieces:
            ids += self._plain(text, split=False) + self._plain(token, split=True)
        return ids

    def _plain(self, text: str, *, split: bool) -> tuple[int, ...]:
        """Return the tokens of a text in the midst; `split`: it has no control tokens."""
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=split)
        return tuple(encoded["input_ids"])


def _within(seconds: float, call: Callable[[], _Result]) -> _Result:
    """Return what `call` returns.

    Raises:
        TimeoutError: it takes longer; its thread ends with the process.
    """
    ended: queue.SimpleQueue[tuple[_Result | None, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            ended.put((call(), None))
        except Exception as error:  # raised again where it is waited for
            ended.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = ended.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return cast(_Result, result)


def _mark(number: int, contents: list[str]) -> str:
    """Return a text that none of the contents holds, in characters of private use."""
    mark = chr(0xE000 + number)
    while any(mark in text for text in contents):
        mark += chr(0xE000 + number)
    return mark + chr(0xF8FF)


def _split(text: str, marks: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a text, each with the token whose mark follows it; "" after the last."""
    while True:
        places = {text.find(mark): token for token, mark in marks.items() if mark in text}
        if not places:
            yield text, ""
            return
        first = min(places)
        token = places[first]
        yield text[:first], token
        text = text[first + len(marks[token]) :]
