"""Voice activity by silero-vad, a trained LSTM behind convolutions, pruned here, on both arrays.

The network of the package silero-vad, version 6 (Silero Team, MIT licence), tells for every 32 ms
of sound how likely somebody speaks: the magnitudes of four spectra, four convolutions over them, an
LSTM of 128 units whose state goes from frame to frame, and a sum. Weights are read from the
safetensors file of its wheel; nothing in the package is run. Recordings of speech are in its source
archive:

    pip install --no-deps silero-vad
    pip download --no-deps --no-binary :all: silero-vad -d out
    tar -xf out/silero_vad-*.tar.gz -C out
    python examples/silero.py --train out/silero_vad-*/examples/c++/aepyx.wav \
        --test out/silero_vad-*/tests/data/test.wav

The float network's own outputs are what is learned, by binary cross entropy, so no labels are
needed. Spectra are computed here, in float, as a host would; the sigmoid is left to the host, too:
somebody speaks where the output is above 0.
"""

import argparse
import importlib.util
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import zeroskip as zs
from zeroskip.base.progress import Progress
from zeroskip.cli.output import Steps
from zeroskip.compiler.compress.api import Compressed, compress_task
from zeroskip.compiler.compress.config_file import common_settings, override, preset
from zeroskip.compiler.compress.state_files import read_state
from zeroskip.compiler.compress.task import Task

RATE = 16_000
FRAME, CONTEXT, PADDING = 512, 64, 64
"""Samples: in a frame, of the frame before that are in front of it, and mirrored at its end."""
HOP, BINS = 128, 129
"""Samples between two spectra of a frame, and frequencies in a spectrum."""
STEPS = 64
"""Length, in frames, of the sequences that the network is trained with."""
DENSITIES = (0.2, 0.2, 0.3, 0.2, 0.2, 0.2, 1.0)
"""Weights that stay in conv1 to conv4, in both matrices of the LSTM, and in the sum."""


class Silero(nn.Module):
    """The network behind the spectra: (batch, frames, 129, 4) to (batch, frames, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.rnn, self.out = nn.LSTM(128, 128, batch_first=True), nn.Linear(128, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.flatten(0, 1)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            y = torch.relu(conv(y))
        h, _ = self.rnn(y.reshape(x.shape[0], x.shape[1], -1))
        return self.out(torch.relu(h))


def weights_file() -> Path:
    """Return where the package silero-vad has its weights."""
    found = importlib.util.find_spec("silero_vad")
    if found is None or found.origin is None:
        raise SystemExit(
            "the weights come with the package silero-vad: pip install --no-deps silero-vad, or "
            "name its silero_vad_16k.safetensors with --weights"
        )
    return Path(found.origin).parent / "data" / "silero_vad_16k.safetensors"


def network(path: Path) -> tuple[Silero, torch.Tensor]:
    """Return the network with a file's weights, and the waves of its spectra, (258, 1, 256)."""
    state = read_state(path)
    names = {"final_conv.weight": "out.weight", "final_conv.bias": "out.bias"}
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    names |= {f"lstm_cell.{kind}": f"rnn.{kind}_l0" for kind in kinds}
    waves = state.pop("stft_conv.weight")
    weights = {names.get(name, name): value for name, value in state.items()}
    weights["out.weight"] = weights["out.weight"].flatten(1)
    model = Silero()
    model.load_state_dict(weights)
    return model.eval(), waves


def sound(path: Path) -> torch.Tensor:
    """Return the samples of a recording, -1 to 1."""
    with wave.open(str(path)) as file:
        kind = file.getnchannels(), file.getsampwidth(), file.getframerate()
        if kind != (1, 2, RATE):
            raise SystemExit(f"{path} must have one channel of 16 bits at {RATE} Hz, not {kind}")
        data = file.readframes(file.getnframes())
    return torch.from_numpy(np.frombuffer(data, "<i2").astype(np.float32) / 2**15)


