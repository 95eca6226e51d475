"""Questions that are asked at the same time are answered together: a net that reads its weights once answers all of them."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Asked(Generic[Question, Answer]):
    """A question whose asker waits to be `called`: because it is answered, or to answer a `batch` that it is the first of."""

    question: Question
    called: threading.Event = field(default_factory=threading.Event)
    batch: "list[_Asked[Question, Answer]]" = field(default_factory=list)
    answer: Answer | None = None
    error: BaseException | None = None


class Together(Generic[Question, Answer]):
    """Answers questions of many threads. Who comes while fewer than `runs` are under way is answered at once, alone; those who
    come meanwhile are answered together, at most `most` of them, as soon as a run has ended. So nobody waits for company.
    """

    def __init__(self, answer: Callable[[list[Question]], Sequence[Answer]], most: int, runs: int) -> None:
        """`answer` gives the answers to some questions, in their order, on the thread of the first who asked."""
        self._answer, self._most, self._free = answer, most, runs
        self._lock = threading.Lock()
        self._waiting: deque[_Asked[Question, Answer]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a run to end."""
        return len(self._waiting)

    def __call__(self, question: Question) -> Answer:
        """Raises what `answer` raises, to all of a run."""
        mine: _Asked[Question, Answer] = _Asked(question)
        with self._lock:
            if self._free:
                self._free -= 1
                mine.batch = [mine]
            else:
                self._waiting.append(mine)
        if not mine.batch:
            mine.called.wait()
        if mine.batch:
            self._run(mine.batch)
        if mine.error is not None:
            raise mine.error
        return mine.answer  # type: ignore[return-value]

    def _run(self, batch: list[_Asked[Question, Answer]]) -> None:
        try:
            answers = self._answer([one.question for one in batch])
            for one, answer in zip(batch, answers, strict=True):
                one.answer = answer
        except BaseException as error:
            for one in batch:
                one.error = error
        self._call_next()
        for one in batch[1:]:
            one.called.set()

    def _call_next(self) -> None:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            if not batch:
                self._free += 1
                return
        batch[0].batch = batch
        batch[0].called.set()
