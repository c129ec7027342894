"""A small U-Net segments discs: skip connections, group normalisation, Dice loss."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(107)


def double(inside, outside):
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.GroupNorm(2, outside),
        nn.ReLU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.InstanceNorm2d(outside, affine=True),
        nn.ReLU(),
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = double(1, 8), double(8, 16)
        self.bottom = double(16, 16)
        self.up2 = nn.ConvTranspose2d(16, 16, 2, stride=2)
        self.merge2, self.merge1 = double(32, 8), double(16, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.merge2(torch.cat([self.up2(c), b], 1))
        b = F.interpolate(b, size=a.shape[-2:], mode="bilinear", align_corners=True)
        return self.out(self.merge1(torch.cat([b, a], 1)))


def discs(count, size=16):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = torch.randint(4, size - 4, (count, 2, 1, 1))
    radius = torch.randint(2, 5, (count, 1, 1))
    mask = ((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 <= radius**2).float().unsqueeze(1)
    return mask + 0.4 * torch.randn_like(mask), mask


def dice(logits, target):
    p = logits.sigmoid()
    overlap = 2 * (p * target).sum((1, 2, 3)) + 1
    return 1 - (overlap / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)).mean()


images, masks = discs(16)
model = UNet()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(13):
    logits = model(images)
    loss = F.binary_cross_entropy_with_logits(logits, masks, pos_weight=torch.tensor(2.0)) + dice(
        logits, masks
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 4 == 0:
        right = ((logits > 0) == masks.bool()).float().mean()
        print(f"step {step} loss {loss.item():.4f} right {right.item():.3f}")
print("parameters", sum(p.numel() for p in model.parameters()))
