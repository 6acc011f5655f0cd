"""Freeze what networks compile to and what they take: ``python -m tests.frozen``.

Digests that changed are printed; the commit that renews them says why they did.
"""

import json

from tests.frozen.digest import DIGESTS, digest
from tests.frozen.networks import NETWORKS


def main() -> None:
    """Write the digests of all networks anew."""
    before = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    found = {}
    for name, network in NETWORKS.items():
        found[name] = digest(*network.compile(name))
        if found[name] != before.get(name):
            print(f"{name}: {before.get(name)} -> {found[name]}")
    DIGESTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
