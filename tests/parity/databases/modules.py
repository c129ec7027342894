"""module_db: what PyTorch's modules give for the inputs of its own tests, and what they refuse.

Compared are repr, names, dtypes and values of the state after a seed, outputs, the gradients of
inputs and parameters, the state afterwards, in training and in evaluation; and that copies by
`copy`, `deepcopy`, `pickle` and `load_state_dict` do what the module does.
"""

from __future__ import annotations

import copy
import functools
import pickle
import re
import warnings
from typing import Any

import torch

from bital import torch as bital
from tests.parity.databases.call import (
    Call,
    compare_errors,
    differences,
    run,
    see,
    widen,
)
from tests.parity.databases.entry import Entry, records
from tests.parity.databases.translate import Missing, Translator, follow, leaves
from tests.tolerance import difference, limits

#: how many inputs are run in float32, in float64 and every other dtype, how many of these twice
#: differentiated, and with how many a module is copied; more are thinned out evenly
FIRST, OTHERS, SECOND, COPIED = 36, 8, 4, 2

#: the dtypes that are run, the one that gets most inputs first
DTYPES = ("float32", "float64", "float16", "bfloat16")


@functools.cache
def table() -> dict[str, Any]:
    """PyTorch's own records by name."""
    return {info.name: info for info in records("common_modules", "module_db")}


def entries() -> dict[str, Entry]:
    """Every entry of the table, in its order."""
    return {
        name: Entry(name, "nn", functools.partial(_values, info), functools.partial(_errors, info))
        for name, info in table().items()
    }


def _inputs(fn: Any, info: Any, dtype: str, training: bool) -> list:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = getattr(torch, dtype)
        return list(fn(info, device="cpu", dtype=kind, requires_grad=True, training=training))


