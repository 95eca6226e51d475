"""EfficientNet with the convolutions of its later stages in 8-bit integers, which answers a query sooner.

Weights are integers of -127..127 times a step for each output (Jacob et al. 2018), for the net in float32 too: it computes with
the same weights from then on. So the two differ only by the rounding of the maps between convolutions, to 0..255 times a step:

- after ReLU6 the step is 6 / 255: the largest integer is where ReLU6 cuts off;
- between blocks each channel has a range of its own. All are brought to 0..1, by factors and shifts that go into the weights
  and biases around (in the way of Nagel et al. 2019). What a block adds to them is not rounded.

The stem and the first stages stay in float32: integers gain little time there, and much noise comes from there. Of the map to
the embedding, whose numbers are too different in size for one step, the part of the looks has a step for every 16 of them; the
part of the posterior, which is small and would be four times as noisy, stays in float32.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nets.architectures.efficientnet import EfficientNet
from nets.architectures.exits import Exits, Net

FIRST = 2  # of the stages, from 0, that compute in integers
LARGEST, LARGEST_WEIGHT = 255, 127  # integers
LARGEST_BIAS = 2**30  # the same; sums are added to it, in 32 bits
OF_UNIT, AFTER_RELU6 = 1 / LARGEST, 6 / LARGEST  # steps
BLOCK = 16  # weights of one step in the map of the looks
AT_ONCE = 50  # rasters whose maps are looked at


@dataclass(frozen=True)
class Range:
    """Where the maps of each channel lie: low (C,) to low + width (C,)."""

    low: Tensor
    width: Tensor

    @classmethod
    def unit(cls, channels: int) -> "Range":
        return cls(torch.zeros(channels), torch.ones(channels))

    def to_unit(self, maps: Tensor) -> Tensor:
        """From maps (N, C, ...) to 0..1."""
        return maps * _wide(1 / self.width) + _wide(-self.low / self.width)

    def from_unit(self, maps: Tensor) -> Tensor:
        return maps * _wide(self.width) + _wide(self.low)


class Ranges:
    """Of what comes out of each block of a net, and of the means of its head, as far as some rasters show."""

    def __init__(self, net: EfficientNet, rasters: Tensor) -> None:
        """rasters (N, 1, size, size), 0..1."""
        self._head = net.head
        self._low: dict[nn.Module, Tensor] = {}
        self._high: dict[nn.Module, Tensor] = {}
        watched = [net.head, *(block for stage in _stages(net) for block in stage)]
        hooks = [module.register_forward_hook(self._see) for module in watched]
        with torch.inference_mode():
            for start in range(0, len(rasters), AT_ONCE):
                net.see(rasters[start : start + AT_ONCE])
        for hook in hooks:
            hook.remove()

    def over(self, modules: Iterable[nn.Module]) -> Range:
        """One that holds what comes out of all of them."""
        low, high = (torch.stack([seen[module] for module in modules]) for seen in (self._low, self._high))
        return Range(low.amin(0), (high.amax(0) - low.amin(0)).clamp_min(1e-6))

    def _see(self, module: nn.Module, _: object, maps: Tensor) -> None:
        if module is self._head:
            maps = _mean(maps)
        low, high = maps.amin((0, 2, 3)), maps.amax((0, 2, 3))
        self._low[module] = torch.minimum(low, self._low.get(module, low))
        self._high[module] = torch.maximum(high, self._high.get(module, high))


class EightBit(Net):
    """A net that computes in 8 bits what `net` computes of drawings seen from one side."""

    def __init__(self, net: EfficientNet, rasters: Tensor) -> None:
        """Rounds the weights of `net`, in place. Maps lie in the ranges that the rasters (N, 1, size, size), 0..1, show."""
        super().__init__()
        self.net = net
        ranges = Ranges(net, rasters)
        stages = _stages(net)
        came = self._entered = ranges.over(stages[FIRST - 1][-1:])
        self._stages: list[tuple[list[_Block], Range]] = []
        for stage in stages[FIRST:]:
            stream = ranges.over(stage)
            self._stages.append(([_Block(block, came if n == 0 else stream, stream) for n, block in enumerate(stage)], stream))
            came = stream
        self._means = ranges.over([net.head])
        self._head = _Layer(net.head[0], net.head[1], OF_UNIT, came)
        self._features = _Layer(net.features[0], net.features[1], OF_UNIT, self._means)
        with torch.no_grad():
            of_looks = net.mix.weight[:, len(net.prototypes) :]
            of_looks.copy_(_of_blocks(*_in_blocks(of_looks)))

    @property
    def dimensions(self) -> int:
        return self.net.dimensions

    def answer(self, shown: Tensor) -> Exits:
        maps = self.net.stem(shown[0])
        for stage in self.net.stages[:FIRST]:
            maps = stage(maps)
        maps = self._entered.to_unit(maps)
        seen = []
        for blocks, stream in self._stages:
            for block in blocks:
                maps = block(maps)
            seen.append(stream.from_unit(maps))
        means = _mean(_rounded(self._head(_rounded(maps, OF_UNIT)), AFTER_RELU6))
        features = self._features.product(self._means.to_unit(means)).flatten(1)
        posterior, looks, cosines = self.net.parts(*self.net.seen(features, *seen[-2:]))
        mix, classes = self.net.mix, cosines.shape[1]
        of_posterior = F.linear(posterior, mix.weight[:, : int(classes)], mix.bias)
        return self.net.exits_of(of_posterior + _product_in_blocks(looks, mix.weight[:, int(classes) :]), cosines)


class _Block:
    """A block of a net: it takes and gives maps whose channels lie within 0..1."""

    def __init__(self, block: nn.Module, came: Range, goes: Range) -> None:
        expand, expand_norm, _, depthwise, depthwise_norm, _, project, project_norm = block.get_submodule("convs").children()
        self._residual = bool(block.residual)
        if self._residual:  # what is added has no lowest value
            goes = Range(torch.zeros_like(goes.low), goes.width)
        self._expand = _Layer(expand, expand_norm, OF_UNIT, came)
        self._depthwise = _Layer(depthwise, depthwise_norm, AFTER_RELU6)
        self._project = _Layer(project, project_norm, AFTER_RELU6, goes=goes)

    def __call__(self, maps: Tensor) -> Tensor:
        inside = _rounded(self._expand(_rounded(maps, OF_UNIT)), AFTER_RELU6)
        change = self._project.product(self._depthwise(inside))
        return maps + change if self._residual else change


class _Layer:
    """A convolution or a matrix, with its BatchNorm: from maps of the range `came`, brought to 0..1, to maps of the
    range `goes`, brought to it too; without a range, maps are as they are.

    All but the steps is computed from the weights of the net, by the runtime when it loads the graph: nothing is stored twice.
    """

    def __init__(
        self, layer: nn.Module, norm: nn.Module, step: float, came: Range | None = None, goes: Range | None = None
    ) -> None:
        """Rounds the weights of `layer`, in place. `step` is that of the maps that come."""
        if not (isinstance(layer, nn.Conv2d | nn.Linear) and isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)):
            raise TypeError(f"a layer and its norm are expected, not {layer} and {norm}")
        self._layer, self._norm, self._step, self._came, self._goes = layer, norm, torch.tensor(step), came, goes
        with torch.no_grad():
            scaled = self._scaled()
            largest = scaled.abs().flatten(1).amax(1)
            # Where there are hardly any weights, a bias counted in their steps would be too large an integer.
            steps = torch.maximum(largest / LARGEST_WEIGHT, self._bias().abs() / (step * LARGEST_BIAS))
            self._steps = steps.clamp_min(1e-12)
            rounded = _rounded_weights(scaled, self._steps, 0) / (scaled / layer.weight)
            layer.weight.copy_(torch.where(scaled == 0, layer.weight, rounded))

    def __call__(self, maps: Tensor) -> Tensor:
        """Of rounded maps (N, C, H, W)."""
        assert isinstance(self._layer, nn.Conv2d)
        weights, layer = _rounded_weights(self._scaled(), self._steps, 0), self._layer
        return F.conv2d(maps, weights, self._bias(), layer.stride, layer.padding, groups=layer.groups)

    def product(self, maps: Tensor) -> Tensor:
        """Of maps (N, C, H, W) that are yet to be rounded; the layer is a matrix, or a 1x1 convolution."""
        steps: tuple[Tensor, Tensor] = (self._step, self._steps)
        product: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            maps.permute(0, 2, 3, 1), self._scaled().flatten(1).T, self._bias(), *steps
        )
        return product.permute(0, 3, 1, 2)

    def _scaled(self) -> Tensor:
        """The weights between maps in their units, not rounded."""
        weights = self._layer.weight
        ones = (1,) * (weights.ndim - 2)
        gain = self._gain() if self._goes is None else self._gain() / self._goes.width
        scaled = weights * gain.reshape(-1, 1, *ones)
        return scaled if self._came is None else scaled * self._came.width.reshape(1, -1, *ones)

    def _bias(self) -> Tensor:
        gain = self._gain()
        bias = self._norm.bias - self._norm.get_buffer("running_mean") * gain
        if self._came is not None:
            bias = bias + gain * (self._layer.weight.flatten(1) @ self._came.low)
        return bias if self._goes is None else (bias - self._goes.low) / self._goes.width

    def _gain(self) -> Tensor:
        return self._norm.weight / torch.sqrt(self._norm.get_buffer("running_var") + self._norm.eps)


class _Product(torch.autograd.Function):
    """Maps (..., C) @ matrix (C, D) + bias (D,): the runtime takes both as integers and gives float32, in one step."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, matrix: Tensor, bias: Tensor, step: Tensor, steps: Tensor) -> Tensor:
        return _rounded(maps, float(step)) @ _rounded_weights(matrix, steps, 1) + bias

    @staticmethod
    def symbolic(g: Any, maps: Any, matrix: Any, bias: Any, step: Any, steps: Any) -> Any:
        zero = g.op("Constant", value_t=torch.tensor(0, dtype=torch.uint8))
        zeros = g.op("Constant", value_t=torch.zeros(bias.type().sizes(), dtype=torch.int8))
        integers = g.op("QuantizeLinear", maps, step, zero)
        weights = g.op("QuantizeLinear", matrix, steps, zeros, axis_i=1)
        product = g.op("com.microsoft::MatMulIntegerToFloat", integers, weights, step, steps, zero, zeros, bias)
        product.setType(maps.type())
        return product


