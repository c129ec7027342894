"""Order and counting: sort, topk, median, unique, nonzero, searchsorted, bincount, histc."""

from tests.parity.case import Family, b, const, f, function, i

order = Family("order")
KINDS = ("float32", "float64", "bfloat16", "int64")
NAN = float("nan")

order("sort", "sort", f(3, 5), dtypes=KINDS)
order("sort descending", function("sort", dim=0, descending=True), f(5, 3))
order("sort stable ties", function("sort", stable=True), i(12, low=0, high=3))
order(
    "sort stable descending ties",
    function("sort", descending=True, stable=True),
    i(12, low=0, high=3),
)
order("sort nan", function("sort", stable=True), const([2.0, NAN, 1.0, NAN, 3.0]))
order("sort nan descending", function("sort", descending=True, stable=True), const([2.0, NAN, 1.0]))
order("sort bool", function("sort", stable=True), b(6))
order("sort scalar", "sort", f())
order("sort values only", lambda T, x: x.sort(1).values, f(3, 4))
order("sort many", function("sort", stable=True), f(100))
order("msort", "msort", f(4, 3))
order("argsort", "argsort", f(3, 5), dtypes=("float32", "int64")[:1])
order("argsort descending", function("argsort", dim=0, descending=True), f(3, 5))
order("argsort stable", function("argsort", stable=True), i(12, low=0, high=3))
order("topk", function("topk", 3), f(4, 6), dtypes=KINDS[:2])
order("topk smallest", function("topk", 2, largest=False), f(4, 6))
order("topk dim 0", function("topk", 2, dim=0), f(4, 6))
order("topk all", function("topk", 6), f(6))
order("topk zero", function("topk", 0), f(6), differences=False)
order("topk nan", function("topk", 2), const([2.0, NAN, 1.0, 5.0]))
order("topk large", function("topk", 5), f(200))
order("kthvalue", function("kthvalue", 2), f(4, 5))
order("kthvalue dim keepdim", function("kthvalue", 3, dim=0, keepdim=True), f(4, 5))
order("median", "median", f(3, 5), dtypes=("float32", "float64", "int64"))
order("median even", "median", f(6))
order("median dim", function("median", dim=1), f(3, 5))
order("median dim keepdim", function("median", dim=0, keepdim=True), f(4, 5))
order("median nan", "median", const([1.0, NAN, 3.0]))
order("nanmedian", "nanmedian", const([1.0, NAN, 3.0, 4.0]))
order("nanmedian dim", function("nanmedian", dim=0), const([1.0, NAN, 3.0, 4.0]))
order("mode", function("mode", dim=1), i(3, 7, low=0, high=3))
for how in ("linear", "lower", "higher", "nearest", "midpoint"):
    order(f"quantile {how}", lambda T, x, h=how: T.quantile(x, 0.35, interpolation=h), f(7))
order(
    "quantile dim",
    lambda T, x: T.quantile(x, T.tensor([0.1, 0.5, 0.9], dtype=x.dtype), dim=1),
    f(3, 6),
)
order("quantile keepdim", lambda T, x: T.quantile(x, 0.5, dim=0, keepdim=True), f(3, 6))
order("nanquantile", lambda T, x: T.nanquantile(x, 0.5), const([1.0, NAN, 3.0, 5.0]))

order("unique", "unique", i(3, 5, low=0, high=6))
order(
    "unique everything",
    function("unique", return_inverse=True, return_counts=True),
    i(3, 5, low=0, high=6),
)
order("unique inverse", function("unique", return_inverse=True), i(3, 5, low=0, high=6))
order("unique counts", function("unique", return_counts=True), i(3, 5, low=0, high=6))
order("unique floats", "unique", const([2.0, 1.0, 2.0, -1.0]))
order("unique bool", "unique", b(6))
order(
    "unique dim",
    function("unique", dim=0, return_inverse=True, return_counts=True),
    i(6, 2, low=0, high=2),
)
order("unique dim 1", function("unique", dim=1), i(2, 6, low=0, high=2))
order("unique nothing", "unique", i(0))
order(
    "unique_consecutive",
    function("unique_consecutive", return_inverse=True, return_counts=True),
    i(12, low=0, high=2),
)
order("unique_consecutive dim", function("unique_consecutive", dim=0), i(6, 2, low=0, high=2))
order("nonzero", "nonzero", i(3, 4, low=-1, high=2))
order("nonzero tuple", function("nonzero", as_tuple=True), i(3, 4, low=-1, high=2))
order("nonzero bool", "nonzero", b(3, 4))
order("nonzero scalar", lambda T: [T.tensor(3).nonzero(), T.tensor(0).nonzero()])
order("argwhere", "argwhere", b(3, 4))
order("nonzero nothing", "nonzero", const([0, 0]))

SORTED = const([[1.0, 3.0, 5.0, 7.0, 9.0], [0.0, 2.0, 4.0, 6.0, 8.0]])
order("searchsorted", "searchsorted", SORTED, const([[3.0, 6.0, 9.0], [3.0, 6.0, 9.0]]))
order(
    "searchsorted right",
    function("searchsorted", right=True),
    SORTED,
    const([[3.0, 6.0, 9.0], [2.0, 6.0, 9.0]]),
)
order(
    "searchsorted side int32",
    function("searchsorted", side="right", out_int32=True),
    const([1.0, 3.0, 5.0]),
    f(2, 3, low=0, high=6),
)
order("searchsorted number", lambda T, x: T.searchsorted(x, 4), const([1, 3, 5]))
order(
    "searchsorted sorter",
    lambda T, x: T.searchsorted(x, T.tensor([3.0]), sorter=T.argsort(x)),
    const([5.0, 1.0, 3.0]),
)
order("bucketize", "bucketize", f(2, 3, low=0, high=6), const([1.0, 3.0, 5.0]))
order("bucketize right", function("bucketize", right=True), const([1, 2, 3, 4]), const([1, 3, 5]))
order("bincount", "bincount", i(10, low=0, high=6))
order("bincount minlength", function("bincount", minlength=9), i(10, low=0, high=6))
order("bincount weights", "bincount", i(10, low=0, high=6), f(10).nograd)
order("bincount nothing", "bincount", i(0))
order("histc", function("histc", bins=5, min=-2, max=2), f(50).nograd)
order("histc whole range", function("histc", bins=4), f(20).nograd)
order("histogram", lambda T, x: T.histogram(x, 4, range=(-2.0, 2.0)), f(20).nograd)
order("accuracy", lambda T, x, y: (x.argmax(1) == y).float().mean(), f(6, 3), i(6, low=0, high=3))
