import pytest
import torch
from torch import nn

from nets.architectures.fold import fold_batch_norm
from nets.architectures.registry import NETS, build_net


@pytest.mark.parametrize("name", NETS)
def test_a_folded_net_answers_as_before_without_batch_norm(name: str) -> None:
    torch.manual_seed(1)
    net, x = build_net(name, 7, 64), torch.rand(4, 1, 64, 64)
    for _ in range(3):
        net(torch.rand(16, 1, 64, 64))  # BatchNorm has seen something
    net.eval()
    with torch.inference_mode():
        before = net(x)
        fold_batch_norm(net)
        after = net(x)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in net.modules())
    torch.testing.assert_close(after.embedding, before.embedding, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after.logits, before.logits, atol=1e-4, rtol=1e-4)
