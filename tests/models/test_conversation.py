"""Chat templates that do not end."""

import pytest
from transformers import AutoTokenizer

from redqueen.errors import ConfigError
from redqueen.models.conversation import Conversations


def test_a_template_that_does_not_end_is_not_waited_for(model_dirs) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_dirs["llama"])
    turns = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer.chat_template = turns
    Conversations(tokenizer, "base")
    # It takes seconds, so that the thread that is left behind ends too.
    slow = "{% for i in range(99999) %}{% for j in range(40) %}{% endfor %}{% endfor %}"
    tokenizer.chat_template = turns + slow
    with pytest.raises(ConfigError, match=r"base: its chat template has not ended after 0\.05 sec"):
        Conversations(tokenizer, "base", patience=0.05)


def test_a_template_that_makes_far_too_much_is_not_tokenised(model_dirs) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_dirs["llama"])
    turns = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer.chat_template = "{{ 'a' * 2000000 }}" + turns
    with pytest.raises(ConfigError, match=r"it makes 2,0\d\d,\d\d\d characters"):
        Conversations(tokenizer, "base")
