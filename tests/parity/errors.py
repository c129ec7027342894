"""The usual mistakes, operator by operator: each case is a call that PyTorch refuses.

What is compared: the builtin exception class, and the gist of the message, which is either
PyTorch's first sentence or the operator's name with every size that the sentence mentions.
"""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """A call that must be refused; `word` is a name its message may use for the operator."""

    key: str
    call: Callable[[Any], Any]
    word: str


class Mistakes:
    """A table of mistakes of one family."""

    def __init__(self, family: str, **calls: Callable[[Any], Any]) -> None:
        self.family = family
        self.cases: list[Mistake] = []
        for name, call in calls.items():
            self.add(name, call)

    def add(self, name: str, call: Callable[[Any], Any], word: str | None = None) -> None:
        """Add one; the operator's name is the first word of `name` unless given."""
        word = (word or name.split("__")[0]).rstrip("_")
        self.cases.append(Mistake(f"{self.family}/{name}", call, word))


@dataclass(frozen=True)
class Refusal:
    """What a refused call raised: its nearest builtin class and its message."""

    kind: str
    message: str


def refuse(torch, mistake: Mistake) -> Refusal | None:
    """What `mistake` raises under `torch`, or None where it is accepted."""
    try:
        mistake.call(torch)
    except Exception as error:
        builtin = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
        return Refusal(builtin.__name__, str(error))
    return None


def first_sentence(message: str) -> str:
    """The part of PyTorch's message before its line break, full stop or advice, in one line."""
    line = message.strip().split("\n")[0]
    line = re.split(r"(?<=[^0-9.])\. |; ", line)[0]
    return " ".join(line.split()).rstrip(".")


def sizes(sentence: str) -> set[str]:
    """The numbers in a sentence, without the positions of arguments."""
    sentence = re.sub(r"\(position \d+\)|#\d+|'mat\d'|mat\d|\d+D|\d-D", "", sentence)
    return set(re.findall(r"(?<![\w.])\d+(?![\w.])|(?<=x)\d+|\d+(?=x)", sentence))


def complaints(ours: Refusal | None, theirs: Refusal, word: str) -> list[str]:
    """What is wrong with a refusal, as readable lines."""
    if ours is None:
        return [f"accepted, should raise {theirs.kind}: {theirs.message:.200}"]
    if ours.kind != theirs.kind:
        return [
            f"raised {ours.kind} ({ours.message:.200}) for {theirs.kind} ({theirs.message:.200})"
        ]
    sentence = first_sentence(theirs.message)
    plain = " ".join(ours.message.split())
    if sentence.lower() in plain.lower():
        return []
    missing = [part for part in sorted(sizes(sentence)) if part not in sizes(plain)]
    if word.lower() not in plain.lower():
        missing.insert(0, word)
    if missing:
        return [f"message {ours.message!r:.300} lacks {missing}; PyTorch says {sentence!r}"]
    return []


