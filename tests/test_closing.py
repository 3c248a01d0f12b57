"""What closes itself at the end of a block."""

import pytest

from redqueen.closing import Closing


class Held(Closing):
    """Counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_block_closes_once_at_its_end() -> None:
    held = Held()
    with held as inside:
        assert inside is held
        assert held.closed == 0
    assert held.closed == 1


def test_an_error_in_the_block_closes_and_goes_on() -> None:
    held = Held()
    with pytest.raises(KeyError, match="mine"), held:
        raise KeyError("mine")
    assert held.closed == 1


def test_a_class_without_close_says_so() -> None:
    with pytest.raises(NotImplementedError), Closing():
        pass
