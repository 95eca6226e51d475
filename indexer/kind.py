"""The kind of an item: its class and its set, as one text. Galleries are sorted, counted and filtered by it.

It is the class alone where there is no set, so that a gallery from before there were sets is as it was; else both, with a line
break between, which neither may hold: the kinds of one class follow one another when they are sorted.
"""

from sketches.item import Item


def kind_of(item: Item) -> str:
    return f"{item.label}\n{item.set}" if item.set else item.label


def label_of(kind: str) -> str:
    return kind.partition("\n")[0]


def set_of(kind: str) -> str:
    return kind.partition("\n")[2]
