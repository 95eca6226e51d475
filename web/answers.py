"""What the HTTP API gives; its OpenAPI document is made of these and of `web/questions.py`."""

from typing import Literal

from pydantic import BaseModel


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