arithmetic = Mistakes(
    "arithmetic",
    add__shapes=lambda T: T.ones(2, 3) + T.ones(4),
    sub__shapes=lambda T: T.sub(T.ones(2, 3), T.ones(3, 2)),
    mul__shapes=lambda T: T.ones(5) * T.ones(4),
    div__shapes=lambda T: T.ones(2, 2, 2) / T.ones(3),
    add__string=lambda T: T.add(T.ones(2), "a"),
    add__none=lambda T: T.add(T.ones(2), None),
    add__operator_string=lambda T: T.ones(2) + "a",
    add__list=lambda T: T.add(T.ones(2), [1, 2]),
    add__missing=lambda T: T.add(T.ones(2)),
    add__unknown_keyword=lambda T: T.add(T.ones(2), 1, beta=2),
    add__float_alpha_of_integers=lambda T: T.add(T.ones(2, dtype=T.int64), 1, alpha=0.5),
    sub__bool=lambda T: T.tensor([True]) - T.tensor([True]),
    sub__bool_number=lambda T: T.tensor([True]) - True,
    neg__bool=lambda T: -T.tensor([True]),
    pow__integers_negative=lambda T: T.tensor([2, 3]) ** -1,
    pow__shapes=lambda T: T.pow(T.ones(2), T.ones(3)),
    div__rounding_mode=lambda T: T.div(T.ones(2), 2, rounding_mode="up"),
    floor_divide__integers_by_zero=lambda T: T.tensor([1, 2]) // 0,
    remainder__integers_by_zero=lambda T: T.tensor([1, 2]) % T.tensor([0, 1]),
    maximum__shapes=lambda T: T.maximum(T.ones(2), T.ones(3)),
    maximum__number=lambda T: T.maximum(T.ones(2), 1.0),
    atan2__shapes=lambda T: T.atan2(T.ones(2), T.ones(3)),
    bitwise_and__floats=lambda T: T.ones(2) & T.ones(2),
    bitwise_not__floats=lambda T: ~T.ones(2),
    lshift__floats=lambda T: T.bitwise_left_shift(T.ones(2), T.ones(2)),
    gcd__floats=lambda T: T.gcd(T.ones(2), T.ones(2)),
    eq__shapes=lambda T: T.ones(2) == T.ones(3),
    lt__shapes=lambda T: T.lt(T.ones(2), T.ones(3)),
    lt__string=lambda T: T.ones(2) < "a",
    lt__complex=lambda T: T.tensor([1j]) < T.tensor([1j]),
    clamp__nothing=lambda T: T.clamp(T.ones(2)),
    lerp__dtype=lambda T: T.lerp(T.ones(2), T.ones(2, dtype=T.float64), 0.5),
    lerp__shapes=lambda T: T.lerp(T.ones(2), T.ones(3), 0.5),
    addcmul__shapes=lambda T: T.addcmul(T.ones(2), T.ones(3), T.ones(2)),
    where__condition=lambda T: T.where(T.ones(2), T.ones(2), T.ones(2)),
    where__shapes=lambda T: T.where(T.ones(2).bool(), T.ones(3), T.ones(2)),
    exp__string=lambda T: T.exp("a"),
    exp__number=lambda T: T.exp(1.0),
    sin__list=lambda T: T.sin([1.0]),
    exp__none=lambda T: T.exp(None),
    exp__two=lambda T: T.exp(T.ones(2), T.ones(2)),
    round__decimals_of_integers=lambda T: T.round(T.ones(2, dtype=T.int64), decimals=1),
    logit__missing=lambda T: T.logit(),
    isclose__dtype=lambda T: T.isclose(T.ones(2), T.ones(2, dtype=T.int64)),
    true_divide__into_integers=lambda T: T.ones(2, dtype=T.int64).div_(2),
    add__out_dtype=lambda T: T.add(T.ones(2), 1.5, out=T.ones(2, dtype=T.int64)),
    add__device=lambda T: T.ones(2, device="cuda"),
    frexp__integers=lambda T: T.frexp(T.ones(2, dtype=T.int64)),
)

in_place = Mistakes(
    "inplace",
    add___shapes=lambda T: T.ones(3).add_(T.ones(2, 3)),
    add___broadcast_self=lambda T: T.ones(1, 3).add_(T.ones(2, 3)),
    mul___shapes=lambda T: T.ones(3).mul_(T.ones(4)),
    add___result_type=lambda T: T.ones(3, dtype=T.int64).add_(1.5),
    mul___bool=lambda T: T.tensor([True]).mul_(2),
    add___leaf=lambda T: T.ones(3, requires_grad=True).add_(1),
    iadd__leaf=lambda T: _iadd(T.ones(3, requires_grad=True)),
    setitem__leaf=lambda T: _set(T.ones(3, requires_grad=True), 0, 1.0),
    add___view_of_leaf=lambda T: T.ones(3, requires_grad=True)[0].add_(1),
    add___expanded=lambda T: T.ones(1).expand(3).add_(1),
    copy___shapes=lambda T: T.ones(3).copy_(T.ones(4)),
    fill___shapes=lambda T: T.ones(3).fill_(T.ones(2)),
    exp___integers=lambda T: T.ones(2, dtype=T.int64).exp_(),
    sqrt___integers=lambda T: T.ones(2, dtype=T.int64).sqrt_(),
    masked_fill___mask=lambda T: T.ones(3).masked_fill_(T.ones(3), 1),
    masked_fill___shapes=lambda T: T.ones(3).masked_fill_(T.ones(4).bool(), 1),
    masked_fill___value_shape=lambda T: T.ones(3).masked_fill(T.ones(3).bool(), T.ones(2)),
    requires_grad___nonleaf=lambda T: _nonleaf(T).requires_grad_(False),
    requires_grad___integers=lambda T: T.ones(2, dtype=T.int64).requires_grad_(),
    unbind__view_in_place=lambda T: (T.ones(2, 2, requires_grad=True) * 1).unbind()[0].add_(1),
    detach___view=lambda T: (T.ones(2, 2, requires_grad=True) * 1)[0].detach_(),
    resize___shared=lambda T: T.ones(2, requires_grad=True).resize_(4),
    squeeze___dim=lambda T: T.ones(2).squeeze_(3),
    uniform___order=lambda T: T.ones(2).uniform_(2, 1),
    normal___std=lambda T: T.ones(2).normal_(0, -1),
    bernoulli___p=lambda T: T.ones(2).bernoulli_(1.5),
    exponential___lambd=lambda T: T.ones(2).exponential_(-1),
    random___order=lambda T: T.ones(2).random_(3, 2),
    grad__shape=lambda T: setattr(T.ones(2, requires_grad=True), "grad", T.ones(3)),
    grad__type=lambda T: setattr(T.ones(2, requires_grad=True), "grad", 1),
    data__type=lambda T: setattr(T.ones(2), "data", 1),
)


