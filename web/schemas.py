"""What the HTTP API takes and gives. The OpenAPI document is made of these."""

from base64 import b64decode
from binascii import Error as BadBase64
from io import BytesIO
from typing import Annotated, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, WithJsonSchema
from werkzeug.datastructures import FileStorage

from indexer.overlay import MAX_BY
from search.engine import MAX_K, MAX_OFFSET
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


class HitAnswer(BaseModel):
    """One sketch found; distance is L2 between embeddings (null: only a text was asked with), rank counts from 1."""

    id: str
    label: str
    name: str = ""
    set: str = ""
    distance: float | None
    rank: int


class GuessAnswer(BaseModel):
    """A class the net takes the drawing for, and how surely (0..1)."""

    label: str
    probability: float


class SearchAnswer(BaseModel):
    """Hits, best first, all from one snapshot. The time of each stage is in the header Server-Timing.

    `guesses` are there for a drawing, `embedding` where it was asked for. For a file there are `seen` (the strokes that were
    read), `notes` (sentences about what was left out) and `others` (further drawings on the same sheet).
    """

    snapshot: str
    took_ms: float
    hits: list[HitAnswer]
    guesses: list[GuessAnswer] = []
    seen: list[list[list[float]]] | None = None
    notes: list[str] = []
    others: list[list[list[list[float]]]] = []
    embedding: list[float] | None = None


class SearchesAnswer(BaseModel):
    """The answers to several searches, in their order."""

    answers: list[SearchAnswer]


class PartAnswer(BaseModel):
    """A stroke or a piece of one; `change` is how much farther the drawing is without it (null: nothing would be left).

    Of many small strokes those that follow each other are left out together: they share a `group`, and a change.
    """

    stroke: list[list[float]]
    change: float | None
    group: int


class ReadyAnswer(BaseModel):
    """What is served, and whether it is all there is.

    `status` is `ready`, or `stale` where newer snapshots or changes cannot be served: `problem` says why, `since` from when.
    `changes` counts those not yet folded into a snapshot.
    """

    status: str
    snapshot: str
    sketches: int
    changes: int
    problem: str | None = None
    since: float | None = None  # seconds since 1970


class RegionAnswer(BaseModel):
    """A rectangle of a picture, in shares of its width and height; `change` is how much farther it is with that covered."""

    x: float
    y: float
    width: float
    height: float
    change: float | None


class ExplainAnswer(BaseModel):
    """The distance of the drawing to the sketch, and what each part of the drawing, or region of the picture, does to it."""

    snapshot: str
    distance: float
    parts: list[PartAnswer] = []
    regions: list[RegionAnswer] = []


class LandmarkAnswer(BaseModel):
    """A class and its place on the map."""

    label: str
    x: float
    y: float


class MapAnswer(BaseModel):
    """The map of the gallery, or of a sample of it: places are 0..1; `labels` are indices into `classes`.

    `stale`: it is the map of the snapshot before, as that of the one that is served is still being made.
    """

    snapshot: str
    stale: bool
    classes: list[LandmarkAnswer]
    ids: list[str]
    labels: list[int]
    x: list[float]
    y: list[float]


class PlaceAnswer(BaseModel):
    """A place on the map of this snapshot."""

    snapshot: str
    x: float
    y: float


class SketchAnswer(BaseModel):
    """One sketch of the gallery; set, name, tags and link where it has them."""

    id: str
    label: str
    set: str = ""
    name: str = ""
    tags: list[str] = []
    link: str = ""
    strokes: list[list[list[float]]]


class ViewAnswer(BaseModel):
    """A further drawing of a sketch; `by` may be empty, `at` is ISO 8601."""

    id: str
    sketch: str
    strokes: list[list[list[float]]]
    by: str
    at: str


class ViewsAnswer(BaseModel):
    """The further drawings of a sketch, the oldest first."""

    views: list[ViewAnswer]


class AllViewsAnswer(BaseModel):
    """Further drawings of any sketches, the newest first, and how many there are in all."""

    total: int
    views: list[ViewAnswer]


class RemovedAnswer(BaseModel):
    """How many further drawings were taken back."""

    removed: int


class ReloadAnswer(BaseModel):
    """The snapshot that is served now."""

    snapshot: str


class ClassAnswer(BaseModel):
    """A class of the gallery and how many sketches it has."""

    label: str
    sketches: int


class SetAnswer(BaseModel):
    """A set of the gallery and how many sketches it has, with all sets below: `icons/lucide` is below `icons`."""

    set: str
    sketches: int


class ExampleAnswer(BaseModel):
    """A sketch to start from."""

    id: str
    label: str
    name: str = ""


class ClassesAnswer(BaseModel):
    """All classes of the gallery, its sets, and a few sketches to start from.

    `sets` is empty where they are the same as the classes; one that is all there is of the set above is left out.
    `far`: hits beyond this distance have little in common with a query; only one pair of sketches in a hundred is nearer.
    `doodles`: the gallery holds only the built-in ones, a demo without real drawings. `views`: everyone may add drawings of
    its sketches (`POST .../views`). `looks_at`: what a query is, and what its items are: drawings, photographs, or signs, which
    may be drawn or photographed.
    """

    snapshot: str
    looks_at: Literal["drawings", "photographs", "signs"] = "drawings"
    doodles: bool = False
    views: bool = False
    far: float | None = None
    examples: list[ExampleAnswer] = []
    classes: list[ClassAnswer]
    sets: list[SetAnswer] = []


class FieldError(BaseModel):
    """One thing wrong with a request; `field` is a path such as `strokes.3.0`."""

    field: str
    message: str


class Problem(BaseModel):
    """Why a request failed (RFC 9457, application/problem+json)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
