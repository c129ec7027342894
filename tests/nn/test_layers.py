"""Layers, activations, padding and losses: printing, state, first weights, results, gradients."""

import pytest

from tests.both import same

# how it is made -> the shapes of its inputs; negative sizes mark integers below the absolute value
LAYERS = {
    "Linear(4, 3)": [(2, 4)],
    "Linear(4, 3, bias=False)": [(4,)],
    "Linear(4, 3, dtype=t.float64)": [],
    "Bilinear(3, 4, 2)": [(5, 3), (5, 4)],
    "Identity(1, a=2)": [(2, 2)],
    "Flatten()": [(2, 3, 4)],
    "Flatten(0, 1)": [(2, 3, 4)],
    "Unflatten(1, (2, 3))": [(2, 6)],
    "Embedding(5, 3)": [(2, 4, "index 5")],
    "Embedding(5, 3, padding_idx=-1)": [(4, "index 5")],
    "Embedding(5, 3, max_norm=1.0, norm_type=1.0)": [(4, "index 5")],
    "LayerNorm(4)": [(2, 3, 4)],
    "LayerNorm((3, 4), bias=False)": [(2, 3, 4)],
    "LayerNorm(4, elementwise_affine=False)": [(2, 4)],
    "RMSNorm(4)": [(2, 4)],
    "RMSNorm(4, eps=1e-3, elementwise_affine=False)": [(2, 4)],
    "GroupNorm(2, 4)": [(2, 4, 3)],
    "BatchNorm1d(3)": [(4, 3)],
    "BatchNorm1d(3, momentum=None)": [(4, 3, 2)],
    "BatchNorm1d(3, affine=False, track_running_stats=False)": [(4, 3)],
    "BatchNorm1d(3, bias=False).eval()": [(4, 3)],
    "Dropout(0.5)": [(4, 3)],
    "Dropout(0.5).eval()": [(4, 3)],
    "Threshold(0.1, 20)": [(3, 4)],
    "ReLU()": [(3, 4)],
    "ReLU6()": [(3, 4)],
    "RReLU().eval()": [(3, 4)],
    "Hardtanh(-0.5, 0.5)": [(3, 4)],
    "Sigmoid()": [(3, 4)],
    "Hardsigmoid()": [(3, 4)],
    "Tanh()": [(3, 4)],
    "SiLU()": [(3, 4)],
    "Mish()": [(3, 4)],
    "Hardswish()": [(3, 4)],
    "ELU(0.5)": [(3, 4)],
    "CELU(0.5)": [(3, 4)],
    "SELU()": [(3, 4)],
    "GLU()": [(3, 4)],
    "GELU()": [(3, 4)],
    "GELU('tanh')": [(3, 4)],
    "Hardshrink(0.3)": [(3, 4)],
    "LeakyReLU(0.2)": [(3, 4)],
    "LogSigmoid()": [(3, 4)],
    "Softplus(2, 1)": [(3, 4)],
    "Softshrink(0.3)": [(3, 4)],
    "PReLU()": [(3, 4)],
    "PReLU(4)": [(3, 4)],
    "Softsign()": [(3, 4)],
    "Tanhshrink()": [(3, 4)],
    "Softmin(1)": [(3, 4)],
    "Softmax(0)": [(3, 4)],
    "LogSoftmax(-1)": [(3, 4)],
    "Softmax2d()": [(2, 3, 2, 2)],
    "CosineSimilarity()": [(3, 4), (3, 4)],
    "PairwiseDistance()": [(3, 4), (3, 4)],
    "PairwiseDistance(1.0, keepdim=True)": [(3, 4), (3, 4)],
    "ConstantPad1d((1, 2), 0.5)": [(2, 3)],
    "ConstantPad2d(1, 0.5)": [(1, 2, 3)],
    "ConstantPad3d(1, 0.5)": [(1, 2, 2, 2)],
    "ZeroPad1d(1)": [(2, 3)],
    "ZeroPad2d((1, 0, 0, 2))": [(1, 2, 3)],
    "ZeroPad3d(1)": [(1, 2, 2, 2)],
    "ReflectionPad1d(2)": [(1, 2, 3)],
    "ReflectionPad2d(1)": [(1, 2, 3, 3)],
    "ReflectionPad3d(1)": [(1, 1, 2, 2, 3)],
    "ReplicationPad1d((1, 2))": [(1, 2, 3)],
    "ReplicationPad2d(1)": [(1, 2, 3, 3)],
    "ReplicationPad3d(1)": [(1, 1, 2, 2, 3)],
    "CircularPad1d(2)": [(1, 2, 3)],
    "CircularPad2d(1)": [(1, 2, 3, 3)],
    "CircularPad3d(1)": [(1, 1, 2, 2, 3)],
    "Conv1d(4, 6, 3)": [(2, 4, 7)],
    "Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=2, groups=2)": [(2, 4, 7, 8)],
    "Conv2d(4, 6, 3, padding='same', padding_mode='circular', bias=False)": [(2, 4, 5, 6)],
    "Conv2d(4, 6, 2, padding=1, padding_mode='reflect')": [(4, 5, 6)],
    "Conv3d(2, 3, 2, padding='valid')": [(2, 2, 3, 4, 5)],
    "ConvTranspose1d(4, 6, 3, stride=2, output_padding=1)": [(2, 4, 5)],
    "ConvTranspose2d(4, 6, 3, groups=2, padding=1, bias=False)": [(4, 5, 4)],
    "ConvTranspose3d(2, 3, 2, dilation=2)": [(1, 2, 2, 3, 2)],
    "MaxPool1d(2)": [(2, 3, 7)],
    "MaxPool2d(3, 2, 1, ceil_mode=True)": [(2, 3, 6, 7)],
    "MaxPool2d(2, dilation=2, return_indices=True)": [],
    "MaxPool2d(3, padding=1)": [(1, 2, 3, 6)],
    "MaxPool3d(2)": [(1, 2, 4, 4, 5)],
    "AvgPool1d(2)": [(2, 3, 7)],
    "AvgPool2d(3, 2, 1, count_include_pad=False)": [(2, 3, 6, 7)],
    "AvgPool3d(2, divisor_override=3)": [(1, 2, 4, 4, 5)],
    "LPPool1d(2, 3)": [(2, 3, 7)],
    "LPPool2d(2, 3, stride=2)": [(2, 3, 6, 7)],
    "AdaptiveMaxPool2d((2, None))": [(2, 3, 6, 7)],
    "AdaptiveAvgPool1d(3)": [(2, 3, 7)],
    "AdaptiveAvgPool2d((3, 5))": [(2, 3, 6, 7)],
    "AdaptiveAvgPool3d(1)": [(1, 2, 4, 4, 5)],
    "MaxUnpool2d(2)": [],
    "FractionalMaxPool2d(2, output_size=3)": [(1, 2, 6, 7)],
    "FractionalMaxPool3d(2, output_ratio=0.5)": [(1, 2, 4, 4, 5)],
    "Fold((4, 5), 2, padding=1, stride=2)": [(1, 8, 9)],
    "Unfold((2, 3), dilation=2)": [(1, 2, 4, 6)],
    "PixelShuffle(2)": [(1, 8, 2, 3)],
    "PixelUnshuffle(2)": [(1, 2, 4, 6)],
    "ChannelShuffle(2)": [(1, 4, 2, 2)],
    "Upsample(scale_factor=2)": [(1, 2, 3)],
    "Upsample((5, 3), mode='bilinear')": [(1, 2, 3, 4)],
    "UpsamplingNearest2d(5)": [(1, 2, 3, 4)],
    "UpsamplingBilinear2d(scale_factor=1.5)": [(1, 2, 3, 4)],
    "InstanceNorm1d(3)": [(2, 3, 5)],
    "InstanceNorm2d(3, affine=True, track_running_stats=True)": [(2, 3, 4, 5)],
    "InstanceNorm3d(2).eval()": [(2, 2, 2, 3)],
    "LocalResponseNorm(3)": [(2, 4, 3)],
    "CrossMapLRN2d(3, alpha=0.5)": [(2, 5, 3, 2)],
    "CrossMapLRN2d(4, 0.3, 0.5, 2)": [(2, 5, 3, 2)],
    "SyncBatchNorm(3)": [(4, 3, 2)],
    "SyncBatchNorm.convert_sync_batchnorm(t.nn.Sequential(t.nn.BatchNorm1d(3)))": [(4, 3)],
    "L1Loss()": [(3, 4), (3, 4)],
    "MSELoss(reduction='sum')": [(3, 4), (3, 4)],
    "MSELoss(size_average=False)": [(3, 4), (3, 4)],
    "SmoothL1Loss(beta=0.5)": [(3, 4), (3, 4)],
    "HuberLoss(delta=0.5)": [(3, 4), (3, 4)],
    "NLLLoss()": [(3, 4), (3, "index 4")],
    "NLLLoss(weight=t.tensor([1.0, 2, 3, 4]), ignore_index=1)": [(3, 4), (3, "index 4")],
    "CrossEntropyLoss()": [(3, 4), (3, "index 4")],
    "CrossEntropyLoss(weight=t.tensor([1.0, 2, 3, 4]), label_smoothing=0.1)": [
        (3, 4),
        (3, "index 4"),
    ],
    "CrossEntropyLoss(reduction='none')": [(3, 4), (3, "index 4")],
    "BCELoss()": [(3, 4, "unit"), (3, 4, "unit")],
    "BCEWithLogitsLoss(pos_weight=t.tensor([1.0, 2, 3, 4]))": [(3, 4), (3, 4, "unit")],
    "KLDivLoss(reduction='batchmean')": [(3, 4), (3, 4, "unit")],
    "PoissonNLLLoss(full=True)": [(3, 4), (3, 4, "unit")],
    "GaussianNLLLoss(full=True)": [(3, 4), (3, 4), (3, 4, "unit")],
    "HingeEmbeddingLoss()": [(3, 4), (3, 4, "sign")],
    "SoftMarginLoss()": [(3, 4), (3, 4, "sign")],
    "MultiLabelMarginLoss()": [(3, 4), (3, 4, "index 4")],
    "MultiLabelSoftMarginLoss()": [(3, 4), (3, 4, "unit")],
    "MultiMarginLoss()": [(3, 4), (3, "index 4")],
    "MultiMarginLoss(p=2, weight=t.tensor([1.0, 2, 3, 4]))": [(3, 4), (3, "index 4")],
    "MarginRankingLoss(0.1)": [(3,), (3,), (3, "sign")],
    "CosineEmbeddingLoss(0.1)": [(3, 4), (3, 4), (3, "sign")],
    "TripletMarginLoss(swap=True)": [(3, 4), (3, 4), (3, 4)],
    "TripletMarginWithDistanceLoss()": [(3, 4), (3, 4), (3, 4)],
}

