"""What the HTTP API takes and gives. The OpenAPI document is made of these."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, WithJsonSchema
from werkzeug.datastructures import FileStorage

from search.engine import MAX_K
from sketches.sketch import MAX_POINTS, MAX_STROKES

Number = Annotated[float, Field(allow_inf_nan=False)]
Numbers = Annotated[list[Number], Field(max_length=MAX_POINTS), FailFast()]
StrokeRows = Annotated[list[Numbers], Field(min_length=2, max_length=3)]
K = Annotated[int, Field(ge=1, le=MAX_K, description="How many sketches to answer with.")]
Classes = Annotated[
    list[str] | None,
    # In a form or a query string, one value comes as a string of its own.
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, max_length=1_000, description="Only sketches of these classes; default: of any."),
]

Label = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$", description="The class, as it is shown.")]
NewId = Annotated[
    str | None,
    Field(pattern=r"^[0-9]{1,20}$", description="An unsigned 64-bit number the gallery does not have; default: a new one."),
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StrokesQuery(_Input):
    """A drawing as strokes, each `[[x, ...], [y, ...]]`, in any unit; y grows downwards."""

    strokes: Annotated[list[StrokeRows], Field(min_length=1, max_length=MAX_STROKES), FailFast()]
    k: K = 10
    classes: Classes = None


class UploadQuery(_Input):
    """A picture (PNG, JPEG, WebP, GIF, BMP) or an SVG, as multipart form data."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    file: Annotated[FileStorage, WithJsonSchema({"type": "string", "format": "binary"})]
    k: K = 10
    classes: Classes = None


Key = Annotated[str, Field(pattern=r"^[0-9]{1,20}$", description="The id of a sketch of the gallery.")]


class ExamplesQuery(_Input):
    """Sketches of the gallery that hits should be like, and such that they should not."""

    like: Annotated[list[Key], Field(min_length=1, max_length=100)]
    unlike: Annotated[list[Key], Field(max_length=100)] = []
    k: K = 10
    classes: Classes = None


class ExplainQuery(_Input):
    """A drawing as strokes, and the sketch whose nearness to it is to be explained."""

    strokes: Annotated[list[StrokeRows], Field(min_length=1, max_length=MAX_STROKES), FailFast()]
    id: Key


class PlaceQuery(_Input):
    """A drawing as strokes, whose place on the map is asked for."""

    strokes: Annotated[list[StrokeRows], Field(min_length=1, max_length=MAX_STROKES), FailFast()]


class NewStrokes(_Input):
    """A drawing to add, as strokes."""

    strokes: Annotated[list[StrokeRows], Field(min_length=1, max_length=MAX_STROKES), FailFast()]
    label: Label
    id: NewId = None


class NewUpload(_Input):
    """A drawing to add, as a picture or an SVG in multipart form data; its lines are traced."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    file: Annotated[FileStorage, WithJsonSchema({"type": "string", "format": "binary"})]
    label: Label
    id: NewId = None


class SimilarQuery(_Input):
    """Parameters of a search from a sketch of the gallery."""

    k: K = 10
    classes: Classes = None


class HitAnswer(BaseModel):
    """One sketch found; distance is L2 between embeddings, rank counts from 1."""

    id: str
    label: str
    distance: float
    rank: int


class GuessAnswer(BaseModel):
    """A class the net takes the drawing for, and how surely (0..1)."""

    label: str
    probability: float


class SearchAnswer(BaseModel):
    """Hits, nearest first, all from one snapshot. The time of each stage is in the header Server-Timing.

    `guesses` are there for a drawing, `seen` (the strokes that were read) for a file.
    """

    snapshot: str
    took_ms: float
    hits: list[HitAnswer]
    guesses: list[GuessAnswer] = []
    seen: list[list[list[float]]] | None = None


class PartAnswer(BaseModel):
    """A stroke or a piece of one; `change` is how much farther the drawing is without it (null: nothing would be left)."""

    stroke: list[list[float]]
    change: float | None


class ExplainAnswer(BaseModel):
    """The distance of the drawing to the sketch, and what each part of the drawing does to it."""

    snapshot: str
    distance: float
    parts: list[PartAnswer]


class LandmarkAnswer(BaseModel):
    """A class and its place on the map."""

    label: str
    x: float
    y: float


class MapAnswer(BaseModel):
    """The map of the gallery, or of a sample of it: places are 0..1; `labels` are indices into `classes`."""

    snapshot: str
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
    """One sketch of the gallery."""

    id: str
    label: str
    strokes: list[list[list[float]]]


class ReloadAnswer(BaseModel):
    """The snapshot that is served now."""

    snapshot: str


class ClassAnswer(BaseModel):
    """A class of the gallery and how many sketches it has."""

    label: str
    sketches: int


class ClassesAnswer(BaseModel):
    """All classes of the gallery."""

    snapshot: str
    classes: list[ClassAnswer]


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
