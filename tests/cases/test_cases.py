"""Each synthetic recording gets its verdicts and no others, in the end; nothing wrong, no word."""

import pytest

from tests.cases.all import CASES
from tests.cases.case import Case, told
from tests.cases.rig import new_fold


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case) -> None:
    verdicts, rig = told(case)
    assert verdicts == case.expected
    assert case.lookalike_of not in verdicts.values()
    if not case.expected:
        assert rig.versions() == [], "nothing was wrong, at no time"


OF_NODES = ("node.", "pleg.", "zone.")


def test_every_cause_has_a_case_and_a_lookalike() -> None:
    """Of nodes not every cause has a look-alike of its own."""
    causes = new_fold().catalogue.causes
    expected = {verdict for case in CASES for verdict in case.expected.values()}
    assert causes.keys() - expected == set()
    alike = {case.lookalike_of for case in CASES}
    assert {name for name in causes.keys() - alike if not name.startswith(OF_NODES)} == set()
