"""What peers.py finds: tables to stderr as it goes, one JSON object at the end, and how long things take. Consumed by its parts."""

import datetime
import json
import math
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import torch


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def describe_machine(device: str) -> dict:
    machine = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": device,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }
    if device != "cuda":
        return machine | {"card": platform.processor() or platform.machine(), "driver": None}
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"]
    try:
        asked = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout
        _, driver, clock, power = (part.strip() for part in asked.splitlines()[0].split(","))
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        driver, clock, power = None, None, None
    return machine | {
        "card": torch.cuda.get_device_name(),
        "driver": driver,
        "clock": clock,
        "power": power,
        "memory": torch.cuda.get_device_properties(0).total_memory,
        "cudnn": torch.backends.cudnn.version(),
    }


class Report:
    """Measurements by part, what was left out, and which parts failed."""

    def __init__(self, device: str, minutes: float, out: Path | None):
        self.out = out
        self.began = time.perf_counter()
        self.end = self.began + 60 * minutes
        self.machine = describe_machine(device)
        self.measured: dict[str, list[dict]] = {}
        self.left_out: list[str] = []
        self.failures: dict[str, str] = {}
        say("  ".join(f"{name} {value}" for name, value in self.machine.items()))

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.perf_counter()

    def add(self, part: str, entry: dict, line: str) -> None:
        self.measured.setdefault(part, []).append(entry)
        say(line)

    def leave_out(self, what: str) -> None:
        self.left_out.append(what)
        say(f"left out: {what}")

    def part(self, name: str, work: Callable[[], None], least_seconds: float = 1) -> None:
        """Does something, unless too little time is left. Its error is the report's, and the rest goes on."""
        if self.left < least_seconds:
            return self.leave_out(name)
        try:
            work()
        except Exception as error:  # whatever it is, the other parts can go on
            self.failures[name] = "".join(traceback.format_exception(error))
            say(f"{name} FAILED: {self.failures[name]}")
        self.save()

    def json(self) -> str:
        return json.dumps(
            {
                "machine": self.machine,
                **self.measured,
                "leftOut": self.left_out,
                "failures": self.failures,
                "seconds": round(time.perf_counter() - self.began, 1),
            },
            indent=1,
        )

    def save(self) -> None:
        if self.out is not None:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.out.write_text(self.json() + "\n")


def summary(times: list[float]) -> dict:
    """Median and quartiles of times in milliseconds."""
    low, _, high = quantiles(times, n=4) if len(times) > 1 else (times[0],) * 3
    return {"ms": median(times), "quartiles": [low, high], "rounds": len(times)}


def timed(run: Callable[[], object], device: str, rounds: int = 15, least_ms: float = 20) -> dict:
    """How long a run takes on the device's own clock, from rounds of many runs each: a GPU is asked faster than it answers."""

    def once(times: int) -> float:
        if device != "cuda":
            start = time.perf_counter()
            for _ in range(times):
                run()
            return 1000 * (time.perf_counter() - start)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(times):
            run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    once(3)  # libraries choose and load their kernels
    times = max(1, min(1000, math.ceil(3 * least_ms / max(once(3), 1e-3))))
    once(times)
    return summary([once(times) / times for _ in range(rounds)]) | {"times": times}
