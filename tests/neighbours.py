"""What a gallery holds nearest to a drawing, embedded as the gallery's own are: `similar` looks from one side alone."""

from search.engine import SearchEngine
from search.results import Hit
from sketches.sketch import Strokes


def nearest(engine: SearchEngine, strokes: Strokes) -> Hit:
    return engine.similar_to_embedding(engine.embed(strokes), 1).hits[0]
