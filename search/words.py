"""The words of a gallery: which items somebody means who types."""

import sqlite3
import threading
import unicodedata
from collections.abc import Mapping
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt

from indexer.errors import GalleryBusy
from indexer.kind import label_of
from indexer.record import words_of
from indexer.snapshot import Snapshot
from indexer.stored import signed, unsigned
from search.synonyms import meanings
from sketches.item import Item, plain_text

MAX_TEXT = 200  # characters
PATIENCE = 2.0  # seconds that a question waits while the words are read for the first time,
SHORT = 0.3  # and that a drawing waits, which is searched without them otherwise
MAX_CALLED = 200_000  # items: the words of more are read only for those who type
CALLED, TAGGED = 1.0, 0.5  # how much it says that an item is called like a class, or has a tag like it

# Letters, numbers and symbols make words, so that an emoji or an integral sign is one; accents are passed over.
_WORDS = "tokenize=\"unicode61 remove_diacritics 2 categories 'L* N* Co S*'\""


class Words:
    """The words of a snapshot's items and of those added since. They are read at the first question; threads need no lock.

    An item matches a text where each of its words begins a word of the item's name, tags or class. Words with a hyphen or the
    like between them must follow each other. A text that names a thing with other names stands for all of them.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._read: Future[npt.NDArray[np.uint16]] | None = None
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        # Of a gallery of drawings without names only the classes are kept, however many drawings there are.
        self._database.execute(f"CREATE VIRTUAL TABLE kinds USING fts5(label, content='', {_WORDS})")
        self._database.execute(f"CREATE VIRTUAL TABLE items USING fts5(name, tags, content='', {_WORDS})")
        self._database.execute(f"CREATE VIRTUAL TABLE added USING fts5(label, name, tags, {_WORDS})")
        self._added: dict[int, Item] = {}
        self._called: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]] = {}  # by class

    def matches(self, text: str, added: Mapping[int, Item]) -> tuple[npt.NDArray[np.bool_], frozenset[int]]:
        """Which items of the snapshot (N,) match a text, and which of those added, by id. A text without words matches none.

        Raises DamagedSketch for a text that is too long or not one, GalleryBusy while the words are still being read.
        """
        ways = [
            [piece for piece in way.split() if any(map(_in_words, piece))]
            for way in meanings(plain_text(text, "text", MAX_TEXT))
        ]
        self._ready()
        rows, keys = np.zeros(len(self._snapshot), bool), frozenset[int]()
        with self._lock:
            self._follow(dict(added))
            for pieces in filter(None, ways):
                those, ones = self._with_all(pieces)
                rows |= those
                keys |= ones
        return rows, keys

    def _with_all(self, pieces: list[str]) -> tuple[npt.NDArray[np.bool_], frozenset[int]]:
        """The items of which words begin with each of the pieces."""
        rows, keys = np.ones(len(self._snapshot), bool), frozenset[int]()
        for number, piece in enumerate(pieces):
            # A string in quotes is words and nothing else, whatever is in it; the star makes the last one a beginning.
            asked = '"{}"*'.format(piece.replace('"', '""'))
            matching = np.zeros(len(rows), bool)
            matching[self._found("items", asked)] = True
            for kind in self._found("kinds", asked):
                first, last = self._snapshot.kind_starts[kind : kind + 2].tolist()
                matching[first:last] = True
            rows &= matching
            found = frozenset(unsigned(key) for key in self._found("added", asked))
            keys = keys & found if number else found
        return rows, keys

    def called(self, classes: Mapping[str, float]) -> npt.NDArray[np.float32] | None:
        """How much of the items of the snapshot (N,) is called like one of these classes, each of which counts so much.

        None where the gallery is large, or where its words are not read yet.
        """
        if len(self._snapshot) > MAX_CALLED:
            return None
        try:
            self._ready(SHORT)
        except GalleryBusy:
            return None
        strength = np.zeros(len(self._snapshot), np.float32)
        with self._lock:
            for name, counts in classes.items():
                if name not in self._called:
                    self._called[name] = self._called_like(name)
                rows, how = self._called[name]
                strength[rows] = np.maximum(strength[rows], counts * how)
        return strength

    def _called_like(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Rows of items whose name or tags have all words of a class, or of another name of it; and how much that says."""
        found: dict[int, float] = {}
        for columns, says in (("{name tags}", TAGGED), ("name", CALLED)):
            for way in meanings(name):
                pieces = ['"{}"'.format(piece.replace('"', '""')) for piece in way.split() if any(map(_in_words, piece))]
                if pieces:
                    found |= dict.fromkeys(self._found("items", f"{columns} : ({' AND '.join(pieces)})"), says)
        return np.array([*found], np.int64), np.array([*found.values()], np.float32)

    def lengths(self) -> npt.NDArray[np.uint16]:
        """Characters (N,) of what each item of the snapshot is called: its name, else its class."""
        return self._ready()

    def _ready(self, patience: float = PATIENCE) -> npt.NDArray[np.uint16]:
        with self._lock:
            if self._read is None:
                self._read = Future()
                threading.Thread(target=self._read_all, args=(self._read,), name="words", daemon=True).start()
        try:
            return self._read.result(patience)
        except TimeoutError as error:
            raise GalleryBusy("the words of the gallery are being read for the first time; ask again in a moment") from error

    def _read_all(self, read: "Future[npt.NDArray[np.uint16]]") -> None:
        try:
            lengths = np.zeros(len(self._snapshot), np.uint16)
            with self._database:
                labels = enumerate(map(label_of, self._snapshot.kinds))
                self._database.executemany("INSERT INTO kinds (rowid, label) VALUES (?, ?)", labels)
                own = (entry for entry in self._snapshot.entries(embedded=False) if entry.own)
                for row, entry in enumerate(own):
                    name, tags = words_of(entry.record)
                    lengths[row] = len(name or label_of(entry.kind))
                    if name or tags:
                        words = (row, name, " ".join(tags))
                        self._database.execute("INSERT INTO items (rowid, name, tags) VALUES (?, ?, ?)", words)
            read.set_result(lengths)
        except Exception as error:  # told to everybody who asks
            read.set_exception(error)

    def _follow(self, added: dict[int, Item]) -> None:
        """Keep to the items that are there."""
        with self._database:
            for key in [key for key, item in self._added.items() if added.get(key) is not item]:
                self._database.execute("DELETE FROM added WHERE rowid = ?", (signed(key),))
            for key, item in added.items():
                if self._added.get(key) is not item:
                    words = (signed(key), item.label, item.name, " ".join(item.tags))
                    self._database.execute("INSERT INTO added (rowid, label, name, tags) VALUES (?, ?, ?, ?)", words)
        self._added = added

    def _found(self, table: str, asked: str) -> list[int]:
        return [row for (row,) in self._database.execute(f"SELECT rowid FROM {table} WHERE {table} MATCH ?", (asked,))]


def _in_words(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LNS" or category == "Co"