def _iadd(x):
    x += 1


def _set(x, index, value):
    x[index] = value


def _nonleaf(T):
    return T.ones(2, requires_grad=True) * 2


reduction = Mistakes(
    "reduction",
    sum__dim=lambda T: T.ones(2, 3).sum(2),
    sum__negative_dim=lambda T: T.ones(2, 3).sum(-3),
    sum__dim_twice=lambda T: T.ones(2, 3).sum((0, 0)),
    sum__dim_type=lambda T: T.ones(2, 3).sum("a"),
    sum__scalar_dim=lambda T: T.tensor(1.0).sum(1),
    mean__integers=lambda T: T.ones(3, dtype=T.int64).mean(),
    mean__bool=lambda T: T.tensor([True]).mean(),
    mean__dim=lambda T: T.ones(2, 3).mean(5),
    std__integers=lambda T: T.ones(3, dtype=T.int64).std(),
    var__dim=lambda T: T.ones(3).var(1),
    prod__dim=lambda T: T.ones(3).prod(1),
    max__nothing=lambda T: T.empty(0).max(),
    max__dim_nothing=lambda T: T.empty(0, 2).max(0),
    max__dim=lambda T: T.ones(2).max(1),
    argmax__nothing=lambda T: T.empty(0).argmax(),
    argmax__dim=lambda T: T.ones(2).argmax(3),
    amax__nothing=lambda T: T.empty(0).amax(),
    amax__dim=lambda T: T.ones(2).amax(3),
    min__nothing=lambda T: T.empty(0).min(),
    logsumexp__dim=lambda T: T.ones(2).logsumexp(2),
    cumsum__dim=lambda T: T.ones(2).cumsum(2),
    cumsum__missing=lambda T: T.ones(2).cumsum(),
    cumprod__dim=lambda T: T.ones(2).cumprod(-2),
    norm__integers=lambda T: T.ones(2, dtype=T.int64).norm(),
    norm__dim=lambda T: T.ones(2).norm(dim=1),
    any__dim=lambda T: T.ones(2).any(1),
    median__dim=lambda T: T.ones(2).median(2),
    kthvalue__k=lambda T: T.ones(3).kthvalue(4),
    topk__k=lambda T: T.ones(3).topk(4),
    topk__dim=lambda T: T.ones(3).topk(1, dim=1),
    sort__dim=lambda T: T.ones(3).sort(1),
    quantile__q=lambda T: T.ones(3).quantile(2.0),
    quantile__dtype=lambda T: T.ones(3).quantile(T.tensor(0.5, dtype=T.float64)),
    histc__bins=lambda T: T.ones(3).histc(bins=0),
    bincount__floats=lambda T: T.ones(3).bincount(),
    bincount__negative=lambda T: T.tensor([-1, 2]).bincount(),
    bincount__weights=lambda T: T.tensor([1, 2]).bincount(T.ones(3)),
    searchsorted__shapes=lambda T: T.searchsorted(T.ones(2, 3), T.ones(3, 3)),
    searchsorted__side=lambda T: T.searchsorted(T.ones(3), T.ones(3), side="up"),
    unique__dim=lambda T: T.ones(3).unique(dim=1),
    softmax__dim=lambda T: T.softmax(T.ones(2), 2),
    softmax__integers=lambda T: T.softmax(T.ones(2, dtype=T.int64), 0),
    log_softmax__missing=lambda T: T.log_softmax(T.ones(2)),
    trace__cube=lambda T: T.ones(2, 2, 2).trace(),
    diff__scalar=lambda T: T.tensor(1.0).diff(),
    cdist__columns=lambda T: T.cdist(T.ones(2, 3), T.ones(2, 4)),
)

