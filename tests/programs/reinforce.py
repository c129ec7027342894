"""REINFORCE balances a simplified pole: Categorical policies, discounted returns."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical


class Pole:
    def reset(self):
        self.state = (torch.rand(4) * 0.1 - 0.05).tolist()
        return torch.tensor(self.state)

    def step(self, action):
        x, v, a, w = self.state
        force = 10.0 if action == 1 else -10.0
        temp = (force + 0.05 * w**2 * math.sin(a)) / 1.1
        wacc = (9.8 * math.sin(a) - math.cos(a) * temp) / (
            0.5 * (4 / 3 - 0.1 * math.cos(a) ** 2 / 1.1)
        )
        vacc = temp - 0.05 * wacc * math.cos(a) / 1.1
        self.state = [x + 0.02 * v, v + 0.02 * vacc, a + 0.02 * w, w + 0.02 * wacc]
        done = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.2095
        return torch.tensor(self.state), 1.0, done


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 24)
        self.dropout = nn.Dropout(p=0.2)
        self.affine2 = nn.Linear(24, 2)

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.dropout(self.affine1(x)))), dim=1)


torch.manual_seed(543)
policy, env = Policy(), Pole()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
eps = torch.finfo(torch.float32).eps
lengths = []
for episode in range(8):
    state, logs, rewards = env.reset(), [], []
    for _ in range(60):
        choice = Categorical(policy(state.unsqueeze(0)))
        action = choice.sample()
        logs.append(choice.log_prob(action))
        state, reward, done = env.step(action.item())
        rewards.append(reward)
        if done:
            break
    total, returns = 0.0, []
    for r in reversed(rewards):
        total = r + 0.99 * total
        returns.insert(0, total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    loss = torch.cat([-log * r for log, r in zip(logs, returns)]).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    lengths.append(len(rewards))
    print(f"episode {episode} length {len(rewards)} loss {loss.item():.3f}")
print("lengths", lengths)