ERRORS = [
    "Dropout(2)", "Hardtanh(1, -1)", "Bilinear(0, 1, 1)", "Embedding(3, 2, padding_idx=5)",
    "Embedding(3, 2, _weight=t.zeros(2, 2))", "Embedding.from_pretrained(t.zeros(3))",
    "GroupNorm(3, 2)", "BatchNorm1d(3)(t.zeros(3))", "BatchNorm2d(3)(t.zeros(2, 3))",
    "BatchNorm1d(3)(t.zeros(1, 3))", "Softmax2d()(t.zeros(2))", "MultiMarginLoss(p=3)",
    "MultiMarginLoss(weight=t.zeros(2, 2))", "TripletMarginLoss(margin=-1)",
    "TripletMarginWithDistanceLoss(margin=0)", "CircularPad1d(1)(t.zeros(2))",
    "Unflatten(1, 3)", "Unflatten(1, (2, 'a'))", "Unflatten('n', 3)", "Unflatten(1.5, (2,))",
    "Linear(4, 3)(t.zeros(5, 7))", "Conv2d(4, 6, 3, groups=3)",
    "Conv1d(4, 6, 3, padding='same', stride=2)",
    "ConvTranspose1d(4, 6, 3, padding_mode='reflect')", "Conv2d(4, 6, 3)(t.zeros(3, 8, 8))",
    "ConvTranspose1d(4, 6, 3)(t.zeros(2, 4, 5), [9])", "Conv1d(4, 6, 3)(t.zeros(4, 2))",
    "LazyConv1d(4, 2)(t.zeros(3))", "LazyConv1d(4, 2).weight.shape",
]  # fmt: skip


