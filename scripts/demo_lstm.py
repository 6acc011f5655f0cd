"""A recurrent network on an embedded data set: rows of digits as sequences, pruned evenly."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip import EieParams, compile_file, load, run, verify
from zeroskip.cli.files import write_npy
from zeroskip.cli.output import Steps, print_json, print_line, print_report
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.metrics import measure
from zeroskip.sim.report import is_exact, verify_document, verify_report
from zeroskip.sim.run import quantize
from zeroskip.sim.system.inferences import count_inferences
from zeroskip.sim.system.report import run_lines

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["run_lstm"]

_ARRAY = EieParams(num_pes=8, cells=True, act_files=3)
_KEPT = 0.2
_EPOCHS = 40


def run_lstm(folder: Path, sequences: int, seed: int, *, as_json: bool) -> int:
    """Train, prune, compile and run an LSTM; compare golden and RTL in every word of every step.

    Parameters
    ----------
    folder : where files go.
    sequences : to run on RTL.
    seed : of the training.
    as_json : print a document.
    """
    with Steps() as steps:
        if not as_json:
            steps.print("Digits as sequences of 8 rows of 8; LSTM of 64, Linear of 10")
        model, data = _train(seed, steps)
        import torch

        example = torch.as_tensor(data["train_x"][:1])
        path = folder / "lstm.pt2"
        with warnings.catch_warnings():
            # torch.export's own, of every LSTM.
            warnings.simplefilter("ignore")
            torch.export.save(torch.export.export(model, (example,)), path)
        write_npy(folder / "lstm_input.npy", data["test_x"][:sequences])
        compile_file(path, data["train_x"], [_ARRAY], share=True, name="lstm", progress=steps).save(
            folder / "lstm"
        )
        image = load(folder / "lstm")
        test_x, test_y = data["test_x"], data["test_y"]
        fixed = run(image, test_x).outputs
        result = verify(image, test_x[:sequences], progress=steps)
        started = count_inferences(image, quantize(image, test_x[:2])[0], SystemParams())
    exact = model(torch.as_tensor(test_x)).detach().numpy()
    accuracy = {
        name: float(np.mean(outputs.argmax(axis=1) == test_y))
        for name, outputs in (("float, pruned", exact), ("fixed point", fixed))
    }
    metrics = measure(result)
    if as_json:
        print_json({"net": "lstm", "accuracy": accuracy, **verify_document(result, metrics)})
    else:
        print_line()
        for name, share in accuracy.items():
            print_line(f"accuracy on {len(test_y)} sequences, {name}: {100 * share:.2f} %")
        print_report(verify_report(result, metrics))
        print_report(run_lines(started))
    return int(not is_exact(result, metrics))


def _train(seed: int, steps: Steps) -> "tuple[nn.Module, dict[str, NDArray[Any]]]":
    """Train, prune, and train what is left."""
    import torch
    from torch import nn

    from zeroskip.compiler.compress.images import load_digits

    class Rows(nn.Module):
        """An LSTM over the rows of a picture, and a Linear layer at its end."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.out = nn.LSTM(8, 64, batch_first=True), nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.rnn(x)[0][:, -1])

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images = load_digits()
    train_x, test_x = (x.reshape(len(x), 8, 8) for x in (images.train_x, images.test_x))
    model = Rows()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    masks: dict[str, torch.Tensor] = {}
    for epoch in range(_EPOCHS):
        if epoch == _EPOCHS // 2:
            masks = dict(_even_masks(model, _KEPT))
        for batch in torch.randperm(len(train_x)).split(64):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(train_x[batch]), images.train_y[batch])
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for name, weight in model.named_parameters():
                    if name in masks:
                        weight.mul_(masks[name])
        steps("train", epoch + 1, _EPOCHS)
    found = {
        "train_x": train_x.numpy(),
        "test_x": test_x.numpy(),
        "test_y": images.test_y.numpy(),
    }
    return model.eval(), found


def _even_masks(model: "nn.Module", kept: float) -> "Iterator[tuple[str, torch.Tensor]]":
    """Give masks that keep as many weights in each PE's share of interleaved hidden units."""
    import torch

    for name, weight in model.named_parameters():
        if weight.dim() != 2 or not name.startswith("rnn"):
            continue
        mask = torch.zeros_like(weight)
        pes = torch.arange(len(weight)) % (len(weight) // 4) % _ARRAY.num_pes
        for pe in range(_ARRAY.num_pes):
            here = pes == pe
            share = weight[here].abs()
            least = share.flatten().sort(descending=True).values[int(kept * share.numel()) - 1]
            mask[here] = (share >= least).to(weight.dtype)
        yield name, mask
