"""Families of verifiable tasks, one file each behind the `Domain` protocol."""

from collections.abc import Callable
from typing import Any

from redqueen.config import Config
from redqueen.domains.archive import Archive
from redqueen.domains.base import Attempt, Domain, Draft, Form, Judgement
from redqueen.domains.code import CodeDomain
from redqueen.domains.code_instruct import INSTRUCT
from redqueen.domains.code_prompts import COMPACT
from redqueen.domains.copies import CopyIndex
from redqueen.domains.references import REFERENCES
from redqueen.domains.traced_prompts import TRACED
from redqueen.sandbox import Sandbox

__all__ = [
    "DOMAINS",
    "REFERENCES",
    "Archive",
    "Attempt",
    "CopyIndex",
    "Domain",
    "Draft",
    "Form",
    "Judgement",
    "build_domain",
]


def _chat_wrapper(tokenizer: Any) -> Callable[[str], str]:
    """Put a prompt through the tokenizer's chat template, if it has one."""
    if not getattr(tokenizer, "chat_template", None):
        return lambda prompt: prompt

    def wrap(prompt: str) -> str:
        turn = [{"role": "user", "content": prompt}]
        return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))

    return wrap


def _code(config: Config, sandbox: Sandbox, tokenizer: Any) -> Domain:
    style = config.domain.style
    if style == "auto":
        style = "compact" if config.policy.base == "seedling" else "instruct"
    spoken = {"compact": COMPACT, "traced": TRACED, "instruct": INSTRUCT}[style]
    return CodeDomain(config.domain, sandbox, spoken, _chat_wrapper(tokenizer))


DOMAINS: dict[str, Callable[[Config, Sandbox, Any], Domain]] = {"code": _code}
"""Domain name -> maker from (config, sandbox, tokenizer)."""


def build_domain(config: Config, sandbox: Sandbox, tokenizer: Any) -> Domain:
    """The domain that the configuration names, in the style that its base speaks."""
    return DOMAINS[config.domain.name](config, sandbox, tokenizer)
