"""Instructions known to follow are recognised by what they are, not by where they stand alone."""

import pytest


def test_an_operand_numbered_in_vain_has_its_own_shape(torch):
    """An operation that is refused has numbered its operands; the next one is of other shapes."""
    other = torch.ones(7)
    for k in range(6):
        x = torch.full((2 + k % 2, 3), float(k))
        with pytest.raises(RuntimeError):
            x + other
        assert x.relu().tolist() == [[float(k)] * 3] * (2 + k % 2)


def test_what_is_cast_first_is_not_what_was_given_so(torch):
    """The same instructions, of the tensors as they are or of one cast before."""
    whole, w = torch.arange(3), torch.ones(3, requires_grad=True)
    for k in range(8):
        given = whole * 1
        x = given.float() if k % 2 else given
        y = x * w
        assert y.grad_fn.next_functions[0] == (None, 0)
        y.sum().backward()
        assert w.grad.tolist() == [0.0, 1.0, 2.0]
        w.grad = None


def test_who_needs_a_gradient_may_change(torch):
    a, b = torch.ones(3), torch.full((3,), 2.0)
    for k in range(12):
        x, y = a.clone().requires_grad_(k % 2 > 0), b.clone().requires_grad_(k % 3 > 0)
        out = x * y
        assert out.requires_grad is (k % 2 > 0 or k % 3 > 0)
        if out.requires_grad:
            out.sum().backward()
            ends = [fn is not None for fn, _ in out.grad_fn.next_functions]
            assert ends == [k % 2 > 0, k % 3 > 0]
        assert (x.grad is not None) is (k % 2 > 0) and (y.grad is not None) is (k % 3 > 0)


@pytest.mark.parametrize(
    "kind", ["whole", "window", "number", "same", "wider", "shared", "exported"]
)
def test_updates_in_place(torch, kind):
    """`w -= …` where no gradient is recorded, of tensors of every kind, known and not yet."""
    w = torch.zeros(2, 3)
    seen, expected = [], []
    with torch.no_grad():
        for k in range(6):
            base, version = torch.full((4, 3), float(k)), w._version
            other = {
                "whole": base[:2].clone(), "window": base[1:3], "number": float(k),
                "same": w, "wider": base[0],
                "shared": base[:2].clone(), "exported": base[:2].clone(),
            }[kind]  # fmt: skip
            if kind == "shared":
                other.numpy()
            alias = w.numpy() if kind == "exported" else None
            before, kept = w.sum(), w
            w -= other
            assert kept is w and w._version == version + 1
            seen.append((before.item(), w.tolist()))
            if alias is not None:
                assert alias.tolist() == w.tolist()
            last = expected[-1][1][0][0] if expected else 0.0
            now = 0.0 if kind == "same" else last - k
            expected.append((6 * last, [[now] * 3] * 2))
    assert seen == expected


def test_an_update_ends_the_iteration(torch):
    """A leaf updated under no_grad is up to date when the block ends, its old value as it was."""
    w = torch.ones(3, requires_grad=True)
    for k in range(6):
        old = w.detach().clone()
        with torch.no_grad():
            w -= torch.full((3,), 0.5)
        assert w._storage.value.buf is not None
        assert (w - old).tolist() == [-0.5] * 3 and w.tolist() == [1 - 0.5 * (k + 1)] * 3
