"""Advantage actor-critic on a bandit that depends on context; entropy keeps it exploring."""

import torch
from torch import nn
from torch.distributions import Categorical, Normal

torch.manual_seed(23)
hidden = torch.randn(4, 3)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(4, 32), nn.SiLU())
        self.actor = nn.Linear(32, 3)
        self.critic = nn.Linear(32, 1)

    def forward(self, x):
        h = self.shared(x)
        return Categorical(logits=self.actor(h)), self.critic(h).squeeze(-1)


model = ActorCritic()
optimizer = torch.optim.NAdam(model.parameters(), lr=0.01)
for step in range(41):
    context = torch.randn(64, 4)
    policy, value = model(context)
    action = policy.sample()
    mean = (context @ hidden).gather(1, action.unsqueeze(1)).squeeze(1)
    reward = Normal(mean, 0.1).sample()
    advantage = reward - value
    actor = -(policy.log_prob(action) * advantage.detach()).mean()
    loss = actor + 0.5 * advantage.pow(2).mean() - 0.01 * policy.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        entropy = policy.entropy().mean().item()
        print(f"step {step} reward {reward.mean().item():.4f} entropy {entropy:.4f}")
with torch.no_grad():
    context = torch.randn(200, 4)
    policy, _ = model(context)
    best = (context @ hidden).argmax(1)
print("chooses the best", (policy.probs.argmax(1) == best).float().mean().item())