def _thin(inputs: list, most: int) -> list:
    """At most so many of the inputs, evenly spread."""
    if len(inputs) <= most:
        return inputs
    return [inputs[i * len(inputs) // most] for i in range(most)]


def _values(info: Any, dtypes: tuple[str, ...] | None) -> list[str]:
    claimed = {str(d).removeprefix("torch.") for d in info.dtypes}
    wrong: dict[str, str] = {}  # each difference once, with where it was seen first
    for dtype in DTYPES:
        if dtype not in claimed or (dtypes is not None and dtype not in dtypes):
            continue
        first = dtype == DTYPES[0]
        for training in (True, False):
            inputs = _inputs(info.module_inputs_func, info, dtype, training)
            for n, each in enumerate(_thin(inputs, FIRST if first else OTHERS)):
                twice = dtype == "float64" and info.supports_gradgrad and n < SECOND
                case = Case(info, each, dtype, training, 2 if twice else 1)
                found = case.wrong()
                if first and not found and n < COPIED:
                    found = case.wrong_copies()
                for line in found:
                    word = "train" if training else "eval"
                    wrong.setdefault(line, f"{dtype} {word} {_label(each)}")
    return [f"{where}: {line}" for line, where in wrong.items()]


def _label(each: Any) -> str:
    given = each.constructor_input
    parts = [str(a) for a in given.args] + [f"{k}={v}" for k, v in given.kwargs.items()]
    text = f"({', '.join(parts)}) {each.desc}".replace("\n", " ").strip()
    return text if len(text) < 200 else text[:200] + "…"


class Case:
    """A module made by PyTorch and by bital from the same arguments and seed."""

    def __init__(self, info: Any, each: Any, dtype: str, training: bool, order: int) -> None:
        self.info, self.dtype, self.training, self.order = info, dtype, training, order
        self.make = each.constructor_input
        self.forward = leaves((each.forward_input.args, each.forward_input.kwargs))

    def wrong(self) -> list[str]:
        """Every difference, as readable lines."""
        try:
            self.translated = Translator()(self.forward)
            args, kwargs = Translator()((self.make.args, self.make.kwargs))
            cls = follow(bital, self.info.name)
        except Missing as error:
            return [str(error)]
        self.remake = functools.partial(cls, *args, **kwargs)
        self.theirs, failed = _made(torch, self.info.module_cls, self.make.args, self.make.kwargs)
        self.ours, ours_failed = _made(bital, cls, args, kwargs)
        if failed is not None or ours_failed is not None:
            line = compare_errors(ours_failed, failed)
            return [f"construction: {line}"] if line else []
        self.theirs.to(getattr(torch, self.dtype)).train(self.training)
        self.ours.to(getattr(bital, self.dtype)).train(self.training)
        if self.info.is_lazy:
            failed = self._materialise()
            if failed is not None:
                return [f"first call: {compare_errors(failed, None)}"]
        self.fresh = copy.deepcopy(self.ours)
        wrong = _compare_modules(self.ours, self.theirs, "made")
        return wrong or self._wrong_results()

    def _materialise(self) -> BaseException | None:
        """Lazy modules take their shapes from a first input; how that fails under bital."""
        for lib, module, forward in (
            (torch, self.theirs, self.forward),
            (bital, self.ours, self.translated),
        ):
            lib.manual_seed(0)
            args, kwargs = forward
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    module(*args, **kwargs)
                except Exception as error:
                    if lib is torch:
                        raise
                    return error
        return None

    def _wrong_results(self) -> list[str]:
        call = Call(_call, (), {}, self.order, name=f"module_db/{self.info.name}")
        wide = copy.deepcopy(self.theirs)
        theirs = _outcome(torch, self.theirs, self.forward, call)
        ours = _outcome(bital, self.ours, self.translated, call)

        def truth() -> Any:
            widened: list = []
            forward = widen(self.forward, widened)
            made = _outcome(torch, wide.double(), forward, call) if widened else None
            return None if made is None or made.error is not None else made

        wrong = differences(call, ours, theirs, truth)
        if wrong or theirs.error is not None:
            return wrong
        return _compare_modules(self.ours, self.theirs, "after the call")

    def wrong_copies(self) -> list[str]:
        """What copies of our module do differently."""
        ways = {
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
            "pickle": lambda m: pickle.loads(pickle.dumps(m)),
        }
        if not self.info.is_lazy:
            ways["load_state_dict"] = self._loaded
        call = Call(_call, (), {}, 1)
        wanted = _outcome(bital, copy.deepcopy(self.fresh), self.translated, call)
        wrong = []
        for way, made in ways.items():
            try:
                module = made(copy.deepcopy(self.fresh))
            except Exception as error:
                wrong.append(f"{way}: raised {type(error).__name__}: {error}")
                continue
            if repr(module) != repr(self.fresh):
                wrong.append(f"{way}: repr {module!r} for {self.fresh!r}")
                continue
            got = _outcome(bital, module, self.translated, call)
            wrong += [f"{way}: {x}" for x in differences(call, got, wanted, lambda: None)]
        return wrong

    def _loaded(self, module: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = self.remake().to(getattr(bital, self.dtype)).train(self.training)
        made.load_state_dict(module.state_dict())
        return made


def _made(lib: Any, cls: Any, args: tuple, kwargs: dict) -> tuple[Any, BaseException | None]:
    lib.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return cls(*args, **kwargs), None
        except Exception as error:
            return None, error


def _call(module: Any, parameters: list, args: tuple, kwargs: dict) -> Any:
    """The module's result; its parameters are arguments so that their gradients are asked for."""
    return module(*args, **kwargs)


def _outcome(lib: Any, module: Any, forward: tuple, call: Call) -> Any:
    args = (module, list(module.parameters()), *forward)
    return run(lib, call.fn, args, {}, call, None)


def _text(module: Any) -> str:
    text = repr(module).replace("bital.torch", "torch")
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def _compare_modules(ours: Any, theirs: Any, when: str) -> list[str]:
    """The differences in what two modules are and hold."""
    if type(ours).__name__ != type(theirs).__name__:
        return [f"{when}: class {type(ours).__name__} for {type(theirs).__name__}"]
    if _text(ours) != _text(theirs):
        return [f"{when}: repr {_text(ours)} for {_text(theirs)}"]
    names = [[n for n, _ in m.named_parameters()] for m in (ours, theirs)]
    if names[0] != names[1]:
        return [f"{when}: parameters {names[0]} for {names[1]}"]
    mine, true = ours.state_dict(), theirs.state_dict()
    if list(mine) != list(true):
        return [f"{when}: state {list(mine)} for {list(true)}"]
    return [line for key in true for line in _compare_state(f"{when}: {key}", mine[key], true[key])]


def _compare_state(what: str, ours: Any, theirs: Any) -> list[str]:
    a, b = see(ours), see(theirs)
    assert a is not None and b is not None
    if (a.dtype, a.values.shape) != (b.dtype, b.values.shape):
        return [f"{what} {a.dtype}{a.values.shape} for {b.dtype}{b.values.shape}"]
    line = difference(a.values, b.values, *limits(b.dtype, "module_db/state", 1))
    return [f"{what}: {line}"] if line else []


def _errors(info: Any) -> list[str | None]:
    """For each error input of PyTorch's tests: what is wrong with our error, or None."""
    if info.module_error_inputs_func is None:
        return []
    found = []
    for training in (True, False):
        inputs = _inputs(info.module_error_inputs_func, info, "float32", training)
        found += [_error(info, each.module_error_input, training) for each in inputs]
    return found


def _error(info: Any, each: Any, training: bool) -> str | None:
    given, forward = each.constructor_input, each.forward_input
    arguments = [(given.args, given.kwargs)]
    arguments.append(((), {}) if forward is None else leaves((forward.args, forward.kwargs)))
    try:
        translated = Translator()(arguments)
        cls = follow(bital, info.name)
    except Missing as error:
        return str(error)
    theirs = _first_error(torch, info.module_cls, arguments, training)
    ours = _first_error(bital, cls, translated, training)
    if theirs is None and ours is None:
        return None  # an error of other devices, or of checks that this build leaves out
    line = compare_errors(ours, theirs)
    return f"{_label(each)}: {line}" if line else None


def _first_error(lib: Any, cls: Any, arguments: list, training: bool) -> BaseException | None:
    """What making the module, or calling it, raises."""
    (args, kwargs), (forward_args, forward_kwargs) = arguments
    module, error = _made(lib, cls, args, kwargs)
    if error is not None or not (forward_args or forward_kwargs):
        return error
    call = Call(_call, (), {}, 0)
    return _outcome(lib, module.train(training), (forward_args, forward_kwargs), call).error
