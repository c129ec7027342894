"""손으로 하는 경사 하강법: 행렬 두 개로 된 신경망, 기울기는 autograd에게.

은닉층이 하나이고 편향은 없는 신경망이다.

    x (32, 1000) --w1--> hidden (32, 100) --relu--w2--> y_pred (32, 2)

무작위 질문에 대한 무작위 답을 배운다. 쓸모는 없지만 모든 단계가 그대로 보인다.
예측하고, 오차를 재고, 가중치마다 오차가 어떻게 변하는지(기울기) 묻고,
모든 가중치를 그 기울기의 반대쪽으로 조금씩 옮긴다.

    python autograd_mlp.ko.py [반복 횟수] [시드]
"""

import argparse

import torch

parser = argparse.ArgumentParser(description="Train a two-layer network with autograd.")
parser.add_argument("iterations", type=int, nargs="?", default=10_000)
parser.add_argument("seed", type=int, nargs="?", default=0, help="start of the random numbers")
arguments = parser.parse_args()

# 시드가 같으면 난수가 같고, 따라서 손실도 언제나 같다.
torch.manual_seed(arguments.seed)

device = "cuda" if torch.cuda.is_available() else "cpu"
print("Device: ", device)

batch_size, input_size, hidden_size, output_size = 32, 1000, 100, 2
learning_rate = 1e-6


def draw(*size):
    """정규분포를 따르는 난수 텐서. autograd가 그 기울기를 `.grad`에 담아 준다."""
    return torch.randn(*size, device=device, dtype=torch.float).requires_grad_()


# 데이터: 한 행이 표본 하나다.
x = draw(batch_size, input_size)
y = draw(batch_size, output_size)

# 가중치: 학습되는 것. 아래에서 바뀌는 것은 이 둘뿐이다.
w1 = draw(input_size, hidden_size)
w2 = draw(hidden_size, output_size)

for iteration in range(1, arguments.iterations + 1):
    # 순전파: 입력에서 출발해 예측이 얼마나 틀렸는지를 말하는 수 하나에 이른다.
    # autograd는 지나온 연산을 모두 적어 둔다. relu(v)는 max(v, 0)이다.
    # relu가 없으면 두 행렬은 하나로 합쳐져 버린다.
    hidden = torch.nn.functional.relu(x.mm(w1))
    y_pred = hidden.mm(w2)
    loss = (y_pred - y).pow(2).sum()

    if iteration % 100 == 0:
        print(f"{iteration}th Iteration: ")
        # item()은 원소가 하나뿐인 텐서에서 그 수를 꺼낸다.
        print(">>>> Loss: ", loss.item())

    # 역전파: 적어 둔 연산을 손실에서 가중치 쪽으로 거슬러 가며 기울기를 곱한다(연쇄 법칙).
    # 끝나면 w.grad는 w와 같은 모양이고, 손실을 w로 미분한 값을 담고 있다.
    loss.backward()

    # 갱신은 미분할 계산이 아니므로 autograd가 기록하지 않게 한다.
    with torch.no_grad():
        w1 -= learning_rate * w1.grad
        w2 -= learning_rate * w2.grad

        # backward()는 .grad에 더해 넣는다. 다음 반복은 0에서 시작한다.
        w1.grad.zero_()
        w2.grad.zero_()
