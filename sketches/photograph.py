"""Pictures that are looked at as they are, not traced to lines: how they are kept, and how a net is shown them."""

from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from sketches.errors import PictureError
from sketches.item import MAX_PICTURE, Picture
from sketches.picture import Colours, read_picture
from sketches.svg import rendered
from sketches.svg_document import looks_like_svg, read_document

KEPT_SIDE = 320  # pixels of the shorter side that are kept: more than the nets look at
QUALITY = 90  # of a JPEG; at 60 a large noisy picture still fits into an item

Seen = npt.NDArray[np.uint8]  # (3, size, size): red, green, blue

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class PhotographSpec:
    """How a photograph is shown to a net. Stored in its checkpoint: a net only ever sees what it was trained on.

    size             width and height of the square that the net sees, in pixels
    resize           the shorter side of a photograph is brought to so many pixels, then the square is cut from its middle
    mean, deviation  of red, green and blue (0..1): what the net subtracts, then divides by
    flips            whether training shows mirror images too
    zoom             training cuts a square at random with a side of this share of the photograph's, at least
    """

    size: int = 224
    resize: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    deviation: tuple[float, float, float] = IMAGENET_DEVIATION
    flips: bool = True
    zoom: float = 0.8

    def __post_init__(self) -> None:
        for name in ("mean", "deviation"):  # JSON has lists
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        if not 16 <= self.size <= self.resize <= 1024:
            raise ValueError(f"size {self.size} and resize {self.resize} are not 16 <= size <= resize <= 1024 pixels")
        if not (len(self.mean) == len(self.deviation) == 3 and min(self.deviation) > 0):
            raise ValueError("mean and deviation are three numbers each, and a deviation is greater than 0")
        if not 0.1 <= self.zoom <= 1:
            raise ValueError(f"zoom {self.zoom} is not within 0.1..1")


def as_photograph(data: bytes) -> Picture:
    """The picture of a file as an item keeps it, without what else its file says. Raises SketchError."""
    colours = read_picture(rendered(read_document(data), "#ffffff") if looks_like_svg(data) else data).colours
    picture = Image.fromarray(colours)
    shrink = KEPT_SIDE / min(picture.size)
    if shrink < 1:
        picture = picture.resize((round(picture.width * shrink), round(picture.height * shrink)), Image.Resampling.LANCZOS)
    return of_image(picture)


def of_image(picture: Image.Image) -> Picture:
    """A picture in RGB or grey as an item keeps it: few colours are smaller, and sharper, as PNG; a photograph is not."""
    if picture.getcolors(256):
        return Picture(_saved(picture, "png", optimize=True), "image/png")
    data = _saved(picture, "jpeg", quality=QUALITY)
    return Picture(data if len(data) <= MAX_PICTURE else _saved(picture, "jpeg", quality=60), "image/jpeg")


def colours_of(picture: Picture) -> Colours:
    """The colours (height, width, 3) of a picture that `as_photograph` made. Raises PictureError for any other."""
    found = None
    if picture.media_type != "image/svg+xml":
        found = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise PictureError("the picture of this item cannot be looked at: it is damaged, or an SVG")
    return np.asarray(found[:, :, ::-1], np.uint8)


def seen(colours: Colours, spec: PhotographSpec) -> Seen:
    """The colours (height, width, 3) as a net sees them."""
    height, width = colours.shape[:2]
    scale = spec.resize / min(height, width)
    side = min(spec.size / scale, height, width)  # of the square, in pixels of the photograph
    return square(colours, (width - side) / 2, (height - side) / 2, side, spec.size)


def square(colours: Colours, left: float, top: float, side: float, size: int) -> Seen:
    """A square of the colours, from left and top with this side (in pixels), brought to size: (3, size, size)."""
    x, y, edge = round(left), round(top), max(1, round(side))
    cut = colours[y : y + edge, x : x + edge]
    if cut.shape[:2] != (size, size):
        smaller = min(cut.shape[:2]) > size
        cut = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)  # type: ignore[assignment]
    return np.ascontiguousarray(cut.transpose(2, 0, 1))


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
