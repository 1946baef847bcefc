import torch
from torch import nn

from crosspoint3d.ops import reference


def test_knn_of_points_on_a_line() -> None:
    line = torch.tensor([0.0, 1.0, 3.0, 3.0])[None, :, None]
    assert reference.ordered_knn(line, 3).tolist() == [[[0, 1, 2], [1, 0, 2], [2, 3, 1], [3, 2, 1]]]


def test_edge_features_are_difference_then_centre() -> None:
    points = torch.tensor([[[1.0, 10.0], [4.0, 30.0]]])
    edges = reference.edge_features(points, torch.tensor([[[0, 1], [1, 0]]]))
    assert edges[0, 0].tolist() == [[0.0, 0.0, 1.0, 10.0], [3.0, 20.0, 1.0, 10.0]]
    assert edges[0, 1].tolist() == [[0.0, 0.0, 4.0, 30.0], [-3.0, -20.0, 4.0, 30.0]]


def test_edge_conv_of_two_layers_is_the_module_stack() -> None:
    torch_generator = torch.Generator().manual_seed(0)
    points = torch.randn(2, 12, 3, generator=torch_generator)
    indices = reference.ordered_knn(points, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        convs = nn.Sequential(
            nn.Conv2d(6, 5, 1, bias=False), nn.BatchNorm2d(5), nn.LeakyReLU(0.2),
            nn.Conv2d(5, 7, 1, bias=False), nn.BatchNorm2d(7), nn.LeakyReLU(0.2),
        )  # fmt: skip
    layers = [
        reference.EdgeLayer(conv.weight.flatten(1), bn.weight, bn.bias, torch.zeros(dims), torch.ones(dims))
        for conv, bn, dims in ((convs[0], convs[1], 5), (convs[3], convs[4], 7))
    ]
    expected = convs(reference.edge_features(points, indices).permute(0, 3, 1, 2)).amax(3).mT
    torch.testing.assert_close(reference.edge_conv(points, indices, layers, training=True), expected)
    torch.testing.assert_close(layers[1].running_var, convs[4].running_var)


def test_farthest_points_of_a_line() -> None:
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [4, 0, 0], [10, 0, 0]])
    assert reference.farthest_points(line, 4).tolist() == [0, 3, 2, 1]
    assert reference.farthest_points(line, 2, start=3).tolist() == [3, 0]
