"""A wheel, installed where there is no checkout, does what the README says."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from zeroskip.cli.demo_network import NETWORKS, DemoFiles

ROOT = Path(__file__).parents[2]


def _network(path: Path) -> None:
    """Write a pruned network of 12 inputs and 4 outputs."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=size) * (rng.random(size) < 0.4) for size in ((8, 12), (4, 8))]
    nodes = [
        helper.make_node("Gemm", ["x", "w0"], ["a"], name="/fc1/Gemm", transB=1),
        helper.make_node("Relu", ["a"], ["b"], name="/relu/Relu"),
        helper.make_node("Gemm", ["b", "w1"], ["y"], name="/fc2/Gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(w.astype(np.float32), f"w{n}") for n, w in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())


def _contents(folder: Path) -> dict[str, bytes]:
    """Return the files of an image by name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.cosim
@pytest.mark.long("builds a wheel, installs it elsewhere and simulates there")
def test_wheel_works_without_a_checkout(tmp_path: Path) -> None:
    source, there, work = tmp_path / "source", tmp_path / "env", tmp_path / "work"
    # A build leaves folders in the tree.
    ignored = shutil.ignore_patterns(".venv", ".git", "out", "dist", "build", "__pycache__")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run([*pip, "wheel", "--quiet", *build], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.rmtree(source)
    venv.create(there)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(there)}))
    python = there / "bin" / "python"
    subprocess.run(
        [*pip, "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)], check=True
    )
    # What it depends on is that of these tests, without the checkout that is installed there: files
    # of paths count in the first folder only.
    (site / "dependencies.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    work.mkdir()
    _network(work / "net.onnx")
    np.save(work / "x.npy", np.random.default_rng(1).normal(size=(8, 12)))
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str) -> str:
        command = [str(there / "bin" / "zeroskip"), *words]
        done = subprocess.run(
            command, cwd=work, env=kept, capture_output=True, text=True, check=False
        )
        assert not done.returncode, done.stderr
        return done.stdout

    where = "import zeroskip.sim.page.page as page; print(page.__file__)"
    home = subprocess.check_output([python, "-c", where], cwd=work, env=kept, text=True)
    assert Path(home.strip()).is_relative_to(there)
    run("compile", "net.onnx", "--data", "x.npy", "--share", "-o", "image")
    assert json.loads(run("run", "image", "--input", "x.npy", "--json"))["inputs"] == 8
    verified = json.loads(run("verify", "image", "--input", "x.npy", "--json"))
    assert verified["exact"]
    assert verified["words"] > 0
    explored = json.loads(run("explore", "net.onnx", "--json"))
    assert [layer["name"] for layer in explored["layers"]] == ["fc1", "fc2"]
    run("report", "image", "-o", "report.html")
    assert "</html>" in (work / "report.html").read_text()
    assert "balance" in run("info", "image")
    shown = json.loads(run("demo", "digits", "--first", "1", "-o", "demo", "--json"))
    assert shown["exact"]
    assert shown["from_one_start"]["exact"]
    assert shown["accuracy"]["fixed_point"] > 0.95
    # The files that are left, compiled as is told, come to the same image.
    files, image = DemoFiles.of(Path("demo"), "digits"), Path("demo/digits")
    before = _contents(work / image)
    assert before
    run(*shlex.split(files.by_hand(NETWORKS["digits"], image)[0])[1:])
    assert _contents(work / image) == before
    assert sorted(path.name for path in work.iterdir()) == [
        "demo", "image", "net.onnx", "report.html", "x.npy",
    ]  # fmt: skip
