"""From rewards to advantages: one idea, one class, one file.

Start with ``base.py``, the one method a new idea fills in. Equations are those of Pass@k Training, arXiv 2508.10751.

Pass@k Training rewards k completions together, so a prompt that is solved once in a while still teaches something and
one that is mostly solved no longer does. These strategies look at who is *correct*:

- ``PassKFullSampling`` (Algorithm 1, eqs. 1-5; ``passk_full_sampling.py``): disjoint groups in the order of sampling.
- ``PassKBootstrap`` (Algorithm 2, eq. 6; ``passk_bootstrap.py``): random groups; a completion adds up those it is in.
- ``PassKAnalytic`` (Algorithm 3, eqs. 8-15; ``passk_analytic.py``): the average over all groups, in closed form. The
  one to use.
- ``Combination`` (eq. 18; ``combination.py``): Pass@1 on hard prompts, Pass@k on easy ones, by the share solved.
- ``ExceedingPassK`` (eq. 17; ``exceeding_passk.py``): Pass@k with more weight on prompts that are hardly ever solved.
- ``AdaptiveEntropy`` (section 4.2.3; ``adaptive_entropy.py``): Pass@1 on prompts of high entropy, Pass@k on the rest.

The Pass@1 family looks at *rewards*, whatever their scale:

- ``GRPO`` (eqs. 1-3; ``grpo.py``): centred and divided by the standard deviation of the group.
- ``DrGRPO`` (``dr_grpo.py``): centred only.
- ``RLOO`` (``rloo.py``): minus the mean of the other completions.
- ``ReinforcePlusPlus`` (``reinforce_plus_plus.py``): centred and divided over the whole batch.

Relatives that weigh prompts, GRPO times a weight on rewards of 0 and 1 (where one of them is 1):

- ``MaxRL`` (``max_rl.py``): maximum likelihood of being correct, truncated if wanted.
- ``RSGRPO`` (``rs_grpo.py``): the exponential utility of the rewards.
- ``FGRPO`` (``f_grpo.py``): less weight on what is solved often.
- ``BayesianBoundary`` (``bayesian_boundary.py``): what a prompt can still add to pass@k, for k above G as well.
- ``Surrogate`` (``surrogate.py``): any function of the solve rate, by its derivative.

Relatives that weigh completions within a group:

- ``WReinforce`` (``w_reinforce.py``): a push up for the correct, a push down for the wrong, without a baseline.
- ``Unlikeliness`` (``unlikeliness.py``): rewards shrink with the rank of the log-probability.
- ``UCPO`` (``ucpo.py``): correct completions share their credit by rarity.
- ``DifferentialSmoothing`` (``differential_smoothing.py``): unlikely correct up, unlikely wrong down.

Groups of k and order statistics, for rewards of any value (``groups_of_k.py`` is their base):

- ``GroupAdvantage`` (``group_advantage.py``): any reward of a group, disjoint, drawn or all groups; the general form of
  the first three. ``GroupReward`` is a group's reward of your own.
- ``MaxAtK`` (``max_at_k.py``): ``PassKAnalytic`` for rewards of any value.
- ``OrderStatistic`` (``order_statistic.py``): the best, the median, the worst of k, or any weights; centred, unbiased.
- ``PKPO`` (``pkpo.py``), ``LeaveOneOutMaxK`` (``leave_one_out_max_k.py``): max@k with other baselines.
- ``LogMeanExp`` (``log_mean_exp.py``): between the mean and the maximum of a group.
- ``VoteAtK`` (``vote_at_k.py``): the majority vote of k.

Over time (docs/schedules.md): ``Schedule`` (``schedule.py``) uses one after the other, Pass@k then Pass@1, or a falling
k; ``Blend`` (``blend.py``) mixes two with a weight that changes; ``Switch`` (``switch.py``) goes by a logged quantity.

On rewards of 0 and 1, the first two lists but ``PassKFullSampling``, ``PassKBootstrap`` and ``ReinforcePlusPlus``, and
``MaxAtK`` and ``OrderStatistic``, are GRPO times a weight that depends on how often the prompt was solved (and, in
``AdaptiveEntropy``, on its entropy); they differ in that weight only.
"""

from lit_passk.advantages.adaptive_entropy import AdaptiveEntropy
from lit_passk.advantages.base import AdvantageStrategy, GroupSizeWarning
from lit_passk.advantages.bayesian_boundary import BayesianBoundary
from lit_passk.advantages.blend import Blend
from lit_passk.advantages.combination import Combination
from lit_passk.advantages.differential_smoothing import DifferentialSmoothing
from lit_passk.advantages.dr_grpo import DrGRPO
from lit_passk.advantages.exceeding_passk import ExceedingPassK
from lit_passk.advantages.f_grpo import FGRPO
from lit_passk.advantages.group_advantage import GroupAdvantage, GroupReward
from lit_passk.advantages.grpo import GRPO
from lit_passk.advantages.leave_one_out_max_k import LeaveOneOutMaxK
from lit_passk.advantages.log_mean_exp import LogMeanExp
from lit_passk.advantages.max_at_k import MaxAtK
from lit_passk.advantages.max_rl import MaxRL
from lit_passk.advantages.order_statistic import OrderStatistic
from lit_passk.advantages.passk_analytic import PassKAnalytic
from lit_passk.advantages.passk_bootstrap import PassKBootstrap
from lit_passk.advantages.passk_full_sampling import PassKFullSampling
from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.advantages.pkpo import PKPO
from lit_passk.advantages.reinforce_plus_plus import ReinforcePlusPlus
from lit_passk.advantages.rloo import RLOO
from lit_passk.advantages.rs_grpo import RSGRPO
from lit_passk.advantages.schedule import Schedule
from lit_passk.advantages.surrogate import Surrogate
from lit_passk.advantages.switch import Switch
from lit_passk.advantages.ucpo import UCPO
from lit_passk.advantages.unlikeliness import Unlikeliness
from lit_passk.advantages.vote_at_k import VoteAtK
from lit_passk.advantages.w_reinforce import WReinforce

__all__ = [
    "FGRPO",
    "GRPO",
    "PKPO",
    "RLOO",
    "RSGRPO",
    "UCPO",
    "AdaptiveEntropy",
    "AdvantageStrategy",
    "BayesianBoundary",
    "Blend",
    "Combination",
    "DifferentialSmoothing",
    "DrGRPO",
    "ExceedingPassK",
    "GroupAdvantage",
    "GroupReward",
    "GroupSizeWarning",
    "LeaveOneOutMaxK",
    "LogMeanExp",
    "MaxAtK",
    "MaxRL",
    "OrderStatistic",
    "PassKAnalytic",
    "PassKBootstrap",
    "PassKFullSampling",
    "PassKStrategy",
    "ReinforcePlusPlus",
    "Schedule",
    "Surrogate",
    "Switch",
    "Unlikeliness",
    "VoteAtK",
    "WReinforce",
]