matmul = Mistakes(
    "matmul",
    mm__shapes=lambda T: T.ones(2, 3).mm(T.ones(4, 5)),
    mm__vector=lambda T: T.ones(2, 3).mm(T.ones(3)),
    mm__cube=lambda T: T.mm(T.ones(2, 3, 4), T.ones(4, 5)),
    mm__dtype=lambda T: T.ones(2, 3).mm(T.ones(3, 2, dtype=T.float64)),
    mm__integers=lambda T: T.ones(2, 3).mm(T.ones(3, 2, dtype=T.int64)),
    mm__number=lambda T: T.mm(T.ones(2, 3), 2),
    mm__missing=lambda T: T.mm(T.ones(2, 3)),
    matmul__shapes=lambda T: T.ones(2, 3) @ T.ones(4, 5),
    matmul__vectors=lambda T: T.ones(3) @ T.ones(4),
    matmul__matrix_vector=lambda T: T.ones(2, 3) @ T.ones(4),
    matmul__vector_matrix=lambda T: T.ones(3) @ T.ones(4, 2),
    matmul__batches=lambda T: T.ones(2, 3, 4) @ T.ones(3, 4, 5),
    matmul__inner_of_batches=lambda T: T.ones(2, 3, 4) @ T.ones(2, 5, 4),
    matmul__scalar=lambda T: T.ones(2, 3) @ T.tensor(2.0),
    matmul__number=lambda T: T.ones(2, 3) @ 2,
    matmul__dtype=lambda T: T.ones(2, 3) @ T.ones(3, 2, dtype=T.float64),
    bmm__shapes=lambda T: T.bmm(T.ones(2, 3, 4), T.ones(2, 5, 6)),
    bmm__batches=lambda T: T.bmm(T.ones(2, 3, 4), T.ones(3, 4, 5)),
    bmm__matrix=lambda T: T.bmm(T.ones(3, 4), T.ones(2, 4, 5)),
    mv__shapes=lambda T: T.ones(2, 3).mv(T.ones(4)),
    dot__shapes=lambda T: T.ones(3).dot(T.ones(4)),
    dot__matrix=lambda T: T.ones(2, 3).dot(T.ones(3)),
    dot__dtype=lambda T: T.ones(3).dot(T.ones(3, dtype=T.float64)),
    addmm__shapes=lambda T: T.addmm(T.ones(3), T.ones(2, 3), T.ones(4, 5)),
    addmm__bias=lambda T: T.addmm(T.ones(4), T.ones(2, 3), T.ones(3, 5)),
    outer__matrix=lambda T: T.outer(T.ones(2, 2), T.ones(2)),
    linear__shapes=lambda T: T.nn.functional.linear(T.ones(2, 3), T.ones(5, 4)),
    linear__bias=lambda T: T.nn.functional.linear(T.ones(2, 3), T.ones(5, 3), T.ones(4)),
    linear__dtype=lambda T: T.nn.functional.linear(T.ones(2, 3), T.ones(5, 3).double()),
    linear__module=lambda T: T.nn.Linear(3, 2)(T.ones(2, 4)),
    linear__integers=lambda T: T.nn.Linear(3, 2)(T.ones(2, 3, dtype=T.int64)),
    einsum__sizes=lambda T: T.einsum("ij,jk->ik", T.ones(2, 3), T.ones(4, 5)),
    einsum__operands=lambda T: T.einsum("ij,jk->ik", T.ones(2, 3)),
    einsum__subscripts=lambda T: T.einsum("ijk->i", T.ones(2, 3)),
    einsum__output=lambda T: T.einsum("ij->ik", T.ones(2, 3)),
    einsum__twice=lambda T: T.einsum("ij->ii", T.ones(2, 2)),
    tensordot__sizes=lambda T: T.tensordot(T.ones(2, 3), T.ones(4, 5), dims=1),
    tensordot__dims=lambda T: T.tensordot(T.ones(2), T.ones(2), dims=2),
    t__cube=lambda T: T.ones(2, 2, 2).t(),
    cross__sizes=lambda T: T.linalg.cross(T.ones(2), T.ones(2)),
    matrix_power__square=lambda T: T.matrix_power(T.ones(2, 3), 2),
)

