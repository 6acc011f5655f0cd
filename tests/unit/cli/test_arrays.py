"""Which array a command line means."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from cocotb_tools.config import pygpi_entry_point

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.cli.arrays import ENGINES, choose_array, choose_arrays, describe_arrays, show_value
from zeroskip.compiler.eie.choose import FREE


def test_presets_and_values_are_of_every_engine_that_has_them() -> None:
    arrays = choose_arrays(["paper"], ["act_bits=8", "num_pes=16", "counters=no"])
    assert {name: array.name for name, array in arrays.items()} == {"eie": "paper", "scnn": "paper"}
    eie, scnn = arrays["eie"].params, arrays["scnn"].params
    assert (eie.act_bits, eie.num_pes, eie.counters) == (8, 16, False)
    assert (scnn.act_bits, scnn.pes_x, scnn.counters) == (8, 8, False)
    assert arrays.named == {"eie"}  # num_pes is a field of EIE alone


def test_an_engine_in_front_means_this_one_only() -> None:
    arrays = choose_arrays(["eie=best", "scnn=tiny"], ["eie.act_bits=8", "eie.placement=balance"])
    assert (arrays["eie"].params.act_bits, arrays["scnn"].params.act_bits) == (8, 16)
    assert arrays["eie"].option("placement") == "balance"
    assert arrays["scnn"].name == "tiny"
    assert arrays.named == {"eie", "scnn"}


def test_engines_that_are_meant_have_what_names_none() -> None:
    arrays = choose_arrays(["paper"], ["act_bits=8", "scnn.code_bits=6"], meant=["eie"])
    assert (arrays["eie"].name, arrays["scnn"].name) == ("paper", "tile")
    assert (arrays["eie"].params.act_bits, arrays["scnn"].params.act_bits) == (8, 16)
    assert arrays["scnn"].params.code_bits == 6
    assert choose_arrays(None, None, meant=["eie"]).named == {"eie"}
    with pytest.raises(ParameterError, match=r"^--engine must be one of eie, scnn, not 'een'"):
        choose_arrays(None, None, meant=["een"])
    with pytest.raises(InputError, match=r"^--set num_pes: scnn cannot set 'num_pes'"):
        choose_arrays(None, ["num_pes=4"], meant=["scnn"])


def test_the_last_value_counts() -> None:
    assert choose_array("eie", None, ["num_pes=2", "eie.num_pes=3"]).params.num_pes == 3


@pytest.mark.parametrize("value", ["-1", "100.5", "nan"])
def test_an_option_that_is_out_of_range(value: str) -> None:
    with pytest.raises(ParameterError, match=r"--set scnn\.ram_margin must be a number from 0 to"):
        choose_arrays(None, [f"ram_margin={value}"])


@pytest.mark.parametrize("name", ENGINES)
def test_every_field_can_be_set(name: str) -> None:
    # Of SCNN, stored weights as wide as they can be leave weights no other width. Of EIE, only
    # cells have peepholes, and weights of up to 12 bits may be plain.
    of_engine = {"scnn": ["field_bits=12"], "eie": ["cells=true", "weight_bits=11"]}
    base = of_engine.get(name, [])
    before = choose_array(name, ["paper"], base).values()
    for one in ENGINES[name].fields.values():
        # Powers of two for banks; next to the value that is there, so that others still fit.
        near = [one.choices[0], one.choices[-1], *one.choices]
        if not isinstance(one.choices[0], bool | str):
            value = before[one.name]
            near = [value + 1, value - 1, value * 2, value // 2]
        settings = [[f"{name}.{one.name}={show_value(value)}"] for value in near]
        changed = [array for given in settings if (array := _values(name, base + given))]
        assert any(array != before for array in changed), one.name
        for array in changed:
            assert {key for key in before if array[key] != before[key]} <= {one.name}


def _values(name: str, settings: Sequence[str]) -> dict[str, Any] | None:
    try:
        return choose_array(name, ["paper"], settings).values()
    except ParameterError:
        return None


def test_the_network_may_choose_what_was_not_said() -> None:
    assert choose_array("eie", None, None).free_params.free == FREE
    assert choose_array("eie", None, ["code_bits=5"]).free_params.free == FREE - {"code_bits"}
    assert choose_array("eie", ["small"], None).free_params.free == frozenset()


def test_a_value_for_several_engines_needs_one_that_can_have_it() -> None:
    arrays = choose_arrays(None, ["weight_bits=32"])
    assert arrays["eie"].params.weight_bits == 32
    with pytest.raises(ParameterError, match=r"^--set scnn\.weight_bits must be a whole number"):
        _ = arrays["scnn"].params
    with pytest.raises(ParameterError, match=r"^--set eie\.weight_bits must be a whole number"):
        choose_arrays(None, ["weight_bits=99"])
    with pytest.raises(ParameterError, match=r"^--set scnn\.weight_bits must be a whole number"):
        choose_arrays(None, ["scnn.weight_bits=32"])


@pytest.mark.parametrize(
    ("presets", "settings", "says"),
    [
        (["bst"], [], "--preset must be one of small, .*, not 'bst': did you mean 'best'"),
        (["eie=tile"], [], "--preset must be one of small, paper, best, .*, not 'tile'"),
        (["een=best"], [], "the engine in --preset een=best must be one of eie, scnn"),
        ([], ["pes=4"], "--set pes: eie and scnn cannot set 'pes': did you mean 'num_pes'"),
        ([], ["scnn.num_pes=4"], "--set scnn.num_pes: scnn cannot set 'num_pes'"),
        ([], ["num_pes"], r"--set must be \[ENGINE\.\]FIELD=VALUE, not 'num_pes'"),
        ([], ["num_pes=4.0"], "--set eie.num_pes must be a whole number from 1 to 256, not '4.0'"),
        ([], ["placement=best"], "--set eie.placement must be one of interleave, balance"),
        ([], ["counters=perhaps"], "--set eie.counters must be yes or no, not 'perhaps'"),
        ([], ["acc_bits=8", "act_bits=16"], "--set eie.acc_bits must be at least act_bits = 16"),
    ],
)
def test_what_there_is_not(presets: Sequence[str], settings: Sequence[str], says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}"):
        choose_arrays(presets, settings)


def test_what_is_in_force_can_be_given_again() -> None:
    for name in ENGINES:
        (text,) = describe_arrays(["paper"], [name])
        values = text.partition(": ")[2].split()
        again = choose_array(name, None, values)
        assert again.values() == choose_array(name, ["paper"], None).values()


def test_commands_need_no_extra_until_they_are_run() -> None:
    missing = ("torch", "polars", "joblib", "distributed", "matplotlib", "sklearn", "pyosys")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing}));"
        "import zeroskip.cli.app; from zeroskip.cli.arrays import ENGINES;"
        "from zeroskip.sim.machine import find_evaluation;"
        "[find_evaluation(name) for name in ENGINES];"
        # It imports pytest, which a user's own py.py beside his script breaks.
        "from zeroskip.sim.rtl.launch import cocotb_entry_point;"
        "print(cocotb_entry_point(), 'cocotb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == f"{pygpi_entry_point()} False\n"
