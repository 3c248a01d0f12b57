"""Learning on a base: speed against its matrix products alone, and memory above the weights.

    python -m bench.learning_speed build/bases/qwen-coder --tokens 8192

The products are timed in turns with learning, in this process, over the base's own shapes: 4 FLOPs
a parameter and token, the head included (forward, and back to the activations; the base is
frozen).
"""

import argparse
import time
from pathlib import Path

import torch

from redqueen.config.policy import PolicyConfig
from redqueen.engines.cpu.model import accelerated
from redqueen.models.footprint import measure_learning, settle
from redqueen.models.population_model import PopulationModel

ROWS = 512
"""Of the products that are timed."""


def status(name: str) -> float:
    """Return a field of this process's status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def shapes_of(model: PopulationModel) -> list[tuple[int, int]]:
    """Return [out, in] of every product of a forward pass."""
    head = model.base.head.output.weight_VD
    assert head is not None
    linear = [(shape.outputs, shape.inputs) for shape in model.adapters.layers.values()]
    return [*linear, (head.shape[0], head.shape[1])]


def peak_rate(model: PopulationModel) -> float:
    """Return FLOP/s of the products, forward and back, each shape once."""
    spent, flops = 0.0, 0
    for outputs, inputs in sorted(set(shapes_of(model))):
        weight = torch.randn(outputs, inputs).to(model.base.dtype)
        x, slope = torch.randn(ROWS, inputs).to(weight), torch.randn(ROWS, outputs).to(weight)
        x @ weight.t(), slope @ weight
        begun = time.perf_counter()
        x @ weight.t(), slope @ weight
        count = shapes_of(model).count((outputs, inputs))
        spent += count * (time.perf_counter() - begun)
        flops += count * 4 * ROWS * outputs * inputs
    return flops / spent


def learn(model: PopulationModel, tokens: int, prompt: int, length: int) -> tuple[int, float]:
    """Return tokens and seconds of learning from texts of this length, 4 to a prompt."""
    count = max(1, tokens // (length + prompt // 4))
    g = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, (count, prompt + length), generator=g).tolist()
    prompts = [ids[i - i % 4][:prompt] for i in range(count)]
    texts = [row[prompt:] for row in ids]
    slots = [i // 4 % model.adapters.slots for i in range(count)]
    slots.sort()
    begun = time.perf_counter()
    for batch in model.micro_batches(slots, prompts, texts):
        scores = model.score(
            [slots[i] for i in batch], [prompts[i] for i in batch], [texts[i] for i in batch]
        )
        torch.autograd.backward(scores.logprobs_BT.sum())
    return count * (length + prompt // 4), time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--length", type=int, default=192)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--learn-tokens", default="auto")
    parser.add_argument("--checkpointing", action="store_true")
    args = parser.parse_args()
    tokens = args.learn_tokens if args.learn_tokens == "auto" else int(args.learn_tokens)
    config = PolicyConfig(
        base=args.base, learn_tokens=tokens, device="cpu", gradient_checkpointing=args.checkpointing
    )
    model = PopulationModel.load(config, args.slots, 0)
    if torch.get_num_threads() == 1:
        model.base = accelerated(model.base)
    begun = time.perf_counter()
    memory = measure_learning(model)
    print(f"measured in {time.perf_counter() - begun:.1f} s: {memory.token / 1e6:.2f} MB a token, "
          f"{memory.fixed / 1e6:.0f} MB besides")  # fmt: skip
    settle(model, args.prompt + args.length)
    print(f"learn_tokens = {model.config.learn_tokens}")
    learn(model, 512, args.prompt, args.length)
    before = status("VmRSS")
    for _ in range(args.rounds):
        rate = peak_rate(model)
        reset_peak()
        count, seconds = learn(model, args.tokens, args.prompt, args.length)
        share = 4 * sum(o * i for o, i in shapes_of(model)) * count / seconds / rate
        print(f"{count} tokens in {seconds:.1f} s, {count / seconds:.0f} tokens/s; products alone "
              f"{rate / 1e9:.0f} GFLOP/s, learning {share:.0%} of it; peak "
              f"{status('VmHWM') - before:.0f} MiB above {before:.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
