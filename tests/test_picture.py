import zlib
from contextlib import suppress
from io import BytesIO
from struct import pack

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFile, PngImagePlugin

from sketches.errors import PictureError
from sketches.picture import FORMATS, MAX_SIDE, Grey
from sketches.picture import read_picture as read_colours

GREY = Image.new("L", (80, 60), 255)
ImageDraw.Draw(GREY).line([(10, 10), (70, 50)], 0, 4)
SEVERAL = ("GIF", "TIFF", "PNG", "WEBP", "AVIF")  # formats of several frames or pages


def read_picture(data: bytes) -> Grey:
    return np.asarray(Image.fromarray(read_colours(data).colours).convert("L"))


def saved(picture: Image.Image, format: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A one-bit PNG of any size, all white, a few kB small."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body))

    rows = zlib.compressobj(9)
    line = b"\0" + b"\xff" * ((width + 7) // 8)
    data = b"".join(rows.compress(line) for _ in range(height)) + rows.flush()
    header = pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_drawing(format: str) -> None:
    ours = read_picture(saved(GREY, format)).astype(int)
    assert np.abs(ours - np.asarray(GREY, int)).mean() < 6


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_every_mode_gives_the_same_drawing(mode: str) -> None:
    deep = Image.fromarray(np.asarray(GREY, np.uint16) * 257)
    picture = deep if mode == "I;16" else GREY.convert(mode)
    ours = read_picture(saved(picture, "JPEG" if mode == "CMYK" else "PNG"))
    assert np.abs(ours.astype(int) - np.asarray(GREY, int)).mean() < 8


@pytest.mark.parametrize("pen", [0, 255])
def test_ink_on_nothing_stands_out(pen: int) -> None:
    picture = Image.new("RGBA", (80, 60), (pen, pen, pen, 0))
    ImageDraw.Draw(picture).line([(10, 10), (70, 50)], (pen, pen, pen, 255), 4)
    grey = read_picture(saved(picture, "PNG")).astype(int)
    assert abs(grey[30, 40] - pen) < 10 and abs(grey[0, 0] - (255 - pen)) < 10


def test_exif_turns_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    assert read_picture(saved(GREY, "JPEG", exif=exif)).shape == (80, 60)


@pytest.mark.parametrize(("format", "kind"), [("GIF", "frame 2"), ("TIFF", "page 2")])
def test_of_several_frames_the_one_that_shows_the_drawing_counts(format: str, kind: str) -> None:
    blank = Image.new("L", (80, 60), 255)
    data = saved(blank, format, save_all=True, append_images=[GREY.copy(), blank.copy()])
    assert read_picture(data).min() < 50 and kind in read_colours(data).notes[0]


def test_large_texts_in_a_png_do_not_matter() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "x" * 3_000_000, zip=True)
    assert read_picture(saved(GREY, "PNG", pnginfo=texts)).min() < 50


def test_a_phones_largest_photo_is_read() -> None:
    photo = GREY.convert("RGB").resize((8064, 6048))
    assert read_picture(saved(photo, "JPEG", quality=50)).shape == (480, 640)


def test_marks_on_a_cut_out_area_are_the_drawing() -> None:
    sticker = Image.new("RGBA", (80, 60), (255, 255, 255, 0))
    pen = ImageDraw.Draw(sticker)
    pen.ellipse((5, 5, 75, 55), (255, 255, 255, 255))
    pen.line([(20, 20), (60, 40)], (0, 0, 0, 255), 4)
    grey = read_picture(saved(sticker, "PNG"))
    assert grey[0, 0] > 200 and grey[30, 40] < 50


def test_large_pictures_are_shrunk() -> None:
    assert max(read_picture(saved(GREY.resize((4000, 3000)), "PNG")).shape) == MAX_SIDE


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bomb(13_000, 13_000)
    assert len(data) < 150_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda picture: pytest.fail("it is decoded"))
    with pytest.raises(PictureError, match="13000 x 13000"):
        read_picture(data)
    with pytest.raises(pytest.fail.Exception):  # as any other picture is
        read_picture(saved(GREY, "PNG"))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", saved(GREY, "PNG")[:80], saved(GREY, "PPM")])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        read_picture(data)


@pytest.mark.parametrize("mode", ["L", "P"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_picture_is_refused_or_read_but_never_crashes(format: str, mode: str) -> None:
    """Of a film or a document too: Pillow counts its frames before any is decoded, and trusts what it reads."""
    picture = GREY.convert(mode) if format in ("GIF", "TIFF", "PNG", "BMP") else GREY
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]} if format in SEVERAL else {}
    for whole in (saved(picture, format), saved(picture, format, **frames)):
        rng = np.random.default_rng(0)
        for number in range(60):
            data = bytearray(whole)
            for place in rng.integers(len(data), size=rng.integers(1, 8)):
                data[place] = rng.integers(256)
            end = rng.integers(len(data) // 2, len(data) + 1) if number % 2 else len(data)
            with suppress(PictureError):
                assert max(read_picture(bytes(data[:end])).shape) <= MAX_SIDE


def test_a_film_whose_first_frame_is_damaged_is_refused() -> None:
    film = saved(GREY, "PNG", save_all=True, append_images=[GREY.rotate(90)])
    data = film.index(b"IDAT")
    with pytest.raises(PictureError, match="damaged"):
        read_picture(film[: data + 20])


def test_a_document_with_a_page_without_a_size_is_refused() -> None:
    pages = saved(GREY, "TIFF", save_all=True, append_images=[GREY])
    second = pages.rindex(pack("<HHI", 256, 4, 1))  # its width
    with pytest.raises(PictureError, match="damaged"):
        read_picture(pages[:second] + pack("<H", 999) + pages[second + 2 :])


def test_without_its_library_a_heic_photo_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sketches.picture.FORMATS", ["PNG", "JPEG"])
    with pytest.raises(PictureError, match="pillow-heif is installed; save the photo as JPEG"):
        read_picture(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")
