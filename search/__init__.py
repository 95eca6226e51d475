"""Answers: the sketches of a gallery nearest to strokes, a picture, a drawing of the gallery or an embedding."""
