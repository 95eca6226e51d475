"""Change a gallery from the command line while it is served: the server reads the journal and follows at once."""

from collections.abc import Sequence
from pathlib import Path

from indexer.journal import Change, Journal, refuse_contradiction
from indexer.snapshot import open_current
from sketches.sketch import Sketch


def change_gallery(gallery: Path, added: Sequence[Sketch] = (), removed: Sequence[int] = ()) -> Change:
    """Add drawings and remove ids, all or nothing, for good once this returns.

    Raises ChangeRefused for an id that is there already or a missing one, GalleryError where the gallery cannot be read,
    OSError where the disk fails.
    """
    snapshot = open_current(gallery)
    journal = Journal(gallery, snapshot.manifest.journal_seq)
    with journal.lock:
        ids = set(snapshot.sketches.ids.tolist())
        for change in journal.new_changes():
            ids.difference_update(change.removed)
            ids.update(sketch.id for sketch in change.added)
        refuse_contradiction(ids.__contains__, added, removed)
        return journal.append(added, removed)
