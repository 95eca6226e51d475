"""What can be wrong with a gallery on disk.

GalleryError           any of the below; the message says what was wrong and what to do
├── SnapshotError      a snapshot that is missing, damaged or does not fit
├── JournalError       changes that cannot be read back
├── ChangeRefused      a change that contradicts the gallery: an id twice, a missing one
└── NotPublished       a rebuild that was finished, measured and found worse
"""


class GalleryError(ValueError):
    """Base of every error an operator of a gallery can act on."""


class SnapshotError(GalleryError):
    """A snapshot that is missing, damaged or does not fit."""


class JournalError(GalleryError):
    """A journal whose lines are not what was written."""


class ChangeRefused(GalleryError):
    """An add of an id that is there, or a removal of one that is not."""


class NotPublished(GalleryError):
    """A candidate that the gate keeps from being served."""
