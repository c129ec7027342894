"""Random functions after a seed: the very numbers of PyTorch's CPU generator."""

from tests.parity.case import Family, const, f

random_numbers = Family("random", {"order": 0, "seed": 123, "exact": True})
SIZES = (1, 5, 15, 16, 17, 31, 100)

for kind in ("float32", "float64"):
    for size in SIZES:
        random_numbers(
            f"rand {size} {kind}", lambda T, n=size, k=kind: T.rand(n, dtype=getattr(T, k))
        )
        random_numbers(
            f"randn {size} {kind}",
            lambda T, n=size, k=kind: T.randn(n, dtype=getattr(T, k)),
            exact=False,
        )
    random_numbers(
        f"uniform_ {kind}",
        lambda T, k=kind: T.empty(3, 4, dtype=getattr(T, k)).uniform_(-2, 3),
        exact=False,
    )
    random_numbers(
        f"normal_ {kind}",
        lambda T, k=kind: T.empty(5, 4, dtype=getattr(T, k)).normal_(1, 2),
        exact=False,
    )
    for name in ("exponential_", "cauchy_", "log_normal_"):
        random_numbers(
            f"{name} {kind}",
            lambda T, k=kind, n=name: getattr(T.empty(6, dtype=getattr(T, k)), n)(),
            exact=False,
        )
    random_numbers(
        f"geometric_ {kind}", lambda T, k=kind: T.empty(6, dtype=getattr(T, k)).geometric_(0.3)
    )
for kind in ("float16", "bfloat16"):
    random_numbers(
        f"rand and randn {kind}",
        lambda T, k=kind: [T.rand(20, dtype=getattr(T, k)), T.randn(20, dtype=getattr(T, k))],
        exact=False,
    )
