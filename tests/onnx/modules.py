"""The modules of PyTorch's module_db with arguments for the ONNX export: every one of the 114.

Each entry is (name, module's arguments, inputs): inputs are shapes of normal numbers, or functions
of the namespace that make a tensor. What ONNX, or bital, cannot say stands in LEFT_OUT with the
reason.
"""

from __future__ import annotations

from typing import Any


def ints(high: int, *shape: int) -> Any:
    """Integers below `high`."""
    return lambda torch: torch.randint(high, shape)


def positive(*shape: int) -> Any:
    """Numbers between 0.05 and 0.95."""
    return lambda torch: torch.rand(shape) * 0.9 + 0.05


def signs(*shape: int) -> Any:
    """1 or -1."""
    return lambda torch: torch.randint(2, shape).float() * 2 - 1


def logs(*shape: int) -> Any:
    """Logarithms of probabilities."""
    return lambda torch: torch.randn(shape).log_softmax(1)


def _pads(name: str, *value: float) -> list[tuple]:
    shapes = {1: (2, 3, 6), 2: (2, 3, 6, 5), 3: (2, 3, 6, 5, 4)}
    return [
        (f"{name}{k}d", ((1, 2) * k, *value), [shapes[k]]) for k in (1, 2, 3)
    ] + [(f"{name}{k}d", (1, *value), [shapes[k][1:]]) for k in (1, 2, 3)]  # fmt: skip


_ELEMENTWISE = {
    "CELU": (2.0,), "ELU": (2.0,), "GELU": (), "GLU": (), "Hardshrink": (0.4,), "Hardswish": (),
    "Hardtanh": (-0.5, 0.7), "ReLU": (), "LeakyReLU": (0.2,), "ReLU6": (), "Sigmoid": (),
    "LogSigmoid": (), "SiLU": (), "Softmax": (1,), "LogSoftmax": (1,), "Softmin": (1,),
    "Softplus": (2.0, 1.0), "Softshrink": (0.3,), "Softsign": (), "Tanh": (), "Tanhshrink": (),
    "Threshold": (0.2, 9.0), "Mish": (), "SELU": (),
}  # fmt: skip

