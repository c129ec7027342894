"""손글씨 숫자 읽기: 충분히 드물게 틀릴 때까지 학습하는 다층 퍼셉트론.

데이터는 scikit-learn에 들어 있는 8 x 8 화소 그림 1,797장이며, 내려받는 것은 없다.
그중 일부는 따로 둔다. 검증용은 언제 멈출지를 알려 주고, 마지막에 한 번만 보는 시험용은
신경망이 처음 보는 그림을 얼마나 잘 읽는지 말해 준다.

    python digits_mlp.ko.py [시드]
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

TARGET_ERROR = 0.02  # 검증용 그림을 잘못 읽는 비율이 이 값 이하이면 멈춘다 …
PATIENCE = 8  # … 또는 검증 손실이 이만큼의 에포크 동안 줄지 않으면 멈춘다
MAX_EPOCHS = 60


class Reader(nn.Module):
    """화소 64개 -> 숫자마다 하나씩 점수 열 개. 점수가 가장 높은 숫자가 답이다."""

    def __init__(self, hidden=64):
        super().__init__()
        # 속성에 넣은 층은 등록되어, parameters()가 그 가중치를 찾아낸다.
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
    """겹치지 않게 셋으로 나눈 그림: 학습용, 검증용, 시험용."""
    pictures, digits = load_digits(return_X_y=True)
    # 화소 값은 0에서 16까지다. 신경망은 0 근처의 수에서 가장 잘 배운다.
    pixels = torch.tensor(pictures, dtype=torch.float32) / 8 - 1
    return random_split(TensorDataset(pixels, torch.tensor(digits)), [0.7, 0.15, 0.15])


def train_one_epoch(model, batches, loss_function, optimizer):
    """학습용 그림을 모두 한 번씩 보여 주고 평균 손실을 돌려준다."""
    model.train()
    total, count = 0.0, 0
    for pixels, digits in batches:
        loss = loss_function(model(pixels), digits)
        optimizer.zero_grad()  # 앞 배치의 기울기를 잊고
        loss.backward()  # 이 배치의 기울기를 계산하고
        optimizer.step()  # 가중치를 그 반대쪽으로 옮긴다
        total += loss.item() * len(digits)
        count += len(digits)
    return total / count


@torch.no_grad()  # 재는 일은 미분하지 않는다
def evaluate(model, batches, loss_function):
    """평균 손실과, 잘못 읽은 그림의 비율."""
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
    # 에포크마다 순서를 바꾸어, 신경망이 순서를 외우지 못하게 한다.
    train_batches = DataLoader(train_part, batch_size=32, shuffle=True)
    validation_batches = DataLoader(validation_part, batch_size=256)
    test_batches = DataLoader(test_part, batch_size=256)

    model = Reader()
    # 교차 엔트로피: 맞는 숫자에 준 확률의 로그에 음의 부호를 붙인 값.
    loss_function = nn.CrossEntropyLoss()
    # Adam은 지금까지의 기울기를 보고 가중치마다 보폭을 따로 정한다.
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
            # state_dict()는 가중치마다 이름을 붙인다. 사본은 학습이 이어져도 그대로다.
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
