"""What the HTTP API takes. The OpenAPI document is made of these and of `web/answers.py`."""

from base64 import b64decode
from binascii import Error as BadBase64
from io import BytesIO
from typing import Annotated
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, WithJsonSchema
from werkzeug.datastructures import FileStorage

from indexer.overlay import MAX_BY
from search.question import MAX_K, MAX_OFFSET
from search.words import MAX_TEXT
from sketches.item import MAX_LABEL, MAX_SET
from sketches.sketch import MAX_POINTS, MAX_STROKES

MAX_QUERIES = 64  # in one request

Number = Annotated[float, Field(allow_inf_nan=False)]
Numbers = Annotated[list[Number], Field(max_length=MAX_POINTS), FailFast()]
StrokeRows = Annotated[list[Numbers], Field(min_length=2, max_length=3)]
Point = Annotated[list[Number], Field(min_length=2, max_length=4)]
StrokePoints = Annotated[list[Point], Field(max_length=MAX_POINTS), FailFast()]
K = Annotated[int, Field(ge=1, le=MAX_K, description="How many sketches to answer with.")]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET, description="How many of the nearest to leave out: the next page.")]
MaxDistance = Annotated[
    float | None, Field(ge=0, allow_inf_nan=False, description="Only sketches that are no farther; default: however far.")
]
WithEmbedding = Annotated[bool, Field(description="Answer with the embedding of the drawing too.")]
ClassName = Annotated[str, Field(max_length=MAX_LABEL)]
SetName = Annotated[str, Field(min_length=1, max_length=MAX_SET)]


def _listed(value: object) -> object:
    """In a form or a query string, one value comes as a string of its own."""
    return [value] if isinstance(value, str) else value


Classes = Annotated[
    list[ClassName] | None,
    FailFast(),
    BeforeValidator(_listed),
    Field(min_length=1, max_length=1_000, description="Only sketches of these classes; default: of any."),
]

Sets = Annotated[
    list[SetName] | None,
    FailFast(),
    BeforeValidator(_listed),
    Field(min_length=1, max_length=1_000, description="Only sketches of these sets, or of sets below; default: of any."),
]

Text = Annotated[
    str,
    Field(max_length=MAX_TEXT, description="Beginnings of words of name, tags or class: sketches with all of them come first."),
]

Label = Annotated[
    str, Field(min_length=1, max_length=MAX_LABEL, pattern=r"^\S(.*\S)?$", description="The class, as it is shown.")
]
NewSet = Annotated[str, Field(max_length=MAX_SET, description="The set it is added to, as `icons/lucide`; default: none.")]
NewId = Annotated[
    str | None,
    Field(pattern=r"^[0-9]{1,20}$", description="An unsigned 64-bit number the gallery does not have; default: a new one."),
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Drawing(_Input):
    """A drawing: either `strokes`, each `[[x, ...], [y, ...]]`, or `points`, a list `[[x, y], ...]` for each stroke.

    In any unit; y grows downwards. What a stroke has beside x and y (time, pressure) is not read.
    """

    strokes: Annotated[list[StrokeRows] | None, Field(min_length=1, max_length=MAX_STROKES), FailFast()] = None
    points: Annotated[list[StrokePoints] | None, Field(min_length=1, max_length=MAX_STROKES), FailFast()] = None


class _Asked(_Input):
    """What any search may ask for."""

    k: K = 10
    offset: Offset = 0
    max_distance: MaxDistance = None
    classes: Classes = None
    sets: Sets = None
    text: Text = ""


class SearchQuery(_Drawing, _Asked):
    """A drawing, as `strokes` or as `points`, or an `embedding` that an answer gave; with a `text`, or a text alone."""

    embedding: Annotated[list[Number] | None, Field(min_length=1, max_length=4_096), FailFast()] = None
    return_embedding: WithEmbedding = False


class SearchesQuery(_Input):
    """Several searches at once; all are answered from one snapshot, or none is."""

    queries: Annotated[list[SearchQuery], Field(min_length=1, max_length=MAX_QUERIES)]


def _as_file(value: object) -> object:
    """A file; a data URL that stands in a text field is one too."""
    if not isinstance(value, str):
        return value
    head, comma, data = value.partition(",")
    if not (comma and head.startswith("data:")):
        raise ValueError("send the file itself, as multipart form data (curl -F file=@drawing.png), or a data URL")
    if not head.endswith(";base64"):
        return FileStorage(BytesIO(unquote_to_bytes(data)))
    try:
        return FileStorage(BytesIO(b64decode("".join(data.split()), validate=True)))
    except BadBase64:
        raise ValueError("the data URL is not base64") from None


File = Annotated[FileStorage, BeforeValidator(_as_file), WithJsonSchema({"type": "string", "format": "binary"})]


class UploadQuery(_Asked):
    """A picture or an SVG, as multipart form data; with a `text`, or a text alone."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    file: File | None = None
    return_embedding: WithEmbedding = False


Key = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", description="The id of a sketch of the gallery.")]


class ExamplesQuery(_Asked):
    """Sketches of the gallery that hits should be like, and such that they should not."""

    like: Annotated[list[Key], Field(min_length=1, max_length=100), FailFast()]
    unlike: Annotated[list[Key], Field(max_length=100), FailFast()] = []


class SimilarQuery(_Asked):
    """Parameters of a search from a sketch of the gallery."""


class ExplainQuery(_Drawing):
    """A drawing, and the sketch whose nearness to it is to be explained."""

    id: Key


class ExplainUpload(_Input):
    """A picture, in a gallery of pictures, and the one whose nearness to it is to be explained."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    file: File
    id: Key


class PlaceQuery(_Drawing):
    """A drawing whose place on the map is asked for."""


class NewStrokes(_Drawing):
    """A drawing to add."""

    label: Label
    set: NewSet = ""
    id: NewId = None


class NewUpload(_Input):
    """A picture or an SVG to add, in multipart form data; a gallery of drawings traces its lines."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    file: File
    label: Label
    set: NewSet = ""
    id: NewId = None


By = Annotated[str, Field(max_length=MAX_BY, description="Who drew it: a name or a key; empty for nobody in particular.")]


class NewView(_Drawing):
    """A drawing of a sketch that is in the gallery, to find it by."""

    by: By = ""


class ViewsQuery(_Input):
    """Which further drawings are listed: of one person, or of all; the newest first."""

    by: By | None = None
    k: K = 100
    offset: Annotated[int, Field(ge=0)] = 0


class ViewsByQuery(_Input):
    """Whose further drawings are meant."""

    by: By