movement = Mistakes(
    "movement",
    reshape__size=lambda T: T.ones(2, 3).reshape(4),
    reshape__two_unknown=lambda T: T.ones(2, 3).reshape(-1, -1),
    reshape__unknown=lambda T: T.ones(2, 3).reshape(4, -1),
    reshape__negative=lambda T: T.ones(2, 3).reshape(-2, 3),
    reshape__unknown_of_nothing=lambda T: T.ones(0, 3).reshape(-1, 0),
    reshape__float=lambda T: T.ones(2, 3).reshape(2.0, 3),
    view__size=lambda T: T.ones(2, 3).view(7),
    view__strides=lambda T: T.ones(2, 3).t().view(6),
    view__dtype_size=lambda T: T.ones(3).view(T.float64),
    squeeze__dim=lambda T: T.ones(2).squeeze(1),
    unsqueeze__dim=lambda T: T.ones(2).unsqueeze(3),
    transpose__dim=lambda T: T.ones(2, 3).transpose(0, 2),
    permute__dims=lambda T: T.ones(2, 3).permute(0),
    permute__twice=lambda T: T.ones(2, 3).permute(0, 0),
    permute__range=lambda T: T.ones(2, 3).permute(0, 2),
    expand__size=lambda T: T.ones(2, 3).expand(4, 3),
    expand__fewer=lambda T: T.ones(2, 3).expand(3),
    expand__unknown=lambda T: T.ones(3).expand(-1, 3),
    narrow__length=lambda T: T.ones(3).narrow(0, 1, 3),
    narrow__start=lambda T: T.ones(3).narrow(0, 4, 0),
    narrow__negative=lambda T: T.ones(3).narrow(0, 0, -1),
    select__index=lambda T: T.ones(3).select(0, 3),
    select__dim=lambda T: T.ones(3).select(1, 0),
    select__scalar=lambda T: T.tensor(1.0).select(0, 0),
    unfold__size=lambda T: T.ones(3).unfold(0, 4, 1),
    unfold__step=lambda T: T.ones(3).unfold(0, 2, 0),
    diagonal__same=lambda T: T.ones(2, 2).diagonal(0, 1, 1),
    diagonal__vector=lambda T: T.ones(2).diagonal(),
    as_strided__beyond=lambda T: T.ones(3).as_strided((4,), (1,)),
    as_strided__lengths=lambda T: T.ones(3).as_strided((2, 2), (1,)),
    as_strided__negative=lambda T: T.ones(3).as_strided((2,), (-1,)),
    cat__shapes=lambda T: T.cat([T.ones(2, 3), T.ones(2, 4)]),
    cat__dims=lambda T: T.cat([T.ones(2, 3), T.ones(3)]),
    cat__nothing=lambda T: T.cat([]),
    cat__dim=lambda T: T.cat([T.ones(2), T.ones(2)], 1),
    cat__scalars=lambda T: T.cat([T.tensor(1.0), T.tensor(2.0)]),
    cat__tensor=lambda T: T.cat(T.ones(2)),
    cat__numbers=lambda T: T.cat([1, 2]),
    stack__shapes=lambda T: T.stack([T.ones(2), T.ones(3)]),
    stack__nothing=lambda T: T.stack([]),
    stack__dim=lambda T: T.stack([T.ones(2), T.ones(2)], 3),
    split__sizes=lambda T: T.ones(5).split([2, 2]),
    split__negative=lambda T: T.ones(5).split(-1),
    split__dim=lambda T: T.ones(5).split(2, dim=1),
    chunk__zero=lambda T: T.ones(5).chunk(0),
    tensor_split__zero=lambda T: T.ones(5).tensor_split(0),
    unbind__dim=lambda T: T.ones(2).unbind(1),
    flip__dim=lambda T: T.ones(2).flip(1),
    flip__twice=lambda T: T.ones(2, 2).flip(0, 0),
    roll__lengths=lambda T: T.ones(2, 2).roll((1, 1), 0),
    repeat__fewer=lambda T: T.ones(2, 2).repeat(2),
    repeat__negative=lambda T: T.ones(2).repeat(-1),
    repeat_interleave__counts=lambda T: T.ones(3).repeat_interleave(T.tensor([1, 2])),
    repeat_interleave__negative=lambda T: T.ones(3).repeat_interleave(-1),
    flatten__order=lambda T: T.ones(2, 2).flatten(1, 0),
    unflatten__sizes=lambda T: T.ones(6).unflatten(0, (4, 2)),
    movedim__lengths=lambda T: T.ones(2, 2).movedim((0, 1), (0,)),
    tril__vector=lambda T: T.ones(3).tril(),
    diag__cube=lambda T: T.ones(2, 2, 2).diag(),
    broadcast_to__size=lambda T: T.ones(3).broadcast_to((2, 4)),
    broadcast_tensors__sizes=lambda T: T.broadcast_tensors(T.ones(2), T.ones(3)),
    broadcast_shapes__sizes=lambda T: T.broadcast_shapes((2,), (3,)),
    pad__too_long=lambda T: T.nn.functional.pad(T.ones(2), (1, 1, 1, 1)),
    pad__odd=lambda T: T.nn.functional.pad(T.ones(2), (1,)),
    pad__reflect=lambda T: T.nn.functional.pad(T.ones(1, 1, 2), (3, 0), mode="reflect"),
    meshgrid__matrix=lambda T: T.meshgrid(T.ones(2, 2), indexing="ij"),
    meshgrid__indexing=lambda T: T.meshgrid(T.ones(2), indexing="ab"),
    contiguous__as_view=lambda T: T.ones(2, 3).t().view(-1),
    len__scalar=lambda T: len(T.tensor(1.0)),
    iter__scalar=lambda T: list(T.tensor(1.0)),
    size__dim=lambda T: T.ones(2).size(1),
    unpack__count=lambda T: _unpack(T.ones(3)),
    real__attribute=lambda T: T.ones(2).imag,
    view_as_real__real=lambda T: T.view_as_real(T.ones(2)),
    view_as_complex__shape=lambda T: T.view_as_complex(T.ones(3)),
    complex__dtype=lambda T: T.complex(T.ones(2), T.ones(2).double()),
)


