"""Creation: fills, ranges, tensors from Python data and NumPy, grids, triangles."""

import numpy as np

from tests.parity.case import KINDS, Family, const, f, i

creation = Family("creation", {"order": 0, "exact": True})

for name in ("zeros", "ones"):
    creation(
        name,
        lambda T, n=name: [
            getattr(T, n)(2, 3),
            getattr(T, n)((2, 3)),
            getattr(T, n)([2]),
            getattr(T, n)(()),
            getattr(T, n)(0, 4),
            getattr(T, n)(T.Size([1, 2])),
            getattr(T, n)(size=(3,)),
        ],
    )
    creation(
        f"{name} of every dtype",
        lambda T, n=name: [getattr(T, n)(2, dtype=getattr(T, k)) for k in KINDS],
    )
    creation(
        f"{name} options",
        lambda T, n=name: [
            getattr(T, n)(2, requires_grad=True),
            getattr(T, n)(2, device="cpu"),
            getattr(T, n)(2, device=T.device("cpu"), dtype=T.float64),
        ],
    )
    creation(
        f"{name}_like",
        lambda T, x, n=name: [
            getattr(T, f"{n}_like")(x),
            getattr(T, f"{n}_like")(x, dtype=T.int64),
            getattr(T, f"{n}_like")(x.t()),
            getattr(T, f"{n}_like")(x[:, ::2]),
            getattr(T, f"{n}_like")(x, requires_grad=True),
            getattr(T, f"{n}_like")(x.expand(2, 3, 4)),
        ],
        f(3, 4),
    )
    creation(
        f"new_{name}",
        lambda T, x, n=name: [
            getattr(x, f"new_{n}")(2, 3),
            getattr(x, f"new_{n}")((2,)),
            getattr(x, f"new_{n}")(2, dtype=T.int32),
        ],
        f(3, dtype="float64"),
    )
creation(
    "full",
    lambda T: [
        T.full((2, 3), 1.5),
        T.full((2,), 3),
        T.full((), True),
        T.full((2,), 1 + 2j),
        T.full((2,), 3, dtype=T.float32),
        T.full((2,), 2.7, dtype=T.int64),
        T.full([1, 2], float("nan")),
    ],
)
creation(
    "full_like new_full",
    lambda T, x: [
        T.full_like(x, 2.5),
        T.full_like(x, 3, dtype=T.int8),
        x.new_full((2,), 4),
        T.full_like(x.t(), 1),
    ],
    f(2, 3),
)
creation(
    "empty",
    lambda T, x: [
        T.empty(2, 3),
        T.empty((0,)),
        T.empty(2, dtype=T.int64),
        T.empty_like(x),
        x.new_empty(3),
        T.empty_strided((2, 3), (1, 2)),
        T.empty_like(x.t()),
        T.empty(2, 3, 2, 2, memory_format=T.channels_last),
    ],
    f(2, 3),
    values=False,
)
creation(
    "new_tensor",
    lambda T, x: [x.new_tensor([1, 2]), x.new_tensor(3.5), x.new_tensor([[True]])],
    f(2),
)
creation(
    "arange",
    lambda T: [
        T.arange(5),
        T.arange(2, 7),
        T.arange(1, 10, 3),
        T.arange(5, 0, -2),
        T.arange(2.5),
        T.arange(0, 1, 0.25),
        T.arange(0, 1, 0.1),
        T.arange(1, 2, 0.3),
        T.arange(3, dtype=T.float32),
        T.arange(0),
        T.arange(4.0, 4.0),
        T.arange(1, 4, dtype=T.int16),
        T.arange(start=1, end=6, step=2),
        T.arange(-3, 3, 1.5),
        T.arange(True),
    ],
)
creation(
    "linspace",
    lambda T: [
        T.linspace(0, 1, 5),
        T.linspace(-3, 3, 7),
        T.linspace(2, 2, 3),
        T.linspace(0, 1, 1),
        T.linspace(0, 10, 0),
        T.linspace(1, 0, 4, dtype=T.float64),
        T.linspace(0, 9, 4, dtype=T.int64),
        T.linspace(0, 1, steps=100),
    ],
)
creation(
    "logspace",
    lambda T: [
        T.logspace(0, 2, 3),
        T.logspace(0, 3, 4, base=2),
        T.logspace(-1, 1, 5, dtype=T.float64),
    ],
    exact=False,
)
creation("eye", lambda T: [T.eye(3), T.eye(2, 4), T.eye(3, 2), T.eye(2, dtype=T.int64), T.eye(0)])

