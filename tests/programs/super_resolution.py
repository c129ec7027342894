"""Sub-pixel super-resolution (pixel shuffle) against bicubic interpolation."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(103)
size = 16
grid = torch.stack(
    torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
)
waves = torch.rand(24, 2, 1, 1) * 12
images = (torch.sin((grid * waves).sum(1)) * 0.5 + 0.5).unsqueeze(1)
small = F.avg_pool2d(images, 2)


class Net(nn.Module):
    def __init__(self, factor=2):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2, padding_mode="replicate")
        self.conv2 = nn.Conv2d(16, 8, 3, padding="same")
        self.conv3 = nn.Conv2d(8, factor**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(factor)
        nn.init.orthogonal_(self.conv1.weight, nn.init.calculate_gain("relu"))
        nn.init.orthogonal_(self.conv3.weight)

    def forward(self, x):
        x = torch.tanh(self.conv1(x))
        x = torch.tanh(self.conv2(x))
        return torch.sigmoid(self.shuffle(self.conv3(x)))


def psnr(a, b):
    return 10 * torch.log10(1 / F.mse_loss(a, b))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(31):
    out = net(small)
    loss = F.mse_loss(out, images)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} psnr {psnr(out, images).item():.3f}")
for mode in ("nearest", "bilinear", "bicubic"):
    kwargs = {} if mode == "nearest" else {"align_corners": False}
    print(
        mode,
        f"{psnr(F.interpolate(small, scale_factor=2, mode=mode, **kwargs), images).item():.3f}",
    )
