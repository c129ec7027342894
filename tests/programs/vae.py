"""A variational autoencoder on binary patterns, with the reparameterisation trick."""

import torch
import torch.nn.functional as F
from torch import nn, optim

torch.manual_seed(2)
patterns = (torch.rand(6, 36) < 0.4).float()
data = patterns[torch.randint(0, 6, (96,))]
flips = (torch.rand_like(data) < 0.03).float()
data = (data - flips).abs()


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(36, 40)
        self.fc21 = nn.Linear(40, 4)
        self.fc22 = nn.Linear(40, 4)
        self.fc3 = nn.Linear(4, 40)
        self.fc4 = nn.Linear(40, 36)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 36))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce, kld


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(1, 31):
    recon, mu, logvar = model(data)
    bce, kld = loss_function(recon, data, mu, logvar)
    loss = (bce + kld) / len(data)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {loss.item():.4f} bce {bce.item():.3f} kld {kld.item():.3f}")
with torch.no_grad():
    sample = model.decode(torch.randn(3, 4))
print("samples", [round(v, 3) for v in sample.mean(1).tolist()])
