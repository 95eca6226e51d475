"""The nearest of float16 rows, measured where they lie: mapped from a file or in memory, without a copy in float32.

FAISS's scalar quantizer takes half precision as a code, and its scanner reads codes from any address.
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Views = npt.NDArray[np.int64]

_EVERY = faiss.IDSelectorAll()


class Scan:
    """Measures rows (n, D) float16 against a query (D,). Safe to ask from many threads.

    FAISS's bindings cannot free a scanner, so scanners are used again: there are as many as threads ever asked at once.
    """

    def __init__(self, dimensions: int) -> None:
        self._codec = faiss.ScalarQuantizer(dimensions, faiss.ScalarQuantizer.QT_fp16)
        self._idle: list[Any] = []

    def nearest(
        self, query: Floats, rows: npt.NDArray[np.float16], views: Views, count: int, selector: Any = None
    ) -> tuple[Floats, Views]:
        """Squared distances in float32 and views, in no order, of the `count` nearest rows, or all if there are fewer.

        views  (n,): the numbers of the rows; selector: a faiss.IDSelector of those that count
        """
        count = min(count, len(rows))
        squares, found = np.full(count, np.inf, np.float32), np.full(count, -1)
        asked, codes, numbers = (np.ascontiguousarray(one) for one in (query, rows.view(np.uint8), views))
        try:
            scanner = self._idle.pop()
        except IndexError:
            scanner = self._codec.select_InvertedListScanner(faiss.METRIC_L2, None, False, _EVERY, False)  # type: ignore[attr-defined]
        scanner.sel = _EVERY if selector is None else selector
        scanner.set_query(faiss.swig_ptr(asked))
        scanner.set_list(0, 0.0)
        scanner.scan_codes(
            len(rows),
            *(faiss.swig_ptr(one) for one in (codes, numbers, squares, found)),
            count,
        )
        self._idle.append(scanner)
        there = found >= 0
        return squares[there], found[there]
