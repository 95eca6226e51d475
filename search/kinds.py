"""Which kinds of items a gallery has at one moment, and which of them a question is about."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from indexer.kind import label_of, set_of
from search.results import SearchError

NAMED = 5  # sets that are told to somebody who asks for another one


class Kinds:
    """The kinds (indexer/kind.py) with how many items each has: at least one."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = {kind: count for kind, count in counts.items() if count}

    def classes(self) -> dict[str, int]:
        """The number of items of each class."""
        return {name: self._total(kinds) for name, kinds in self._by_class.items()}

    def sets(self) -> dict[str, int]:
        """The number of items of each set, by name; without those that are all there is of the set above."""
        counts = {name: self._total(kinds) for name, kinds in sorted(self._by_set.items())}
        return {name: count for name, count in counts.items() if counts.get(name.rpartition("/")[0]) != count}

    def asked_for(self, classes: Sequence[str] | None, sets: Sequence[str] | None) -> frozenset[str] | None:
        """The kinds of any of these classes and of any of these sets; None where neither is named. Raises SearchError."""
        chosen = [
            frozenset(kind for name in names for kind in known[name])
            for names, known in ((classes, self._by_class), (sets, self._by_set))
            if names is not None and self._known(names, known)
        ]
        return frozenset.intersection(*chosen) if chosen else None

    def _known(self, names: Sequence[str], known: Mapping[str, list[str]]) -> bool:
        field, one = ("classes", "class") if known is self._by_class else ("sets", "set")
        if not names:
            raise SearchError(f"name at least one {one}, or leave {field} out", field=field)
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise SearchError(f"the gallery has no {one} {unknown!r}{self._instead() if one == 'set' else ''}", field=field)
        return True

    def _instead(self) -> str:
        names = [*self.sets()]
        if not names:
            return ", and no other one: leave sets out"
        return f"; it has {', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''}"

    def _total(self, kinds: list[str]) -> int:
        return sum(self.counts[kind] for kind in kinds)

    @cached_property
    def _by_class(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for kind in self.counts:
            found[label_of(kind)].append(kind)
        return dict(found)

    @cached_property
    def _by_set(self) -> dict[str, list[str]]:
        """By the name of a set and of all those it is a part of."""
        found = defaultdict(list)
        for kind in self.counts:
            name = set_of(kind)
            while name:
                found[name].append(kind)
                name = name.rpartition("/")[0]
        return dict(found)
