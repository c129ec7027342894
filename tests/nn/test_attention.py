"""Attention of several heads and the Transformer family."""

import pytest

from tests.both import same

MASKS = {
    "none": lambda t: {},
    "padding": lambda t: {"key_padding_mask": t.tensor([[False] * 5, [False] * 3 + [True] * 2])},
    "bool": lambda t: {"attn_mask": t.ones(4, 5).triu(2).bool()},
    "added": lambda t: {"attn_mask": t.randn(4, 5)},
    "both": lambda t: {"attn_mask": t.randn(4, 4, 5), "key_padding_mask": t.randn(2, 5)},
}
OPTIONS = {
    "plain": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "widths": {"kdim": 3, "vdim": 6},
    "added keys": {"add_bias_kv": True, "add_zero_attn": True},
    "dropout": {"dropout": 0.3},
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("which", OPTIONS)
@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead(mask, which, need_weights, torch, oracle):
    def program(t):
        m = t.nn.MultiheadAttention(8, 2, **OPTIONS[which])
        sizes = [(4, 2, 8), (5, 2, m.kdim), (5, 2, m.vdim)]
        q, k, v = (t.randn(*s, requires_grad=True) for s in sizes)
        given = [x.transpose(0, 1) if m.batch_first else x for x in (q, k, v)]
        out, weights = m(*given, need_weights=need_weights, **MASKS[mask](t))
        (out * t.linspace(0.5, 2, out.numel()).view(out.shape)).sum().backward()
        grads = [x.grad for x in (q, k, v)] + [p.grad for p in m.parameters()]
        return repr(m), m.state_dict(), out, out.stride(), weights, grads

    same(program, torch, oracle, order=1)


def test_self_attention(torch, oracle):
    def program(t):
        m = t.nn.MultiheadAttention(8, 2, batch_first=True)
        x, y = t.randn(2, 4, 8), t.randn(2, 5, 8)
        causal = t.nn.Transformer.generate_square_subsequent_mask(4)
        return [
            m(x, x, x, average_attn_weights=False),
            m(x, y, y),
            m(x, x, x, attn_mask=causal, is_causal=True, need_weights=False),
            m(x[0], x[0], x[0], attn_mask=causal),
            m.eval()(x, x, x)[0].requires_grad,
        ]

    same(program, torch, oracle)


LAYERS = {
    "encoder": lambda t, **kw: t.nn.TransformerEncoderLayer(8, 2, 16, **kw),
    "decoder": lambda t, **kw: t.nn.TransformerDecoderLayer(8, 2, 16, **kw),
    "encoders": lambda t, **kw: t.nn.TransformerEncoder(
        t.nn.TransformerEncoderLayer(8, 2, 16, **kw), 2, t.nn.LayerNorm(8)
    ),
    "decoders": lambda t, **kw: t.nn.TransformerDecoder(
        t.nn.TransformerDecoderLayer(8, 2, 16, **kw), 2
    ),
    "both": lambda t, **kw: t.nn.Transformer(8, 2, 2, 1, 16, **kw),
}
KINDS = {
    "plain": {},
    "no dropout": {"dropout": 0.0, "activation": "gelu"},
    "norm first": {"norm_first": True, "batch_first": True},
    "no bias": {"bias": False, "dropout": 0.0},
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("kind", KINDS)
def test_transformer(layer, kind, torch, oracle):
    def program(t):
        m = LAYERS[layer](t, **KINDS[kind])
        x, y = t.randn(4, 4, 8, requires_grad=True), t.randn(4, 4, 8, requires_grad=True)
        mask = t.nn.Transformer.generate_square_subsequent_mask(4)
        padding = t.tensor([[False] * 4] * 2 + [[False, False, False, True]] * 2)
        if "encoder" in layer:
            word = "mask" if layer == "encoders" else "src_mask"
            outs = [m(x), m(x, **{word: mask}, src_key_padding_mask=padding.float())]
        elif "decoder" in layer:
            outs = [m(x, y), m(x, y, tgt_mask=mask, memory_key_padding_mask=padding)]
        else:
            outs = [m(x, y), m(x, y, tgt_mask=mask, src_key_padding_mask=padding)]
        sum(o.pow(2).sum() for o in outs).backward()
        evaluated = m.eval()(x) if "encoder" in layer else m.eval()(x, y)
        grads = [p.grad for p in m.parameters()]
        return repr(m), m.state_dict(), outs, x.grad, y.grad, grads, evaluated

    same(program, torch, oracle, order=2)


def test_encoder_leaves_padding_out(torch, oracle):
    def program(t):
        layer = t.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        m = t.nn.TransformerEncoder(layer, 2).eval()
        x = t.randn(2, 4, 8)
        padding = t.tensor([[False] * 4, [False, False, True, True]])
        scattered = t.tensor([[False] * 4, [True, False, True, False]])
        with t.no_grad():
            return m(x, src_key_padding_mask=padding), m(x, src_key_padding_mask=scattered)

    same(program, torch, oracle)


ERRORS = {
    "ranks": lambda t, m: m(t.zeros(2, 2, 8), t.zeros(2, 8), t.zeros(2, 2, 8)),
    "rank": lambda t, m: m(t.zeros(8), t.zeros(8), t.zeros(8)),
    "width": lambda t, m: m(*[t.zeros(2, 2, 6)] * 3),
    "shapes": lambda t, m: m(t.zeros(2, 2, 8), t.zeros(3, 2, 8), t.zeros(2, 2, 8)),
    "padding": lambda t, m: m(*[t.zeros(2, 2, 8)] * 3, key_padding_mask=t.zeros(3, 2)),
    "padding's rank": lambda t, m: m(*[t.zeros(2, 2, 8)] * 3, key_padding_mask=t.zeros(2)),
    "mask": lambda t, m: m(*[t.zeros(2, 2, 8)] * 3, attn_mask=t.zeros(3, 2)),
    "mask of heads": lambda t, m: m(*[t.zeros(2, 2, 8)] * 3, attn_mask=t.zeros(3, 2, 2)),
    "mask's dtype": lambda t, m: m(*[t.zeros(2, 2, 8)] * 3, attn_mask=t.zeros(2, 2).long()),
    "hint": lambda t, m: m(*[t.zeros(2, 2, 8)] * 3, is_causal=True),
    "heads": lambda t, m: t.nn.MultiheadAttention(8, 3),
    "no heads": lambda t, m: t.nn.MultiheadAttention(8, 0),
    "activation": lambda t, m: t.nn.TransformerEncoderLayer(8, 2, activation="sin"),
    "batches": lambda t, m: t.nn.Transformer(8, 2, 1, 1, 8)(t.zeros(2, 2, 8), t.zeros(2, 3, 8)),
    "features": lambda t, m: t.nn.Transformer(8, 2, 1, 1, 8)(t.zeros(2, 2, 6), t.zeros(2, 2, 8)),
    "backend": lambda t, m: t.nn.attention.sdpa_kernel("math").__enter__(),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name, torch, oracle):
    same(lambda t: ERRORS[name](t, t.nn.MultiheadAttention(8, 2)), torch, oracle)


def test_backends(torch, oracle):
    def program(t):
        from importlib import import_module

        attention = import_module(t.__name__ + ".nn.attention")
        with attention.sdpa_kernel([attention.SDPBackend.MATH]):
            out = t.nn.functional.scaled_dot_product_attention(*[t.ones(1, 2, 3)] * 3)
        return out, str(dict(attention.SDPBackend.__members__))

    same(program, torch, oracle)
