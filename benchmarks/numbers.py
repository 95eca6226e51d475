"""How many whole numbers are read right: digits that no net learned from, set side by side by chance, read by `nets.numbers`.

python -m benchmarks.numbers --checkpoint runs/digits.mnist.safetensors --data ../shared/digits --out reports/numbers
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from evaluation.provenance import provenance
from nets.checkpoint import find_checkpoint
from nets.encoder import Encoder
from nets.numbers import Find, read_number
from sketches.photograph import colours_of
from sketches.picture_protocol import PICTURE_PROTOCOLS
from sketches.picture_set import PictureSet
from sketches.scan import Ink, ink_of

LENGTHS = (4, 10)  # digits, at least and at most
TALL = (0.85, 1.15)  # times the size of a digit
GAP = (2, 12)  # pixels between digits of 20 pixels' height
RAISED = 3  # pixels, at most, up or down
PAPER, PEN, NOISE = 235, 40, 8  # grey values


def composed(digits: PictureSet, rng: np.random.Generator) -> tuple[Ink, str]:
    """A picture of a number in grey, dark on light, and the number."""
    rows = rng.integers(len(digits), size=int(rng.integers(LENGTHS[0], LENGTHS[1] + 1))).tolist()
    parts = []
    for row in rows:
        ink = ink_of(colours_of(digits.look(row)))
        scale = float(rng.uniform(*TALL))
        x, y, width, height = cv2.boundingRect((ink > 96).astype(np.uint8))
        size = max(2, round(width * scale)), max(2, round(height * scale))
        parts.append(np.asarray(cv2.resize(ink[y : y + height, x : x + width], size, interpolation=cv2.INTER_LINEAR), np.uint8))
    gaps = rng.integers(GAP[0], GAP[1] + 1, len(parts) + 1).tolist()
    line = np.zeros((44, sum(part.shape[1] for part in parts) + sum(gaps)), np.float64)
    place = gaps[0]
    for part, gap in zip(parts, gaps[1:], strict=True):
        top = (44 - part.shape[0]) // 2 + int(rng.integers(-RAISED, RAISED + 1))
        line[top : top + part.shape[0], place : place + part.shape[1]] = part
        place += part.shape[1] + gap
    grey = PAPER + (PEN - PAPER) * line / 255 + rng.normal(0, NOISE, line.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), "".join(digits.label(row) for row in rows)


def drawn(grey: Ink, finds: tuple[Find, ...], number: str) -> npt.NDArray[np.uint8]:
    """The picture, four times larger, with what was found in it, and below what it is."""
    large = cv2.cvtColor(cv2.resize(grey, None, fx=4, fy=4), cv2.COLOR_GRAY2BGR)
    canvas = np.full((large.shape[0] + 70, large.shape[1], 3), 255, np.uint8)
    canvas[: large.shape[0]] = large
    for find in finds:
        left, right = round(find.left * large.shape[1]), round(find.right * large.shape[1])
        cv2.rectangle(canvas, (left, 6), (right, large.shape[0] - 6), (40, 140, 40), 2)
        text = f"{find.label} {find.sure:.2f}"
        cv2.putText(canvas, text, (left, large.shape[0] + 24), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(canvas, f"it is {number}", (4, canvas.shape[0] - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.numbers", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="a net of digits")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="with mnist10k.npz")
    parser.add_argument("--numbers", type=int, default=200)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="draw three right ones and three wrong ones")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    encoder = Encoder(find_checkpoint(args.checkpoint))
    digits = PICTURE_PROTOCOLS["digits"].test(args.data)
    rng = np.random.default_rng(args.seed)
    right, of_length, right_of_length = 0, Counter[int](), Counter[int]()
    shown: Counter[bool] = Counter()
    for _ in range(args.numbers):
        grey, number = composed(digits, rng)
        finds = read_number(encoder, ink_of(np.repeat(grey[..., None], 3, axis=2)))
        read = "".join(find.label for find in finds)
        right += read == number
        of_length[len(number)] += 1
        right_of_length[len(number)] += read == number
        if args.out and shown[read == number] < 3:
            args.out.mkdir(parents=True, exist_ok=True)
            name = f"{'right' if read == number else 'wrong'}{shown[read == number]}.png"
            cv2.imwrite(str(args.out / name), drawn(grey, finds, number))
            shown[read == number] += 1
    by_length = {str(n): round(right_of_length[n] / of_length[n], 3) for n in sorted(of_length)}
    result = {"numbers": args.numbers, "right": right / args.numbers, "by_digits": by_length, "checkpoint": encoder.name}
    print(json.dumps({**result, **provenance(args.seed)}))


if __name__ == "__main__":
    main()