DATA = {
    "int": 3,
    "float": 2.5,
    "bool": True,
    "complex": 1 + 2j,
    "list": [1, 2, 3],
    "floats": [1.0, 2.5],
    "mixed": [1, 2.5],
    "bools": [True, False],
    "bools and ints": [True, 2],
    "nested": [[1, 2], [3, 4]],
    "nested floats": [[1.0, 2.0], [3.0, 4.5]],
    "tuple": (1, 2),
    "tuples in list": [(1, 2), (3, 4)],
    "empty": [],
    "empty nested": [[], []],
    "three axes": [[[1], [2]]],
    "nan inf": [float("nan"), float("inf")],
    "complex list": [1, 2j],
    "range": range(4),
    "large": 2**40,
    "negative": -1,
    "large list": [2**62, 1],
    "numpy float64": np.float64(1.5),
    "numpy int32": np.int32(4),
    "numpy bool": np.bool_(True),
    "array": np.arange(6.0).reshape(2, 3),
    "array int32": np.arange(3, dtype=np.int32),
    "array bool": np.array([True, False]),
    "array float16": np.ones(2, np.float16),
    "array uint8": np.arange(3, dtype=np.uint8),
    "array complex": np.array([1j]),
    "array 0-d": np.array(2.5),
    "array transposed": np.arange(6.0).reshape(2, 3).T,
    "list of arrays": [np.ones(2), np.zeros(2)],
    "list of numpy numbers": [np.float32(1.5), np.float32(2)],
    "floats beyond float32": [1e300, 0.1],
    "strided array": np.arange(10)[::3],
}
for name, data in DATA.items():
    creation(f"tensor of {name}", lambda T, d=data: T.tensor(d))
    creation(f"as_tensor of {name}", lambda T, d=data: T.as_tensor(d))
    if name not in (
        "nan inf",
        "complex",
        "complex list",
        "array complex",
        "large",
        "large list",
        "floats beyond float32",
        "numpy bool",
        "list of numpy numbers",
    ):
        creation(
            f"tensor of {name} in every dtype",
            lambda T, d=data: [T.tensor(d, dtype=getattr(T, k)) for k in KINDS],
        )
creation(
    "tensor options",
    lambda T: [
        T.tensor([1.0], requires_grad=True),
        T.tensor(2, dtype=T.float64),
        T.tensor([1.5], device="cpu"),
        T.tensor([T.tensor(1.0), T.tensor(2.0)]),
        T.tensor([[T.tensor(1), 2], [3, T.tensor(4)]]),
        T.tensor(1.0).requires_grad_(),
    ],
)
creation(
    "tensor of a tensor",
    lambda T, x: [
        x.clone().detach(),
        T.as_tensor(x),
        T.as_tensor(x) is x,
        T.as_tensor(x, dtype=T.float64),
        T.asarray([1, 2]),
        T.asarray(x) is x,
    ],
    f(2),
)
creation(
    "legacy constructors",
    lambda T: [
        T.Tensor([1, 2]),
        T.FloatTensor([1, 2]),
        T.LongTensor([1, 2]),
        T.Tensor(2, 0).shape,
        T.DoubleTensor([0.5]),
        T.Tensor([[1, 2], [3, 4]]),
        T.Tensor(),
        T.BoolTensor([1, 0]),
    ],
)
creation("from_numpy", lambda T: _shared(T, np.arange(6.0).reshape(2, 3)))
creation(
    "from_numpy of every dtype",
    lambda T: [
        T.from_numpy(np.ones(2, d))
        for d in (
            np.bool_,
            np.uint8,
            np.int8,
            np.int16,
            np.int32,
            np.int64,
            np.float16,
            np.float32,
            np.float64,
            np.complex64,
        )
    ],
)
creation(
    "from_numpy strided",
    lambda T: [
        T.from_numpy(np.arange(10)[::3]),
        T.from_numpy(np.arange(6.0).reshape(2, 3).T),
        T.from_numpy(np.arange(12).reshape(3, 4)[1:, 1:]),
    ],
)
creation("numpy shares memory", lambda T, x: _exported(T, x), f(2, 3))
creation(
    "numpy and tolist",
    lambda T, x, y: [
        x.numpy().tolist(),
        x.t().numpy().strides,
        x.tolist(),
        y.tolist(),
        y.numpy().dtype,
        x[0, 0].item(),
        float(x[0, 0]),
        int(y[0]),
        bool(y[0] > 99),
        y.sum().item(),
        x.numpy().dtype,
        np.asarray(x).shape,
        np.array(y).tolist(),
    ],
    f(2, 3),
    i(3),
)
creation(
    "tensor repr dtype",
    lambda T: [
        T.tensor([1.0]).type(),
        T.tensor([1]).type(),
        T.tensor(True).dtype,
        T.tensor(1.0).dtype is T.float32,
        T.float,
        T.long,
        T.double,
        T.half,
        T.cfloat,
        T.short,
        T.int,
        T.uint8,
    ],
)
creation(
    "tril_indices",
    lambda T: [
        T.tril_indices(3, 3),
        T.tril_indices(3, 4, 1),
        T.triu_indices(3, 3),
        T.triu_indices(4, 3, -1),
        T.tril_indices(2, 2, dtype=T.int32),
        T.tril_indices(3, 3, -1),
    ],
)
for indexing in ("ij", "xy"):
    creation(
        f"meshgrid {indexing}", lambda T, x, y, k=indexing: T.meshgrid(x, y, indexing=k), f(3), f(2)
    )
