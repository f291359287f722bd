"""Trains on given parameters, noise, times and tokens, in doubles, and says where that leads: what a test compares with the interpreter.

One JSON object from stdin, one to stdout. Consumed by test/bench/pytorch.test.ts, where there is a Python with PyTorch.
"""

import json
import sys

import torch

from flm import Flm, Training


def main() -> None:
    torch.set_default_dtype(torch.float64)
    given = json.load(sys.stdin)
    training = Training(Flm(**given["sizes"]))
    names = dict(training.network.named_parameters())
    if set(names) != set(given["parameters"]):
        raise ValueError(f"Names of one side alone: {set(names) ^ set(given['parameters'])}")
    with torch.no_grad():
        for name, parameter in names.items():
            parameter.copy_(torch.tensor(given["parameters"][name]).view(parameter.shape))
    training.ema = [p.detach().clone() for p in training.parameters]
    rows, length = given["batch"], given["sizes"]["length"]
    tokens = torch.tensor(given["tokens"]).view(rows, length)
    normals = torch.tensor(given["normals"]).view(rows, length, -1)
    tau, t = torch.tensor(given["tau"]), torch.tensor(given["t"])
    found = []
    for _ in range(given["steps"]):
        loss, norm = training.step(tokens, normals, tau, t)
        parameters = {name: p.detach().flatten().tolist() for name, p in names.items()}
        ema = {name: average.flatten().tolist() for name, average in zip(names, training.ema)}
        found.append({"loss": loss.item(), "norm": norm.item(), "params": parameters, "ema": ema})
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
