"""Gradient descent by hand: a network of two matrices, and autograd for the slopes.

The network has one hidden layer and no biases:

    x (32, 1000) --w1--> hidden (32, 100) --relu--w2--> y_pred (32, 2)

It learns random answers to random questions, which is useless and makes every step visible:
predict, measure the error, ask how the error changes with each weight, and move every weight
a little against that slope.

    python autograd_mlp.py [ITERATIONS] [SEED]
"""

import argparse

import torch

parser = argparse.ArgumentParser(description="Train a two-layer network with autograd.")
parser.add_argument("iterations", type=int, nargs="?", default=10_000)
parser.add_argument("seed", type=int, nargs="?", default=0, help="start of the random numbers")
arguments = parser.parse_args()

# The same seed gives the same random numbers, and so the same losses, every time.
torch.manual_seed(arguments.seed)

device = "cuda" if torch.cuda.is_available() else "cpu"
print("Device: ", device)

batch_size, input_size, hidden_size, output_size = 32, 1000, 100, 2
learning_rate = 1e-6


def draw(*size):
    """A tensor of normally distributed numbers whose gradient autograd will keep in `.grad`."""
    return torch.randn(*size, device=device, dtype=torch.float).requires_grad_()


# The data: one row per sample.
x = draw(batch_size, input_size)
y = draw(batch_size, output_size)

# The weights: what is learned. Only these are changed below.
w1 = draw(input_size, hidden_size)
w2 = draw(hidden_size, output_size)

for iteration in range(1, arguments.iterations + 1):
    # Forward: from the input to one number that says how wrong the prediction is. Autograd
    # notes every operation on the way. relu(v) is max(v, 0); without it the two matrices would
    # collapse into one.
    hidden = torch.nn.functional.relu(x.mm(w1))
    y_pred = hidden.mm(w2)
    loss = (y_pred - y).pow(2).sum()

    if iteration % 100 == 0:
        print(f"{iteration}th Iteration: ")
        # item() takes the number out of a tensor that holds a single one.
        print(">>>> Loss: ", loss.item())

    # Backward: walk the noted operations from the loss to the weights, multiplying slopes (the
    # chain rule). Afterwards w.grad has the shape of w and holds d loss / d w.
    loss.backward()

    # The update is not part of the computation to be differentiated, so autograd looks away.
    with torch.no_grad():
        w1 -= learning_rate * w1.grad
        w2 -= learning_rate * w2.grad

        # backward() adds to .grad: start the next iteration from zero.
        w1.grad.zero_()
        w2.grad.zero_()
