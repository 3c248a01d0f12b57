"""The growing cache against the library's own."""

import torch
from transformers import MistralConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from redqueen.models.cache import GROWTH, GrowingLayer, new_cache


def test_growing_layer_equals_the_dynamic_one() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = GrowingLayer(), DynamicLayer()
    rows = 4
    for step, tokens in enumerate([7, *[1] * (2 * GROWTH + 5), 3]):
        key = torch.randn(rows, 2, tokens, 8, generator=generator)
        value = torch.randn(rows, 2, tokens, 8, generator=generator)
        for one, other in zip(ours.update(key, value), theirs.update(key, value), strict=True):
            assert torch.equal(one, other)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1) == theirs.get_mask_sizes(1)
        if step in (20, GROWTH + 30):
            keep = torch.tensor([0, 2, 2, 3, 1] if step == 20 else [3, 1])
            for layer in (ours, theirs):
                layer.batch_select_indices(keep)
            rows = len(keep)
            assert torch.equal(ours.keys, theirs.keys)
            assert torch.equal(ours.values, theirs.values)


def test_growing_does_not_copy_at_every_token() -> None:
    layer = GrowingLayer()
    places = set()
    for _ in range(GROWTH):
        layer.update(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
        places.add(layer.keys.data_ptr())
    assert len(places) == 1


def test_states_are_kept_in_the_wanted_type() -> None:
    layer = GrowingLayer(torch.float32)
    states = torch.full((1, 1, 2, 4), 0.5, dtype=torch.bfloat16)
    for kept in layer.update(states, states):
        assert kept.dtype == torch.float32
        assert torch.equal(kept, states.float())


def test_sliding_layers_stay_the_library_s() -> None:
    config = MistralConfig(num_hidden_layers=2, sliding_window=16)
    assert {type(layer) for layer in new_cache(config).layers} == {DynamicSlidingWindowLayer}
    config = MistralConfig(num_hidden_layers=2, sliding_window=None)
    assert {type(layer) for layer in new_cache(config).layers} == {GrowingLayer}
