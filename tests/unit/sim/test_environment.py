"""What reaches the programs that we start, and where the cache is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zeroskip.base.cache import cache_dir, writing_cache
from zeroskip.base.environment import (
    clean_environment,
    own_path,
    python_environment,
    source_root,
)
from zeroskip.base.errors import ToolError
from zeroskip.sim.rtl.build import build_model
from zeroskip.sim.rtl.tools import tool_environment

# What other projects leave in a shell, and what it would do to a simulation.
FOREIGN = {
    "COCOTB_TEST_MODULES": "theirs", "COCOTB_TEST_FILTER": "none", "COCOTB_RANDOM_SEED": "x",
    "MODULE": "theirs", "TESTCASE": "none", "TOPLEVEL": "dut", "SIM": "icarus", "WAVES": "1",
    "GUI": "1", "RANDOM_SEED": "y", "GPI_EXTRA": "/none.so", "GPI_USERS": "/none.so",
    "LIBPYTHON_LOC": "/none.so", "PYGPI_PYTHON_BIN": "/none", "MAKEFLAGS": "n", "MAKELEVEL": "1",
    "VERILATOR_ROOT": "/opt/verilator", "CXX": "false", "CXXFLAGS": "-DX", "PYTHONHOME": "/usr",
    "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "LC_ALL": "C", "LANG": "C",
    "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii",
}  # fmt: skip


def test_nothing_of_other_projects_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {make: make() for make in (clean_environment, python_environment, tool_environment)}
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    for make, env in before.items():
        assert make() == env
        assert env["LC_ALL"] == "C.UTF-8"
    assert Path(tool_environment()["VERILATOR_ROOT"]).is_dir()
    monkeypatch.setenv("TMPDIR", "/none")
    monkeypatch.delenv("PATH")
    assert clean_environment()["PATH"] == os.defpath


def test_our_packages_come_before_those_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sim", "hw", "compiler", "scripts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('theirs')")
    (tmp_path / "cocotb.py").write_text("raise SystemExit('theirs')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    code = (
        "import cocotb; from zeroskip import sim; from zeroskip.sim.eie import tb_run;"
        "print(sim.__file__)"
    )
    # The Python inside a simulator does not put the folder of a script on its path.
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=python_environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(source_root() / "zeroskip" / "sim" / "__init__.py"), (
        done.stderr
    )
    entry = f"import sys; sys.path += [{str(source_root())!r}]; from zeroskip.__main__ import main;"
    done = subprocess.run(
        [sys.executable, "-c", f"{entry} main()", "--version"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("zeroskip "), done.stderr


def test_a_folder_of_a_users_script_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is first on the path of whoever runs a script elsewhere, and hook files put theirs there.
    libraries = [path for path in sys.path if path.endswith(("site-packages", "lib-dynload"))]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *libraries])
    assert own_path() == [str(source_root()), *libraries, str(tmp_path)]


def test_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ZEROSKIP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == tmp_path / ".cache" / "zeroskip"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == tmp_path / ".cache" / "zeroskip"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_dir() == tmp_path / "x" / "zeroskip"
    monkeypatch.setenv("ZEROSKIP_CACHE", "here")
    assert cache_dir() == Path("here").absolute()


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROSKIP_CACHE", "/dev/null/x")
    with pytest.raises(
        ToolError,
        match=r"^/dev/null/x cannot be written: Not a directory; simulators are kept in "
        r"/dev/null/x: name another folder with ZEROSKIP_CACHE$",
    ), writing_cache():  # fmt: skip
        cache_dir().mkdir(parents=True)


@pytest.mark.long("builds a simulator")
@pytest.mark.cosim
def test_models_are_built_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "my modèle 日本 (v2) 'a' $x"
    text = "module tiny(input clk, output reg q); always @(posedge clk) q <= ~q; endmodule\n"
    assert build_model({"tiny.v": text}, "tiny", folder, optimize=False).is_file()