creation("scalar_tensor", lambda T: [T.scalar_tensor(2.5), T.scalar_tensor(2, dtype=T.int64)])
creation(
    "one window per row",
    lambda T: [T.hann_window(5), T.hamming_window(4, periodic=False), T.blackman_window(5)],
    exact=False,
)
creation(
    "frombuffer",
    lambda T: T.frombuffer(bytearray(np.arange(4, dtype=np.int32).tobytes()), dtype=T.int32),
)
creation("heaviside grid", lambda T: T.cartesian_prod(T.tensor([1, 2]), T.tensor([3, 4, 5])))
creation(
    "finfo",
    lambda T: [
        [
            T.finfo(getattr(T, k)).max,
            T.finfo(getattr(T, k)).min,
            T.finfo(getattr(T, k)).eps,
            T.finfo(getattr(T, k)).tiny,
            T.finfo(getattr(T, k)).bits,
            T.finfo(getattr(T, k)).smallest_normal,
            T.finfo(getattr(T, k)).dtype,
            T.finfo(getattr(T, k)).resolution,
        ]
        for k in ("float16", "bfloat16", "float32", "float64")
    ],
)
creation(
    "iinfo",
    lambda T: [
        [
            T.iinfo(getattr(T, k)).max,
            T.iinfo(getattr(T, k)).min,
            T.iinfo(getattr(T, k)).bits,
            T.iinfo(getattr(T, k)).dtype,
        ]
        for k in ("uint8", "int8", "int16", "int32", "int64")
    ],
)
creation(
    "dtype properties",
    lambda T: [
        [
            getattr(T, k).is_floating_point,
            getattr(T, k).is_complex,
            getattr(T, k).is_signed,
            getattr(T, k).itemsize,
            repr(getattr(T, k)),
            str(getattr(T, k)),
        ]
        for k in KINDS
    ],
)
creation(
    "size",
    lambda T: [
        T.Size([2, 3]),
        T.Size([2, 3]).numel(),
        T.Size([2]) + T.Size([3]),
        T.Size([2, 3])[1:],
        T.Size([2, 3]) == (2, 3),
        repr(T.Size([])),
        T.Size([2, 3])[0],
        tuple(T.Size([1])),
    ],
)
creation(
    "device",
    lambda T: [
        T.device("cpu"),
        T.device("cpu").type,
        T.device("cpu").index,
        T.device("cuda:1"),
        T.device("cuda", 1).index,
        T.device("cpu") == T.device("cpu"),
        str(T.device("cpu")),
        T.tensor(1).device,
        T.cuda.is_available(),
        T.cuda.device_count(),
        hash(T.device("cpu")) is not None,
    ],
)
creation(
    "python protocol",
    lambda T, x, n: [
        len(x),
        bool(T.tensor(1)),
        int(T.tensor(2.7)),
        float(T.tensor(2)),
        [10, 20, 30][T.tensor(1)],
        3.0 in T.tensor([1.0, 3.0]),
        complex(T.tensor(1.0)),
        round(T.tensor(2.6).item()),
        divmod(7, 2),
        [v.item() for v in n],
        T.is_tensor(x),
        T.is_tensor(1),
        T.is_floating_point(x),
        isinstance(x, T.Tensor),
        hash(x) == hash(x),
        x is x,
        x.is_leaf,
        x.grad,
        T.numel(x),
        x.data is x,
        x.layout,
        x.is_sparse,
        x.is_cuda,
        x.requires_grad,
        x.output_nr,
    ],
    f(3),
    const([1, 2, 3]),
)
creation(
    "format",
    lambda T: [
        f"{T.tensor(1.5):.3f}",
        f"{T.tensor(3):d}",
        f"{T.tensor(1.25)}",
        str(T.tensor([1.0, 2.5])),
        repr(T.zeros(2, 2)),
        repr(T.tensor([])),
        repr(T.arange(3)),
        repr(T.tensor([True])),
        repr(T.tensor(1e-8)),
        repr(T.tensor([1e-8, 1e8])),
        repr(T.zeros(2, requires_grad=True)),
        repr(T.ones(2, dtype=T.float64)),
        repr(T.tensor([1.0, float("nan"), float("inf")])),
        repr(T.arange(2000)),
        repr(T.tensor([1 + 2j])),
    ],
)
creation("manual seed returns", lambda T: [type(T.manual_seed(0)).__name__, T.initial_seed()])


def _shared(T, array):
    tensor = T.from_numpy(array)
    array[0, 0] = 42
    tensor[1, 1] = 7
    return [tensor, array.tolist(), tensor._version]


def _exported(T, x):
    array = x.numpy()
    x.add_(1)
    array[0, 0] = 5
    y = x * 2
    array[1, 1] = 9
    return [x, y, array.tolist(), array.base is not None]
