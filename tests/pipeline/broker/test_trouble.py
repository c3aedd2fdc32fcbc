"""What is told of a producer that cannot send."""

from pipeline.broker.trouble import MOST, Trouble


def test_each_reason_is_told_once_while_it_lasts() -> None:
    told: list[str] = []
    trouble = Trouble(told.append)
    trouble.over("well")
    for reason in ("nobody answers", "nobody answers", "wrong password", "nobody answers"):
        trouble.tell(reason)
    trouble.over("well again")
    trouble.over("well again")
    trouble.tell("nobody answers")
    assert told == ["nobody answers", "wrong password", "well again", "nobody answers"]


def test_words_that_differ_each_time_end() -> None:
    told: list[str] = []
    trouble = Trouble(told.append)
    for number in range(3 * MOST):
        trouble.tell(f"try {number}")
    assert len(told) == MOST
