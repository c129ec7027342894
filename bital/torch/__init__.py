from bital.ops import api, arithmetic, matmul, activation, reduce, view, create
from bital.runtime import executor
from bital.tensor.tensor import Tensor, from_array
