"""What can be wrong with a drawing or a file of drawings.

SketchError            any of the below; the message says what was wrong and what to do
├── DamagedSketch      a drawing that cannot be read, with the field (or file and line) that is at fault
├── PictureError       a picture that cannot be decoded, is too large, or shows no drawing
└── DatasetError       a folder, class or split that is not what was asked for
"""


class SketchError(ValueError):
    """Base of every error a caller of `sketches` can act on."""


class DamagedSketch(SketchError):
    """A drawing that is not one: no points, not finite, too large, or unreadable."""

    def __init__(self, message: str, field: str = "strokes") -> None:
        super().__init__(message)
        self.field = field


class PictureError(SketchError):
    """A picture nobody can search with."""


class DatasetError(SketchError):
    """A data folder that lacks what was asked of it."""
