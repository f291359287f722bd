"""The FLM training steps of bench/webgpu/flm-step.ts, eager and compiled, in the precisions that PyTorch offers. Consumed by peers.py."""

import gc
import math
import time
from dataclasses import dataclass

import torch

from .flm import SIZES, Flm, Training
from .kernels import tf32
from .report import Report, say, summary

# Batches of the small model, tried until one fits in memory.
SMALL_BATCHES = [32, 8, 2, 1]

# Seconds that are kept for a step that must first be compiled.
COMPILING = {"small": 30, "default": 12, "quick": 10, "tiny": 1}


@dataclass(frozen=True)
class Variant:
    """How a step is computed: "f32", "tf32" or "bf16 autocast"; "eager" or a mode of torch.compile."""

    precision: str
    mode: str

    def __str__(self) -> str:
        how = {"f32": "f32", "tf32": "f32 with TF32"}.get(self.precision, self.precision)
        compiled = "compiled" if self.mode == "default" else f"compiled {self.mode}"
        return f"{how}, {'eager' if self.mode == 'eager' else compiled}"


def steps(report: Report, device: str, *, tiny: bool, batches: list[int] | None, also: list[str]) -> None:
    """All steps, the ones to set beside Fluxion's first."""
    names = ["tiny"] if tiny else ["small", "default", "quick"]
    more = ("tf32", "bf16 autocast")
    # What compiles for long comes last.
    rounds = [
        [Variant("f32", "eager"), Variant("f32", "default")],
        [Variant(precision, "eager") for precision in more],
        [Variant(precision, "default") for precision in more],
        *([Variant(precision, mode) for precision in ("f32", *more)] for mode in also),
    ]
    for variants in rounds:
        for name in names:
            tried = [SIZES["steps"][name]["batch"]]
            if name == "small" or batches:
                tried = batches or SMALL_BATCHES
            for variant in variants:
                step_that_fits(report, device, name, tried, variant)


def step_that_fits(report: Report, device: str, name: str, batches: list[int], variant: Variant) -> None:
    """The step at the first batch that memory has room for."""
    for i, batch in enumerate(batches):
        title = f"flm {name}, batch {batch}, {variant}"
        full = False

        def work():
            nonlocal full
            try:
                step(report, device, title, name, batch, variant)
            except torch.OutOfMemoryError as error:
                full = i < len(batches) - 1
                if not full:
                    raise
                report.leave_out(f"{title}: {str(error).splitlines()[0]}")
            finally:
                release(device)

        report.part(title, work, 3 if variant.mode == "eager" else COMPILING[name])
        if not full:
            return


def release(device: str) -> None:
    """Gives memory back, and forgets what was compiled."""
    torch.compiler.reset()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def step(report: Report, device: str, title: str, name: str, batch: int, variant: Variant) -> None:
    sizes = {key: value for key, value in SIZES["steps"][name].items() if key not in ("batch", "parameters")}
    vocab, length, width = sizes["vocab"], sizes["length"], sizes["width"]
    autocast = torch.bfloat16 if variant.precision == "bf16 autocast" else None
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    torch.manual_seed(1)
    training = Training(Flm(**sizes).to(device))
    parameters = sum(p.numel() for p in training.parameters)
    if parameters != SIZES["steps"][name]["parameters"]:
        raise ValueError(f"{title} has {parameters} parameters, and Fluxion's {SIZES['steps'][name]['parameters']}")
    if variant.mode != "eager":
        training.loss = torch.compile(training.network, mode=variant.mode)

    # As `rowsOf` of flm-step.ts has them. Noise is drawn in every step, and is the same in all, as from a key.
    tokens = (7 * torch.arange(batch * length, device=device) % vocab).view(batch, length)
    half = torch.full((batch,), 0.5, device=device)
    normals = torch.empty(batch, length, vocab if vocab <= width else width, device=device)
    generator = torch.Generator(device)

    def once() -> float:
        normals.normal_(generator=generator.manual_seed(2))
        loss, _ = training.step(tokens, normals, half, half, autocast)
        return loss.item()

    with tf32(variant.precision == "tf32"):
        start = time.perf_counter()
        losses = [once()]
        first = time.perf_counter() - start
        losses += [once() for _ in range(4)]
        if not abs(losses[0] / math.log(vocab) - 1) < 1e-4:
            raise ValueError(f"The first loss of {title} is {losses[0]}, and ln({vocab}) is {math.log(vocab)}.")
        if not losses[-1] < losses[0]:
            raise ValueError(f"The loss of {title} does not fall: {losses}.")
        times: list[float] = []
        last = losses[-1]
        until = time.perf_counter() + min(1, max(0.3, report.left / 4))
        while len(times) < 5 or (time.perf_counter() < until and len(times) < 300):
            start = time.perf_counter()
            last = once()
            times.append(1000 * (time.perf_counter() - start))
    found = summary(times)
    rate = 1000 * batch * length / found["ms"]
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else None
    entry = {
        "name": f"flm {name}",
        "batch": batch,
        **sizes,
        "precision": variant.precision,
        "mode": variant.mode,
        "parameters": parameters,
        **found,
        "tokensPerSecond": rate,
        "peakBytes": peak,
        "firstStepSeconds": first,
        "losses": losses,
        "lastLoss": last if math.isfinite(last) else None,
    }
    memory = "" if peak is None else f"  {peak / 2**30:6.2f} GiB"
    line = f"{title:<52} {found['ms']:9.3f} ms {rate:10.0f} tokens/s{memory}  first step {first:.1f} s"
    report.add("steps", entry, line)
    say(f"  {parameters} parameters, as Fluxion's; losses {', '.join(f'{loss:.4f}' for loss in losses)}")
