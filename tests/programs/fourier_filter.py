"""A filter learnt in the frequency domain; spectra, convolution theorem, windows, STFT."""

import math

import torch
from torch import nn

torch.manual_seed(73)
t = torch.arange(256) / 256
clean = torch.sin(2 * math.pi * 5 * t) + 0.5 * torch.sin(2 * math.pi * 12 * t)
noisy = clean + 0.4 * torch.randn(32, 256)


class SpectralGate(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(size // 2 + 1))

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        return torch.fft.irfft(spectrum * torch.sigmoid(self.gain), n=x.shape[-1])


gate = SpectralGate(256)
optimizer = torch.optim.Adam(gate.parameters(), lr=0.3)
for step in range(41):
    loss = nn.functional.mse_loss(gate(noisy), clean.expand_as(noisy))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.5f}")
print("strongest", sorted(gate.gain.topk(2).indices.tolist()))

a, b = torch.randn(64), torch.randn(64)
circular = torch.fft.ifft(torch.fft.fft(a) * torch.fft.fft(b)).real
direct = torch.stack([(a * b.flip(0).roll(k + 1)).sum() for k in range(64)])
print("convolution theorem", torch.allclose(circular, direct, atol=1e-4))
window = torch.hann_window(64)
pieces = torch.stft(noisy[0], 64, hop_length=16, window=window, return_complex=True)
back = torch.istft(pieces, 64, hop_length=16, window=window, length=256)
print("stft", tuple(pieces.shape), torch.allclose(back, noisy[0], atol=1e-5))
print("energy", f"{pieces.abs().square().sum().item():.2f}")
print("frequencies", torch.fft.fftfreq(8, d=0.5).tolist())
image = torch.fft.fftshift(torch.fft.fft2(torch.ones(4, 4)).abs())
print("centre", image[2, 2].item(), image.sum().item())
