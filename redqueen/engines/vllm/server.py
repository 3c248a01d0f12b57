"""vLLM in this process. The only file that imports it, once its environment is set."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

import torch
from torch import Tensor
from vllm import EngineArgs, LLMEngine, SamplingParams
from vllm.config.lora import MaxLoRARanks
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, process_dict_updates

from redqueen.engines.generation import Draws
from redqueen.engines.vllm.engine import Job, Written
from redqueen.engines.vllm.files import AdapterFile, round_rank
from redqueen.errors import ConfigError
from redqueen.models.population_model import PopulationModel

GIB = 2**30


class DrawTokens(LogitsProcessor):  # type: ignore[misc]
    """Draws every row's token by the call's `Draws`, and leaves vLLM's sampler no choice.

    A row's logits become minus infinity but for its token, whose logit is its log-probability:
    greedy sampling takes that token, and `processed_logits` reports that number.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._device = device
        self._rows: dict[int, tuple[Draws, int, Sequence[int]]] = {}
        """Draws, row in them and tokens so far, by place in the batch."""

    def is_argmax_invariant(self) -> bool:
        """Say that greedy sampling must pass through here."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the rows that come, go and move."""
        process_dict_updates(
            self._rows,
            batch_update,
            lambda params, _, tokens: (*params.extra_args["draws"], tokens),
        )

    def apply(self, logits: Tensor) -> Tensor:
        """Return logits [R, V] that hold one token a row."""
        rows = [self._rows[place] for place in range(len(logits))]
        draws = rows[0][0]
        token_R, logprob_R = draws(
            logits,
            torch.tensor([row for _, row, _ in rows], device=self._device),
            torch.tensor([len(tokens) for _, _, tokens in rows], device=self._device),
        )
        left_RV = torch.full_like(logits, -torch.inf)
        return left_RV.scatter_(1, token_R[:, None], logprob_R[:, None].to(logits.dtype))


def _adaptable(model: Any) -> set[str]:
    """Return the last parts of the names of the layers that vLLM can adapt, as transformers has
    them."""
    manager = model.lora_manager
    packed = manager.packed_modules_mapping
    return {part for name in manager.supported_lora_modules for part in packed.get(name, [name])}


class LocalServer:
    """A vLLM engine in this process; see `Server`."""

    def __init__(self, engine: LLMEngine, stop_ids: Sequence[int]) -> None:
        self._engine = engine
        self._stop_ids = list(stop_ids)
        self.device = torch.device(engine.vllm_config.device_config.device)

    def refused(self, layers: Sequence[str]) -> list[str]:
        """Return the kinds of layers that vLLM cannot adapt."""
        [adaptable] = self._engine.apply_model(_adaptable)
        return sorted({name.rsplit(".", 1)[-1] for name in layers} - adaptable)

    def load(self, adapter: AdapterFile) -> None:
        """Read an adapter."""
        self._engine.add_lora(_request(adapter))

    def drop(self, adapter: AdapterFile) -> None:
        """Forget an adapter."""
        self._engine.remove_lora(adapter.id)

    def write(self, jobs: Sequence[Job], draws: Draws) -> Iterator[Written]:
        """Yield texts as they end."""
        engine = self._engine
        waiting = set()
        try:
            prompts = [TokensPrompt(prompt_token_ids=list(job.prompt_ids)) for job in jobs]
            for job, prompt in zip(jobs, engine.renderer.render_cmpl(prompts), strict=True):
                waiting.add(
                    engine.add_request(
                        str(job.number),
                        prompt,
                        self._params(job, draws),
                        lora_request=None if job.adapter is None else _request(job.adapter),
                    )
                )
            while engine.has_unfinished_requests():
                for output in engine.step():
                    [text] = output.outputs
                    yield Written(
                        int(output.request_id),
                        tuple(text.token_ids),
                        tuple(
                            place[token].logprob
                            for place, token in zip(text.logprobs, text.token_ids, strict=True)
                        ),
                    )
        finally:
            # Something else went wrong, and the next call must not find these texts.
            if engine.has_unfinished_requests():
                engine.abort_request(list(waiting), internal=True)

    def _params(self, job: Job, draws: Draws) -> SamplingParams:
        return SamplingParams(
            temperature=0.0,
            max_tokens=job.limit,
            stop_token_ids=self._stop_ids,
            ignore_eos=True,
            logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            extra_args={"draws": (draws, job.number)},
            skip_clone=True,
        )

    def close(self) -> None:
        """Free memory, so that another engine can start."""
        self._engine.engine_core.shutdown()
        cleanup_dist_env_and_memory()


def _request(adapter: AdapterFile) -> LoRARequest:
    return LoRARequest(adapter.name, adapter.id, str(adapter.path))


def start(
    model: PopulationModel, base: str, rows: int, memory: float, adapters: int, eager: bool
) -> LocalServer:
    """Start vLLM on the base, a directory or hub id, with room for `adapters` in a batch.

    Raises:
        ConfigError: vLLM does not take base, targets or settings.
    """
    config, slots = model.config, model.adapters.slots
    arguments = EngineArgs(
        model=base,
        revision=config.revision or None,
        trust_remote_code=config.trust_remote_code,
        load_format="safetensors",
        generation_config="vllm",
        skip_tokenizer_init=True,
        use_tqdm_on_load=False,
        dtype=config.dtype,
        max_model_len=model.base.context,
        max_num_seqs=rows,
        kv_cache_memory_bytes=int(memory * GIB),
        gpu_memory_utilization=0.01,  # not looked at where the cache's size is given
        enable_prefix_caching=True,
        enable_lora=True,
        max_loras=adapters,
        max_cpu_loras=slots + 1,
        max_lora_rank=round_rank(config.rank, get_args(MaxLoRARanks)),
        enforce_eager=eager,
        async_scheduling=False,
        logits_processors=[DrawTokens],
        logprobs_mode="processed_logits",
        disable_log_stats=True,
    )
    try:
        server = LocalServer(LLMEngine.from_engine_args(arguments), sorted(model.base.eos_ids))
    except Exception as error:  # of vLLM, of any kind
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise ConfigError(
            f"engine.type = 'vllm' does not start with policy.base = {config.base!r}: {text}"
        ) from error
    if refused := server.refused(list(model.adapters.layers)):
        server.close()
        raise ConfigError(
            f"policy.targets: vLLM cannot adapt {', '.join(refused)} of this base; leave them out "
            f"({', '.join('-' + name for name in refused)}), or set engine.type = 'torch'"
        )
    return server
