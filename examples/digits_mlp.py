"""Reading handwritten digits: a multilayer perceptron trained until it errs rarely enough.

The data are the 1,797 pictures of 8 x 8 pixels that come with scikit-learn; nothing is
downloaded. Part of them is kept aside: the validation part says when to stop, and the test part,
looked at once at the end, says how good the network is on pictures it has never met.

    python digits_mlp.py [SEED]
"""

import argparse
import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

try:
    from sklearn.datasets import load_digits
except ImportError:
    raise SystemExit("This example needs scikit-learn: pip install scikit-learn") from None

TARGET_ERROR = 0.02  # stop when at most this part of the validation pictures is misread …
PATIENCE = 8  # … or when the validation loss has not fallen for so many epochs
MAX_EPOCHS = 60


class Reader(nn.Module):
    """64 pixels -> ten scores, one per digit; the highest score is the answer."""

    def __init__(self, hidden=64):
        super().__init__()
        # Layers assigned to attributes are registered: parameters() finds their weights.
        self.layers = nn.Sequential(
            nn.Linear(64, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 10),
        )

    def forward(self, pixels):
        return self.layers(pixels)


def load_parts():
    """The pictures in three parts that share none: to learn from, to watch, to test."""
    pictures, digits = load_digits(return_X_y=True)
    # Pixels go from 0 to 16; networks learn best from numbers around 0.
    pixels = torch.tensor(pictures, dtype=torch.float32) / 8 - 1
    return random_split(TensorDataset(pixels, torch.tensor(digits)), [0.7, 0.15, 0.15])


def train_one_epoch(model, batches, loss_function, optimizer):
    """Show every training picture once; return the mean loss."""
    model.train()
    total, count = 0.0, 0
    for pixels, digits in batches:
        loss = loss_function(model(pixels), digits)
        optimizer.zero_grad()  # forget the slopes of the batch before
        loss.backward()  # compute the slopes for this one
        optimizer.step()  # move the weights against them
        total += loss.item() * len(digits)
        count += len(digits)
    return total / count


@torch.no_grad()  # measuring is not to be differentiated
def evaluate(model, batches, loss_function):
    """The mean loss, and the part of the pictures that is misread."""
    model.eval()
    total, wrong, count = 0.0, 0, 0
    for pixels, digits in batches:
        scores = model(pixels)
        total += loss_function(scores, digits).item() * len(digits)
        wrong += (scores.argmax(dim=1) != digits).sum().item()
        count += len(digits)
    return total / count, wrong / count


def main():
    parser = argparse.ArgumentParser(description="Train a perceptron on scikit-learn's digits.")
    parser.add_argument("seed", type=int, nargs="?", default=0, help="start of the random numbers")
    torch.manual_seed(parser.parse_args().seed)

    train_part, validation_part, test_part = load_parts()
    # A new order every epoch keeps the network from learning the order.
    train_batches = DataLoader(train_part, batch_size=32, shuffle=True)
    validation_batches = DataLoader(validation_part, batch_size=256)
    test_batches = DataLoader(test_part, batch_size=256)

    model = Reader()
    # Cross-entropy: minus the logarithm of the probability given to the right digit.
    loss_function = nn.CrossEntropyLoss()
    # Adam gives every weight a step size of its own, from the history of its slopes.
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    best_loss, best_weights, waited = float("inf"), None, 0
    for epoch in range(1, MAX_EPOCHS + 1):
        train_loss = train_one_epoch(model, train_batches, loss_function, optimizer)
        loss, error = evaluate(model, validation_batches, loss_function)
        print(
            f"epoch {epoch:2d}  train loss {train_loss:.4f}  "
            f"validation loss {loss:.4f}  validation error {error:.2%}"
        )
        if loss < best_loss:
            # state_dict() names every weight; the copy stays when training goes on.
            best_loss, best_weights, waited = loss, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
        if error <= TARGET_ERROR:
            print(f"The error is small enough after {epoch} epochs.")
            break
        if waited == PATIENCE:
            print(f"No improvement for {PATIENCE} epochs.")
            break

    model.load_state_dict(best_weights)
    _, error = evaluate(model, test_batches, loss_function)
    print(f"Test accuracy: {1 - error:.2%}")


if __name__ == "__main__":
    main()
