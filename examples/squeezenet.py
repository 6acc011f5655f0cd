"""SqueezeNet for 227 x 227 pictures on an SCNN array, by the Python API.

SqueezeNet 1.0 or 1.1 (Iandola et al., 2016) is pruned to a third of its weights (Deep Compression's
share for this network), given 8-bit shared weights, compiled, and run on the cycle models:

    python examples/squeezenet.py --preset paper -o out/squeezenet

Weights are random unless ``--weights`` names a state dict with torchvision's names (then those of
``torchvision.models.squeezenet1_0`` fit), and the picture is noise with a photo's spectrum unless
``--input`` names one (.npy, floats (3, 227, 227), normalised as in training): which cycles a
network takes depends on where its zeros are. The image then goes to RTL in pieces:

    zeroskip verify out/squeezenet --input out/squeezenet_input.npy --layer features.3.squeeze
"""

import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import nn

from zeroskip import compile
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.run import run

DENSITY = 0.33
SIZE = 227


class Fire(nn.Module):
    """A squeeze layer of 1 x 1 kernels, and expand layers of 1 x 1 and 3 x 3 side by side."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, 2 * expand, H, W)."""
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """All 26 convolutions; names of parameters are torchvision's."""

    def __init__(self, version: str) -> None:
        super().__init__()
        plan: list[tuple[int, int, int] | None]
        if version == "1.0":
            first = nn.Conv2d(3, 96, 7, 2)
            plan = [None, (96, 16, 64), (128, 16, 64), (128, 32, 128), None, (256, 32, 128)]
            plan += [(256, 48, 192), (384, 48, 192), (384, 64, 256), None, (512, 64, 256)]
        else:
            first = nn.Conv2d(3, 64, 3, 2)
            plan = [None, (64, 16, 64), (128, 16, 64), None, (128, 32, 128), (256, 32, 128), None]
            plan += [(256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)]
        parts = [Fire(*one) if one else nn.MaxPool2d(3, 2, ceil_mode=True) for one in plan]
        self.features = nn.Sequential(first, nn.ReLU(), *parts)
        last = nn.Conv2d(512, 1000, 1)
        self.classifier = nn.Sequential(nn.Dropout(), last, nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, 1000) scores."""
        return torch.flatten(self.classifier(self.features(x)), 1)


def prune(model: nn.Module, density: float) -> None:
    """Set all but the largest weights of each convolution to 0."""
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.Conv2d):
                size = part.weight.abs().flatten()
                border = size.kthvalue(max(1, round((1 - density) * size.numel()))).values
                part.weight[part.weight.abs() <= border] = 0


def noise(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Draw (count, 3, SIZE, SIZE) pictures whose amplitudes fall with frequency, as photos' do."""
    at = np.fft.fftfreq(SIZE)
    frequency = np.maximum(np.hypot(at[:, None], at), 1 / SIZE)
    x = np.fft.ifft2(np.fft.fft2(rng.standard_normal((count, 3, SIZE, SIZE))) / frequency).real
    x -= x.mean((2, 3), keepdims=True)
    return (x / x.std((2, 3), keepdims=True)).astype(np.float32)


def main(
    version: Annotated[Literal["1.0", "1.1"], typer.Option(help="Of SqueezeNet.")] = "1.0",
    preset: Annotated[str, typer.Option(help=f"SCNN array: {', '.join(PRESETS)}.")] = "paper",
    weights: Annotated[Path | None, typer.Option(help="State dict, as torch.save makes.")] = None,
    picture: Annotated[Path | None, typer.Option("--input", help="A picture, .npy.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the image; the input is beside it.")
    ] = Path("out/squeezenet"),
) -> None:
    """Compile SqueezeNet for an SCNN array, and count its cycles."""
    if preset not in PRESETS:
        raise typer.BadParameter(f"--preset must be one of {', '.join(PRESETS)}, not {preset!r}")
    torch.manual_seed(0)
    model = SqueezeNet(version).eval()
    if weights is not None:
        model.load_state_dict(torch.load(weights, weights_only=True))
    else:
        for part in model.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]
    prune(model, DENSITY)
    x = noise(np.random.default_rng(0), 2)
    if picture is not None:
        x = np.load(picture, allow_pickle=False).astype(np.float32).reshape(1, 3, SIZE, SIZE)

    begin = time.perf_counter()
    # 255 shared values and 0 for each layer.
    image = compile(
        model, x[:1], x, arrays=PRESETS[preset], share=True, name=f"squeezenet{version}"
    )
    image.save(output)
    inputs = output.with_name(f"{output.name}_input.npy")
    np.save(inputs, x[:1])
    part = image.part("scnn")
    print(f"compiled in {time.perf_counter() - begin:.1f} s: {len(part.runs)} runs, {output}")

    begin = time.perf_counter()
    result = run(image, x[:1], "cycles")
    counted = result.part("scnn")
    assert counted.counters is not None
    assert counted.cycles is not None
    print(f"counted in {time.perf_counter() - begin:.1f} s:")
    multipliers = part.params.num_pes * part.params.mults
    per_layer = counted.counters.sum(axis=(0, 2, 3)) // multipliers
    for layer, cycles in zip(part.layers, per_layer, strict=True):
        density = np.count_nonzero(layer.weight) / layer.weight.size
        print(f"  {layer.name:22s} {layer.kind:5s} {100 * density:5.1f} % {cycles:9,} cycles")
    with torch.no_grad():
        exact = model(torch.from_numpy(x[:1])).numpy()
    error = np.abs(result.outputs.reshape(exact.shape) - exact).max() / np.abs(exact).max()
    total = int(counted.cycles.sum())
    print(f"{total:,} cycles; class {result.outputs.argmax()}, in float {exact.argmax()};")
    print(f"largest difference {100 * error:.2f} % of the largest score. On RTL, layer by layer:")
    print(f"zeroskip verify {output} --input {inputs} --layer features.3.squeeze")


if __name__ == "__main__":
    typer.run(main)
