"""A whole run of an environment with a scripted engine, up to what verifies it."""

from pathlib import Path

from redqueen import build
from redqueen.benchmarks import measure, subjects_of, tasks_of_suite
from redqueen.config import Config
from redqueen.open_run import open_run
from redqueen.store import EvaluationStore
from redqueen.verify import verify_run
from tests.small_models import save_untrained_base


def with_untrained_base(config: Config, base: Path) -> Config:
    """The config with a small base in the seedling's place: its texts are those of a script."""
    save_untrained_base(base, redqueen_dialect="seedling", max_position_embeddings=4096)
    policy = config.policy.model_copy(update={"base": str(base)})
    return config.model_copy(update={"policy": policy})


def train_in_two_parts(config: Config, folder: Path) -> Path:
    """Train two steps, stopped and resumed between them; the same bytes as a run of one piece."""
    if config.policy.base == "seedling":
        config = with_untrained_base(config, folder / "base")
    run, whole = folder / "run", folder / "whole"
    with build.start(config, run) as trainer:
        assert not trainer.run(should_stop=lambda: trainer.step == 1)
    with build.resume(run) as trainer:
        assert trainer.run()
    with build.start(config, whole) as trainer:
        assert trainer.run()
    for part in ("adapters", "optimizer"):
        file = f"checkpoints/step-000002/{part}.safetensors"
        assert (run / file).read_bytes() == (whole / file).read_bytes()
    return run


def measure_and_verify(run: Path) -> None:
    """Measure the members on four held-out tasks; every row of the run is as it says."""
    opened = open_run(run)
    with (
        build.open_environments(opened.config) as environments,
        build.open_engine(opened.config, opened.model) as engine,
        EvaluationStore.open(run) as store,
    ):
        engine.sync(range(4), opened.model.adapters, opened.step)
        tasks = tasks_of_suite(environments, "held-out", 4, opened.config.eval.seed)
        measure(
            store, engine, environments, "held-out", tasks, subjects_of(opened.population),
            step=opened.step, samples=1, max_new_tokens=16, seed=1,
        )  # fmt: skip
        verified = verify_run(opened, environments, None, lambda done, total: None)
    assert verified.agrees, verified