random_numbers(
    "rand shapes",
    lambda T: [T.rand(2, 3), T.rand((2,)), T.rand([]), T.rand(0), T.rand(1, requires_grad=True)],
)
random_numbers(
    "randn shapes",
    lambda T: [T.randn(2, 3), T.randn((2,)), T.randn([]), T.randn(4, 5)],
    exact=False,
)
random_numbers(
    "randint",
    lambda T: [
        T.randint(10, (5,)),
        T.randint(-5, 5, (2, 3)),
        T.randint(3, 9, [4]),
        T.randint(2**40, (3,)),
        T.randint(10, (3,), dtype=T.float32),
        T.randint(high=4, size=(2,)),
        T.randint(0, 2, (5,), dtype=T.uint8),
        T.randint(10, (3,), dtype=T.int32),
    ],
)
random_numbers("randperm", lambda T: [T.randperm(n) for n in (0, 1, 2, 10, 100)])
random_numbers("randperm dtype", lambda T: T.randperm(5, dtype=T.int32))
random_numbers(
    "like",
    lambda T, x: [T.rand_like(x), T.randn_like(x), T.randint_like(x, 10), T.randint_like(x, 2, 5)],
    f(2, 3),
    exact=False,
)
random_numbers(
    "normal",
    lambda T, m, s: [
        T.normal(m, s),
        T.normal(0.0, s),
        T.normal(m),
        T.normal(0.0, 1.0, (2, 3)),
        T.normal(2.0, 3.0, size=(20,)),
    ],
    f(4),
    f(4, low=0.5, high=2),
    exact=False,
)
random_numbers(
    "bernoulli",
    lambda T, p: [
        T.bernoulli(p),
        p.bernoulli(),
        T.bernoulli(p, 0.3),
        T.empty(6).bernoulli_(0.4),
        T.empty(6).bernoulli_(p),
    ],
    f(6, low=0, high=1),
)
random_numbers("bernoulli_ many", lambda T: T.empty(50).bernoulli_(0.4))
random_numbers("bernoulli_ integers", lambda T: T.empty(20, dtype=T.int64).bernoulli_(0.4))
random_numbers(
    "random_",
    lambda T: [
        T.empty(5).random_(),
        T.empty(5, dtype=T.int64).random_(10),
        T.empty(5, dtype=T.int32).random_(-3, 4),
        T.empty(4, dtype=T.uint8).random_(),
    ],
)
random_numbers(
    "multinomial",
    lambda T, w: [T.multinomial(w, 3), T.multinomial(w, 6, replacement=True), w.multinomial(1)],
    f(5, low=0.1, high=1),
)
random_numbers(
    "multinomial rows",
    lambda T, w: [T.multinomial(w, 2), T.multinomial(w, 4, replacement=True)],
    f(3, 5, low=0.1, high=1),
)
random_numbers("poisson", lambda T, r: T.poisson(r), f(8, low=0.1, high=20))
random_numbers("dropout", lambda T, x: T.nn.functional.dropout(x, 0.4), f(30).nograd, exact=False)
random_numbers(
    "non-contiguous",
    lambda T: [
        T.empty(4, 3).t().uniform_(),
        T.empty(6, 4)[::2].normal_(),
        T.empty(5, 8)[:, ::2].uniform_(),
    ],
    exact=False,
)
random_numbers(
    "order of draws",
    lambda T: [T.rand(3), T.randn(3), T.randint(9, (3,)), T.randperm(4), T.randn(17), T.rand(2)],
    exact=False,
)
random_numbers(
    "odd normals keep a second one",
    lambda T: [T.randn(1), T.randn(1), T.randn(3), T.rand(1), T.randn(1)],
    exact=False,
)
random_numbers("generator object", lambda T: _generator(T), exact=False)
random_numbers("state", lambda T: _state(T), exact=False)
random_numbers("fork", lambda T: _fork(T), exact=False)
random_numbers(
    "seed values", lambda T: [(T.manual_seed(s), T.rand(2))[1] for s in (0, 1, 2**32 + 5, -1, 42)]
)
for name, args in {
    "uniform_": (-1, 1),
    "normal_": (0, 2),
    "xavier_uniform_": (),
    "xavier_normal_": (),
    "kaiming_uniform_": (),
    "kaiming_normal_": (),
    "trunc_normal_": (),
    "orthogonal_": (),
    "constant_": (0.3,),
    "ones_": (),
    "zeros_": (),
    "eye_": (),
    "dirac_": (),
    "sparse_": (0.2,),
}.items():
    shape = (3, 3, 2) if name == "dirac_" else (5, 4)
    random_numbers(
        f"init {name}",
        lambda T, n=name, a=args, s=shape: getattr(T.nn.init, n)(T.empty(*s), *a),
        exact=False,
        strides=False,
    )
random_numbers(
    "init kaiming modes",
    lambda T: [
        T.nn.init.kaiming_uniform_(T.empty(4, 6), a=5**0.5),
        T.nn.init.kaiming_normal_(T.empty(4, 6), mode="fan_out", nonlinearity="leaky_relu"),
        T.nn.init.xavier_uniform_(T.empty(4, 6), gain=T.nn.init.calculate_gain("tanh")),
    ],
    exact=False,
)
random_numbers(
    "rand times constant",
    lambda T, x: (T.rand(4) * x, T.randn(4) + x),
    const([1.0, 2.0, 3.0, 4.0]),
    exact=False,
)


def _generator(T):
    g = T.Generator().manual_seed(5)
    h = T.Generator()
    h.manual_seed(5)
    return [
        T.rand(3, generator=g),
        T.randn(3, generator=g),
        T.randperm(5, generator=g),
        T.rand(2),
        T.rand(3, generator=h),
        g.initial_seed(),
        T.empty(2).uniform_(generator=g),
        T.randint(9, (2,), generator=g),
        T.bernoulli(T.full((3,), 0.5), generator=g),
    ]


def _state(T):
    state = T.get_rng_state()
    first = [T.rand(3), T.randn(1)]
    T.set_rng_state(state)
    return [first, T.rand(3), T.randn(1), state.dtype, state.shape]


def _fork(T):
    with T.random.fork_rng():
        T.manual_seed(9)
        inside = T.rand(2)
    return [inside, T.rand(2)]
