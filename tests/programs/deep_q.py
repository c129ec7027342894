"""Deep Q-learning on a corridor: replay memory, a target network, smooth L1 loss."""

import random
from collections import deque, namedtuple

import torch
from torch import nn

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
random.seed(3)
torch.manual_seed(3)
LENGTH = 6


def encode(place):
    return nn.functional.one_hot(torch.tensor([place]), LENGTH).float()


def step(place, action):
    place = max(0, min(LENGTH - 1, place + (1 if action == 1 else -1)))
    return (None, 1.0) if place == LENGTH - 1 else (place, -0.05)


policy = nn.Sequential(nn.Linear(LENGTH, 16), nn.ReLU(), nn.Linear(16, 2))
target = nn.Sequential(nn.Linear(LENGTH, 16), nn.ReLU(), nn.Linear(16, 2))
target.load_state_dict(policy.state_dict())
optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2, amsgrad=True)
memory = deque([], maxlen=500)


def optimize():
    if len(memory) < 32:
        return None
    batch = Transition(*zip(*random.sample(memory, 32)))
    alive = torch.tensor([s is not None for s in batch.next_state])
    following = torch.cat([s for s in batch.next_state if s is not None])
    values = policy(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
    best = torch.zeros(32)
    with torch.no_grad():
        best[alive] = target(following).max(1).values
    wanted = best * 0.9 + torch.cat(batch.reward)
    loss = nn.SmoothL1Loss()(values, wanted.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(policy.parameters(), 100)
    optimizer.step()
    return loss.item()


for episode in range(12):
    place, count, loss = 0, 0, None
    while place is not None and count < 25:
        state = encode(place)
        with torch.no_grad():
            greedy = policy(state).max(1).indices.view(1, 1)
        action = greedy if random.random() > 0.5 else torch.tensor([[random.randrange(2)]])
        place, reward = step(place, action.item())
        memory.append(
            Transition(
                state, action, None if place is None else encode(place), torch.tensor([reward])
            )
        )
        loss = optimize()
        for key, value in policy.state_dict().items():
            target.state_dict()[key].mul_(0.9).add_(value, alpha=0.1)
        count += 1
    if loss is not None and episode % 3 == 0:
        print(f"episode {episode} steps {count} loss {loss:.5f}")
with torch.no_grad():
    print("right is better", policy(torch.eye(LENGTH))[:-1].argmax(1).tolist())
