"""What a form has to be before it is parsed: the parser takes its time over forms whose parts never end."""

import re

from web.answers import FieldError
from web.problems import InvalidRequest

HEAD = 16 << 10  # bytes of a part's head, and of what may stand before the first part
PARTS = 1_000  # fields and files of a form

_BLANK_LINE = re.compile(rb"\r\n\r\n|\r\r|\n\n")


def check_form(body: bytes, boundary: str) -> None:
    """Raises InvalidRequest for a form that has no parts, too many, or one whose head does not end."""
    mark = b"--" + boundary.encode("latin-1", "replace")
    place = body.find(mark, 0, HEAD) if boundary else -1
    if place < 0:
        raise _refused("the form has no parts: its boundary is not the one that its header names")
    for _ in range(PARTS):
        begin = place + len(mark)
        if body.startswith(b"--", begin):
            return
        head = _BLANK_LINE.search(body, begin, begin + HEAD)
        if head is None:
            raise _refused(f"the head of a part of the form does not end within {HEAD >> 10} KB")
        place = body.find(mark, head.end())
        if place < 0:
            return
    raise _refused(f"the form has too many parts: at most {PARTS:,} are read")


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest([FieldError(field="body", message=message)])
