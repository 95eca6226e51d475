"""`python -m nets`: `predict` needs no torch, and the other commands are in nets/training/commands.py."""

import sys

from nets.predict import main as predict


def main(arguments: list[str] | None = None) -> int:
    asked = sys.argv[1:] if arguments is None else arguments
    if asked[:1] == ["predict"]:
        return predict(asked[1:])
    try:
        from nets.training.commands import main as others
    except ModuleNotFoundError as error:
        print(
            f"nets: {error.name} is not installed, and only `predict` does without: pip install -r requirements.txt",
            file=sys.stderr,
        )
        return 2
    return others(asked)


if __name__ == "__main__":
    sys.exit(main())
