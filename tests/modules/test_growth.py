"""Nothing that a training holds grows from step to step, and no step does more than one before: counted, not timed."""

import collections
import cProfile
import gc
import pstats
import warnings

import lightning as L
import pytest
from helpers.small_runs import build
from lightning.pytorch.loggers import CSVLogger

from lit_passk.callbacks import CompletionsTable, PassAtKCurve, RolloutCallback

PERIOD = 12  # steps in which validations, checkpoints and epochs come round
LOOKS = (PERIOD, 2 * PERIOD, 3 * PERIOD)
CONTAINERS = (list, dict, set, collections.deque, collections.OrderedDict)


class Count(L.Callback):
    """What is there at each look, and how many calls were made in the steps before it."""

    def __init__(self):
        self.objects, self.entries, self.calls = [], [], []

    def on_train_batch_end(self, trainer, pl_module, *args):
        if pl_module.rl_step in LOOKS:
            gc.collect()
            here = gc.get_objects()
            self.objects.append(collections.Counter(type(one).__qualname__ for one in here))
            self.entries.append(sum(len(one) for one in here if type(one) in CONTAINERS))
            del here
            if len(self.objects) > 1:
                self.profile.disable()
                self.calls.append({name: row[1] for name, row in pstats.Stats(self.profile).stats.items()})
            self.profile = cProfile.Profile()
            self.profile.enable()


@pytest.fixture(scope="module")
def counted(maze_policy, tmp_path_factory):
    count = Count()
    folder = tmp_path_factory.mktemp("run")
    shown = [CompletionsTable(every=4), PassAtKCurve()]
    trainer, module, data = build(maze_policy, folder, count, *shown, every=4, steps=LOOKS[-1])
    trainer.loggers, trainer.log_every_n_steps, trainer.val_check_interval = [CSVLogger(folder)], 1, 4
    [rollout] = [c for c in trainer.callbacks if isinstance(c, RolloutCallback)]
    rollout.engine.requests = rollout.engine.calls = collections.deque(maxlen=1)  # it remembers them for other tests
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, datamodule=data)
    count.profile.disable()
    return count


def test_no_objects_are_kept_from_step_to_step(counted):
    one, two, three = counted.objects
    grown = {name: (one[name], two[name], three[name]) for name in three if one[name] < two[name] < three[name]}
    kept = {name: counts for name, counts in grown.items() if counts[2] - counts[1] >= PERIOD}
    assert not kept


def test_no_list_grows_but_for_the_names_of_files(counted):
    _, two, three = counted.entries
    assert three - two < 2 * PERIOD, "`SaveRollouts` knows the size of every file"


def test_a_later_step_calls_no_more_functions_than_an_earlier_one(counted):
    early, late = counted.calls
    assert sum(late.values()) < 1.05 * sum(early.values())
    # What is called once more in every step would be called PERIOD times more in as many steps.
    more = {name: (early.get(name, 0), n) for name, n in late.items() if n - early.get(name, 0) >= 10 * PERIOD}
    assert not {name: counts for name, counts in more.items() if counts[1] > 1.2 * counts[0]}
