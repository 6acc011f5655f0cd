"""Images and cycles stay as they were: a change that is to keep them, and does not, is seen here.

A change on purpose renews them, ``python -m tests.frozen``, and says why in its commit.
"""

import json

import pytest

from tests.frozen.digest import DIGESTS, digest
from tests.frozen.networks import NETWORKS


def test_every_network_is_frozen() -> None:
    assert set(json.loads(DIGESTS.read_text())) == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_frozen(name: str) -> None:
    assert digest(*NETWORKS[name].compile(name)) == json.loads(DIGESTS.read_text())[name]
