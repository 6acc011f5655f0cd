"""The list of the long tier is what the marks of the tests say."""

import pytest

from tests.support.tiers import ROOT, listed_tests, long_tests


def test_list_of_the_long_tier_is_up_to_date(request: pytest.FixtureRequest) -> None:
    """Renew it with ``pytest --collect-only -q --renew-list``."""
    listed = listed_tests()
    assert listed
    assert all((ROOT / test.file).is_file() for test in listed)
    # Where only some files were collected, or some tests of a file, the others cannot be compared.
    if any("::" in argument for argument in request.config.args):
        return
    collected = {item.path.relative_to(ROOT).as_posix() for item in request.session.items}
    marked = long_tests(request.config)
    collected |= {test.file for test in marked}
    assert {test for test in listed if test.file in collected} == marked
