"""What can be wrong with a gallery.

GalleryError           any of the below; the message says what was wrong and what to do
├── SnapshotError      a snapshot that is missing, damaged or does not fit
├── OverlayError       a database of changes that is missing, damaged or was replaced
├── GalleryBusy        another process holds the gallery; nothing was changed, and the same call may succeed later
├── GalleryUnreachable a gallery on a server that does not answer, or refuses to; the same call may succeed later
├── ChangeRefused      a change that contradicts the gallery: an id twice, a missing one
└── NotPublished       a rebuild that was finished, measured and found worse
"""


class GalleryError(ValueError):
    """Base of every error an operator of a gallery can act on."""


class SnapshotError(GalleryError):
    """A snapshot that is missing, damaged or does not fit."""


class OverlayError(GalleryError):
    """A database of changes that is missing, or does not hold what was written."""


class GalleryBusy(GalleryError):
    """A lock that another process held longer than we wait. Nothing was changed."""


class GalleryUnreachable(GalleryError):
    """A server that does not answer in time, is full, or refuses us. What was asked for may succeed later."""


class ChangeRefused(GalleryError):
    """An add of an id that is there, or a removal of one that is not. `key` is the id, None where nothing was to be changed."""

    def __init__(self, message: str, key: int | None = None) -> None:
        super().__init__(message)
        self.key = key


class NotPublished(GalleryError):
    """A candidate that the gate keeps from being served."""
