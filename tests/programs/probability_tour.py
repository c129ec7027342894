"""Distributions at work: variational inference, a flow, mixtures, constraints, draws."""

import torch
import torch.distributions as dist
from torch.distributions import constraints, kl_divergence, transform_to

torch.manual_seed(11)

# a gamma posterior fitted to Poisson counts, whose true one is known
counts = dist.Poisson(4.0).sample((30,))
prior = dist.Gamma(2.0, 1.0)
raw = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.Adam([raw], lr=0.1)
for step in range(301):
    optimizer.zero_grad()
    shape, rate = transform_to(constraints.positive)(raw) * torch.tensor([60.0, 15.0])
    posterior = dist.Gamma(shape, rate)
    draws = posterior.rsample((16,))
    likelihood = dist.Poisson(draws.unsqueeze(1)).log_prob(counts).sum(1).mean()
    loss = kl_divergence(posterior, prior) - likelihood
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step} loss {loss.item():.3f} mean {posterior.mean.item():.4f}")
exact = dist.Gamma(2.0 + counts.sum(), 31.0)
print(f"exact mean {exact.mean.item():.4f} deviation {exact.stddev.item():.4f}")

# what is normalised by hand: a flow and its density
flow = dist.TransformedDistribution(
    dist.Independent(dist.Normal(torch.zeros(2), 1.0), 1),
    [dist.AffineTransform(torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.3]), event_dim=1),
     dist.StickBreakingTransform()],
)  # fmt: skip
points = flow.rsample((4,))
print(flow.event_shape, [round(v, 4) for v in points.sum(-1).tolist()])
print([round(v, 4) for v in flow.log_prob(points).tolist()])

# a mixture, its moments and its draws
mixture = dist.MixtureSameFamily(
    dist.Categorical(torch.tensor([0.2, 0.5, 0.3])),
    dist.StudentT(5.0, torch.tensor([-3.0, 0.0, 4.0]), torch.tensor([1.0, 0.5, 2.0])),
)
draws = mixture.sample((2000,))
print(f"mean {mixture.mean.item():.4f} sampled {draws.mean().item():.4f}")
print(f"variance {mixture.variance.item():.4f} sampled {draws.var().item():.4f}")

# correlated normals learned from data through their Cholesky factor
true = dist.MultivariateNormal(torch.tensor([1.0, -1.0]), torch.tensor([[2.0, 0.8], [0.8, 1.0]]))
data = true.sample((500,))
loc = torch.zeros(2, requires_grad=True)
square = torch.zeros(2, 2, requires_grad=True)
optimizer = torch.optim.LBFGS([loc, square], max_iter=30)


def model():
    return dist.MultivariateNormal(loc, scale_tril=transform_to(constraints.lower_cholesky)(square))


def closure():
    optimizer.zero_grad()
    loss = -model().log_prob(data).mean()
    loss.backward()
    return loss


optimizer.step(closure)
with torch.no_grad():
    print("mean", [round(v, 3) for v in model().mean.tolist()])
    print("covariance", [round(v, 3) for v in model().covariance_matrix.flatten().tolist()])
    print(f"divergence {kl_divergence(true, model()).item():.4f}")

# draws of everything else, after one seed
torch.manual_seed(3)
for d in (
    dist.Beta(2.0, 5.0),
    dist.Binomial(10, torch.tensor(0.3)),
    dist.Dirichlet(torch.ones(3)),
    dist.NegativeBinomial(5.0, torch.tensor(0.4)),
    dist.VonMises(torch.tensor(0.5), torch.tensor(4.0)),
    dist.Weibull(2.0, 1.5),
    dist.LKJCholesky(2, 1.5),
    dist.RelaxedBernoulli(torch.tensor(0.5), 0.3),
    dist.OneHotCategorical(torch.ones(4)),
    dist.Gumbel(0.0, 1.0),
    dist.Kumaraswamy(2.0, 3.0),
    dist.InverseGamma(3.0, 2.0),
    dist.HalfCauchy(1.0),
    dist.Pareto(1.0, 3.0),
    dist.Laplace(0.0, 2.0),
):
    drawn = d.sample((2,))
    print(type(d).__name__, [round(v, 4) for v in drawn.flatten().tolist()])
try:
    dist.Normal(0.0, -1.0)
except ValueError as error:
    print(error)
