"""Kept files: what was read of runs comes back from them."""

from pathlib import Path

import numpy as np
import pytest
from made_up import made_up_runs, made_up_study

from redqueen.compare import plan
from redqueen.errors import ConfigError
from studies.data import KEPT, StudyData, keep, load_data


def test_what_is_kept_is_what_was_read(tmp_path: Path) -> None:
    study = made_up_study(seeds=[0, 1])
    runs = sorted(made_up_runs(study), key=lambda run: (run.entry, run.seed))
    data = StudyData(study, plan(study).work, tuple(runs))
    keep(data, tmp_path / KEPT, {"greedy": 1, "sampled": study.evaluation.samples})
    again = load_data(tmp_path)
    assert again.study == study
    assert again.work == data.work
    assert len(again.runs) == len(runs)
    for one, two in zip(runs, again.runs, strict=True):
        assert (one.entry, one.seed, one.steps) == (two.entry, two.seed, two.steps)
        assert one.kinds == two.kinds
        for key, answers in one.answers.items():
            np.testing.assert_array_equal(answers.rates_MT, two.answers[key].rates_MT)
            assert answers.base_T is not None
            assert two.answers[key].base_T is not None
            np.testing.assert_array_equal(answers.base_T, two.answers[key].base_T)
            np.testing.assert_array_equal(answers.kinds_T, two.answers[key].kinds_T)
            assert answers.members == two.answers[key].members
    with pytest.raises(ConfigError, match="is there already"):
        keep(data, tmp_path / KEPT, {"greedy": 1, "sampled": 8})


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEPT).write_text("no database at all, but text")
    with pytest.raises(ConfigError, match="does not keep a study"):
        load_data(tmp_path)
