"""A denoising convolutional autoencoder: strided convolutions down, transposed ones up."""

import torch
from torch import nn

torch.manual_seed(5)


class AutoEncoder(nn.Module):
    def __init__(self, code=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(16 * 4 * 4, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 16 * 4 * 4),
            nn.Unflatten(1, (16, 4, 4)),
            nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        code = self.encoder(x)
        return self.decoder(code), code


def blobs(count, size=16):
    grid = torch.arange(size, dtype=torch.float32)
    centre = 4 + 8 * torch.rand(count, 2)
    dy = grid[None, :, None] - centre[:, 0, None, None]
    dx = grid[None, None, :] - centre[:, 1, None, None]
    return torch.exp(-(dx**2 + dy**2) / 8).unsqueeze(1)


clean = blobs(64)
model = AutoEncoder()
optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3, momentum=0.5)
for step in range(21):
    noisy = (clean + 0.2 * torch.randn_like(clean)).clamp_(0, 1)
    rebuilt, code = model(noisy)
    loss = nn.functional.mse_loss(rebuilt, clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        print(f"{step:3d} {loss.item():.5f} code spread {code.std(0).mean().item():.4f}")
print(tuple(rebuilt.shape), tuple(code.shape))
