import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from meanwhile import PATIENCE, eventually

from nets.together import Together


class Doubling:
    """Twice each number; a run that holds `gated` waits until the gate opens, one with a negative number fails."""

    def __init__(self, gated: int) -> None:
        self.gated = gated
        self.entered, self.gate = threading.Event(), threading.Event()
        self.runs: list[list[int]] = []

    def __call__(self, numbers: list[int]) -> list[int]:
        self.runs.append(numbers)
        if self.gated in numbers:
            self.entered.set()
            assert self.gate.wait(PATIENCE)
        if min(numbers) < 0:
            raise ValueError(f"{min(numbers)} is negative")
        return [2 * number for number in numbers]


def _ask_behind(doubling: Doubling, together: Together[int, int], numbers: list[int]) -> list[int | BaseException]:
    """Ask one number, then the others while it is not answered yet, in this order; then let it be answered."""
    with ThreadPoolExecutor(len(numbers)) as pool:
        asked = [pool.submit(together, numbers[0])]
        assert doubling.entered.wait(PATIENCE)
        for behind, number in enumerate(numbers[1:], 1):
            asked.append(pool.submit(together, number))
            eventually(lambda behind=behind: together.waiting == behind)
        doubling.gate.set()
        return [one.exception() or one.result() for one in asked]


def test_those_who_ask_during_a_run_are_answered_in_the_next_ones_each_with_their_own_answer() -> None:
    doubling = Doubling(gated=0)
    assert _ask_behind(doubling, Together(doubling, most=4, runs=1), [0, 1, 2, 3, 4, 5]) == [0, 2, 4, 6, 8, 10]
    assert doubling.runs == [[0], [1, 2, 3, 4], [5]]


def test_who_asks_while_a_run_is_free_waits_for_nobody() -> None:
    doubling = Doubling(gated=0)
    together = Together(doubling, most=4, runs=2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(together, 0)
        assert doubling.entered.wait(PATIENCE)
        assert together(1) == 2
        doubling.gate.set()
        assert first.result() == 0
    assert [together(number) for number in (3, 4, 5)] == [6, 8, 10]  # and none of both runs was lost
    assert doubling.runs == [[0], [1], [3], [4], [5]]


def test_a_run_that_fails_tells_all_who_were_in_it_and_nobody_else() -> None:
    doubling = Doubling(gated=0)
    together = Together(doubling, most=2, runs=1)
    answers = _ask_behind(doubling, together, [0, -1, 2, 3])
    assert [answers[0], answers[3]] == [0, 6]
    assert [str(one) for one in answers[1:3]] == ["-1 is negative"] * 2
    assert together(7) == 14


def test_a_run_with_too_few_answers_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        Together(lambda questions: questions[1:], most=2, runs=1)("lost")
