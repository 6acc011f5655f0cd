"""Write the images and inputs of the tables in docs/energy.md, for `zeroskip energy`.

python examples/energy.py -o out/energy
zeroskip energy out/energy/eie --input out/energy/eie.npy --gates sky130hd_tt.lib.gz
zeroskip energy out/energy/scnn --input out/energy/scnn-zeros.npy --gates sky130hd_tt.lib.gz
zeroskip energy out/energy/drain --input out/energy/drain.npy --json
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

import zeroskip as zs
from zeroskip.compiler.engine import engine


def main() -> None:
    """Draw each network, its weights and its input, compile it, and write it."""
    parser = argparse.ArgumentParser(description="Write what docs/energy.md measures.")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/energy"))
    folder = parser.parse_args().output
    eie, scnn = engine("eie").presets, engine("scnn").presets
    linear = nn.Sequential(nn.Linear(200, 40), nn.ReLU(), nn.Linear(40, 20))
    write(folder / "eie", linear, (200,), 0.15, replace(eie["paper"].params, num_pes=2))
    conv = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.ReLU())
    write(folder / "scnn", conv, (16, 4, 4), 0.35, replace(scnn["tiny"].params, pes_x=1, pes_y=1))
    conv = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU())
    write(folder / "drain", conv, (16, 14, 14), 0.35, scnn["tile"].params)


def write(
    path: Path,
    model: nn.Sequential,
    shape: tuple[int, ...],
    kept: float,
    array: zs.EieParams | zs.ScnnParams,
) -> None:
    """Write an image, an input of 40 % of values, and one of zeros.

    Parameters
    ----------
    path : of the image; inputs stand beside it.
    model, shape : the network, and what goes in.
    kept : share of the weights that are not zero.
    array : to compile for.
    """
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    for layer in model:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.reset_parameters()
            with torch.no_grad():
                layer.weight *= torch.from_numpy(rng.random(layer.weight.shape) < kept)
    x = rng.random((8, *shape)) * (rng.random((8, *shape)) < 0.4)
    image = zs.compile(model.eval(), torch.from_numpy(x[:1]).float(), x, array, share=True)
    image.save(path)
    np.save(path.with_name(f"{path.name}.npy"), x[:1])
    np.save(path.with_name(f"{path.name}-zeros.npy"), np.zeros_like(x[:1]))
    print(f"{path}: {image.name}, {array.num_pes} PEs")


if __name__ == "__main__":
    main()