def _unpack(x):
    first, second = x
    return first, second


indexing = Mistakes(
    "indexing",
    index__range=lambda T: T.ones(3)[3],
    index__negative=lambda T: T.ones(3)[-4],
    index__too_many=lambda T: T.ones(3)[0, 0],
    index__scalar=lambda T: T.tensor(1.0)[0],
    index__float=lambda T: T.ones(3)[1.0],
    index__string=lambda T: T.ones(3)["a"],
    index__float_tensor=lambda T: T.ones(3)[T.ones(2)],
    index__tensor_range=lambda T: T.ones(3)[T.tensor([0, 3])].tolist(),
    index__list_range=lambda T: T.ones(3)[[0, -4]].tolist(),
    index__mask_shape=lambda T: T.ones(3)[T.tensor([True, False])],
    index__mask_of_second=lambda T: T.ones(2, 3)[:, T.tensor([True, False])],
    index__shapes=lambda T: T.ones(3, 3)[T.tensor([0, 1]), T.tensor([0, 1, 2])],
    index__negative_step=lambda T: T.ones(3)[::-1],
    index__zero_step=lambda T: T.ones(3)[::0],
    setitem__shape=lambda T: _set(T.ones(3), slice(0, 2), T.ones(3)),
    setitem__range=lambda T: _set(T.ones(3), 3, 1.0),
    setitem__string=lambda T: _set(T.ones(3), 0, "a"),
    setitem__mask_values=lambda T: _set(T.ones(3), T.tensor([True, True, False]), T.ones(3)),
    setitem__tensor_shape=lambda T: _set(T.ones(3), T.tensor([0, 1]), T.ones(3)),
    setitem__list=lambda T: _set(T.ones(3), 0, [1.0, 2.0]),
    gather__dtype=lambda T: T.ones(3).gather(0, T.ones(2)),
    gather__range=lambda T: T.ones(3).gather(0, T.tensor([3])).tolist(),
    gather__dims=lambda T: T.ones(3, 3).gather(0, T.tensor([0])),
    gather__size=lambda T: T.ones(2, 2).gather(0, T.zeros(2, 3, dtype=T.int64)),
    scatter__range=lambda T: T.ones(3).scatter(0, T.tensor([3]), 1.0).tolist(),
    scatter__dtype=lambda T: T.ones(3).scatter(0, T.tensor([1]), T.ones(1).double()),
    scatter__dims=lambda T: T.ones(3).scatter(0, T.tensor([[1]]), T.ones(1, 1)),
    scatter__size=lambda T: T.ones(3).scatter(0, T.tensor([0, 1, 2]), T.ones(2)),
    scatter_reduce__how=lambda T: T.ones(3).scatter_reduce(0, T.tensor([1]), T.ones(1), "most"),
    index_select__range=lambda T: T.ones(3).index_select(0, T.tensor([3])).tolist(),
    index_select__matrix=lambda T: T.ones(3).index_select(0, T.tensor([[1]])),
    index_select__dtype=lambda T: T.ones(3).index_select(0, T.ones(1)),
    index_select__dim=lambda T: T.ones(3).index_select(1, T.tensor([0])),
    index_add__sizes=lambda T: T.ones(3).index_add(0, T.tensor([0, 1]), T.ones(3)),
    index_add__dtype=lambda T: T.ones(3).index_add(0, T.tensor([0]), T.ones(1).double()),
    index_copy__sizes=lambda T: T.ones(3, 2).index_copy(0, T.tensor([0]), T.ones(2, 2)),
    index_fill__tensor=lambda T: T.ones(3).index_fill(0, T.tensor([0]), T.ones(2)),
    index_put__shapes=lambda T: T.ones(3).index_put((T.tensor([0, 1]),), T.ones(3)),
    take__range=lambda T: T.ones(3).take(T.tensor([3])).tolist(),
    take__dtype=lambda T: T.ones(3).take(T.ones(1)),
    masked_select__dtype=lambda T: T.ones(3).masked_select(T.ones(3)),
    masked_select__shapes=lambda T: T.ones(3).masked_select(T.ones(4).bool()),
    masked_scatter__few=lambda T: T.ones(3).masked_scatter(T.ones(3).bool(), T.ones(2)).tolist(),
    embedding__range=lambda T: T.nn.functional.embedding(T.tensor([3]), T.ones(3, 2)).tolist(),
    embedding__dtype=lambda T: T.nn.functional.embedding(T.ones(1), T.ones(3, 2)),
    embedding__padding=lambda T: T.nn.functional.embedding(T.tensor([0]), T.ones(3, 2), 5),
    one_hot__range=lambda T: T.nn.functional.one_hot(T.tensor([3]), 3),
    one_hot__dtype=lambda T: T.nn.functional.one_hot(T.ones(2)),
    one_hot__negative=lambda T: T.nn.functional.one_hot(T.tensor([-1]), 3),
)