#: (name in torch.nn, the module's arguments or a dictionary of them, inputs)
MODULES: list[tuple[str, Any, list[Any]]] = [
    *[(name, args, [(3, 4)]) for name, args in _ELEMENTWISE.items()],
    ("GELU", ("tanh",), [(3, 4)]),
    ("Softmax2d", (), [(2, 3, 4, 4)]),
    ("PReLU", (), [(2, 3, 4)]),
    ("PReLU", (3,), [(2, 3, 4)]),
    *[(f"AdaptiveAvgPool{k}d", (1,), [(2, 3) + (4,) * k]) for k in (1, 2, 3)],
    *[(f"AdaptiveMaxPool{k}d", (2,), [(2, 3) + (4,) * k]) for k in (1, 2, 3)],
    ("AdaptiveAvgPool2d", ((None, 2),), [(3, 5, 4)]),
    *[(f"AvgPool{k}d", (2,), [(2, 3) + (6,) * k]) for k in (1, 2, 3)],
    ("AvgPool2d", (3, 2, 1), [(3, 7, 7)]),
    *[(f"MaxPool{k}d", (2, 1, 1), [(2, 3) + (6,) * k]) for k in (1, 2, 3)],
    ("MaxPool2d", {"kernel_size": 2, "dilation": 2, "ceil_mode": True}, [(3, 7, 6)]),
    *[(f"LPPool{k}d", (2, 2), [(2, 3) + (6,) * k]) for k in (1, 2, 3)],
    ("BatchNorm1d", (3,), [(2, 3, 4)]),
    ("BatchNorm1d", (3,), [(2, 3)]),
    ("BatchNorm2d", (3,), [(2, 3, 4, 4)]),
    ("BatchNorm3d", (3,), [(2, 3, 4, 2, 2)]),
    ("BatchNorm2d", {"num_features": 3, "affine": False}, [(2, 3, 4, 4)]),
    *[(f"Conv{k}d", (4, 6, 3), [(2, 4) + (7,) * k]) for k in (1, 2, 3)],
    ("Conv2d", (4, 6, 3, 2, 1, 2, 2), [(4, 9, 8)]),
    ("Conv1d", {"in_channels": 2, "out_channels": 3, "kernel_size": 4, "padding": "same"},
     [(1, 2, 9)]),
    *[(f"LazyConv{k}d", (6, 3), [(2, 4) + (7,) * k]) for k in (1, 2, 3)],
    *[(f"ConvTranspose{k}d", (4, 6, 3), [(2, 4) + (5,) * k]) for k in (1, 2, 3)],
    ("ConvTranspose2d", (4, 6, 3, 2, 1, 1, 2), [(1, 4, 5, 4)]),
    *[(f"LazyConvTranspose{k}d", (6, 3), [(2, 4) + (5,) * k]) for k in (1, 2, 3)],
    ("Linear", (3, 4), [(2, 3)]),
    ("Linear", (3, 4, False), [(2, 5, 3)]),
    ("Linear", (3, 4), [(3,)]),
    ("Bilinear", (3, 4, 5), [(2, 3), (2, 4)]),
    ("GroupNorm", (2, 4), [(2, 4, 5)]),
    ("LayerNorm", ((4, 5),), [(3, 4, 5)]),
    ("LayerNorm", {"normalized_shape": 5, "elementwise_affine": False}, [(3, 4, 5)]),
    ("RMSNorm", (5,), [(3, 4, 5)]),
    ("InstanceNorm1d", (3,), [(2, 3, 6)]),
    ("InstanceNorm2d", {"num_features": 3, "affine": True}, [(2, 3, 5, 4)]),
    ("InstanceNorm3d", (3,), [(2, 3, 3, 4, 2)]),
    ("LocalResponseNorm", (3,), [(2, 6, 4, 4)]),
    ("Embedding", (10, 4), [ints(10, 2, 3)]),
    ("RNNCell", (3, 4), [(2, 3)]),
    ("RNNCell", {"input_size": 3, "hidden_size": 4, "nonlinearity": "relu"}, [(2, 3), (2, 4)]),
    ("GRUCell", (3, 4), [(2, 3), (2, 4)]),
    ("LSTMCell", (3, 4), [(2, 3)]),
    ("RNN", (3, 4, 2), [(5, 2, 3)]),
    ("RNN", {"input_size": 3, "hidden_size": 4, "nonlinearity": "relu", "bidirectional": True},
     [(5, 2, 3), (2, 2, 4)]),
    ("GRU", {"input_size": 3, "hidden_size": 4, "num_layers": 2, "bidirectional": True},
     [(5, 2, 3)]),
    ("GRU", {"input_size": 3, "hidden_size": 4, "batch_first": True, "bias": False}, [(2, 5, 3)]),
    ("LSTM", {"input_size": 3, "hidden_size": 4, "num_layers": 2, "bidirectional": True},
     [(5, 2, 3)]),
    ("LSTM", {"input_size": 3, "hidden_size": 4, "batch_first": True}, [(2, 5, 3)]),
    ("MultiheadAttention", (8, 2), [(5, 2, 8), (4, 2, 8), (4, 2, 8)]),
    ("MultiheadAttention", {"embed_dim": 8, "num_heads": 2, "batch_first": True},
     [(2, 5, 8), (2, 5, 8), (2, 5, 8)]),
    ("TransformerEncoderLayer", (8, 2, 16), [(5, 2, 8)]),
    ("TransformerDecoderLayer", (8, 2, 16), [(5, 2, 8), (4, 2, 8)]),
    ("Transformer", (8, 2, 1, 1, 16), [(5, 2, 8), (4, 2, 8)]),
    ("TransformerEncoder", lambda nn: (nn.TransformerEncoderLayer(8, 2, 16), 2), [(5, 2, 8)]),
    *_pads("ReflectionPad"), *_pads("ReplicationPad"), *_pads("ZeroPad"), *_pads("CircularPad"),
    *_pads("ConstantPad", 2.5),
    ("L1Loss", (), [(3, 4), (3, 4)]),
    ("MSELoss", {"reduction": "sum"}, [(3, 4), (3, 4)]),
    ("SmoothL1Loss", {"beta": 0.5}, [(3, 4), (3, 4)]),
    ("HuberLoss", {"delta": 0.5}, [(3, 4), (3, 4)]),
    ("BCELoss", (), [positive(3, 4), positive(3, 4)]),
    ("BCEWithLogitsLoss", (), [(3, 4), positive(3, 4)]),
    ("KLDivLoss", {"reduction": "batchmean"}, [logs(3, 4), positive(3, 4)]),
    ("KLDivLoss", {"log_target": True}, [logs(3, 4), logs(3, 4)]),
    ("NLLLoss", (), [logs(5, 4), ints(4, 5)]),
    ("NLLLoss", {"ignore_index": 1, "reduction": "none"}, [logs(5, 4, 3), ints(4, 5, 3)]),
    ("CrossEntropyLoss", (), [(5, 4), ints(4, 5)]),
    ("CrossEntropyLoss", {"label_smoothing": 0.1}, [(5, 4), positive(5, 4)]),
    ("CosineEmbeddingLoss", (0.1,), [(3, 4), (3, 4), signs(3)]),
    ("MarginRankingLoss", (0.1,), [(4,), (4,), signs(4)]),
    ("SoftMarginLoss", (), [(3, 4), signs(3, 4)]),
    ("HingeEmbeddingLoss", (), [(3, 4), signs(3, 4)]),
    ("MultiMarginLoss", (), [(5, 4), ints(4, 5)]),
    ("MultiMarginLoss", {"p": 2}, [(5, 4), ints(4, 5)]),
    ("MultiLabelSoftMarginLoss", (), [(3, 4), positive(3, 4)]),
    ("PoissonNLLLoss", {"full": True}, [(3, 4), positive(3, 4)]),
    ("GaussianNLLLoss", {"full": True}, [(3, 4), (3, 4), positive(3, 4)]),
]  # fmt: skip

#: entries of module_db that are not exported, and why
LEFT_OUT = {
    "FractionalMaxPool2d": "draws its windows at random; ONNX has no such operator",
    "FractionalMaxPool3d": "draws its windows at random; ONNX has no such operator",
    "CTCLoss": "ONNX has no operator for it, and its recursion depends on the targets",
    "MultiLabelMarginLoss": "its target is a list that ends at the first -1",
    "LinearCrossEntropyLoss": "a fused form of Linear and CrossEntropyLoss, which are exported",
}
