"""Rows in the layouts of published data sets load without naming a column, or say how to name one."""

from __future__ import annotations

import json

import pytest

from lit_passk.errors import Refusal
from lit_passk.tasks.choice import MultipleChoice
from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.math import MathTask
from lit_passk.tasks.puzzles import CountdownTask

CHAT = [{"role": "user", "content": "What is 1 + 1?"}]
SOLVED = r"So $1 + 1 = \boxed{2}$."
TRUTH = {"style": "rule", "ground_truth": "2"}

MATH = {
    "MATH": {"problem": "p", "level": "Level 1", "type": "Algebra", "solution": SOLVED},
    "MATH-500": {"problem": "p", "solution": SOLVED, "answer": "2", "unique_id": "test/algebra/1.json"},
    "AIME, capitals": {"ID": "2024-I-1", "Problem": "p", "Solution": "s", "Answer": 2},
    "AMC": {"id": 0, "problem": "p", "answer": 2.0, "url": "u"},
    "OlympiadBench": {"id": 1, "question": "p", "solution": ["s"], "final_answer": ["2"], "image_1": None},
    "SVAMP": {"ID": "c", "Body": "b", "Question": "q", "Answer": "2", "question_concat": "b q"},
    "SVAMP, first version": {"ID": "c", "Body": "b", "Question": "q", "Answer": 2.0, "Equation": "( 1 + 1 )"},
    "ASDiv": {"body": "b", "question": "q", "answer": "2 (apples)", "formula": "1+1=2"},
    "MGSM": {"question": "p", "answer": None, "answer_number": 2, "equation_solution": None},
    "DAPO": {"data_source": "math_dapo", "prompt": CHAT, "ability": "MATH", "reward_model": TRUTH},
    "DAPO, processed": {"prompt": "p", "solution": "2", "source_prompt": CHAT, "reward_model": TRUTH},
    "Skywork-OR1": {"prompt": CHAT, "reward_model": {"style": "rule", "ground_truth": '["2"]'}},
    "ORZ": {"0": {"from": "human", "value": "p"}, "1": {"from": "assistant", "ground_truth": {"value": "2"}}},
    "INTELLECT-2": {"task_type": "verifiable_math", "prompt": "p", "verification_info": '{"ground_truth": "2"}'},
    "Big-Math": {"problem": "p", "answer": "2", "source": "gsm8k", "domain": ["a"], "llama8b_solve_rate": 0.5},
    "OpenR1-Math": {"problem": "p", "solution": "s", "answer": "2", "question_type": "MCQ", "generations": [SOLVED]},
    "Polaris": {"problem": "p", "answer": "2", "difficulty": "3/8"},
    "MathArena": {"problem_idx": 1, "problem": "p", "answer": 2, "problem_type": ["Algebra"]},
    "TheoremQA": {"Question": "p", "Answer": 2.0, "Answer_type": "integer", "Picture": None},
    "DeepMath": {"question": "p", "final_answer": "2", "r1_solution_1": "s"},
    "OpenMathReasoning": {"expected_answer": "2", "problem": "p", "generated_solution": SOLVED},
    "MetaMathQA": {"query": "p", "response": "1 + 1 = 2.\nThe answer is: 2", "type": "GSM_Rephrased"},
    "Orca-Math": {"question": "p", "answer": "One and one make two. Therefore, the answer is 2."},
    "Qwen's evaluation": {"idx": 0, "question": "p", "gt_cot": "c", "gt": "2"},
}
CHOICE = {
    "OpenBookQA": {"question_stem": "q", "choices": {"label": ["A", "B"], "text": ["a", "b"]}, "answerKey": "B"},
    "MedMCQA": {"question": "q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 1},
    "C-Eval": {"question": "q", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "B"},
    "CMMLU": {"Question": "q", "A": "a", "B": "b", "C": "c", "D": "d", "Answer": "B"},
    "AQuA": {"question": "q", "options": ["A)a", "B)b"], "correct": "B"},
    "HellaSwag": {"ctx": "q", "endings": ["a", "b"], "label": "1"},
}
COUNTDOWN = {
    "TinyZero": {"target": 10, "nums": [5, 5], "prompt": CHAT},
    "TinyZero for verl": {"prompt": CHAT, "reward_model": {"ground_truth": {"target": 10, "numbers": [5, 5]}}},
    "as text": {"target": "10", "nums": "[5, 5]"},
    "as floats": {"target": 10.0, "nums": [5.0, 5.0]},
}
ONE_TEST = [{"input": "1\n", "output": "1\n", "testtype": "stdin"}]
CODE = {
    "DeepCoder": {"problem": "q", "tests": json.dumps(ONE_TEST), "solutions": []},
    "DeepCoder, of TACO": {"problem": "q", "tests": json.dumps({"inputs": ["1\n"], "outputs": ["1\n"]})},
    "SYNTHETIC-1": {"prompt": "q", "verification_info": json.dumps({"test_cases": ONE_TEST})},
}
TWO_SUM = {
    "task_id": "two-sum",
    "problem_description": "Two that sum up",
    "starter_code": "class Solution:\n    def pair(self, nums: List[int]) -> List[int]:\n        ",
    "prompt": "import random\nfrom typing import *\n",
    "completion": "class Solution:\n    def pair(self, nums):\n        return [0, 1]",
    "entry_point": "Solution().pair",
    "test": "def check(candidate):\n    assert candidate(nums = [3, 3]) == [0, 1]\n",
}


def load(task, tmp_path, *rows, **arguments):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return task(str(path), **arguments)


@pytest.mark.parametrize("name", MATH)
def test_math(tmp_path, name):
    task = load(MathTask, tmp_path, MATH[name], instruction="")
    assert [task.score(task[0], rf"\boxed{{{number}}}").correct for number in (2, 3)] == [True, False]


def test_proofs_are_left_out(tmp_path):
    numina = {"problem": "p", "answer": "2", "question_type": "math-word-problem", "problem_type": "Algebra"}
    proofs = [{**numina, "answer": word, "question_type": "proof"} for word in ("proof", "notfound")]
    with pytest.warns(UserWarning, match=r"2 of 3 rows of .* have no reference answer and are left out"):
        assert len(load(MathTask, tmp_path, numina, *proofs)) == 1
    assert load(MathTask, tmp_path, {"problem": "The opposite of disproof?", "answer": "proof"})[0].answer == "proof"


def test_a_question_in_two_columns_is_read_whole(tmp_path):
    assert {load(MathTask, tmp_path, MATH[n], instruction="")[0].prompt for n in ("SVAMP", "ASDiv")} == {"b q"}
    assert load(MathTask, tmp_path, MATH["SVAMP, first version"], instruction="")[0].prompt == "b q"


def test_a_row_without_a_known_column_says_how_to_name_one(tmp_path):
    with pytest.raises(Refusal, match=r"Its columns are 'prompt', 'solved'. `prompt_column` and `answer_column` take"):
        load(MathTask, tmp_path, {"prompt": "p", "solved": "2"})
    with pytest.raises(Refusal, match=r"for the question. .*`prompt_column` and `answer_column` take other names"):
        load(MathTask, tmp_path, {"asked": "p", "answer": "2"})
    with pytest.raises(Refusal, match=r"`columns` maps other names: {text: question, test_list: test_cases}"):
        load(CodeTask, tmp_path, {"question": "q", "asserts": ["assert f(1) == 1"]}, unsafe_no_sandbox=True)


@pytest.mark.parametrize("name", CHOICE)
def test_choice(tmp_path, name):
    task = load(MultipleChoice, tmp_path, CHOICE[name])
    assert task[0].answer == "B"
    assert "(A) a\n(B) b\n" in task[0].prompt


@pytest.mark.parametrize("name", COUNTDOWN)
def test_countdown(tmp_path, name):
    task = load(CountdownTask, tmp_path, COUNTDOWN[name])
    assert json.loads(task[0].answer) == {"nums": [5, 5], "target": 10}


@pytest.mark.parametrize("name", CODE)
def test_code(tmp_path, name):
    task = load(CodeTask, tmp_path, CODE[name], unsafe_no_sandbox=True)
    assert json.loads(task[0].answer)["cases"] == [{"input": "1\n", "output": "1\n"}]
    assert task[0].prompt.startswith("q\n")


def test_leet_code(tmp_path):
    nodes = {**TWO_SUM, "task_id": "x", "starter_code": "class Solution:\n    def f(self, root: Optional[TreeNode]):\n"}
    with pytest.warns(UserWarning, match="1 problems of .* cannot be scored"):
        task = load(CodeTask, tmp_path, TWO_SUM, nodes, unsafe_no_sandbox=True)
    assert task[0].prompt.startswith("Two that sum up\n\n```python\nclass Solution:")
    right, wrong = task.demonstration(0), "```python\ndef pair(nums: List[int]):\n    return nums\n```"
    assert [task.verdict(task[0], completion).passed for completion in (right, wrong)] == [True, False]
