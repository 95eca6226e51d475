"""Depthwise convolution with a backward pass that is quick on a CPU."""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight


class DepthwiseConv(nn.Conv2d):
    """One k x k filter a channel (k is 3 or 5), same padding, stride 1 or 2, no bias.

    It computes what nn.Conv2d computes. Only the gradient goes another way: oneDNN has quick code for the forward pass
    and for the weights of 3x3 filters, and slow code for the rest (nets/LOG.md).
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.get_autocast_dtype("cpu"))
        convolved: Tensor = _Depthwise.apply(x, self.weight.to(x.dtype), self.stride[0])  # type: ignore[no-untyped-call]
        return convolved


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride  # type: ignore[attr-defined]
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        stride: int = ctx.stride  # type: ignore[attr-defined]
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        return _of_input(x, weight, gradient, stride), _of_weight(x, weight, gradient, stride), None


def _of_input(x: Tensor, weight: Tensor, gradient: Tensor, stride: int) -> Tensor:
    """The gradient's own depthwise convolution with the filters turned around; zeros stand where a stride left out."""
    if stride > 1:
        spread = torch.zeros_like(x)
        spread[:, :, ::stride, ::stride] = gradient
        gradient = spread
    return F.conv2d(gradient, weight.flip(2, 3), None, 1, weight.shape[-1] // 2, 1, len(weight))


def _of_weight(x: Tensor, weight: Tensor, gradient: Tensor, stride: int) -> Tensor:
    """A 5x5 filter's gradient is put together from those of the four 3x3 filters in its corners."""
    channels, kernel = len(weight), weight.shape[-1]
    if kernel == 3:
        return conv2d_weight(x, weight.shape, gradient, stride, 1, 1, channels)
    padded = F.pad(x, (2, 2, 2, 2))
    height, width = ((side - 1) * stride + 3 for side in gradient.shape[2:])
    whole = torch.empty_like(weight)
    for top in (0, 2):
        for left in (0, 2):
            part = padded[:, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
            corner = conv2d_weight(part, (channels, 1, 3, 3), gradient, stride, 0, 1, channels)
            whole[:, :, top : top + 3, left : left + 3] = corner
    return whole
