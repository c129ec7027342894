"""A LeNet-like convolutional network learns to tell horizontal, vertical and slanted bars."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(3)


def bars(count, size=14):
    images = 0.3 * torch.randn(count, 1, size, size)
    labels = torch.randint(0, 3, (count,))
    rows = torch.randint(2, size - 2, (count,))
    for k in range(count):
        if labels[k] == 0:
            images[k, 0, rows[k]] += 1.5
        elif labels[k] == 1:
            images[k, 0, :, rows[k]] += 1.5
        else:
            images[k, 0] += 1.5 * torch.diag(torch.ones(size))
    return images, labels


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 12, 3)
        self.fc1 = nn.Linear(12 * 2 * 2, 32)
        self.fc2 = nn.Linear(32, 3)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc2(F.relu(self.fc1(x)))


images, labels = bars(120)
net = Net()
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(6):
    running = 0.0
    order = torch.randperm(len(images))
    for batch in order.split(30):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"[{epoch + 1}] loss: {running / 4:.3f}")

test_images, test_labels = bars(60)
with torch.no_grad():
    outputs = net(test_images)
_, predicted = torch.max(outputs, 1)
print("accuracy", (predicted == test_labels).float().mean().item())
print("first filter", net.conv1.weight[0, 0].flatten().tolist()[:3])
