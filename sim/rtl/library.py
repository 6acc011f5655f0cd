"""A module that is a model of its own, which Verilator compiles once for all its instances."""

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["evaluate_less"]

_SETS = re.compile(r"handlep__V = [^;]*;\n((?: +\S.*;\n)*?) +handlep__V->eval\(\);")
_CLOCK = "handlep__V->clk = (clk);\n        handlep__V->eval();"
_CALLS = "long long m_seqnum;"
_BEGINS = "vlSelfRef.__VicoFirstIteration = 1U;"


def evaluate_less(module: str, wrapper: Path, sources: Sequence[Path]) -> None:
    """Evaluate what follows from inputs only when they change: Verilator does so on every call.

    A call gives a library's inputs, which happens some ten times a cycle, or an edge of the clock,
    at which inputs stay. What another version of Verilator may write instead is left as it is.

    Parameters
    ----------
    module : of the library.
    wrapper, sources : C++ that others call, and that of the model.
    """
    text, flag = wrapper.read_text(), f"{module}_clocked"
    sets = _SETS.search(text)
    evaluating = [path for path in sources if _BEGINS in path.read_text()]
    if sets is None or _CLOCK not in text or _CALLS not in text or len(evaluating) != 1:
        return
    names = list(dict.fromkeys(re.findall(r"handlep__V->(\w+)", sets[1])))
    before = "".join(f"const auto before_{name} = handlep__V->{name};\n" for name in names)
    changed = "".join(
        f" || std::memcmp(&before_{name}, &handlep__V->{name}, sizeof before_{name})\n"
        for name in names
    )
    given = f"{before}{sets[1]}if (!handlep__V->m_seqnum\n{changed}) handlep__V->eval();"
    text = text.replace(f"{sets[1]}        handlep__V->eval();", given, 1)
    text = text.replace(_CLOCK, f"{flag} = handlep__V->m_seqnum;\n{_CLOCK}\n{flag} = false;")
    text = text.replace(_CALLS, "long long m_seqnum = 0;")
    text = text.replace("#include <cstdio>", f"#include <cstdio>\n#include <cstring>\nbool {flag};")
    wrapper.write_text(text)
    (path,) = evaluating
    body = path.read_text().replace(_BEGINS, f"vlSelfRef.__VicoFirstIteration = !{flag};")
    path.write_text(f"extern bool {flag};\n{body}")
