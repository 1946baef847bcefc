import pytest
import torch
import torch.nn.functional as F

from crosspoint3d.models import ProjectionHead


def test_papers_widths_and_biases() -> None:
    clouds, images = ProjectionHead.for_clouds(2048, 256), ProjectionHead.for_images(2048, 256)
    assert clouds.config() == {"in_dims": 2048, "hidden_dims": 1024, "out_dims": 256, "bias": True}
    assert images.config() == {"in_dims": 2048, "hidden_dims": 512, "out_dims": 256, "bias": False}
    assert ProjectionHead.for_images(320, 64).config()["hidden_dims"] == 128
    assert not any("linear" in name and name.endswith("bias") for name, _ in images.named_parameters())


def test_is_linear_norm_relu_linear() -> None:
    head, x = ProjectionHead(6, 5, 4, bias=True), torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    hidden = x @ head.linear1.weight.T + head.linear1.bias
    hidden = F.relu((hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + 1e-5).sqrt())
    torch.testing.assert_close(head(x), hidden @ head.linear2.weight.T + head.linear2.bias)


def test_one_sample_only_in_eval_mode() -> None:
    head = ProjectionHead(6, 5, 4, bias=False)
    with pytest.raises(ValueError, match="batch of at least 2, got 1"):
        head(torch.ones(1, 6))
    assert head.eval()(torch.ones(1, 6)).shape == (1, 4)
