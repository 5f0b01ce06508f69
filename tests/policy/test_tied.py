import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lit_passk.policy.logprobs import token_logprobs
from lit_passk.policy.tied import TiedGradient

VOCAB, SIZE = 50, 6
IDS = torch.tensor([4, 7, 0, 4, 49, 3, 4])  # one three times, and the padding id of one case below
TARGET = torch.tensor([7, 0, 4, 49, 3, 4, 1])


class Scaled(torch.nn.Embedding):
    """Like Gemma's."""

    def forward(self, ids):
        return super().forward(ids) * 3.0


class Matrices(TorchDispatchMode):
    """The results as large as the vocabulary's matrix, by where they lie."""

    def __init__(self, shape=(VOCAB, SIZE)):
        self.shape, self.places = shape, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.shape == self.shape and out.layout == torch.strided:
            self.places.add(out.untyped_storage().data_ptr())
        return out


def loss_of(hidden, weight, add_to=None):
    """Something that every layer in between and both outputs matter to."""
    mixed = torch.tanh(hidden.cumsum(0))
    logprobs, entropy = token_logprobs(mixed, weight, TARGET, add_to=add_to)
    return (logprobs * torch.arange(1.0, 8.0)).sum() + entropy.square().sum()


def embeddings(kind, **kwargs):
    torch.manual_seed(0)
    return kind(VOCAB, SIZE, **kwargs).double()


@pytest.mark.parametrize("add_to_grad", [False, True])
@pytest.mark.parametrize("padding", [None, 0, 4])
@pytest.mark.parametrize("kind", [torch.nn.Embedding, Scaled])
def test_equals_what_autograd_adds_up(kind, padding, add_to_grad):
    embedding = embeddings(kind, padding_idx=padding)
    expected = copy.deepcopy(embedding)
    for _ in range(3):  # gradients add up over micro-batches
        loss_of(expected(IDS), expected.weight).backward()
        tied = TiedGradient(embedding, embedding.weight, add_to_grad)
        loss_of(tied.lookup(IDS), tied.output(), embedding.weight if add_to_grad else None).backward()
        assert tied.gradient is None
    torch.testing.assert_close(embedding.weight.grad, expected.weight.grad, rtol=1e-12, atol=1e-12)
    assert not embedding.sparse


def test_the_backward_pass_makes_one_matrix():
    embedding = embeddings(torch.nn.Embedding)
    tied = TiedGradient(embedding, embedding.weight)
    loss = loss_of(tied.lookup(IDS), tied.output())
    with Matrices() as made:
        loss.backward()
    assert made.places <= {embedding.weight.data_ptr(), embedding.weight.grad.data_ptr()}
    with Matrices() as by_autograd:
        loss_of(embedding(IDS), embedding.weight).backward()
    assert len(by_autograd.places - {embedding.weight.data_ptr(), embedding.weight.grad.data_ptr()}) > 1


def test_the_next_backward_pass_makes_none():
    embedding = embeddings(torch.nn.Embedding)
    loss_of(embedding(IDS), embedding.weight).backward()
    tied = TiedGradient(embedding, embedding.weight, add_to_grad=True)
    loss = loss_of(tied.lookup(IDS), tied.output(), embedding.weight)
    before = embedding.weight.grad
    with Matrices() as made:
        loss.backward()
    assert made.places <= {embedding.weight.data_ptr(), before.data_ptr()}
    assert embedding.weight.grad is before


def test_a_later_loss_without_the_head_is_added_as_well():
    embedding = embeddings(torch.nn.Embedding)
    for add_to_grad in (False, True):
        tied = TiedGradient(embedding, embedding.weight, add_to_grad)
        hidden = tied.lookup(IDS)
        tied.output()
        hidden.square().sum().backward()
    (once,) = torch.autograd.grad(embedding(IDS).square().sum(), embedding.weight)
    torch.testing.assert_close(embedding.weight.grad, 2 * once, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("with_head", [True, False])
def test_a_frequent_token_in_bfloat16_is_summed_in_float32(with_head):
    exact = embeddings(torch.nn.Embedding)
    embedding = copy.deepcopy(exact).bfloat16()
    ids, slopes = torch.full((3000,), 7), torch.rand(3000, SIZE, generator=torch.Generator().manual_seed(0)) + 1

    def gradient(hidden, weight):
        slope = slopes.to(weight.dtype)
        loss = (hidden * slope).sum() + (hidden[:9] @ weight.t()).sum() * with_head
        return torch.autograd.grad(loss, embedding.weight if weight.dtype == torch.bfloat16 else exact.weight)[0]

    tied = TiedGradient(embedding, embedding.weight)
    actual = gradient(tied.lookup(ids), tied.output() if with_head else embedding.weight)[7]
    torch.testing.assert_close(actual.double(), gradient(exact(ids), exact.weight)[7], rtol=2**-6, atol=0)


def test_gradients_can_be_asked_for_without_a_backward_pass():
    embedding = embeddings(torch.nn.Embedding)
    tied = TiedGradient(embedding, embedding.weight)
    loss = loss_of(tied.lookup(IDS), tied.output())
    (actual,) = torch.autograd.grad(loss, embedding.weight)
    (expected,) = torch.autograd.grad(loss_of(embedding(IDS), embedding.weight), embedding.weight)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def test_a_loss_without_the_head():
    embedding = embeddings(torch.nn.Embedding)
    tied = TiedGradient(embedding, embedding.weight)
    hidden = tied.lookup(IDS)
    tied.output()
    (actual,) = torch.autograd.grad(hidden.square().sum(), embedding.weight)
    (expected,) = torch.autograd.grad(embedding(IDS).square().sum(), embedding.weight)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def test_same_values():
    embedding = embeddings(Scaled)
    tied = TiedGradient(embedding, embedding.weight)
    assert torch.equal(tied.lookup(IDS[None]), embedding(IDS[None]))
    assert torch.equal(tied.output(), embedding.weight)


def test_two_matrices_stay_two():
    embedding, other = embeddings(torch.nn.Embedding), embeddings(torch.nn.Embedding)
    tied = TiedGradient(embedding, other.weight)
    loss_of(tied.lookup(IDS), tied.output()).backward()
    expected, expected_other = torch.autograd.grad(
        loss_of(embedding(IDS), other.weight), (embedding.weight, other.weight)
    )
    torch.testing.assert_close(embedding.weight.grad, expected)
    torch.testing.assert_close(other.weight.grad, expected_other)