def spectra(samples: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
    """Return magnitudes, (frames, 129, 4): what the network is given of each frame."""
    whole = len(samples) // FRAME * FRAME
    frames = functional.pad(samples[:whole], (CONTEXT, 0)).unfold(0, CONTEXT + FRAME, FRAME)
    frames = functional.pad(frames[:, None], (0, PADDING), mode="reflect")
    parts = functional.conv1d(frames, waves, stride=HOP)
    return torch.sqrt(parts[:, :BINS] ** 2 + parts[:, BINS:] ** 2)


def sequences(frames: torch.Tensor, steps: int) -> torch.Tensor:
    """Cut (frames, 129, 4) into sequences, (sequences, steps, 129, 4), and leave out the rest.

    Fewer frames than ``steps`` become one sequence, with zeros behind.
    """
    frames = functional.pad(frames, (0, 0, 0, 0, 0, max(0, steps - len(frames))))
    return frames[: len(frames) // steps * steps].reshape(-1, steps, BINS, 4)


def varied(samples: torch.Tensor) -> Iterable[torch.Tensor]:
    """Give a recording as it is, quieter, and with noise of two volumes."""
    seed = torch.Generator().manual_seed(0)
    noises = [size * torch.randn(samples.shape, generator=seed) for size in (0.003, 0.02)]
    return samples, 0.3 * samples, *(samples + noise for noise in noises)


@torch.no_grad()
def batches(
    model: nn.Module, x: torch.Tensor, *, shuffle: bool
) -> DataLoader[tuple[torch.Tensor, ...]]:
    """Return sequences with what the float network makes of them."""
    y = torch.cat([model(part) for part in x.split(32)])
    return DataLoader(TensorDataset(x, y), batch_size=8, shuffle=shuffle)


def distance(outputs: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of two probabilities of speech, each given before its sigmoid."""
    return functional.binary_cross_entropy_with_logits(outputs, torch.sigmoid(aims))


def compressed(
    model: nn.Module, x: torch.Tensor, test: torch.Tensor, epochs: int, progress: Progress
) -> Compressed:
    """Prune, share and tune the network to do on ``x`` as it did."""
    settings = common_settings(density=DENSITIES, epochs=epochs, learning_rate=2e-3, seed=0)
    settings |= {"prune.distill": 0.0, "finetune.distill": 0.0}
    training, testing = batches(model, x, shuffle=True), batches(model, test, shuffle=False)
    task = Task("silero", lambda: model, lambda: training, lambda: testing, distance)
    return compress_task(task, override(preset("short"), settings), progress=progress)


def agreement(found: torch.Tensor, aims: torch.Tensor) -> str:
    """Return in how many frames two outputs say the same, and how far probabilities are apart."""
    same = ((found > 0) == (aims > 0)).double().mean()
    apart = (torch.sigmoid(found) - torch.sigmoid(aims)).abs().mean()
    return f"{100 * same:.2f} % | {apart:.4f}"


def main() -> None:
    """Prune the network, and compare it with the float one on whole recordings."""
    with Steps() as steps:
        run(options(), steps)


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--weights", type=Path, help="silero_vad_16k.safetensors, if not installed")
    parser.add_argument("--train", type=Path, nargs="+", required=True, metavar="WAV")
    parser.add_argument("--test", type=Path, nargs="+", required=True, metavar="WAV")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--rtl", type=int, default=0, metavar="N", help="frames to run on RTL")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/silero"))
    return parser.parse_args()


def run(options: argparse.Namespace, progress: Steps) -> None:
    """Do it, and print a row for each recording."""
    progress("read weights and recordings", 0, 1)
    torch.set_num_threads(1)
    model, waves = network(options.weights or weights_file())
    heard = [spectra(part, waves) for path in options.train for part in varied(sound(path))]
    tested = [spectra(sound(path), waves) for path in options.test]
    small = compressed(
        model,
        torch.cat([sequences(frames, STEPS) for frames in heard]),
        torch.cat([sequences(frames, STEPS) for frames in tested]),
        options.epochs,
        progress,
    )
    progress.print(str(small))
    steps = max(map(len, tested))
    data = sequences(heard[0], steps)[:1].numpy()
    array = zs.EieParams(num_pes=8, cells=True)
    image = zs.compile(small.module, data, data, array, progress=progress)
    options.output.mkdir(parents=True, exist_ok=True)
    image.save(options.output / "image")
    progress.print(
        "\n| recording | frames | speech | pruned, float | apart | fixed point | apart |"
    )
    progress.print("|---|---|---|---|---|---|---|")
    for path, frames in zip(options.test, tested, strict=True):
        progress(f"run {path.stem}", 0, 1)
        result = zs.run(image.with_steps(len(frames)), frames[None].numpy())
        with torch.no_grad():
            aims, floats = (net(frames[None])[0, :, 0] for net in (model, small.module))
        fixed = torch.from_numpy(result.outputs.reshape(-1))
        row = (path.stem, len(frames), f"{100 * (aims > 0).double().mean():.1f} %")
        row += (agreement(floats, aims), agreement(fixed, aims))
        progress.print(f"| {' | '.join(map(str, row))} |")
    if options.rtl:
        frames = tested[0][len(tested[0]) // 2 :][: options.rtl]
        image = image.with_steps(len(frames))
        same = zs.verify(image, frames[None].numpy(), progress=progress)
        cycles = 0 if same.rtl.cycles is None else int(same.rtl.cycles[0])
        progress.print(
            f"\nRTL, {len(frames)} frames: {same.words} words compared, {same.differ} differ; "
            f"{cycles / len(frames):,.0f} cycles a frame"
        )


if __name__ == "__main__":
    main()
