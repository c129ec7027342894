"""More mistakes: creation, conversion, losses, modules, optimisers; and the list of all tables."""

import numpy as np

from tests.parity.errors import (
    Mistake,
    Mistakes,
    arithmetic,
    autograd,
    in_place,
    indexing,
    matmul,
    movement,
    reduction,
)
from tests.parity.linalg_errors import linalg

creation = Mistakes(
    "creation",
    zeros__negative=lambda T: T.zeros(-1),
    zeros__float=lambda T: T.zeros(2.5),
    zeros__string=lambda T: T.zeros("a"),
    zeros__dtype=lambda T: T.zeros(2, dtype="float32"),
    zeros__missing=lambda T: T.zeros(),
    zeros__keyword=lambda T: T.zeros(2, colour=1),
    zeros__cuda=lambda T: T.zeros(2, device="cuda"),
    zeros__device_name=lambda T: T.zeros(2, device="gpu"),
    device__name=lambda T: T.device("abc"),
    device__index=lambda T: T.device("cpu:x"),
    device__type=lambda T: T.device(1.5),
    to__cuda=lambda T: T.ones(2).to("cuda"),
    cuda__method=lambda T: T.ones(2).cuda(),
    to__string=lambda T: T.ones(2).to("float32"),
    full__missing=lambda T: T.full((2,)),
    full__string=lambda T: T.full((2,), "a"),
    arange__step=lambda T: T.arange(0, 5, 0),
    arange__direction=lambda T: T.arange(0, 5, -1),
    arange__missing=lambda T: T.arange(),
    linspace__steps=lambda T: T.linspace(0, 1, -1),
    linspace__missing=lambda T: T.linspace(0, 1),
    eye__negative=lambda T: T.eye(-1),
    tensor__ragged=lambda T: T.tensor([[1, 2], [3]]),
    tensor__ragged_depth=lambda T: T.tensor([[1, 2], 3]),
    tensor__string=lambda T: T.tensor("a"),
    tensor__strings=lambda T: T.tensor(["a", "b"]),
    tensor__none=lambda T: T.tensor(None),
    tensor__dict=lambda T: T.tensor({"a": 1}),
    tensor__object=lambda T: T.tensor([object()]),
    tensor__missing=lambda T: T.tensor(),
    tensor__too_large=lambda T: T.tensor(2**70),
    tensor__many_elements=lambda T: T.tensor([T.ones(2), T.ones(2)]),
    as_tensor__string=lambda T: T.as_tensor("a"),
    from_numpy__list=lambda T: T.from_numpy([1, 2]),
    from_numpy__strings=lambda T: T.from_numpy(np.array(["a"])),
    from_numpy__negative_stride=lambda T: T.from_numpy(np.arange(3)[::-1]),
    from_numpy__object=lambda T: T.from_numpy(np.array([object()])),
    ones_like__number=lambda T: T.ones_like(3),
    manual_seed__string=lambda T: T.manual_seed("a"),
    rand__negative=lambda T: T.rand(-2),
    randn__string=lambda T: T.randn("a"),
    randint__order=lambda T: T.randint(5, 5, (2,)),
    randint__missing=lambda T: T.randint(5),
    randperm__negative=lambda T: T.randperm(-1),
    rand__integers=lambda T: T.rand(2, dtype=T.int64),
    randn__integers=lambda T: T.randn(2, dtype=T.int64),
    multinomial__too_many=lambda T: T.multinomial(T.ones(3), 4),
    multinomial__negative=lambda T: T.multinomial(T.tensor([-1.0, 2.0]), 1),
    multinomial__zero=lambda T: T.multinomial(T.zeros(3), 1),
    multinomial__integers=lambda T: T.multinomial(T.ones(3, dtype=T.int64), 1),
    bernoulli__range=lambda T: T.bernoulli(T.tensor([2.0])),
    normal__std=lambda T: T.normal(0.0, -1.0, (2,)),
    set_rng_state__dtype=lambda T: T.set_rng_state(T.ones(3)),
    Generator__seed=lambda T: T.Generator().manual_seed("a"),
    set_default_dtype__integers=lambda T: T.set_default_dtype(T.int64),
    set_default_dtype__string=lambda T: T.set_default_dtype("float"),
    finfo__integers=lambda T: T.finfo(T.int64),
    iinfo__floats=lambda T: T.iinfo(T.float32),
    result_type__string=lambda T: T.result_type("a", T.ones(2)),
    promote_types__string=lambda T: T.promote_types("a", T.float32),
    type__unknown=lambda T: T.ones(2).type("torch.NothingTensor"),
    numpy__bfloat16=lambda T: T.ones(2, dtype=T.bfloat16).numpy(),
    attribute__unknown=lambda T: T.ones(2).nothing_of_the_kind,
    tril_indices__negative=lambda T: T.tril_indices(-1, 2),
    polar__dtype=lambda T: T.polar(T.ones(2), T.ones(2).double()),
    empty_strided__lengths=lambda T: T.empty_strided((2, 2), (1,)),
    frombuffer__nothing=lambda T: T.frombuffer(b"", dtype=T.int32),
    load_list__shape=lambda T: T.Tensor([[1, 2], [3]]),
)

