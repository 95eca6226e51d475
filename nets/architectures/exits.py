"""What every architecture is: a net with two named exits."""

from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from nets.embedding import EMBEDDING_DIM


class Exits(NamedTuple):
    """embedding (N, 1024) float32, the penultimate layer; logits (N, classes) float32."""

    embedding: Tensor
    logits: Tensor


class Net(nn.Module):
    """mirrored: whether it is shown the mirror image beside each drawing, when it is done learning."""

    mirrored: ClassVar[bool] = False

    @property
    def dimensions(self) -> int:
        """How many dimensions of the embedding are ever other than zero; they are the first."""
        return EMBEDDING_DIM

    def answer(self, shown: Tensor) -> Exits:
        """Exits of N drawings, each shown as it is and, where the net is `mirrored`, from the other side too.

        shown (1 or 2, N, 1, size, size), 0..1. This is what is exported (nets/architectures/export.py).
        """
        exits: Exits = self(shown[0])
        return exits
