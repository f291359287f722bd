"""PyTorch on a GPU, timed as bench/gpu/run-hardware.ts times Fluxion: square products, attention, FLM training steps.

    python3 bench/gpu/peers.py --out pytorch.json

Needs PyTorch with CUDA and nothing else; nothing is fetched. Tables go to stderr, one JSON object to stdout and to --out. What there is
no time for is named. The exit code is 1 when a value was wrong or a part failed. To add a part: a function in pytorch/, named in PARTS and called in main.
"""

import argparse
import os
import sys
import threading
from pathlib import Path

import torch

from pytorch.kernels import attentions, matmuls
from pytorch.report import Report
from pytorch.steps import steps

PARTS = ("matmul", "attention", "steps")
MODES = ("max-autotune-no-cudagraphs", "reduce-overhead")

# Seconds that a part may go on when the time is up.
GRACE = 20


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, by default {','.join(PARTS)}")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--batch", default="", help="batches of the steps to try, such as 8,2, instead of the usual ones")
    parser.add_argument("--also", action="append", default=[], choices=MODES, help="one more mode of torch.compile")
    parser.add_argument("--minutes", type=float, default=1.5, help="how long it may take at most (1.5)")
    parser.add_argument("--out", type=Path, help="where to write the JSON too, after every part")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to try the script itself")
    args = parser.parse_args()
    args.only = [part for part in args.only.split(",") if part != ""]
    unknown = [part for part in args.only if part not in PARTS]
    if unknown:
        parser.error(f"--only takes {', '.join(PARTS)}, got {', '.join(unknown)}")
    try:
        args.batches = [int(batch) for batch in args.batch.split(",") if batch != ""]
    except ValueError:
        parser.error(f"--batch takes whole numbers with commas between them, got {args.batch}")
    if not args.minutes > 0 or any(batch < 1 for batch in args.batches):
        parser.error("--minutes and --batch take positive numbers")
    return args


def finish(report: Report, stdout: int) -> None:
    """Prints the report and ends the process, whatever else runs in it."""
    report.save()
    with os.fdopen(stdout, "w") as stream:
        stream.write(report.json() + "\n")
    sys.stderr.flush()
    os._exit(1 if report.failures else 0)


def main() -> None:
    args = options()
    # Stdout is for the report; what compilers print there goes to stderr.
    stdout = os.dup(1)
    os.dup2(2, 1)
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device here; --tiny --device cpu tries the script without one.")
    # f32 means f32, and f16 sums in f32.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.manual_seed(0)
    report = Report(args.device, args.minutes, args.out)

    def ring() -> None:
        report.leave_out("what was going on when the time was up, and what was to follow")
        finish(report, stdout)

    watch = threading.Timer(60 * args.minutes + GRACE, ring)
    watch.daemon = True
    watch.start()
    if "matmul" in args.only:
        matmuls(report, args.device, args.tiny)
    if "attention" in args.only:
        attentions(report, args.device, args.tiny)
    if "steps" in args.only:
        steps(report, args.device, tiny=args.tiny, batches=args.batches, also=args.also)
    watch.cancel()
    finish(report, stdout)


if __name__ == "__main__":
    main()
