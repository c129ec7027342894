"""Losses and layers for many classes: linear cross entropy, CTC, adaptive softmax, bags."""

import pytest

from tests.both import same


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("deep", [False, True])
def test_linear_cross_entropy(reduction, deep, torch, oracle):
    def program(t):
        options = None if deep else t.nn.LinearCrossEntropyOptions(allow_retain_graph=True)
        shape = (2, 3) if deep else ()
        m = t.nn.LinearCrossEntropyLoss(
            4, 5, out_features=shape, bias=True, reduction=reduction, weight=t.rand(5),
            ignore_index=1, options=options,
        )  # fmt: skip
        x = t.randn(6, 4, requires_grad=True)
        loss = m(x, t.randint(5, (6, *shape)))
        loss.sum().backward()
        smooth = t.nn.LinearCrossEntropyLoss(4, 5, label_smoothing=0.2, options=options)
        grads = [p.grad for p in m.parameters()]
        return repr(m), loss, x.grad, grads, smooth(x[0], t.tensor(2)), smooth(x, t.rand(6, 5))

    same(program, torch, oracle, order=1)


def test_ctc(torch, oracle):
    def program(t):
        m = t.nn.CTCLoss(blank=1, zero_infinity=True)
        scores = t.randn(6, 2, 4).log_softmax(2).requires_grad_()
        loss = m(scores, t.tensor([[2, 3], [0, 0]]), (6, 5), (2, 1))
        loss.backward()
        return repr(m), loss, scores.grad

    same(program, torch, oracle, order=1)


def test_adaptive(torch, oracle):
    def program(t):
        m = t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 6], div_value=2.0, head_bias=True)
        x = t.randn(7, 8, requires_grad=True)
        out = m(x, t.tensor([0, 5, 11, 2, 3, 6, 7]))
        out.loss.backward()
        one = m(x[0], t.tensor(4))
        grads = [p.grad for p in m.parameters()]
        return repr(m), m.state_dict(), out, one, m.log_prob(x), m.predict(x), x.grad, grads

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("kw", [{}, {"mode": "sum", "padding_idx": -1}, {"mode": "max"}])
def test_embedding_bag(kw, torch, oracle):
    def program(t):
        m = t.nn.EmbeddingBag(6, 3, **kw)
        out = m(t.tensor([0, 5, 2, 2]), t.tensor([0, 1])), m(t.tensor([[0, 5], [1, 1]]))
        sum(o.pow(2).sum() for o in out).backward()
        table = t.nn.EmbeddingBag.from_pretrained(t.rand(2, 3), max_norm=1.0)
        return repr(m), out, m.weight.grad, m.state_dict(), repr(table), table(t.tensor([[0, 1]]))

    same(program, torch, oracle, order=1)


def test_data_parallel(torch, oracle):
    def program(t):
        m = t.nn.DataParallel(t.nn.Linear(2, 3))
        x = t.randn(4, 2)
        return repr(m), m(x), m.state_dict()

    same(program, torch, oracle)


ERRORS = {
    "rank": lambda t, F: F.linear_cross_entropy(t.zeros(2, 2, 2), t.zeros(2, 2), t.zeros(2)),
    "weight's rank": lambda t, F: F.linear_cross_entropy(t.zeros(2, 2), t.zeros(2), t.zeros(2)),
    "features": lambda t, F: F.linear_cross_entropy(t.zeros(2, 3), t.zeros(2, 4), t.zeros(2)),
    "ignore": lambda t, F: F.linear_cross_entropy(
        t.zeros(2, 3), t.zeros(2, 3), t.zeros(2, 2), ignore_index=0
    ),
    "unbatched": lambda t, F: F.linear_cross_entropy(t.zeros(3), t.zeros(2, 4, 3), t.zeros(2, 4)),
    "bias": lambda t, F: F.linear_cross_entropy(
        t.zeros(2, 3), t.zeros(2, 3), t.zeros(2), linear_bias=t.zeros(3)
    ),
    "options": lambda t, F: t.nn.LinearCrossEntropyOptions(batch_chunk_size=0),
    "policy": lambda t, F: t.nn.LinearCrossEntropyOptions(acc_policy="best"),
    "method": lambda t, F: t.nn.LinearCrossEntropyOptions(chunking_method="aspect_ratio:x"),
    "class weights": lambda t, F: t.nn.LinearCrossEntropyLoss(3, 4, weight=t.zeros(3)),
    "smoothing": lambda t, F: t.nn.LinearCrossEntropyLoss(3, 4, label_smoothing=2),
    "no cutoffs": lambda t, F: t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, []),
    "cutoffs": lambda t, F: t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [6, 3]),
    "target": lambda t, F: t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3])(
        t.zeros(2, 8), t.tensor([1, 12])
    ),
    "targets": lambda t, F: t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3])(
        t.zeros(2, 8), t.tensor([[1, 2]])
    ),
    "batch": lambda t, F: t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3])(
        t.zeros(3, 8), t.tensor([1, 2])
    ),
    "input": lambda t, F: t.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3])(
        t.zeros(8), t.tensor([1] * 8)
    ),
    "padding": lambda t, F: t.nn.EmbeddingBag(3, 4, padding_idx=3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name, torch, oracle):
    same(lambda t: ERRORS[name](t, t.nn.functional), torch, oracle)
