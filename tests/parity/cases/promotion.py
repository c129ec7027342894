"""Type promotion: every pair of dtypes, each as tensor, as 0-d tensor and as Python number."""

from tests.parity.case import KINDS, Family, f

promotion = Family("promotion", {"order": 0})
NUMBERS = {"bool": True, "int": 3, "float": 2.5, "complex": 1 + 2j}


def _try(run):
    try:
        return run()
    except RuntimeError:
        return "RuntimeError"


def _is_complex32(kind, other):
    """Whether PyTorch computes the pair in complex32, which bital has not and refuses."""
    return {kind, other} & {"float16"} and {kind, other} & {"complex", "complex64", "complex128"}


def _all(T, kind, run, left=(2,), right=(2,)):
    one = T.ones(left, dtype=getattr(T, kind))
    return [
        _try(lambda o=other: run(one, T.ones(right, dtype=getattr(T, o))))
        for other in KINDS
        if not _is_complex32(kind, other)
    ]


def _numbers(T, kind, run):
    one = T.ones(2, dtype=getattr(T, kind))
    return [
        _try(lambda n=number: run(one, n))
        for word, number in NUMBERS.items()
        if not _is_complex32(kind, word)
    ]


for kind in KINDS:
    promotion(
        f"result_type {kind}",
        lambda T, k=kind: [
            _all(T, k, T.result_type),
            _all(T, k, T.result_type, right=()),
            _all(T, k, T.result_type, left=()),
            _all(T, k, T.result_type, (), ()),
            _numbers(T, k, T.result_type),
            _numbers(T, k, lambda x, n: T.result_type(n, x[0])),
            [T.promote_types(getattr(T, k), getattr(T, o)) for o in KINDS],
            [T.can_cast(getattr(T, k), getattr(T, o)) for o in KINDS],
        ],
    )
    for word, run in {
        "add": lambda x, y: x + y,
        "mul": lambda x, y: x * y,
        "div": lambda x, y: x / y,
        "eq": lambda x, y: x == y,
    }.items():
        promotion(f"{word} {kind}", lambda T, k=kind, run=run: _all(T, k, run))
        promotion(f"{word} {kind} 0-d", lambda T, k=kind, run=run: _all(T, k, run, right=()))
        promotion(f"{word} 0-d {kind}", lambda T, k=kind, run=run: _all(T, k, run, left=()))
        promotion(
            f"{word} {kind} number",
            lambda T, k=kind, run=run: _numbers(T, k, run),
        )
    for word, run in {
        "sub": lambda x, y: x - y,
        "floor": lambda x, y: x // y,
        "pow": lambda x, y: x**y,
        "mod": lambda x, y: x % y,
    }.items():
        promotion(f"{word} {kind}", lambda T, k=kind, run=run: _all(T, k, run))
        promotion(
            f"number {word} {kind}",
            lambda T, k=kind, run=run: _numbers(T, k, lambda x, n: run(n, x)),
        )
    promotion(f"add_ {kind}", lambda T, k=kind: _all(T, k, lambda x, y: x.clone().add_(y)))
    promotion(
        f"where {kind}",
        lambda T, k=kind: _all(T, k, lambda x, y: T.where(T.tensor([True, False]), x, y)),
    )
    promotion(f"cat {kind}", lambda T, k=kind: _all(T, k, lambda x, y: T.cat([x, y])))
    promotion(
        f"unary {kind}",
        lambda T, k=kind: [
            _try(lambda n=n: getattr(T, n)(T.ones(2, dtype=getattr(T, k))))
            for n in (
                "exp",
                "sqrt",
                "neg",
                "abs",
                "sin",
                "sigmoid",
                "floor",
                "sign",
                "square",
                "reciprocal",
                "round",
                "logical_not",
                "bitwise_not",
                "isnan",
                "angle",
            )
        ],
    )
    promotion(
        f"reduce {kind}",
        lambda T, k=kind: (
            [
                _try(lambda n=n: getattr(T, n)(T.ones(2, 2, dtype=getattr(T, k))))
                for n in (
                    "sum",
                    "prod",
                    "mean",
                    "std",
                    "var",
                    "any",
                    "all",
                    "max",
                    "argmax",
                    "norm",
                    "count_nonzero",
                )
            ]
            + [_try(lambda: T.cumsum(T.ones(2, dtype=getattr(T, k)), 0))]
        ),
    )
    promotion(f"matmul {kind}", lambda T, k=kind: _all(T, k, lambda x, y: x @ y, (2, 2), (2, 2)))
promotion("default dtype double", lambda T, x: _double(T, x), f(2))
promotion(
    "sum dtype",
    lambda T, x: [
        x.sum(dtype=T.float64),
        x.mean(dtype=T.float64),
        x.prod(dtype=T.int64),
        x.cumsum(0, dtype=T.float64),
        T.softmax(x, 0, dtype=T.float64),
    ],
    f(3),
)


def _double(T, x):
    T.set_default_dtype(T.float64)
    try:
        return [
            T.ones(2),
            T.tensor(1.5),
            T.arange(3) / 2,
            x + 1.5,
            T.ones(2, dtype=T.int64) * 1.5,
            T.get_default_dtype(),
            T.rand(2).dtype,
            T.tensor(1j),
        ]
    finally:
        T.set_default_dtype(T.float32)


# a scalar tensor of a wider dtype does not widen the result, whatever the layout of the other
for word, run in {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "pow": lambda x, y: x**y,
}.items():
    promotion(
        f"{word} double 0-d and windows",
        lambda T, s, x, run=run: [run(s, x.t()), run(x.t(), s), run(s, x[:, ::2]), run(x[1], s)],
        f(dtype="float64", low=1, high=2),
        f(3, 4, low=1, high=2),
        order=2,
        differences=False,
    )