autograd = Mistakes(
    "autograd",
    backward__nonscalar=lambda T: _nonleaf(T).backward(),
    backward__no_grad=lambda T: T.ones(2).sum().backward(),
    backward__twice=lambda T: _twice(T),
    backward__gradient_shape=lambda T: _nonleaf(T).backward(T.ones(3)),
    backward__inputs_nothing=lambda T: _nonleaf(T).sum().backward(inputs=[]),
    backward__modified=lambda T: _modified(T),
    backward__modified_output=lambda T: _modified_output(T),
    backward__modified_by_view=lambda T: _modified_by_view(T),
    backward__integers=lambda T: T.ones(2, dtype=T.int64).sum().backward(),
    grad__unused=lambda T: T.autograd.grad(_nonleaf(T).sum(), T.ones(2, requires_grad=True)),
    grad__not_required=lambda T: T.autograd.grad(_nonleaf(T).sum(), T.ones(2)),
    grad__outputs=lambda T: T.autograd.grad(_nonleaf(T), T.ones(2, requires_grad=True)),
    grad__freed=lambda T: _freed(T),
    numpy__requires_grad=lambda T: T.ones(2, requires_grad=True).numpy(),
    numpy__nonleaf=lambda T: _nonleaf(T).numpy(),
    deepcopy__nonleaf=lambda T: copy.deepcopy(_nonleaf(T)),
    item__many=lambda T: T.ones(2).item(),
    item__nothing=lambda T: T.ones(0).item(),
    bool__many=lambda T: bool(T.ones(2)),
    bool__nothing=lambda T: bool(T.ones(0)),
    float__many=lambda T: float(T.ones(2)),
    int__many=lambda T: int(T.ones(3)),
    index__many=lambda T: [1, 2, 3][T.ones(2, dtype=T.int64)],
    index__float=lambda T: [1, 2, 3][T.tensor(1.0)],
    if__many=lambda T: 1 if T.ones(2) > 0 else 2,
    requires_grad__integers=lambda T: T.tensor([1, 2], requires_grad=True),
    requires_grad__set_integers=lambda T: setattr(T.ones(2, dtype=T.int64), "requires_grad", True),
    requires_grad__nonleaf=lambda T: setattr(_nonleaf(T), "requires_grad", False),
    retain_grad__no_grad=lambda T: T.ones(2).retain_grad(),
    register_hook__no_grad=lambda T: T.ones(2).register_hook(print),
    inference__backward=lambda T: _inference(T),
    inference__in_place=lambda T: _inference_in_place(T),
    no_grad__backward=lambda T: _no_grad(T),
    function__wrong_count=lambda T: _function(T, lambda g: (g, g)),
    function__missing=lambda T: _function(T, lambda g: None, grads=2),
    function__shape=lambda T: _function(T, lambda g: g.sum().expand(5)),
    function__not_callable=lambda T: T.autograd.Function()(T.ones(2)),
    function__none_saved=lambda T: _saved_number(T),
    function__twice=lambda T: _function_twice(T),
    set_grad_enabled__type=lambda T: T.autograd.grad("a", T.ones(2)),
    hook__type=lambda T: _bad_hook(T),
)


