"""The scripted engine keeps the contract that tests of others rely on."""

import pytest
import torch
from helpers.scripted_engine import ScriptedEngine

from lit_passk.types import Sampling

EOS = 1


def count(prompt, seed):
    tokens = [10 + len(prompt), *(20 + seed + t for t in range(4)), EOS]
    return tokens, [-0.5 * (t + 1) for t in range(len(tokens))]


def test_answers_by_the_script_in_the_order_asked_for():
    engine = ScriptedEngine(count, order=lambda num: range(num)[::-1])
    engine.start("folder", None, [EOS])
    engine.load_weights([("w", torch.ones(2))], version=3)
    arrived = list(engine.generate([[5], [5, 6]], Sampling(n=2, max_tokens=6), [100, 200]))
    assert [p for p, _ in arrived] == [1, 0]
    assert [c.token_ids for c in arrived[1][1]] == [[11, 120, 121, 122, 123, EOS], [11, 121, 122, 123, 124, EOS]]
    assert arrived[0][1][0].logprobs == [-0.5, -1.0, -1.5, -2.0, -2.5, -3.0]
    assert {(c.finish_reason, c.version) for _, group in arrived for c in group} == {("stop", 3)}
    assert engine.calls == ["start", "load_weights 3", "generate"]
    assert engine.weights["w"].tolist() == [1, 1]


def test_max_tokens_cuts_and_the_first_end_token_ends():
    engine = ScriptedEngine(count)
    engine.start("folder", None, [EOS, 20])
    [(_, [cut])] = engine.generate([[5]], Sampling(n=1, max_tokens=3), [7])
    assert (cut.token_ids, cut.finish_reason) == ([11, 27, 28], "length")
    [(_, [ended])] = engine.generate([[5]], Sampling(n=1, max_tokens=6), [0])
    assert (ended.token_ids, ended.finish_reason) == ([11, 20], "stop")


def test_what_no_real_engine_could_do_fails():
    engine = ScriptedEngine(count, version=-1, beside_training=True)
    ask = lambda: list(engine.generate([[5], [6]], Sampling(n=1), [0, 1]))  # noqa: E731
    with pytest.raises(AssertionError, match="before start"):
        ask()
    engine.start("folder", None, [EOS])
    with pytest.raises(AssertionError, match="without weights"):
        ask()
    engine.load_weights([], version=0)
    engine.sleep()
    with pytest.raises(AssertionError, match="asleep"):
        ask()
    engine.wake()
    groups = engine.generate([[5], [6]], Sampling(n=1), [0, 1])
    next(groups)
    engine.interrupt()
    with pytest.raises(RuntimeError, match="interrupted"):
        next(groups)
    assert len(ask()) == 2