layers = Mistakes(
    "layers",
    mse_loss__shapes=lambda T: T.nn.functional.mse_loss(T.ones(2), T.ones(3)),
    mse_loss__reduction=lambda T: T.nn.functional.mse_loss(T.ones(2), T.ones(2), reduction="all"),
    l1_loss__shapes=lambda T: T.nn.functional.l1_loss(T.ones(2), T.ones(3)),
    nll_loss__batch=lambda T: T.nn.functional.nll_loss(T.ones(3, 2), T.tensor([0, 1])),
    nll_loss__range=lambda T: T.nn.functional.nll_loss(T.ones(2, 2), T.tensor([0, 2])).item(),
    nll_loss__dtype=lambda T: T.nn.functional.nll_loss(T.ones(2, 2), T.ones(2)),
    nll_loss__weight=lambda T: T.nn.functional.nll_loss(
        T.ones(2, 2), T.tensor([0, 1]), weight=T.ones(3)
    ),
    cross_entropy__batch=lambda T: T.nn.functional.cross_entropy(T.ones(3, 2), T.tensor([0, 1])),
    cross_entropy__range=lambda T: T.nn.functional.cross_entropy(
        T.ones(2, 2), T.tensor([0, -1])
    ).item(),
    cross_entropy__dtype=lambda T: T.nn.functional.cross_entropy(
        T.ones(2, 2), T.tensor([0, 1], dtype=T.int32)
    ),
    cross_entropy__shape=lambda T: T.nn.functional.cross_entropy(
        T.ones(2, 3), T.tensor([[0], [1]])
    ),
    cross_entropy__smoothing=lambda T: T.nn.functional.cross_entropy(
        T.ones(2, 2), T.tensor([0, 1]), label_smoothing=2.0
    ),
    bce__shapes=lambda T: T.nn.functional.binary_cross_entropy(T.ones(2), T.ones(3)),
    bce__range=lambda T: T.nn.functional.binary_cross_entropy(T.full((2,), 1.5), T.ones(2)).item(),
    bce_with_logits__shapes=lambda T: T.nn.functional.binary_cross_entropy_with_logits(
        T.ones(2), T.ones(3)
    ),
    kl_div__shapes=lambda T: T.nn.functional.kl_div(T.ones(2), T.ones(3)),
    layer_norm__shape=lambda T: T.nn.functional.layer_norm(T.ones(2, 3), (4,)),
    layer_norm__weight=lambda T: T.nn.functional.layer_norm(T.ones(2, 3), (3,), T.ones(4)),
    group_norm__groups=lambda T: T.nn.functional.group_norm(T.ones(2, 3, 4), 2),
    batch_norm__one_value=lambda T: T.nn.functional.batch_norm(
        T.ones(1, 3), None, None, training=True
    ),
    batch_norm__running=lambda T: T.nn.functional.batch_norm(T.ones(2, 3), T.ones(4), T.ones(4)),
    dropout__p=lambda T: T.nn.functional.dropout(T.ones(2), 1.5),
    glu__odd=lambda T: T.nn.functional.glu(T.ones(3)),
    prelu__weights=lambda T: T.nn.functional.prelu(T.ones(2, 3), T.ones(4)),
    bilinear__shapes=lambda T: T.nn.functional.bilinear(
        T.ones(2, 3), T.ones(2, 4), T.ones(5, 3, 3)
    ),
    gelu__approximate=lambda T: T.nn.functional.gelu(T.ones(2), approximate="none at all"),
    hinge__margin=lambda T: T.nn.functional.margin_ranking_loss(T.ones(2), T.ones(3), T.ones(2)),
    cosine_embedding__shapes=lambda T: T.nn.functional.cosine_embedding_loss(
        T.ones(2, 3), T.ones(2, 3), T.ones(3)
    ),
    Linear__missing=lambda T: T.nn.Linear(3),
    Linear__string=lambda T: T.nn.Linear("a", 3),
    Dropout__p=lambda T: T.nn.Dropout(2.0),
    Embedding__padding=lambda T: T.nn.Embedding(3, 2, padding_idx=5),
    Module__before_init=lambda T: _before_init(T),
    Module__attribute=lambda T: T.nn.Linear(2, 2).nothing_of_the_kind,
    Module__forward=lambda T: T.nn.Module()(T.ones(2)),
    Module__load_missing=lambda T: T.nn.Linear(2, 2).load_state_dict({"weight": T.ones(2, 2)}),
    Module__load_shape=lambda T: T.nn.Linear(2, 2).load_state_dict(
        {"weight": T.ones(3, 2), "bias": T.ones(2)}
    ),
    Module__load_unexpected=lambda T: T.nn.Linear(2, 2, bias=False).load_state_dict(
        {"weight": T.ones(2, 2), "other": T.ones(2)}
    ),
    Module__parameter_type=lambda T: setattr(T.nn.Linear(2, 2), "weight", T.ones(2, 2)),
    register_parameter__type=lambda T: T.nn.Module().register_parameter("a", T.ones(2)),
    register_parameter__dot=lambda T: T.nn.Module().register_parameter("a.b", None),
    register_buffer__type=lambda T: T.nn.Module().register_buffer("a", 3),
    add_module__type=lambda T: T.nn.Module().add_module("a", 3),
    get_submodule__missing=lambda T: T.nn.Linear(2, 2).get_submodule("a"),
    Sequential__index=lambda T: T.nn.Sequential(T.nn.ReLU())[1],
    ModuleList__type=lambda T: T.nn.ModuleList([1]),
    Parameter__integers=lambda T: T.nn.Parameter(T.ones(2, dtype=T.int64)),
    SGD__nothing=lambda T: T.optim.SGD([], lr=0.1),
    SGD__lr=lambda T: T.optim.SGD([T.ones(2, requires_grad=True)], lr=-1),
    SGD__momentum=lambda T: T.optim.SGD([T.ones(2, requires_grad=True)], lr=0.1, momentum=-1),
    SGD__nesterov=lambda T: T.optim.SGD([T.ones(2, requires_grad=True)], lr=0.1, nesterov=True),
    SGD__tensor=lambda T: T.optim.SGD(T.ones(2, requires_grad=True), lr=0.1),
    SGD__nonleaf=lambda T: T.optim.SGD([T.ones(2, requires_grad=True) * 2], lr=0.1),
    SGD__not_tensors=lambda T: T.optim.SGD([1, 2], lr=0.1),
    Adam__betas=lambda T: T.optim.Adam([T.ones(2, requires_grad=True)], betas=(1.5, 0.9)),
    Adam__eps=lambda T: T.optim.Adam([T.ones(2, requires_grad=True)], eps=-1),
    TensorDataset__sizes=lambda T: T.utils.data.TensorDataset(T.ones(2), T.ones(3)),
    random_split__lengths=lambda T: T.utils.data.random_split(range(5), [2, 2]),
    DataLoader__sampler=lambda T: T.utils.data.DataLoader(
        range(3), shuffle=True, sampler=[0, 1, 2]
    ),
    DataLoader__batch=lambda T: T.utils.data.DataLoader(range(3), batch_size=0),
    init__fan=lambda T: T.nn.init.xavier_uniform_(T.ones(3)),
    init__gain=lambda T: T.nn.init.calculate_gain("nothing"),
    clip_grad__nonfinite=lambda T: _clip(T),
)


def _before_init(T):
    class Net(T.nn.Module):
        def __init__(self):
            self.layer = T.nn.Linear(2, 2)

    Net()


def _clip(T):
    x = T.ones(2, requires_grad=True)
    x.grad = T.tensor([1.0, float("inf")])
    T.nn.utils.clip_grad_norm_([x], 1.0, error_if_nonfinite=True)


TABLES = (
    arithmetic, in_place, reduction, matmul, movement, indexing, autograd, creation, layers,
    linalg,
)  # fmt: skip
MISTAKES: list[Mistake] = [mistake for table in TABLES for mistake in table.cases]