def make(t, text):
    return eval("t.nn." + text, {"t": t})


def inputs(t, shapes):
    made = []
    for shape in shapes:
        kind = shape[-1] if isinstance(shape[-1], str) else ""
        size = shape[:-1] if kind else shape
        if kind.startswith("index"):
            made.append(t.randint(0, int(kind.split()[1]), size))
        elif kind == "unit":
            made.append(t.rand(size) * 0.8 + 0.1)
        elif kind == "sign":
            made.append(t.randint(0, 2, size).float() * 2 - 1)
        else:
            made.append(t.randn(size).requires_grad_())
    return made


@pytest.mark.parametrize("text", LAYERS)
def test_like_torch(text, torch, oracle):
    def program(t):
        m = make(t, text)
        first = {name: value.clone() for name, value in m.state_dict().items()}
        if not LAYERS[text]:
            return repr(m), first
        args = inputs(t, LAYERS[text])
        out = m(*args)
        if out.requires_grad:
            out.sum().backward()
        grads = [x.grad for x in [*args, *m.parameters()] if x.is_leaf]
        return repr(m), first, out, grads, m.state_dict()

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text, torch, oracle):
    same(lambda t: make(t, text), torch, oracle)


def test_inplace_activations_write_their_input(torch, oracle):
    def program(t):
        results = []
        for name in ("ReLU", "ReLU6", "ELU", "SELU", "CELU", "SiLU", "Mish", "LeakyReLU"):
            m = getattr(t.nn, name)(inplace=True)
            x = t.linspace(-2, 2, 5)
            results.append((repr(m), m(x), x))
        return results

    same(program, torch, oracle)


