"""How the command line starts."""

import builtins
import sys
from typing import Any

import pytest

from zeroskip.__main__ import main


def test_interrupted_while_it_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def interrupted(name: str, *rest: Any) -> Any:
        if name == "zeroskip.cli.app":
            raise KeyboardInterrupt
        return real(name, *rest)

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "zeroskip: interrupted\n"
