"""Families of verifiable tasks, one package or file each behind `redqueen.environments.base`."""

from collections.abc import Callable
from typing import Any

from redqueen.config import Config
from redqueen.environments.base import Domain
from redqueen.environments.code.environment import CodeDomain
from redqueen.environments.code.instruct import INSTRUCT
from redqueen.environments.code.styles import COMPACT
from redqueen.sandbox import Sandbox

__all__ = ["DOMAINS", "build_domain"]


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
    spoken = COMPACT if style == "compact" else INSTRUCT
    return CodeDomain(config.domain, sandbox, spoken, _chat_wrapper(tokenizer))


DOMAINS: dict[str, Callable[[Config, Sandbox, Any], Domain]] = {"code": _code}
"""Domain name -> maker from (config, sandbox, tokenizer)."""


def build_domain(config: Config, sandbox: Sandbox, tokenizer: Any) -> Domain:
    """The domain that the configuration names, in the style that its base speaks."""
    return DOMAINS[config.domain.name](config, sandbox, tokenizer)