class _ProductInBlocks(torch.autograd.Function):
    """Rows (N, K) @ weights (D, K).T, of integers (D, K / BLOCK, BLOCK) of 1..255, less 128, times steps (D, K / BLOCK). The
    runtime rounds the rows by such blocks too.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, integers: Tensor, steps: Tensor) -> Tensor:
        return _of_blocks(*_in_blocks(rows)) @ _of_blocks(integers, steps).T

    @staticmethod
    def symbolic(g: Any, rows: Any, integers: Any, steps: Any) -> Any:
        outputs, blocks = steps.type().sizes()
        sizes = {"K_i": blocks * BLOCK, "N_i": outputs, "bits_i": 8, "block_size_i": BLOCK, "accuracy_level_i": 4}
        product = g.op("com.microsoft::MatMulNBits", rows, integers, steps, **sizes)
        product.setType(rows.type().with_sizes([None, outputs]))
        return product


def _product_in_blocks(rows: Tensor, weights: Tensor) -> Tensor:
    product: Tensor = _ProductInBlocks.apply(rows, *_in_blocks(weights))  # type: ignore[no-untyped-call]
    return product


def _in_blocks(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, K) as integers and steps, as above."""
    blocks = rows.reshape(len(rows), -1, BLOCK)
    steps = (blocks.abs().amax(2) / LARGEST_WEIGHT).clamp_min(1e-12)
    return (torch.round(blocks / steps[:, :, None]) + LARGEST_WEIGHT + 1).to(torch.uint8), steps


def _of_blocks(integers: Tensor, steps: Tensor) -> Tensor:
    return ((integers.float() - LARGEST_WEIGHT - 1) * steps[:, :, None]).flatten(1)


def _rounded(maps: Tensor, step: float) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(maps, step, 0, 0, LARGEST)


def _rounded_weights(weights: Tensor, steps: Tensor, axis: int) -> Tensor:
    """To integers times the steps of the outputs, which lie along an axis. torch exports no range but -128..127."""
    zeros = torch.zeros(len(steps), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weights, steps, zeros, axis, -LARGEST_WEIGHT - 1, LARGEST_WEIGHT)


def _stages(net: EfficientNet) -> list[list[nn.Module]]:
    return [list(stage.children()) for stage in net.stages]


def _mean(maps: Tensor) -> Tensor:
    """(N, C, 1, 1)."""
    return maps.mean((2, 3), keepdim=True)


def _wide(channels: Tensor) -> Tensor:
    return channels[:, None, None]
