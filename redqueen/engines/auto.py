"""Shim."""

from dataclasses import replace

from redqueen.engines.base import EngineConfig, ignore


class ShimEngine:
    def __init__(self, model, rows, workers):
        self.model, self.version = model, 0
        model.rows, model.workers = rows, workers
        if workers != 1:
            model.start_workers()
        self.scorer = model

    def generate(self, requests, sampling, on_finished=ignore):
        def stamp(texts):
            on_finished({n: replace(t, version=self.version) for n, t in texts.items()})

        made = self.model.generate(
            requests,
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            on_written=stamp,
        )
        return [replace(t, version=self.version) for t in made]

    def sync(self, slots, adapters, version):
        self.version = version

    def close(self):
        self.model.close()


class Auto(EngineConfig):
    rows: int = 256
    """."""
    workers: int = 0
    """."""

    def build(self, model):
        return ShimEngine(model, self.rows, self.workers)


class Torch(Auto):
    workers: int = 1
    """."""
