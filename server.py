"""The HTTP server: `python server.py --gallery G` starts it, `--help` lists its settings; its routes are in `web`."""

import gc
import logging
import os
import sys

from indexer.errors import GalleryError
from search.live import LiveGallery
from search.memory import return_freed, return_large_blocks
from web.application import Application
from web.browsing import add_browse_routes
from web.changing import add_change_routes
from web.operating import add_operating_routes
from web.searching import add_search_routes
from web.serve import Server, listen, url_of
from web.settings import SettingError, Settings
from web.viewing import add_view_routes


def create_app(live: LiveGallery, settings: Settings) -> Application:
    """The application around a gallery. The routes that change it exist only where there is a token to ask for."""
    trazo = Application(live, settings)
    add_browse_routes(trazo)
    add_search_routes(trazo)
    add_view_routes(trazo)
    if settings.admin_token:
        add_change_routes(trazo)
    add_operating_routes(trazo)
    return trazo


def main(arguments: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        settings = Settings.parse(arguments, os.environ)
        listening = listen(settings.host, settings.port)  # whoever asks early waits until the gallery is open
    except SettingError as error:
        print(f"server: {error}", file=sys.stderr)
        return 2
    return_large_blocks()
    gc.freeze()  # what has been imported stays: no collection has to look at it again and again
    try:
        live = LiveGallery(settings.gallery, settings.fold_at)
    except (GalleryError, OSError) as error:
        print(f"server: {error}", file=sys.stderr)
        listening.close()
        return 2
    trazo = create_app(live, settings)
    return_freed()  # loading a net takes several times the memory that the net does
    url = url_of(settings.host, listening.getsockname()[1]) + settings.base_path
    count, classes = len(live.engine), len(live.engine.classes())
    print(f"Trazo: {count} drawings of {classes} classes at {url}", flush=True)
    try:
        Server(trazo.front, settings).run([listening])
    finally:
        trazo.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
