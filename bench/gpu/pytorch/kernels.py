"""Square products by cuBLAS, and attention, at the sizes of bench/gpu/run-hardware.ts. Consumed by peers.py."""

import math
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from .report import Report, timed

DTYPES = {"f32": torch.float32, "f16": torch.float16}


@contextmanager
def tf32(allowed: bool):
    """Products of f32 on tensor cores with 10 bits of mantissa, or in f32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def check(what: str, found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> float:
    """How far values are from those in doubles, over the largest of these. Raises ValueError when that is too far."""
    difference = ((found.double() - expected).abs().max() / expected.abs().max()).item()
    if not difference <= tolerance:
        raise ValueError(f"{what} differs from doubles by {difference:.2e}, and may by {tolerance:.1e}")
    return difference


def matmuls(report: Report, device: str, tiny: bool) -> None:
    kinds = [("f32", False), ("f16", False), ("f32", True)]
    for dtype, allowed in kinds:
        for size in [64] if tiny else [512, 1024, 2048, 4096]:
            name = f"matmul {size} {'f32 with TF32' if allowed else dtype}"
            report.part(name, lambda: matmul(report, device, name, size, dtype, allowed))


def matmul(report: Report, device: str, name: str, size: int, dtype: str, allowed: bool) -> None:
    a, b = (torch.randn(size, size, device=device).to(DTYPES[dtype]) for _ in range(2))
    out = torch.empty_like(a)
    with tf32(allowed):
        times = timed(lambda: torch.mm(a, b, out=out), device)
    rows = [0, size // 3, size - 1]
    tolerance = 4e-3 if allowed or dtype == "f16" else 4e-6 * math.sqrt(size)
    difference = check(name, out[rows], a[rows].double() @ b.double(), tolerance)
    gflops = 2 * size**3 / times["ms"] / 1e6
    entry = {"name": name, **times, "gflops": gflops, "difference": difference}
    report.add("matmul", entry, f"{name:<28} {times['ms']:9.4f} ms {gflops:10.0f} GFLOP/s  difference {difference:.1e}")


def attentions(report: Report, device: str, tiny: bool) -> None:
    shape = (1, 2, 9, 8) if tiny else (4, 12, 1024, 64)
    for dtype in DTYPES:
        for backward in (False, True):
            name = f"attention {dtype} {'forward and backward' if backward else 'forward'}"
            report.part(name, lambda: attention(report, device, name, shape, dtype, backward))


def attention(report: Report, device: str, name: str, shape: tuple[int, ...], dtype: str, backward: bool) -> None:
    """`scaled_dot_product_attention` by whatever kernel it chooses. Backward from a given cotangent."""
    batch, heads, length, depth = shape
    q, k, v, cotangent = (torch.randn(shape, device=device).to(DTYPES[dtype]) for _ in range(4))
    inputs = [x.requires_grad_(backward) for x in (q, k, v)]

    def run():
        attended = F.scaled_dot_product_attention(q, k, v)
        return (attended, *torch.autograd.grad(attended, inputs, cotangent)) if backward else (attended,)

    with tf32(False):
        times = timed(run, device)
        found = [x[0, 0] for x in run()]
    exact = [x[0, 0].detach().double().requires_grad_() for x in (q, k, v)]
    attended = (exact[0] @ exact[1].mT / math.sqrt(depth)).softmax(-1) @ exact[2]
    expected = [attended, *torch.autograd.grad(attended, exact, cotangent[0, 0].double())]
    tolerance = 2e-4 if dtype == "f32" else 1e-2
    difference = max(check(name, x.detach(), y.detach(), tolerance) for x, y in zip(found, expected))
    products = 7 if backward else 2  # two forward; five more, the scores once again among them
    gflops = 2 * products * batch * heads * length**2 * depth / times["ms"] / 1e6
    entry = {"name": name, "shape": shape, **times, "gflops": gflops, "difference": difference}
    line = f"{name:<38} {times['ms']:9.4f} ms {gflops:10.0f} GFLOP/s  difference {difference:.1e}"
    report.add("attention", entry, line)