def _twice(T):
    y = (T.ones(2, requires_grad=True) ** 2).sum()
    y.backward()
    y.backward()


def _freed(T):
    x = T.ones(2, requires_grad=True)
    y = x.exp().sum()
    T.autograd.grad(y, x)
    T.autograd.grad(y, x)


def _modified(T):
    x = T.ones(2, requires_grad=True) * 1
    y = x**2
    x.add_(1)
    y.sum().backward()


def _modified_output(T):
    y = T.ones(3, requires_grad=True).exp()
    y.mul_(2)
    y.sum().backward()


def _modified_by_view(T):
    x = T.ones(2, 3, requires_grad=True) * 1
    y = (x * x).sum()
    x[0].zero_()
    y.backward()


def _inference(T):
    with T.inference_mode():
        x = T.ones(2)
    return x.requires_grad_().mul(2).sum().backward()


def _inference_in_place(T):
    with T.inference_mode():
        x = T.ones(2)
    return x.add_(T.ones(2, requires_grad=True))


def _no_grad(T):
    with T.no_grad():
        y = _nonleaf(T).sum() * 2
    y.backward()


def _function(T, backward, grads=1):
    class Double(T.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            return inputs[0] * 2

        @staticmethod
        def backward(ctx, g):
            return backward(g)

    inputs = [T.ones(2, requires_grad=True) for _ in range(grads)]
    Double.apply(*inputs).sum().backward()


def _saved_number(T):
    class Save(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g

    Save.apply(T.ones(2, requires_grad=True))


def _function_twice(T):
    class Square(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    y = Square.apply(T.ones(2, requires_grad=True)).sum()
    y.backward()
    y.backward()


def _bad_hook(T):
    x = T.ones(2, requires_grad=True)
    x.register_hook(lambda g: 3)
    (x * 2).sum().backward()