def test_batch_norm_counts_and_old_state(torch, oracle):
    def program(t):
        m = t.nn.BatchNorm1d(2)
        for _ in range(3):
            m(t.randn(4, 2))
        state = m.state_dict()
        del state["num_batches_tracked"]
        fresh = t.nn.BatchNorm1d(2)
        old = dict(state.items())  # without the metadata, as very old files are
        return m.state_dict(), repr(fresh.load_state_dict(old)), fresh.state_dict()

    same(program, torch, oracle)


def test_dropout_family_draws_like_torch(torch, oracle):
    def program(t):
        x = t.ones(2, 3, 4)
        names = ("Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout")
        return [getattr(t.nn, name)(0.4)(x) for name in names]

    same(program, torch, oracle)


def test_from_pretrained(torch, oracle):
    def program(t):
        m = t.nn.Embedding.from_pretrained(t.ones(3, 2), freeze=False, padding_idx=1)
        return repr(m), m.weight, m.weight.requires_grad

    same(program, torch, oracle)


@pytest.mark.parametrize(
    "text",
    [
        "LazyConv2d(3, 2)",
        "LazyConv2d(3, 2, 2, 1, 1, 1, False)",
        "LazyConvTranspose2d(3, 2)",
        "LazyLinear(3)",
        "LazyLinear(3, bias=False)",
        "LazyBatchNorm2d()",
        "LazyBatchNorm2d(affine=False)",
        "LazyInstanceNorm2d(affine=True)",
    ],
)
def test_lazy_modules_become_others(text, torch, oracle):
    def program(t):
        m, loaded = make(t, text), make(t, text)
        before = repr(m), list(m.state_dict()), [repr(p) for p in m.parameters()]
        out = m(t.randn(2, 4, 5, 5))
        loaded.load_state_dict(m.state_dict())
        return before, repr(m), type(m).__name__, out, m.state_dict(), loaded.state_dict()

    same(program, torch, oracle)
