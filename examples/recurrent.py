"""Compare the accuracy of LSTMs in float and pruned tenfold, 15 shared weights, 16-bit fixed point.

python examples/recurrent.py vowels            # 5 seeds, a minute each; pip install --no-deps aeon
python examples/recurrent.py topics --seeds 1  # some 10 minutes
"""

import argparse
import math
from pathlib import Path

import torch

import zeroskip as zs
from zeroskip.compiler.compress.api import compress_task
from zeroskip.compiler.compress.config_file import override, parse_settings, preset
from zeroskip.compiler.compress.task import evaluate
from zeroskip.compiler.compress.tasks import task_of
from zeroskip.sim.fixed_module import FixedPoint


def main() -> None:
    """Compress the network of a task for each seed, and print a row of a table for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["vowels", "topics"])
    parser.add_argument("--data", type=Path, help="folder of the vowels, without the package aeon")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/recurrent"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = task_of(options.task, options.data)
    measure = "perplexity" if options.task == "topics" else "accuracy"
    print(f"| seed | LSTM weights kept | file | {measure}, float | 15 values, 16 bits | change |")
    print("|---|---|---|---|---|---|", flush=True)
    changes: list[float] = []
    for seed in range(options.seeds):
        config = override(preset(options.task), {**parse_settings(options.set), "seed": seed})
        small = compress_task(task, config, options.output / f"{options.task}-{seed}")
        data = task.training().first()[0]
        image = zs.compile(small.module, data[:1], data.numpy())
        fixed = evaluate(FixedPoint(image), task)
        base = small.result.scores["train"]
        if base.accuracy is None or fixed.accuracy is None:
            before, after = math.exp(base.loss), math.exp(fixed.loss)
            changes.append(100 * (after / before - 1))
            numbers = f"{before:.3f} | {after:.3f} | {changes[-1]:+.2f} %"
        else:
            before, after = 100 * base.accuracy, 100 * fixed.accuracy
            changes.append(after - before)
            numbers = f"{before:.2f} % | {after:.2f} % | {changes[-1]:+.2f}"
        cells = [layer for layer in small.result.sizes.layers if layer.name.startswith("rnn")]
        kept = sum(layer.kept for layer in cells) / sum(layer.weights for layer in cells)
        size = small.result.sizes.file_bytes
        print(f"| {seed} | {100 * kept:.1f} % | {size:,} bytes | {numbers} |", flush=True)
    print(f"\nmean change {sum(changes) / len(changes):+.2f}, worst of "
          f"{min(changes):+.2f} to {max(changes):+.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
