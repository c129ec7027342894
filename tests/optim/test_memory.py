"""Adam's one instruction writes over the memory of parameters and states where it may."""

import numpy as np
import pytest


def adam(torch, shape=(3, 4), **options):
    p = torch.nn.Parameter(torch.randn(shape))
    opt = torch.optim.Adam([p], lr=0.1, **options)
    return p, opt


def step(torch, p, opt):
    p.grad = torch.ones(p.shape)
    opt.step()


def arrays(p, opt):
    held = [p, *opt.state[p].values()]
    return [t._storage.value.buf for t in held]


@pytest.mark.parametrize("amsgrad", [False, True])
def test_steps_are_in_place(torch, amsgrad):
    p, opt = adam(torch, amsgrad=amsgrad)
    for _ in range(3):
        step(torch, p, opt)
    before = [a.ctypes.data for a in arrays(p, opt) if a.ndim]
    step(torch, p, opt)
    assert [a.ctypes.data for a in arrays(p, opt) if a.ndim] == before


def test_what_others_hold_stays(torch):
    p, opt = adam(torch)
    step(torch, p, opt)
    step(torch, p, opt)
    kept, mean = p.detach().clone(), opt.state[p]["exp_avg"].clone()
    view = p.detach().numpy()
    saved = (p * 2).sum()  # the graph holds p's value
    step(torch, p, opt)
    assert not torch.equal(kept, p) and not torch.equal(mean, opt.state[p]["exp_avg"])
    assert np.shares_memory(view, p.detach().numpy()) and (view == p.detach().numpy()).all()
    saved.backward()


def changing(torch):
    """Steps between which somebody shares the parameter and puts other things in its state."""
    p, opt = adam(torch)
    with torch.no_grad():
        p.copy_(torch.arange(12.0).reshape(3, 4))
    state, seen, views = opt.state[p], [], []
    for k in range(20):
        (p * p).sum().backward()
        if k == 6:
            views.append(p.detach().numpy())
        elif k == 9:
            views.clear()
        elif k == 11:
            state["exp_avg"] = state["exp_avg"].t().contiguous().t()
        elif k == 14:
            state["step"] = torch.tensor(3.0)
        elif k == 16:
            state["step"] += 2
        opt.step()
        opt.zero_grad()
        seen.append(p.detach().clone())
        assert all(np.array_equal(view, p.detach().numpy()) for view in views)
    return torch.stack(seen), state["step"].item()


def test_a_step_that_is_known_looks_again_at_what_it_reads_and_writes(torch, monkeypatch):
    from bital.tensor import recorders

    unknown = []
    plain = recorders._update
    monkeypatch.setattr(recorders, "_update", lambda *args: [unknown.append(1), plain(*args)])
    found, count = changing(torch)
    assert 4 <= len(unknown) < 18
    monkeypatch.setattr(recorders, "_are", lambda *args: False)
    wanted, wanted_count = changing(torch)
    assert count == wanted_count == 11.0
    assert torch.allclose(found, wanted, rtol=1e-6)


def test_one_tensor_for_both_states(torch):
    """Each result is written to a buffer of its own though both states began as one."""
    p, opt = adam(torch)
    step(torch, p, opt)
    both = torch.full((3, 4), 0.5)
    opt.state[p]["exp_avg"], opt.state[p]["exp_avg_sq"] = both, both.clone()
    opt.state[p]["exp_avg_sq"]._storage.value = both._storage.value
    step(torch, p, opt)
    assert torch.allclose(opt.state[p]["exp_avg"], torch.tensor(0.55))
    assert torch.allclose(opt.state[p]["exp_avg_sq"], torch.tensor(0.5005))


def test_any_layout_and_length(torch, oracle):
    def program(t):
        t.manual_seed(1)
        whole = t.randn(300, 250)
        params = [whole[::2].detach(), whole.t().contiguous().t(), t.randn(90_000), t.randn(())]
        params = [p.requires_grad_() for p in params]
        opt = t.optim.Adam(params, lr=0.1, weight_decay=0.1)
        for _ in range(3):
            for p in params:
                p.grad = (p.detach() * 3).cos()
            opt.step()
        return [p.detach().sum().item() for p in params], params[1].stride()

    (ours, stride), (theirs, expected) = program(torch), program(oracle)
    assert np.allclose(ours, theirs, rtol=1e-4) and stride == expected


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_one_instruction_unless_memory_is_shared(torch, nesterov, monkeypatch):
    from bital.ops import optimize

    p = torch.nn.Parameter(torch.arange(4.0))
    opt = torch.optim.SGD([p], lr=0.5, momentum=0.5, nesterov=nesterov)
    steps = []
    plain = optimize._momentum_step
    monkeypatch.setattr(optimize, "_momentum_step", lambda *args: [steps.append(1), plain(*args)])
    for _ in range(3):
        p.grad = torch.ones(4)
        opt.step()
    assert len(steps) == 2  # the first makes the buffer
    ahead = [1.5, 1.75, 1.875] if nesterov else [1, 1.5, 1.75]
    assert torch.equal(p, torch.arange(4.0) - 0.5 * sum(ahead))
    buffer = opt.state[p]["momentum_buffer"]
    assert torch.equal(buffer, torch.full((4,), 1.75))
    p.grad = buffer  # which is scaled before it is added to itself
    opt.step()
    assert len(steps) == 2 and torch.equal(buffer, torch.full((4,), 1.75))
